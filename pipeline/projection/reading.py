"""What the entries of the log say, sorted by which tables it concerns. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from pipeline.audit.entries import entry_of, message_of
from pipeline.audit.history import Delivery
from pipeline.audit.tree import leaf_hash
from schemas import topics
from schemas.audit import AuditEntry
from schemas.base import Message
from schemas.delivery import (
    DeliveriesEnded,
    DeliveriesIntended,
    DeliveryAttempted,
    ParkedOrdered,
    ReceiptRecorded,
)
from schemas.journal import JournalEntry


@dataclass(frozen=True, slots=True)
class Place:
    """How far the log was taken: the number of entries, and the leaf of the last, which the next one names."""

    entries: int = 0
    leaf: str = bytes(32).hex()


@dataclass(frozen=True, slots=True)
class Said:
    """A subscriber's event, with the moment at which it was appended."""

    subscriber: str
    event: Message
    at: datetime


@dataclass(slots=True)
class Batch:
    """What follows one another in the log, by what it concerns; each list is in the log's order.

    `by_hash`: how many entries say nothing that can be read, because they were too large to be sealed or no message.
    """

    after: Place
    journal: list[tuple[int, JournalEntry]] = field(default_factory=list)
    deliveries: list[Delivery | ParkedOrdered] = field(default_factory=list)
    receipts: list[ReceiptRecorded] = field(default_factory=list)
    people: list[Said] = field(default_factory=list)
    entries: int = 0
    by_hash: int = 0
    appended_at: datetime | None = None


def batch_of(place: Place, values: Iterable[bytes | None]) -> Batch:
    """The entries among `values` that go on from `place`. Others were taken before, or never linked: they are void."""
    found = Batch(place)
    for value in values:
        if value is not None and links(found.after, value):
            entry = entry_of(value)
            found.after = Place(entry.index + 1, leaf_hash(value).hex())
            found.entries, found.appended_at = found.entries + 1, entry.appended_at
            _sort(entry, found)
    return found


def links(place: Place, value: bytes) -> bool:
    """Whether `value` is the entry that goes on from `place`."""
    entry = parsed(value)
    return entry is not None and (entry.get("index"), entry.get("prev")) == (place.entries, place.leaf)


def parsed(value: bytes) -> dict[str, Any] | None:
    """What stands there, if it is JSON of an object."""
    try:
        entry = orjson.loads(value)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def message_in(entry: AuditEntry) -> Message | None:
    """What was sealed, as the message that it was; None where only a hash of it is there, or no such message."""
    try:
        return message_of(entry)
    except ValidationError:
        return None


def _sort(entry: AuditEntry, found: Batch) -> None:
    if entry.origin.topic == topics.AUDIT_LOG.name:
        return  # what the log says of itself
    said = message_in(entry)
    if said is None:
        found.by_hash += 1
    elif isinstance(said, JournalEntry):
        found.journal.append((entry.index, said))
    elif isinstance(said, DeliveriesIntended | DeliveryAttempted | DeliveriesEnded | ParkedOrdered):
        found.deliveries.append(said)
    elif isinstance(said, ReceiptRecorded):
        found.receipts.append(said)
    elif entry.origin.topic == topics.SUBSCRIBER_EVENTS_TOPIC.name and entry.subject is not None:
        found.people.append(Said(entry.subject, said, entry.appended_at))
