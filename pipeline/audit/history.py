"""The history of one incident as the log holds it: its journal, its deliveries, what providers said later. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pipeline.audit.seal import UNREADABLE
from schemas.audit import AuditEntry
from schemas.base import Channel
from schemas.codec import TYPES
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, DeliveryAttempted, Outcome, ReceiptRecorded
from schemas.ids import intent_id
from schemas.journal import JournalEntry

JOURNAL = JournalEntry.TYPE
DELIVERY = {model.TYPE: model for model in (DeliveriesIntended, DeliveryAttempted, DeliveriesEnded)}


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
        return replace(self, outcome=outcome, ended_at=record.at, unknowns=unknowns)


@dataclass
class History:
    """Everything sealed about one incident. `entries`: the sealed entries themselves, in the log's order."""

    incident: str
    entries: list[AuditEntry] = field(default_factory=list)
    journal: dict[int, JournalEntry] = field(default_factory=dict)
    fates: dict[tuple[int, Channel], dict[str, Fate]] = field(default_factory=dict)
    receipts: dict[tuple[int, Channel], dict[str, ReceiptRecorded]] = field(default_factory=dict)


def concerns(incident: str) -> Any:
    """A test of entries: may it be about `incident`? Receipts name only an intent, so that all of them may."""

    def test(entry: AuditEntry) -> bool:
        if entry.record_type == ReceiptRecorded.TYPE:
            return True
        return entry.body is not None and entry.body.get("incident") == incident or entry.subject == incident

    return test


def history(entries: Iterable[AuditEntry], incident: str) -> History:
    """The history of `incident` from sealed entries, in the log's order; others among them are passed over."""
    found = History(incident)
    receipts: list[tuple[AuditEntry, ReceiptRecorded]] = []
    is_about = concerns(incident)
    for entry in filter(is_about, entries):
        if entry.record_type == ReceiptRecorded.TYPE:
            receipts.extend((entry, receipt) for receipt in _parsed(entry, ReceiptRecorded))
            continue
        found.entries.append(entry)
        for record in _parsed(entry, JournalEntry):
            found.journal.setdefault(record.seq, record)
        for delivery in _deliveries(entry):
            _deliver(found, delivery)
    _file_receipts(found, receipts)
    return found


def _deliver(found: History, record: DeliveriesIntended | DeliveryAttempted | DeliveriesEnded) -> None:
    fates = found.fates.setdefault((record.seq, record.channel), {})
    if isinstance(record, DeliveriesEnded):
        for outcome in record.outcomes:
            fates[outcome.recipient] = fates.get(outcome.recipient, Fate()).ended(record, outcome)
        return
    for recipient in record.recipients:
        fate = fates.get(recipient, Fate())
        fates[recipient] = fate.intended(record) if isinstance(record, DeliveriesIntended) else fate.attempted(record)


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


def _deliveries(entry: AuditEntry) -> Iterator[DeliveriesIntended | DeliveryAttempted | DeliveriesEnded]:
    if entry.body is not None and (model := DELIVERY.get(entry.record_type)) is not None:
        yield model.model_validate(entry.body)


def _parsed(entry: AuditEntry, model: type[Any]) -> Iterator[Any]:
    if entry.body is not None and entry.record_type == model.TYPE:
        yield model.model_validate(entry.body)
