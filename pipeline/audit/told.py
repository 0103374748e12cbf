"""What one person had been told by a moment, from the sealed entries alone. Pure.

A message counts as told once a provider took it; one whose end nobody knows is named as such: it may have arrived.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.audit import AuditEntry, RecipientsCommitted
from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, ReceiptRecorded, Result
from schemas.ids import intent_id
from schemas.subscriber import Merged
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


class About:
    """Looks for what says something of what one person was told, or of who they are.

    A receipt names only an intent, which was said before it in the same partition. What an entry that names them
    commits to stands right after it.
    """

    def __init__(self, subscriber: str) -> None:
        self._subscriber = subscriber
        self._intents: set[str] = set()
        self._last = -1
        self.words: Sequence[str] = (
            json.dumps(subscriber, ensure_ascii=False),
            ReceiptRecorded.TYPE,
            RecipientsCommitted.TYPE,
        )

    def may(self, entry: Mapping[str, Any]) -> bool:
        """Others' receipts are most of a log, and are told apart before anything is made of them."""
        body = entry.get("body") or {}
        if entry["record_type"] == RecipientsCommitted.TYPE:
            return bool(body.get("of") == self._last)
        return entry["record_type"] != ReceiptRecorded.TYPE or body.get("intent_id") in self._intents

    def wants(self, entry: AuditEntry) -> bool:
        """Whether it says something of them."""
        body = entry.body or {}
        if entry.origin.topic == SUBSCRIBER_EVENTS_TOPIC.name:
            return entry.subject == self._subscriber
        if entry.record_type in (RecipientsCommitted.TYPE, ReceiptRecorded.TYPE):
            return True
        if entry.origin.topic != DELIVERY_RECORDS_TOPIC.name or self._subscriber not in recipients(entry):
            return False
        if entry.record_type == DeliveriesIntended.TYPE:
            self._intents.add(intent_id(body["incident"], body["seq"], self._subscriber, body["channel"]))
        self._last = entry.index
        return True


def merged_into(entries: Iterable[AuditEntry], until: datetime | None = None) -> tuple[str, datetime] | None:
    """As whom the person is told by that moment, and since when, if they turned out to be the same as another."""
    for entry in entries:
        if entry.record_type == Merged.TYPE and (until is None or entry.appended_at <= until):
            return str((entry.body or {}).get("into")), entry.appended_at
    return None


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
