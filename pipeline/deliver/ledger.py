"""The ledger: what was intended, tried and reached, as a fold of `delivery.records`.

A recipient's work moves forward only (`pipeline.deliver.work`), so that a record seen twice, or late, changes nothing.
A million intents cost some twenty megabytes (`works`, `index`).
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from pipeline.deliver.index import Index
from pipeline.deliver.roll import Roll
from pipeline.deliver.spending import Spent
from pipeline.deliver.work import About, Advance, Step, Told, Work, attempted, ending, ordered
from pipeline.deliver.works import Works
from schemas.base import Channel
from schemas.delivery import (
    DeliveriesEnded,
    DeliveriesIntended,
    DeliveryAttempted,
    NoticeSuperseded,
    NoticeWalked,
    ParkedOrdered,
    ReceiptRecorded,
    Result,
)
from schemas.ids import intent_id, intent_ids, notice_id

SOFT = "bounced_soft"
"""The receipt of a message that came back for now (`pipeline.deliver.bounces`)."""
NONE_SOFT: Set[Told] = frozenset()
NOBODY: Mapping[str, Work] = MappingProxyType({})
CLOCKS_APART = timedelta(minutes=5)
"""By how much the clocks of two workers may differ: so far the order of records need not be that of their times."""


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt without an end, as a worker finds it that takes over."""

    record: DeliveryAttempted
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parked:
    """A message that waits for a person: why, since when, and in which turn it was parked."""

    told: Told
    recipient: str
    reason: str
    since: datetime
    attempt: int


class SoFar(NamedTuple):
    """What an intent went through. `tries`: which attempt at it this turn is, for turns that put it off are none.

    `unknowns`: how many attempts ended without anyone knowing how. `since`: from when on it could be told: when the
    notice was intended here, or until when it was put off.
    """

    tries: int
    unknowns: int
    since: datetime | None


COSTS_NOTHING = frozenset({Result.RETRYABLE, Result.PERMANENT})
"""Ends of an attempt by which the provider certainly did not take the message."""


