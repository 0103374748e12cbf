"""The ledger: what was intended, tried and reached, as a fold of `delivery.records`.

A recipient's work moves forward only, so that a record seen twice, or late, changes nothing. There are three steps:
intended (attempt 0), attempted (n), ended (n). A terminal result is never left again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, DeliveryAttempted, Outcome, Result
from schemas.ids import intent_id, notice_id


class Told(NamedTuple):
    """One notice on one channel; with a recipient, an intent."""

    incident: str
    seq: int
    channel: Channel


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recipient heard of an incident before: in which audience, on which channels."""

    audience: str
    channels: frozenset[Channel]


class Step(IntEnum):
    """How far an attempt has come."""

    INTENDED = 0
    ATTEMPTED = 1
    ENDED = 2


@dataclass(frozen=True, slots=True)
class Work:
    """Where one intent stands. `due`: when it is tried again, if it is waiting. `unknowns`: how often nobody knew."""

    attempt: int
    step: Step
    result: Result | None = None
    due: datetime | None = None
    unknowns: int = 0

    @property
    def terminal(self) -> bool:
        """Whether nothing more will be tried."""
        return self.result is not None and self.result.terminal

    @property
    def open(self) -> bool:
        """Whether an attempt was begun whose end is not on record."""
        return self.step is Step.ATTEMPTED


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt without an end, as a worker finds it that takes over."""

    record: DeliveryAttempted
    recipients: tuple[str, ...]


class Ledger:
    """The fold of one partition's delivery records. Mutable, since it is large; only `apply` changes it."""

    def __init__(self) -> None:
        self._work: dict[Told, dict[str, Work]] = {}
        self._open: dict[str, DeliveryAttempted] = {}
        self._first: dict[tuple[str, Channel], dict[str, int]] = {}
        self._audience: dict[str, dict[str, str]] = {}
        self._names: dict[str, tuple[Told, str]] = {}
        self._since: dict[Told, datetime] = {}
        self._waiting: dict[tuple[Told, str], Work] = {}

    def apply(self, record: object) -> None:
        """Folds one record; what is not about an intent's way is passed over."""
        if isinstance(record, DeliveriesIntended):
            self._since.setdefault(_told(record), record.at)
            self._audience.setdefault(record.incident, {}).update(dict.fromkeys(record.recipients, record.audience))
            for recipient in record.recipients:
                self._forward(_told(record), recipient, Work(0, Step.INTENDED))
        elif isinstance(record, DeliveryAttempted):
            self._open[record.attempt_id] = record
            for recipient in record.recipients:
                self._forward(_told(record), recipient, Work(record.attempt, Step.ATTEMPTED))
        elif isinstance(record, DeliveriesEnded):
            if record.attempt_id is not None:
                self._open.pop(record.attempt_id, None)
            for outcome in record.outcomes:
                self._ended(_told(record), record.attempt, outcome)

    def work(self, told: Told, recipient: str) -> Work | None:
        """Where this intent stands; None if it was never intended."""
        return self._work.get(told, {}).get(recipient)

    def unknowns(self, told: Told, recipient: str) -> int:
        """How many attempts at this intent ended without anyone knowing how."""
        work = self.work(told, recipient)
        return work.unknowns if work else 0

    def notice(self, told: Told, recipient: str) -> str:
        """The id of the notice that this intent belongs to, by the audience that the recipient was told in."""
        return notice_id(told.incident, told.seq, self._audience.get(told.incident, {}).get(recipient, ""))

    def intended_at(self, told: Told) -> datetime | None:
        """When the first of this notice was intended here."""
        return self._since.get(told)

    def waiting(self, before: datetime) -> list[tuple[Told, str, Work]]:
        """The intents that were to be tried again before this moment and were not."""
        return [(told, r, work) for (told, r), work in self._waiting.items() if work.due and work.due < before]

    def intent(self, intent: str) -> tuple[Told, str] | None:
        """The notice and recipient that an intent id stands for, if it was tried here."""
        return self._names.get(intent)

    def heard(self, incident: str) -> dict[str, Heard]:
        """Everyone who was told of this incident, or may have been: as which audience, on which channels."""
        found: dict[str, Heard] = {}
        audiences = self._audience.get(incident, {})
        for channel in Channel:
            for recipient in self._first.get((incident, channel), {}):
                before = found.get(recipient, Heard(audiences.get(recipient, ""), frozenset()))
                found[recipient] = replace(before, channels=before.channels | {channel})
        return found

    def first_intent(self, incident: str, channel: Channel, recipient: str) -> str | None:
        """The intent of the incident's first message to this recipient, for the thread in their mailbox."""
        seq = self._first.get((incident, channel), {}).get(recipient)
        return None if seq is None else intent_id(incident, seq, recipient, channel)

    def open_attempts(self) -> Iterator[OpenAttempt]:
        """The attempts without an end, with those of their recipients that still have none."""
        for record in list(self._open.values()):
            works = self._work.get(_told(record), {})
            waiting = tuple(r for r in record.recipients if works[r].open and works[r].attempt == record.attempt)
            if waiting:
                yield OpenAttempt(record, waiting)

    def counts(self) -> dict[str, int]:
        """How many intents stand where, for the status."""
        found: dict[str, int] = {}
        for works in self._work.values():
            for work in works.values():
                name = work.result.value if work.result else work.step.name.lower()
                found[name] = found.get(name, 0) + 1
        return found

    def _ended(self, told: Told, attempt: int, outcome: Outcome) -> None:
        before = self.work(told, outcome.recipient)
        unknown = outcome.result is Result.UNKNOWN
        unknowns = (before.unknowns if before else 0) + unknown
        self._forward(told, outcome.recipient, Work(attempt, Step.ENDED, outcome.result, outcome.due, unknowns))
        if outcome.result is Result.ACCEPTED or unknown:
            first = self._first.setdefault((told.incident, told.channel), {})
            first[outcome.recipient] = min(told.seq, first.get(outcome.recipient, told.seq))

    def _forward(self, told: Told, recipient: str, work: Work) -> None:
        works = self._work.setdefault(told, {})
        before = works.get(recipient)
        if before is None:
            self._names[intent_id(told.incident, told.seq, recipient, told.channel)] = (told, recipient)
        elif not _is_news(before, work):
            return
        else:
            work = replace(work, unknowns=max(work.unknowns, before.unknowns))
        works[recipient] = work
        if work.due is not None and not work.terminal:
            self._waiting[told, recipient] = work
        else:
            self._waiting.pop((told, recipient), None)


def _is_news(before: Work, work: Work) -> bool:
    if before.terminal:
        return False
    if work.result is Result.ACCEPTED:
        return True  # a proof, by whichever worker and however late: nothing more is to be sent
    if (before.attempt, before.step) == (work.attempt, work.step):
        # a worker that was thought dead, or the provider's own callback, may still prove what nobody knew
        return before.result is Result.UNKNOWN and work.terminal
    return (before.attempt, before.step) < (work.attempt, work.step)


def _told(record: DeliveriesIntended | DeliveryAttempted | DeliveriesEnded) -> Told:
    return Told(record.incident, record.seq, record.channel)
