"""Whom messages reached: one message to one subscriber, and the count of each notice's on each channel. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pipeline.audit.history import Delivery, Fate, forward
from pipeline.deliver.bounces import COMPLAINED, NOT_DELIVERED, Came
from pipeline.projection.tables import COUNTS
from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, Outcome, ParkedOrdered, ReceiptRecorded, Result
from schemas.ids import intent_id

Row = dict[str, Any]
ARRIVED = frozenset({"delivered", "read"})
CAME_BACK = frozenset({*NOT_DELIVERED, *Came, COMPLAINED})
ENDS = {
    Result.ACCEPTED: "accepted",
    Result.PERMANENT: "permanent",
    Result.SUPPRESSED: "suppressed",
    Result.PARKED: "parked",
    Result.UNKNOWN: "unknown",
}
"""The count in which an outcome stands; whatever else may follow waits."""


class Told(NamedTuple):
    """One notice on one channel, as delivery records name it."""

    incident: str
    seq: int
    channel: Channel


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider said last, since a status only moves on."""

    status: str
    at: datetime


@dataclass(slots=True)
class Reached:
    """The messages that a batch is about: as they stood before, and as they stand with it. Mutable while it is folded.

    Whoever a record names and has a row must be held first; whoever has none was never told anything.
    """

    before: dict[Told, dict[str, Fate]] = field(default_factory=dict)
    received_before: dict[Told, dict[str, Receipt]] = field(default_factory=dict)
    fates: dict[Told, dict[str, Fate]] = field(default_factory=dict)
    received: dict[Told, dict[str, Receipt]] = field(default_factory=dict)

    def hold(self, row: Mapping[str, Any]) -> Told:
        """How a message stands before the batch, by its row."""
        told, subscriber = Told(row["incident"], row["seq"], Channel(row["channel"])), row["subscriber"]
        fate, receipt = _fate_in(row)
        self.before.setdefault(told, {})[subscriber] = self.fates.setdefault(told, {})[subscriber] = fate
        if receipt is not None:
            self.received_before.setdefault(told, {})[subscriber] = receipt
            self.received.setdefault(told, {})[subscriber] = receipt
        return told

    def deliver(self, record: Delivery | ParkedOrdered) -> None:
        """A delivery record."""
        forward(self.fates.setdefault(told_in(record), {}), record)

    def receive(self, receipt: ReceiptRecorded, told: Told, subscriber: str) -> None:
        """What the provider said of this message."""
        self.received.setdefault(told, {})[subscriber] = Receipt(receipt.status, receipt.at)

    def changed(self) -> Iterable[tuple[Told, str, Fate, Receipt | None]]:
        """The messages that stand otherwise than before."""
        for told, fates in self.fates.items():
            was, received = self.before.get(told, {}), self.received.get(told, {})
            had = self.received_before.get(told, {})
            for subscriber, fate in fates.items():
                receipt = received.get(subscriber)
                if was.get(subscriber) != fate or receipt != had.get(subscriber):
                    yield told, subscriber, fate, receipt

    def rows(self) -> list[Row]:
        """The rows of what changed."""
        return [_row(*one) for one in self.changed()]

    def counted(self) -> list[Row]:
        """By how much the counts of each notice, channel and audience changed."""
        found: dict[tuple[Told, str], _Sum] = {}
        for told, subscriber, fate, receipt in self.changed():
            now = found.setdefault((told, fate.audience or ""), _Sum())
            now.add(fate, receipt, 1)
            if (was := self.before.get(told, {}).get(subscriber)) is not None:
                then = found.setdefault((told, was.audience or ""), _Sum())
                then.add(was, self.received_before.get(told, {}).get(subscriber), -1)
        return [
            {
                "incident": told.incident,
                "seq": told.seq,
                "channel": told.channel,
                "audience": audience,
                **one.counts,
                "first_accepted_at": one.first,
                "last_accepted_at": one.last,
            }
            for (told, audience), one in found.items()
        ]


@dataclass(slots=True)
class _Sum:
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    first: datetime | None = None
    last: datetime | None = None

    def add(self, fate: Fate, receipt: Receipt | None, sign: int) -> None:
        counts, result = self.counts, fate.outcome.result if fate.outcome else None
        counts["intended"] += sign
        counts[ENDS.get(result, "waiting") if result else "waiting"] += sign
        counts["attempts"] += sign * fate.attempts
        counts["unknowns"] += sign * fate.unknowns
        counts["arrived"] += sign * (receipt is not None and receipt.status in ARRIVED)
        counts["came_back"] += sign * (receipt is not None and receipt.status in CAME_BACK)
        if sign > 0 and result is Result.ACCEPTED and fate.ended_at is not None:
            self.first = min(self.first or fate.ended_at, fate.ended_at)
            self.last = max(self.last or fate.ended_at, fate.ended_at)


def told_in(record: Delivery | ParkedOrdered) -> Told:
    """Which notice on which channel a record is about."""
    return Told(record.incident, record.seq, record.channel)


def named_in(record: Delivery | ParkedOrdered) -> Sequence[str]:
    """The subscribers whom a record is about."""
    if isinstance(record, DeliveriesEnded):
        return [outcome.recipient for outcome in record.outcomes]
    return record.recipients


def _fate_in(row: Mapping[str, Any]) -> tuple[Fate, Receipt | None]:
    """Where a message stands, by its row."""
    outcome = None
    if row["result"] is not None:
        outcome = Outcome.model_construct(
            recipient=row["subscriber"], result=Result(row["result"]), reason=row["reason"], code=row["code"]
        )
    fate = Fate(row["audience"], row["intended_at"], row["attempts"], row["unknowns"], outcome, row["ended_at"])
    return fate, Receipt(row["receipt"], row["received_at"]) if row["receipt"] is not None else None


def _row(told: Told, subscriber: str, fate: Fate, receipt: Receipt | None) -> Row:
    outcome = fate.outcome
    return {
        "incident": told.incident,
        "seq": told.seq,
        "channel": told.channel,
        "subscriber": subscriber,
        "audience": fate.audience,
        "intent": intent_id(told.incident, told.seq, subscriber, told.channel),
        "intended_at": fate.intended_at,
        "attempts": fate.attempts,
        "unknowns": fate.unknowns,
        "result": outcome.result if outcome else None,
        "reason": outcome.reason if outcome else None,
        "code": outcome.code if outcome else None,
        "ended_at": fate.ended_at,
        "receipt": receipt.status if receipt else None,
        "received_at": receipt.at if receipt else None,
    }
