"""The history of one incident as the log holds it: its journal, its deliveries, what providers said later. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from pipeline.deliver.parked import ORDERS
from schemas.audit import AuditEntry
from schemas.base import Channel, Message
from schemas.codec import TYPES
from schemas.delivery import (
    DeliveriesEnded,
    DeliveriesIntended,
    DeliveryAttempted,
    NoticeSuperseded,
    Outcome,
    ParkedOrdered,
    ReceiptRecorded,
    Result,
)
from schemas.ids import intent_id
from schemas.journal import JournalEntry
from schemas.topics import SUBSCRIBER_EVENTS_TOPIC

M = TypeVar("M", bound=Message)
Delivery = DeliveriesIntended | DeliveryAttempted | DeliveriesEnded
Record = Delivery | NoticeSuperseded | ParkedOrdered


@dataclass(frozen=True, slots=True)
class Fate:
    """Where one recipient's message stands: the last outcome, and what led there."""

    audience: str | None = None
    intended_at: datetime | None = None
    attempts: int = 0
    unknowns: int = 0
    outcome: Outcome | None = None
    ended_at: datetime | None = None

    def intended(self, record: DeliveriesIntended) -> "Fate":
        """They are to be told."""
        return self if self.audience else replace(self, audience=record.audience, intended_at=record.at)

    def attempted(self, record: DeliveryAttempted) -> "Fate":
        """It was tried."""
        return replace(self, attempts=max(self.attempts, record.attempt))

    def ended(self, record: DeliveriesEnded, outcome: Outcome) -> "Fate":
        """How it ended; what is final is never left again."""
        if self.outcome is not None and self.outcome.result.terminal:
            return self
        unknowns = self.unknowns + (outcome.result == "unknown")
        return Fate(self.audience, self.intended_at, self.attempts, unknowns, outcome, record.at)  # the hottest line

    def ordered(self, record: ParkedOrdered, recipient: str) -> "Fate":
        """A person ended its parking; what did not wait for one stays as it is."""
        if self.outcome is None or self.outcome.result is not Result.PARKED:
            return self
        result = Result.SUPPRESSED if record.order.order == "give_up" else Result.DEFERRED
        outcome = Outcome(recipient=recipient, result=result, reason=ORDERS[record.order.order])
        return replace(self, outcome=outcome, ended_at=record.at)


@dataclass
class History:
    """Everything sealed about one incident.

    `entries`: the sealed entries themselves, in the log's order; `by_hash`: those of them that hold no more than a
    hash, because they were too large. `records`: what deliver wrote, in that order; `superseded`: which notices are
    not told any more where they still wait.
    """

    incident: str
    entries: list[AuditEntry] = field(default_factory=list)
    by_hash: list[AuditEntry] = field(default_factory=list)
    journal: dict[int, JournalEntry] = field(default_factory=dict)
    fates: dict[tuple[int, Channel], dict[str, Fate]] = field(default_factory=dict)
    receipts: dict[tuple[int, Channel], dict[str, ReceiptRecorded]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    superseded: list[NoticeSuperseded] = field(default_factory=list)


def concerns(incident: str) -> Callable[[AuditEntry], bool]:
    """A test of entries: may it be about `incident`? Receipts name only an intent, so that all of them may."""

    def test(entry: AuditEntry) -> bool:
        if entry.origin.topic == SUBSCRIBER_EVENTS_TOPIC.name:
            return False
        return entry.record_type == ReceiptRecorded.TYPE or entry.subject == incident

    return test


def history(entries: Iterable[AuditEntry], incident: str) -> History:
    """The history of `incident` from sealed entries, in the log's order; others among them are passed over."""
    found = History(incident)
    receipts: list[tuple[AuditEntry, ReceiptRecorded]] = []
    for entry in filter(concerns(incident), entries):
        if entry.record_type == ReceiptRecorded.TYPE:
            if (receipt := _parsed(entry, ReceiptRecorded)) is not None:
                receipts.append((entry, receipt))
            continue
        found.entries.append(entry)
        if (record := _parsed(entry, JournalEntry)) is not None:
            found.journal.setdefault(record.seq, record)
        elif (delivery := _delivery(entry)) is not None:
            found.records.append(delivery)
            _deliver(found, delivery)
        else:
            found.by_hash.append(entry)
    _file_receipts(found, receipts)
    return found


def _deliver(found: History, record: Record) -> None:
    if isinstance(record, NoticeSuperseded):
        found.superseded.append(record)
    else:
        forward(found.fates.setdefault((record.seq, record.channel), {}), record)


def forward(fates: dict[str, Fate], record: Delivery | ParkedOrdered) -> None:
    """Takes the fates of one notice on one channel further by what a record says of it."""
    if isinstance(record, DeliveriesEnded):
        for outcome in record.outcomes:
            fates[outcome.recipient] = fates.get(outcome.recipient, Fate()).ended(record, outcome)
        return
    if isinstance(record, ParkedOrdered):
        for recipient in record.recipients:
            fates[recipient] = fates.get(recipient, Fate()).ordered(record, recipient)
        return
    last: Fate | None = None
    after = _further(Fate(), record)
    for recipient in record.recipients:
        before = fates.get(recipient)
        if before is not last:  # most stand alike, and go on as one object
            last, after = before, _further(before or Fate(), record)
        fates[recipient] = after


def _further(fate: Fate, record: DeliveriesIntended | DeliveryAttempted) -> Fate:
    return fate.intended(record) if isinstance(record, DeliveriesIntended) else fate.attempted(record)


def _file_receipts(found: History, receipts: Iterable[tuple[AuditEntry, ReceiptRecorded]]) -> None:
    """Only receipts of this incident's intents; of one intent the last, since a status only moves on."""
    intents = {
        intent_id(found.incident, seq, recipient, channel): (seq, channel)
        for (seq, channel), fates in found.fates.items()
        for recipient in fates
    }
    for entry, receipt in receipts:
        if (place := intents.get(receipt.intent_id)) is not None:
            found.entries.append(entry)
            found.receipts.setdefault(place, {})[receipt.intent_id] = receipt
    found.entries.sort(key=lambda entry: entry.index)


def _delivery(entry: AuditEntry) -> Record | None:
    return (
        _parsed(entry, DeliveriesIntended)
        or _parsed(entry, DeliveryAttempted)
        or _parsed(entry, DeliveriesEnded)
        or _parsed(entry, NoticeSuperseded)
        or _parsed(entry, ParkedOrdered)
    )


def _parsed(entry: AuditEntry, model: type[M]) -> M | None:
    if entry.body is None or TYPES.get(entry.record_type) is not model:
        return None
    try:
        return model.model_validate(entry.body)
    except ValidationError:
        return None  # sealed by its hash; the caller keeps it apart
