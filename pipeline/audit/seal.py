"""Sealing: a record of a source topic becomes the next entry of the log. Pure; the appending is in agents/appender.py.

An entry's leaf is its exact bytes; each entry names the leaf before it, which locates damage, and its record carries
the root over everything up to and including it (`ce_root`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, NoReturn

from pipeline.audit.people import of_many
from pipeline.audit.tree import CompactRange, leaf_hash
from schemas import codec, topics
from schemas.audit import AuditEntry, KeyIntroduced, Origin, RecipientsCommitted
from schemas.base import Message, is_id
from schemas.codec import Event, Outgoing, Record, Undecodable
from schemas.ids import child_of, derived

SOURCE = "tocsin/record"
UNREADABLE = "io.tocsin.unreadable"
"""The type under which a record is sealed that is no message of ours: by its hash, since nobody knows what is in it."""
SEALED_TOPICS = (topics.INCIDENT_JOURNAL, topics.DELIVERY_RECORDS_TOPIC, topics.SUBSCRIBER_EVENTS_TOPIC)
MAX_ENTRY_BYTES = topics.AUDIT_LOG.max_message_bytes - 16 * 1024
"""Headers and the batch's own overhead count towards Kafka's limit."""
NOTHING_BEFORE = bytes(32)


@dataclass(frozen=True, slots=True)
class Chain:
    """The log so far: how many entries, the leaf of the last, the tree over all."""

    last: bytes = NOTHING_BEFORE
    tree: CompactRange = field(default_factory=CompactRange)

    @property
    def size(self) -> int:
        """How many entries there are; the index of the next."""
        return self.tree.size

    def append(self, leaf: bytes) -> "Chain":
        """The log with one entry more."""
        return Chain(leaf, self.tree.append(leaf))


@dataclass(frozen=True, slots=True)
class Source:
    """What is sealed of a record: who it says it is, and what it says."""

    id: str
    type: str
    subject: str | None
    body: dict[str, Any] | None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry, the record that carries it, and the log with it."""

    entry: AuditEntry
    value: bytes
    outgoing: Outgoing
    chain: Chain


def identity(topic: str, record_type: str, subject: str | None, record_id: str) -> bytes:
    """What makes a record the same as another: 16 bytes, since the appender keeps one for each entry.

    Topic, type and subject are in it, so that nobody can have a record left out by using its id elsewhere first.
    """
    return bytes.fromhex(derived(topic, record_type, subject or "", record_id))


def source_of(record: Record) -> Source:
    """Reads what is to be sealed of `record`; whatever stands there, something is."""
    if record.value is None:
        headers = dict(record.headers)
        return Source(
            id=headers.get("ce_id", b"").decode("utf-8", "replace") or _place(record),
            type=headers.get("ce_type", b"").decode("utf-8", "replace") or "tombstone",
            subject=key if is_id(key := (record.key or b"").decode("utf-8", "replace")) else None,
            body=None,
        )
    try:
        event, body = _read(record, record.value)
    except Undecodable as error:
        return _by_hash(record, record.value, error.reason)
    if record.topic == topics.SUBSCRIBER_EVENTS_TOPIC.name and not is_id(event.subject or ""):
        return _by_hash(record, record.value, "no_id")  # it may be an address, which must not stand here for ever
    if record.topic == topics.SUBSCRIBER_EVENTS_TOPIC.name and not is_id(event.id):
        return Source(derived("id", event.id), event.type, event.subject, _without_contact(body))  # so may this
    return Source(event.id, event.type, event.subject, _without_contact(body), event.extensions.get("traceparent"))


def seal(chain: Chain, record: Record, source: Source, seed: bytes | None = None) -> Sealed:
    """`record` as the entry after `chain`. With a `seed`, of random bytes, what is said of many can be committed to."""
    entry = AuditEntry(
        index=chain.size,
        prev=chain.last.hex(),
        record_id=source.id,
        record_type=source.type,
        subject=source.subject,
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
        appended_at=record.timestamp,
        body=source.body,
        seed=seed.hex() if seed is not None and of_many(source.type, source.body) else None,
    )
    outgoing = _outgoing(entry, source.traceparent)
    value = outgoing.value or b""
    if len(value) > MAX_ENTRY_BYTES and record.value is not None and source.type != UNREADABLE:
        # An entry that the broker refuses would stop the log for ever.
        short = replace(source, body=_by_hash(record, record.value, "too_large").body)
        return seal(chain, record, short)
    return _sealed(chain, entry, outgoing, value)


def seal_own(chain: Chain, said: RecipientsCommitted | KeyIntroduced, at: datetime) -> Sealed:
    """What the log says of itself, as the entry after `chain`."""
    entry = AuditEntry(
        index=chain.size,
        prev=chain.last.hex(),
        record_id=derived("own", said.TYPE, chain.size, chain.last.hex()),
        record_type=said.TYPE,
        origin=Origin(topic=topics.AUDIT_LOG.name, partition=0, offset=chain.size),
        appended_at=at,
        body=said.model_dump(mode="json"),
    )
    outgoing = _outgoing(entry, None)
    return _sealed(chain, entry, outgoing, outgoing.value or b"")


def sealed_again(chain: Chain, value: bytes) -> Sealed:
    """An entry that was sealed before, for a broker that lost it: the same bytes. Raises ValueError if it is none."""
    entry = AuditEntry.model_validate_json(value)
    return _sealed(chain, entry, replace(_outgoing(entry, None), value=value), value)


def _outgoing(entry: AuditEntry, parent: str | None) -> Outgoing:
    return codec.encode(
        topics.AUDIT_LOG,
        entry,
        id=derived("audit", entry.index, entry.prev),
        source=SOURCE,
        subject=entry.subject,
        partition=0,
        extensions={"traceparent": child_of(parent, "record")} if parent else None,
    )


def _sealed(chain: Chain, entry: AuditEntry, outgoing: Outgoing, value: bytes) -> Sealed:
    chain = chain.append(leaf_hash(value))
    root = ("ce_root", chain.tree.root().hex().encode())
    return Sealed(entry, value, replace(outgoing, headers=(*outgoing.headers, root)), chain)


def _read(record: Record, value: bytes) -> tuple[Event[Message], dict[str, Any]]:
    """The event and its data as they were said. Subscribers' events may also be structured CloudEvents."""
    try:
        event: Event[Message] = codec.decode(record)
    except Undecodable:
        if record.topic != topics.SUBSCRIBER_EVENTS_TOPIC.name:
            raise
        event = codec.decode_input(record)
        return event, json.loads(event.data.model_dump_json(exclude_none=True))
    try:
        return event, json.loads(value, parse_constant=_no_constant)
    except ValueError as error:
        raise Undecodable("invalid_json", str(error)) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _without_contact(body: Mapping[str, Any]) -> dict[str, Any]:
    """Contact data, even sealed, stays out of what can never be changed; its hash says which it was."""
    contact = body.get("contact")
    if not isinstance(contact, dict) or "ciphertext" not in contact:
        return dict(body)
    digest = sha256(json.dumps(contact, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return {**body, "contact": {"sha256": digest}}


def _by_hash(record: Record, value: bytes, reason: str) -> Source:
    digest = sha256(value).hexdigest()
    body = {"reason": reason, "size": len(value), "sha256": digest}
    return Source(derived(_place(record), digest), UNREADABLE, None, body)


def _place(record: Record) -> str:
    return f"{record.topic}-{record.partition}@{record.offset}"
