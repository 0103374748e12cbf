"""What one person had been told by a moment, from the sealed entries alone. Pure.

A message counts as told once a provider took it; one whose end nobody knows is named as such: it may have arrived.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.audit import AuditEntry, RecipientsCommitted
from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, ReceiptRecorded, Result
from schemas.ids import intent_id
from schemas.topics import DELIVERY_RECORDS_TOPIC, SUBSCRIBER_EVENTS_TOPIC

COUNTS = {Result.ACCEPTED, Result.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one person. `intended`, `ended` and `receipts` are the entries of the log that say so."""

    incident: str
    seq: int
    channel: Channel
    kind: str
    audience: str
    rendering: str
    zone: str
    intended: int
    result: Result | None = None
    at: datetime | None = None
    provider_id: str | None = None
    ended: int | None = None
    status: str | None = None
    receipts: tuple[int, ...] = ()


def wanted(subscriber: str) -> Callable[[AuditEntry], bool]:
    """A test of entries: may it say something about what `subscriber` was told, or about who they are?

    Receipts name only an intent, so that all of them may. What an entry that names them commits to stands after it.
    """

    def test(entry: AuditEntry) -> bool:
        if entry.origin.topic == SUBSCRIBER_EVENTS_TOPIC.name:
            return entry.subject == subscriber
        if entry.record_type == RecipientsCommitted.TYPE:
            return (entry.body or {}).get("of") == last[0]
        if entry.origin.topic != DELIVERY_RECORDS_TOPIC.name:
            return False
        if entry.record_type != ReceiptRecorded.TYPE and subscriber not in recipients(entry):
            return False
        last[0] = entry.index
        return True

    last = [-1]
    return test


def recipients(entry: AuditEntry) -> list[str]:
    """Whom a delivery record names."""
    body = entry.body or {}
    named: list[Any] = body.get("recipients") or [one.get("recipient") for one in body.get("outcomes") or ()]
    return [one for one in named if isinstance(one, str)]


def told(
    entries: Iterable[AuditEntry], subscriber: str, until: datetime | None = None, incident: str | None = None
) -> list[Message]:
    """Every message to `subscriber` that a provider took, or may have taken, by `until`, in that order."""
    found: dict[str, Message] = {}
    for entry in entries:
        body = entry.body or {}
        if entry.record_type == ReceiptRecorded.TYPE:
            _receipt(found, entry, ReceiptRecorded.model_validate(body), until)
        elif entry.record_type == DeliveriesIntended.TYPE and subscriber in body.get("recipients", ()):
            _intended(found, entry, DeliveriesIntended.model_validate(body), subscriber)
        elif entry.record_type == DeliveriesEnded.TYPE:
            _ended(found, entry, DeliveriesEnded.model_validate(body), subscriber, until)
    counted = [one for one in found.values() if one.result in COUNTS and incident in (None, one.incident)]
    return sorted(counted, key=lambda one: (one.at is None, one.at, one.ended))


def _intended(found: dict[str, Message], entry: AuditEntry, said: DeliveriesIntended, subscriber: str) -> None:
    intent = intent_id(said.incident, said.seq, subscriber, said.channel)
    found.setdefault(
        intent,
        Message(
            incident=said.incident,
            seq=said.seq,
            channel=said.channel,
            kind=str(said.kind.value),
            audience=said.audience,
            rendering=said.rendering,
            zone=said.zone,
            intended=entry.index,
        ),
    )


def _ended(
    found: dict[str, Message], entry: AuditEntry, said: DeliveriesEnded, subscriber: str, until: datetime | None
) -> None:
    if until is not None and said.at > until:
        return
    intent = intent_id(said.incident, said.seq, subscriber, said.channel)
    before = found.get(intent)
    for outcome in said.outcomes:
        if outcome.recipient != subscriber or before is None or (before.result and before.result.terminal):
            continue
        found[intent] = replace(
            before, result=outcome.result, at=said.at, provider_id=outcome.provider_id, ended=entry.index
        )


def _receipt(found: dict[str, Message], entry: AuditEntry, said: ReceiptRecorded, until: datetime | None) -> None:
    before = found.get(said.intent_id)
    if before is not None and (until is None or said.at <= until):
        found[said.intent_id] = replace(before, status=said.status, receipts=(*before.receipts, entry.index))
