"""A world: a log, two workers a room, providers, and a clock that a seed turns. One seed replays exactly."""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from unittest import mock

from pipeline.decide.compose import compose
from pipeline.decide.occasion import Occasion, Telling
from pipeline.policy import Policy
from schemas import codec, topics
from schemas.base import Message
from schemas.codec import Event, Headers, Record
from tests.sim.group import Group
from tests.sim.log import Log
from tests.sim.loop import VirtualLoop
from tests.sim.process import Deciding, Delivering, Process
from tests.sim.provider import Truth

STARTS = (
    datetime(2026, 3, 3, 12, 0, tzinfo=UTC),
    datetime(2026, 3, 28, 20, 0, tzinfo=UTC),  # Berlin changes its clocks that night
    datetime(2026, 12, 24, 16, 5, tzinfo=UTC),
)
WORKERS = 2
FIRED = (
    "killed", "stalled", "given up and woken", "rebalanced", "refused", "put off", "unknown", "unknown but taken",
    "slow", "left", "stopped", "erased", "duplicates", "out of order", "policies", "broken policies",
    "written beside another", "replayed", "forgotten",
)  # fmt: skip
"""What can happen to a world; each is counted, since what never happened was not tried."""
TICK_S = 0.2
ENDLESS = 20_000
"""So many records no story has: most have some hundred."""
WORDS_ANEW_EVERY = 20
POLICIES: dict[tuple[str, Headers, bytes | None], Event[Any]] = {}
"""Those that were published, read."""
MS = timedelta(milliseconds=1)


