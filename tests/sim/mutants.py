"""Mistakes planted in the real code. The simulation must notice each: without them its silence says nothing."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from agents.closed import ClosedIncidents
from agents.desk import Told
from agents.desks import Desks
from agents.emit import Emitter
from agents.holdings import Holdings
from agents.inhand import Records
from agents.sending import Post
from agents.waiting import Waiting
from pipeline.deliver.admit import Suppress
from pipeline.trimming.needs import Front
from schemas import topics
from schemas.delivery import Outcome, Result
from schemas.ids import derived
from schemas.journal import IncidentClosed


@contextmanager
def acknowledges_before_sending() -> Iterator[None]:
    """A batch is done with as soon as it is in hand."""
    handle, kept = Post.handle, set[Any]()

    async def at_once(self: Post, record: Any) -> bool:
        kept.add(asyncio.create_task(handle(self, record)))
        return True

    with patch.object(Post, "handle", at_once):
        yield


@contextmanager
def writes_the_outcome_in_two_records() -> Iterator[None]:
    """First that the attempt was answered, then what the answer means."""
    end = Records.end

    async def twice(self: Records, work: Any, attempt: str | None, outcomes: Iterable[Outcome]) -> None:
        outcomes = list(outcomes)
        if attempt is not None and any(outcome.result.terminal for outcome in outcomes):
            answered = [one.model_copy(update={"result": Result.UNKNOWN, "reason": "answered"}) for one in outcomes]
            await end(self, work, attempt, answered)
        await end(self, work, attempt, outcomes)

    with patch.object(Records, "end", twice):
        yield


@contextmanager
def tries_again_blindly() -> Iterator[None]:
    """Nobody asks what became of an attempt whose end is unknown."""
    effect = Post._effect

    async def blindly(self: Post, sender: Any, envelope: Any, recipients: Any, _: Any) -> Any:
        return await effect(self, sender, envelope, recipients, set())

    with patch.object(Post, "_effect", blindly):
        yield


@contextmanager
def never_looks_again_who_left() -> Iterator[None]:
    """Opt-outs are not looked at again before a window: who was to be told when the batch came is told."""
    verdicts, first = Post._verdicts, dict[int, tuple[Any, Mapping[str, Any]]]()

    def as_before(self: Post, work: Any, recipients: Any) -> Any:
        now = verdicts(self, work, recipients)
        before = first.setdefault(id(work), (work, now))[1]
        return {r: before[r] if isinstance(verdict, Suppress) else verdict for r, verdict in now.items()}

    async def nothing(self: Holdings, partition: int) -> None: ...

    with patch.object(Post, "_verdicts", as_before), patch.object(Holdings, "opt_outs_reached", nothing):
        yield


@contextmanager
def makes_up_ids() -> Iterator[None]:
    """A message has another id each time that it is sent."""
    number = itertools.count()
    with patch("agents.inhand.intent_ids", lambda *_: lambda _: derived("made up", next(number))):
        yield


@contextmanager
def forgets_what_was_under_way() -> Iterator[None]:
    """Attempts that a dead worker left open are not looked for."""

    async def nothing(self: Waiting, holding: Any, told: Any = None) -> None: ...

    with patch.object(Waiting, "take_over", nothing):
        yield


@contextmanager
def does_not_emit_again() -> Iterator[None]:
    """Whoever takes a partition over trusts that its last entry's notices are out."""

    async def nothing(self: Desks, told: Told) -> None: ...

    with patch.object(Desks, "_emit_again", nothing):
        yield


@contextmanager
def emits_what_does_not_count() -> Iterator[None]:
    """Whose entry was not the first of its number emits its own notices all the same."""
    with patch("agents.desk.Desk.void", property(lambda _: set[int](), lambda *_: None), create=True):
        yield


@contextmanager
def sends_whoever_it_is() -> Iterator[None]:
    """A worker that was thought dead sends as if nothing had happened."""

    async def nothing(self: Any) -> None: ...

    with ExitStack() as patches:
        patches.enter_context(patch("tests.sim.ports.Beating.fresh", nothing))
        patches.enter_context(patch.object(Holdings, "turn", lambda *_: 0))
        patches.enter_context(patch.object(Holdings, "lasts", lambda *_: True))
        yield


@contextmanager
def decides_on_what_is_closed() -> Iterator[None]:
    """What comes of an incident whose journal is forgotten is taken for the first word of a new one."""
    with patch.object(Desks, "_is_closed", lambda *_: False):
        yield


@contextmanager
def tells_of_what_is_closed() -> Iterator[None]:
    """A notice whose intents are forgotten is fanned out and sent as if it were new."""
    with patch.object(ClosedIncidents, "but_closed", lambda _self, handle: handle):
        yield


@contextmanager
def closes_and_says_so_to_nobody() -> Iterator[None]:
    """Whoever takes over after a death between the journal and `incidents.closed` leaves it at that."""
    emit_again = Desks._emit_again

    async def but_closed(self: Desks, told: Told) -> None:
        if not any(isinstance(decision, IncidentClosed) for decision in told[1].decisions):
            await emit_again(self, told)

    with patch.object(Desks, "_emit_again", but_closed):
        yield


@contextmanager
def forgets_what_is_open() -> Iterator[None]:
    """Kafka is told to forget the journal of an incident that is not closed."""
    take = Front.take

    def takes(self: Front, record: Any, subject: str | None, needed: bool) -> None:
        take(self, record, subject, needed and record.topic != topics.INCIDENT_JOURNAL.name)

    with patch.object(Front, "take", takes):
        yield


@contextmanager
def leaves_the_words_behind() -> Iterator[None]:
    """Whoever emits once more what somebody died over emits the notices alone."""
    again, write = Desks._emit_again, Emitter.write

    async def but_words(self: Emitter, topic: topics.Topic, data: Any, **about: Any) -> Any:
        return None if topic is topics.RENDERINGS else await write(self, topic, data, **about)

    async def notices_alone(self: Desks, told: Told) -> None:
        with patch.object(Emitter, "write", but_words):
            await again(self, told)

    with patch.object(Desks, "_emit_again", notices_alone):
        yield


Mutant = Callable[[], Any]
MUTANTS: dict[Mutant, frozenset[str]] = {
    acknowledges_before_sending: frozenset({"I1"}),
    writes_the_outcome_in_two_records: frozenset({"I1"}),
    tries_again_blindly: frozenset({"I2"}),
    never_looks_again_who_left: frozenset({"I3"}),
    makes_up_ids: frozenset({"I2"}),
    forgets_what_was_under_way: frozenset({"I1", "I2"}),
    does_not_emit_again: frozenset({"I1"}),
    emits_what_does_not_count: frozenset({"I6"}),
    sends_whoever_it_is: frozenset({"I1", "I2"}),
    decides_on_what_is_closed: frozenset({"I1", "I2"}),
    tells_of_what_is_closed: frozenset({"I1", "I2"}),
    closes_and_says_so_to_nobody: frozenset({"I1"}),
    forgets_what_is_open: frozenset({"I1"}),
    leaves_the_words_behind: frozenset({"I6"}),
}
"""Each with the invariants by which it may be noticed."""