class Ledger:
    """The fold of one partition's delivery records. Mutable, since it is large; only `apply` changes it."""

    def __init__(self, roll: Roll | None = None) -> None:
        self._roll = Roll() if roll is None else roll
        self._work: dict[Told, Works] = {}
        self._tolds: list[Told] = []
        self._notices: dict[tuple[str, Channel], list[Told]] = {}
        self._open: dict[str, DeliveryAttempted] = {}
        self._names = Index()
        self._numbers: dict[Told, int] = {}
        self._since: dict[Told, datetime] = {}
        self._tried: dict[Channel, dict[Told, datetime]] = {channel: {} for channel in Channel}
        self._corrected: set[tuple[str, int, str]] = set()
        self._ended_by: dict[tuple[str, str], int] = {}
        self._walked: dict[str, str] = {}
        self._parked: dict[tuple[Told, str], Parked] = {}
        self.spent = Spent()
        self._soft: dict[tuple[Channel, str], set[Told]] = {}

    def apply(self, record: object) -> None:
        """Folds one record; what is not about an intent's way is passed over."""
        if isinstance(record, DeliveriesIntended):
            self._intended(record)
        elif isinstance(record, DeliveryAttempted):
            self._attempted(record)
        elif isinstance(record, DeliveriesEnded):
            self._ended(record)
        elif isinstance(record, ParkedOrdered):
            self._forward(_told(record), record.recipients, ordered(record))
        elif isinstance(record, NoticeSuperseded):
            audience = (record.incident, record.audience)
            if record.and_earlier:
                self._ended_by[audience] = max(record.seq, self._ended_by.get(audience, record.seq))
            else:
                self._corrected.add((record.incident, record.seq, record.audience))
        elif isinstance(record, NoticeWalked):
            self._walked[record.notice_id] = max(record.up_to, self._walked.get(record.notice_id, ""))
        elif isinstance(record, ReceiptRecorded):
            self._received(record)

    def work(self, told: Told, recipient: str) -> Work | None:
        """Where this intent stands; None if it was never intended."""
        return self.works(told).get(recipient)

    def works(self, told: Told) -> Mapping[str, Work]:
        """Where everyone's intent of this notice stands."""
        return self._work.get(told, NOBODY)

    def notices(self, incident: str, channel: Channel) -> Sequence[Told]:
        """The notices of an incident that were intended on this channel, in their order."""
        return self._notices.get((incident, channel), ())

    def so_far(self, told: Told, recipient: str, attempt: int) -> SoFar:
        """What went before the end of its turn `attempt`."""
        work, since = self.works(told).get(recipient), self._since.get(told)
        if work is None:
            return SoFar(max(1, attempt), 0, since)
        return SoFar(max(1, attempt - work.deferred), work.unknowns, work.released or since)

    def notice(self, told: Told, recipient: str) -> str:
        """The id of the notice that this intent belongs to, as the recipient was first intended to get it."""
        work = self.work(told, recipient)
        audience, corrects = (work.about.audience, work.about.corrects) if work and work.about else ("", None)
        return notice_id(told.incident, told.seq, audience, corrects)

    def waiting(self, before: datetime) -> list[tuple[Told, str, Work]]:
        """The intents whose next turn was to come before this moment and did not."""

        def late(work: Work) -> bool:
            return work.due is not None and not work.terminal and work.due < before

        return [(told, r, work) for told, works in self._work.items() for r, work in works.standing(late)]

    def parked(self) -> list[Parked]:
        """The messages that wait for a person."""
        gone = [key for key in self._parked if (work := self.work(*key)) is None or work.result is not Result.PARKED]
        for key in gone:
            del self._parked[key]
        return list(self._parked.values())

    def reopened(self) -> list[tuple[Told, str, Work]]:
        """The messages that a person ordered tried again, and that were not since."""

        def again(work: Work) -> bool:
            return work.reopened

        return [(told, r, work) for told, works in self._work.items() for r, work in works.standing(again)]

    def intent(self, intent: str) -> tuple[Told, str] | None:
        """The notice and recipient that an intent id stands for, if it was tried here."""
        for place in self._names.find(_half(intent)):
            told, id_ = self._tolds[place >> 32], self._roll.id(place & 0xFFFF_FFFF)
            if intent_id(told.incident, told.seq, id_, told.channel) == intent:
                return told, id_
        return None

    def corrected(self, incident: str, seq: int, audience: str) -> bool:
        """Whether this audience's notice was corrected or taken back."""
        return (incident, seq, audience) in self._corrected

    def ended_after(self, incident: str, seq: int, audience: str) -> bool:
        """Whether a later end of the incident was told to this audience, or is about to be."""
        return seq <= self._ended_by.get((incident, audience), -1)

    def walked(self, notice: str) -> str:
        """Up to which subscriber this notice was fanned out here for certain; before all of them: nobody."""
        return self._walked.get(notice, "")

    def tried_since(self, channel: Channel, since: datetime) -> Iterator[Told]:
        """The notices of whose attempts on this channel the last began after `since`, the latest first."""
        for told, at in reversed(self._tried[channel].items()):
            if at <= since - CLOCKS_APART:
                return
            if at > since:
                yield told

    def first_intent(self, incident: str, channel: Channel, recipient: str) -> str | None:
        """The intent of the incident's first message to this recipient, for the thread in their mailbox."""
        for told in self.notices(incident, channel):
            work = self._work[told].get(recipient)
            if work is not None and work.heard:
                return intent_id(incident, told.seq, recipient, channel)
        return None

    def soft(self, channel: Channel, recipient: str) -> Set[Told]:
        """Which messages to them came back softly, since one was last proved to have arrived."""
        return self._soft.get((channel, recipient), NONE_SOFT)

    def open_attempts(self) -> Iterator[OpenAttempt]:
        """The attempts without an end, with those of their recipients that still have none."""
        for record in list(self._open.values()):
            works = self.works(_told(record))
            waiting = tuple(r for r in record.recipients if works[r].open and works[r].attempt == record.attempt)
            if waiting:
                yield OpenAttempt(record, waiting)

    def unsettled(self) -> set[str]:
        """The incidents of which a message still waits: for its time, its end, or a person."""

        def waits(work: Work) -> bool:
            return not work.terminal or work.result is Result.PARKED

        return {told.incident for told, works in self._work.items() if any(waits(work) for work, _ in works.counted())}

    def counts(self) -> dict[str, int]:
        """How many intents stand where, for the status."""
        found: dict[str, int] = {}
        for works in self._work.values():
            for work, count in works.counted():
                name = work.result.value if work.result else work.step.name.lower()
                found[name] = found.get(name, 0) + count
        return found

    def _intended(self, record: DeliveriesIntended) -> None:
        told = _told(record)
        self._since.setdefault(told, record.at)
        fresh = Work(0, Step.INTENDED, about=About(record.audience, record.kind, record.closing, record.corrects))
        self._forward(told, record.recipients, lambda before: before or fresh)

    def _attempted(self, record: DeliveryAttempted) -> None:
        told = _told(record)
        self._open[record.attempt_id] = record
        tried = self._tried[record.channel]
        tried[told] = max(record.at, tried.pop(told, record.at))
        if self._forward(told, record.recipients, lambda before: attempted(before, record.attempt, record.at)):
            self.spent.add(record.channel, record.incident, record.at, record.units)

    def _ended(self, record: DeliveriesEnded) -> None:
        attempt = self._open.pop(record.attempt_id, None) if record.attempt_id is not None else None
        news = 0
        alike: dict[tuple[Result, datetime | None], list[str]] = {}
        for outcome in record.outcomes:
            alike.setdefault((outcome.result, outcome.due), []).append(outcome.recipient)
        for (result, due), recipients in alike.items():
            news += self._forward(_told(record), recipients, ending(record, result, due))
        if attempt is not None and news and COSTS_NOTHING.issuperset(o.result for o in record.outcomes):
            self.spent.add(attempt.channel, attempt.incident, attempt.at, -attempt.units)
        self._park(record)

    def _park(self, record: DeliveriesEnded) -> None:
        told = _told(record)
        for outcome in record.outcomes:
            if outcome.result is not Result.PARKED:
                continue
            work, key = self.work(told, outcome.recipient), (told, outcome.recipient)
            held = self._parked.get(key)
            if work is None or (work.result, work.attempt) != (Result.PARKED, record.attempt):
                continue
            if held is None or held.attempt != record.attempt:
                self._parked[key] = Parked(*key, outcome.reason, record.at, record.attempt)

    def _received(self, record: ReceiptRecorded) -> None:
        if (found := self.intent(record.intent_id)) is None:
            return
        told, recipient = found
        if record.status == SOFT:
            self._soft.setdefault((told.channel, recipient), set()).add(told)
        elif record.status == "delivered":
            self._soft.pop((told.channel, recipient), None)

    def _works(self, told: Told) -> Works:
        if told not in self._work:
            notices = self._notices.setdefault((told.incident, told.channel), [])
            notices.append(told)
            notices.sort()
            self._numbers[told] = len(self._tolds)
            self._tolds.append(told)
            self._work[told] = Works(self._roll)
        return self._work[told]

    def _forward(self, told: Told, recipients: Sequence[str], advance: Advance) -> int:
        """How many of them it moved."""
        moved = self._works(told).forward(recipients, advance)
        if moved.fresh:
            intent, place = intent_ids(told.incident, told.seq, told.channel), self._numbers[told] << 32
            for number in moved.fresh:
                self._names.add(_half(intent(self._roll.id(number))), place | number)
        return moved.moves


def _told(record: DeliveriesIntended | DeliveryAttempted | DeliveriesEnded | ParkedOrdered) -> Told:
    return Told(record.incident, record.seq, record.channel)


def _half(intent: str) -> int:
    """The first half of an intent's id; of what is none, something else."""
    try:
        return int(intent[:16], 16)
    except ValueError:
        return hash(intent) & 0xFFFF_FFFF_FFFF_FFFF