class Broken(AssertionError):
    """An invariant does not hold. `name`: which."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


class World:
    """What outlives every process. `calm`: nothing goes wrong any more."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.start = self.random.choice(STARTS)
        self.loop = VirtualLoop(self._due, self._tick, self._rest)
        self.log = Log(self.now)
        self.log.heard.append(self._is_bounded)
        self.truth = Truth()
        self.calm = False
        self.fired: Counter[str] = Counter()
        self._kept: list[object] = []
        self._ticked = -TICK_S
        self._at_rest: asyncio.Future[None] | None = None
        self._failed: asyncio.Future[None] = self.loop.create_future()
        self.groups = {room: Group(self) for room in (Deciding, Delivering)}
        self.everybody: list[Process] = []
        self._ended = False

    @property
    def processes(self) -> list[Process]:
        """Those that live."""
        return [process for process in self.everybody if not process.dead]

    def now(self) -> datetime:
        """The broker's clock, to the millisecond, as Kafka keeps it."""
        return self.start + int(self.loop.time() * 1000) * MS

    def latency(self) -> float:
        """Seconds that something takes; often none, so that whoever is ready goes on in turn."""
        drawn = self.random.random()
        return 0.0 if drawn < 0.5 else (drawn - 0.5) * 0.008

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Runs beside everything else; what goes wrong in it ends the world."""
        task = self.loop.create_task(work)
        self._kept.append(task)
        task.add_done_callback(self._looked_at)
        return task

    def _looked_at(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.died(error)

    def died(self, error: BaseException) -> None:
        """A worker would have ended by this, which nobody asked it to."""
        if not self._failed.done() and not isinstance(error, GeneratorExit):
            self._failed.set_exception(error)

    def begin(self) -> None:
        """Starts two workers of each room."""
        for room, group in self.groups.items():
            for number in range(WORKERS):
                self._begin(room, group, f"{room.room}-{number}")

    def _begin(self, room: type[Process], group: Group, name: str) -> None:
        process = room(self, group, name)
        self._kept.append(process)
        self.everybody.append(process)
        self.spawn(process.start())

    def start_again(self, dead: Process) -> None:
        """The supervisor starts another in place of one that died."""
        self._begin(type(dead), dead.group, dead.name)

    def _is_bounded(self, *_: object) -> None:
        if self.log.size > ENDLESS:
            self.died(Broken("I1", "it is written without end"))

    # --- time

    def _due(self, before: float) -> float | None:
        if self._ended or before <= self._ticked + TICK_S:
            return None
        first: float | None = None
        for process in self.everybody:
            if (due := process.due_s()) is not None and (first is None or due < first):
                first = due
        return None if first is None else max(first, self._ticked + TICK_S)

    def _tick(self) -> None:
        self._ticked = self.loop.time()
        for process in self.processes:
            if (due := process.due_s()) is not None and due <= self._ticked:
                process.tick()

    def _rest(self) -> None:
        if self._at_rest is None or self._at_rest.done():
            self.died(Broken("I1", "nothing moves any more, and something is awaited"))
        else:
            self._at_rest.set_result(None)

    async def rest(self) -> None:
        """Returns when nothing is left to do, and nothing waits for its time."""
        self._at_rest = self.loop.create_future()
        await self._at_rest

    def run(self, story: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        """Lets a story take place. Raises Broken, or whatever a worker ended by."""
        told = self.loop.create_task(story(self))
        first = asyncio.wait({told, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        with _alone(self):
            self.loop.run_until_complete(first)
            self._bury()
        if self._failed.done():
            raise self._failed.exception() or AssertionError
        told.result()

    def _bury(self) -> None:
        """After the end of the world even the dead let go of what they held."""
        left = [task for task in self.loop.tasks if not task.done()]
        self._ended = True
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.wait(left))
        self.loop.close()

    def digest(self) -> str:
        """A hash over everything that was written and taken."""
        found = hashlib.sha256()
        for line in self.log.dump():
            found.update(line)
        found.update(repr(self.truth.taken).encode())
        return found.hexdigest()


def _words_once() -> Any:
    """The words of a telling are made once a world: they cost more than all else, and are pure.

    In some worlds they are made anew each time, so that a replay there is one of the words as well.
    """
    made: dict[tuple[Any, ...], Any] = {}

    def remembered(telling: Telling, occasion: Occasion, policy: Policy, channels: Any = None) -> Any:
        key = telling, occasion, policy.hash, channels
        if (words := made.get(key)) is None:
            words = made[key] = compose(telling, occasion, policy, channels)
        return words

    return mock.patch("pipeline.decide.notices.compose", remembered)


@contextmanager
def _read_once() -> Iterator[None]:
    """A record is decoded once a world, whoever reads it: what it says is frozen. A policy, being long, but once.

    So is what stands in several places by the same bytes, as a notice does.
    """
    read: dict[tuple[str, int, int], Event[Any]] = {}
    said: dict[tuple[str, Headers, bytes | None], Event[Any]] = {}
    inputs: dict[tuple[str, int, int], Event[Message]] = {}
    decode, decode_input = codec.decode, codec.decode_input

    def event_in(record: Record, expect: type[Message] | None = None) -> Event[Any]:
        place = record.topic, record.partition, record.offset
        if (found := read.get(place)) is None:
            words = record.topic, record.headers, record.value
            once = POLICIES if record.topic == topics.POLICIES.name else said
            if words not in once:
                once[words] = decode(record)
            found = read[place] = once[words]
        return found if expect is None or isinstance(found.data, expect) else decode(record, expect)

    def input_in(record: Record) -> Event[Message]:
        key = record.topic, record.partition, record.offset
        if key not in inputs:
            inputs[key] = decode_input(record)
        return inputs[key]

    with mock.patch("schemas.codec.decode", event_in), mock.patch("schemas.codec.decode_input", input_in):
        yield


@contextmanager
def _alone(world: World) -> Iterator[None]:
    """Errors by which a worker would end are the world's, and what it logs nobody reads."""
    was = logging.root.manager.disable
    if was < logging.CRITICAL:
        logging.disable(logging.CRITICAL)
    try:
        with ExitStack() as patches:
            patches.enter_context(mock.patch("agents.lanes.die", world.died))
            patches.enter_context(mock.patch("agents.holdings.die", world.died))
            patches.enter_context(_read_once())
            if world.seed % WORDS_ANEW_EVERY:
                patches.enter_context(_words_once())
            yield
    finally:
        if was < logging.CRITICAL:
            logging.disable(was)
