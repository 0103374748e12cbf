"""Which sealed entries answer a question: by incident, person, channel, time, rule, approver, provider's id. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.audit.told import recipients
from schemas.audit import AuditEntry
from schemas.base import Channel
from schemas.delivery import DeliveriesIntended, ReceiptRecorded
from schemas.ids import intent_id
from schemas.journal import JournalEntry, PromiseMade

NOBODYS = {PromiseMade.model_fields["decision"].default}
"""Decisions whose `by` names no person: a promise is upstream's, or the cadence's own."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for; all that is given must fit. Times are those at which the record was appended.

    `rule`: part of a reason, or of the name of a rule of the guard. `approver`: who approved, or signed an order.
    """

    incident: str | None = None
    subscriber: str | None = None
    channel: Channel | None = None
    since: datetime | None = None
    until: datetime | None = None
    rule: str | None = None
    approver: str | None = None
    provider_id: str | None = None

    @property
    def words(self) -> list[str]:
        """One of these stands in every entry that may answer, as JSON has it; none where nothing is known before."""
        if (alone := self.provider_id or self.approver) is not None:
            return [_as_stored(alone)]
        if (about := self.subscriber or self.incident) is not None:
            return [_as_stored(about), ReceiptRecorded.TYPE]
        return []


@dataclass
class Search:
    """Takes entries in the log's order. Receipts name an intent alone: whose, and of what, was said before."""

    question: Question
    _intents: set[str] = field(default_factory=set)

    @property
    def words(self) -> Sequence[str]:
        """As the question's."""
        return self.question.words

    def may(self, entry: Mapping[str, Any]) -> bool:
        """Others' receipts are most of a log, and are told apart before anything is made of them."""
        if entry["record_type"] != ReceiptRecorded.TYPE or not (self.question.subscriber or self.question.incident):
            return True
        return (entry.get("body") or {}).get("intent_id") in self._intents

    def wants(self, entry: AuditEntry) -> bool:
        """Whether this entry answers the question."""
        asked, body = self.question, entry.body or {}
        self._learn(entry, body)
        return (
            (asked.incident is None or self._of_incident(entry, body))
            and (asked.subscriber is None or self._of_subscriber(entry, body))
            and (asked.channel is None or asked.channel in _channels(body))
            and (asked.since is None or entry.appended_at >= asked.since)
            and (asked.until is None or entry.appended_at <= asked.until)
            and (asked.rule is None or any(_plain(asked.rule) in _plain(said) for said in rules(entry)))
            and (asked.approver is None or asked.approver in approvers(entry))
            and (asked.provider_id is None or asked.provider_id in provider_ids(entry))
        )

    def _learn(self, entry: AuditEntry, body: dict[str, Any]) -> None:
        asked = self.question
        if (
            entry.record_type != DeliveriesIntended.TYPE
            or not {asked.incident, body.get("incident")} - {None}
            or (asked.incident not in (None, body.get("incident")))
        ):
            return
        for person in recipients(entry):
            if asked.subscriber in (None, person):
                self._intents.add(intent_id(body["incident"], body["seq"], person, body["channel"]))

    def _of_incident(self, entry: AuditEntry, body: dict[str, Any]) -> bool:
        if entry.record_type == ReceiptRecorded.TYPE:
            return body.get("intent_id") in self._intents
        return self.question.incident in (entry.subject, body.get("incident"))

    def _of_subscriber(self, entry: AuditEntry, body: dict[str, Any]) -> bool:
        if entry.record_type == ReceiptRecorded.TYPE:
            return body.get("intent_id") in self._intents
        return entry.subject == self.question.subscriber or self.question.subscriber in recipients(entry)


def rules(entry: AuditEntry) -> Iterator[str]:
    """Every rule and reason that an entry names."""
    body = entry.body or {}
    for said in [*(body.get("decisions") or ()), *(body.get("outcomes") or ()), body]:
        yield from (said[name] for name in ("reason", "rule") if isinstance(said.get(name), str))


def approvers(entry: AuditEntry) -> set[str]:
    """Who approved something in it, or signed what came in."""
    body = entry.body or {}
    found = {(body.get("signed") or {}).get("operator")}
    if entry.record_type == JournalEntry.TYPE:
        found.add(((body.get("input") or {}).get("signed") or {}).get("operator"))
        for decision in body.get("decisions") or ():
            if decision.get("decision") not in NOBODYS:
                found.update((decision.get("by"), *(decision.get("approved_by") or ())))
    return {one for one in found if isinstance(one, str)}


def _as_stored(text: str) -> str:
    """The text as it stands in an entry's bytes, between its quotation marks."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _plain(said: str) -> str:
    """As people see it: what stands in an entry as `quiet_hours` is shown as "quiet hours"."""
    return said.replace("_", " ").casefold()


def provider_ids(entry: AuditEntry) -> set[str]:
    """The ids that providers gave, in an outcome or a receipt."""
    body = entry.body or {}
    found = [body.get("provider_id"), *(one.get("provider_id") for one in body.get("outcomes") or ())]
    return {one for one in found if isinstance(one, str)}


def _channels(body: dict[str, Any]) -> set[str]:
    found = {body.get("channel"), *(body.get("channels") or ())}
    for decision in body.get("decisions") or ():
        found.update(decision.get("renderings") or ())
    return {one for one in found if isinstance(one, str)}
