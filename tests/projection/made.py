"""Logs to project: real journals of an incident that is decided on, deliveries made up, all sealed by the real seal."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import select

from pipeline.projection.store import Store
from pipeline.projection.tables import METADATA
from pipeline.recorded import read
from pipeline.replay.backtest import Trial
from pipeline.replay.census import example
from pipeline.replay.past import pasts_of
from pipeline.replay.rerun import Conditions, Rerun, rerun
from pipeline.replay.results import Prices
from pipeline.replay.sources import policy_called
from schemas import topics
from schemas.base import Channel, Message
from schemas.codec import Record
from schemas.delivery import (
    DeliveriesEnded,
    DeliveriesIntended,
    DeliveryAttempted,
    Outcome,
    ReceiptRecorded,
    Result,
)
from schemas.ids import derived, intent_id
from schemas.journal import JournalEntry, NoticeKind
from tests.audit.logs import START, record, seal_all, subscribed, unsubscribed
from tests.paths import REPOSITORY

INCIDENT = "search-1"
SHA = "0" * 64


@cache
def trial() -> Trial:
    policy = policy_called("enterprise")
    return Trial(Conditions(policy, example(policy), timedelta(minutes=10)), Prices())


@cache
def run(file: str = "data-loss-backup.json") -> Rerun:
    """A shipped incident under a policy that holds much for approval."""
    return rerun(pasts_of(read([REPOSITORY / "deploy" / "incidents" / file]))[0], trial().conditions)


def journaled(entries: Iterable[JournalEntry]) -> list[Record]:
    return [
        record(
            topics.INCIDENT_JOURNAL, entry, id=derived("journal", entry.incident, entry.seq), subject=entry.incident,
            offset=entry.seq, at=entry.input.appended_at,
        )
        for entry in entries
    ]  # fmt: skip


def s(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def of_notice(data: Message, *words: str | int) -> Record:
    return record(topics.DELIVERY_RECORDS_TOPIC, data, id=derived(data.TYPE, *words), subject=INCIDENT, offset=0)  # type: ignore[attr-defined]


def _common(seq: int, channel: Channel, at: float) -> dict[str, Any]:
    return {"batch_id": "b", "notice_id": "n", "incident": INCIDENT, "seq": seq, "channel": channel, "at": s(at)}


def intended(*who: str, seq: int = 1, channel: Channel = Channel.EMAIL, audience: str = "customers") -> Record:
    data = DeliveriesIntended(
        **_common(seq, channel, 1), kind=NoticeKind.OPENED, audience=audience, rendering=SHA, recipients=who
    )
    return of_notice(data, seq, channel, *who)


def attempted(*who: str, seq: int = 1, channel: Channel = Channel.EMAIL, attempt: int = 1) -> Record:
    data = DeliveryAttempted(
        **_common(seq, channel, 1), attempt_id="a", attempt=attempt, kind=NoticeKind.OPENED, rendering=SHA,
        recipients=who,
    )  # fmt: skip
    return of_notice(data, seq, channel, attempt, *who)


def ended(
    result: Result, *who: str, seq: int = 1, channel: Channel = Channel.EMAIL, attempt: int = 1, at: float = 2
) -> Record:
    outcomes = tuple(Outcome(recipient=one, result=result, reason="because") for one in who)
    data = DeliveriesEnded(**_common(seq, channel, at), attempt_id="a", attempt=attempt, outcomes=outcomes)
    return of_notice(data, seq, channel, attempt, result, at, *who)


def receipt(who: str, status: str, seq: int = 1, channel: Channel = Channel.SMS, at: float = 3) -> Record:
    intent = intent_id(INCIDENT, seq, who, channel)
    return of_notice(ReceiptRecorded(intent_id=intent, channel=channel, status=status, at=s(at)), intent, status)


def sealed(*records: Record) -> list[bytes]:
    return [one.value for one in seal_all(records)]


SOME = (
    intended("ann", "bob", "cem", "dora"),
    attempted("ann", "bob", "cem"),
    ended(Result.ACCEPTED, "ann", at=2),
    ended(Result.UNKNOWN, "bob"),
    ended(Result.RETRYABLE, "cem"),
    ended(Result.SUPPRESSED, "dora"),
    attempted("bob", attempt=2),
    ended(Result.ACCEPTED, "bob", attempt=2, at=9),
    intended("ann", channel=Channel.SMS),
    attempted("ann", channel=Channel.SMS),
    ended(Result.ACCEPTED, "ann", channel=Channel.SMS),
    receipt("ann", "sent"),
    receipt("ann", "delivered"),
)


def mixed() -> list[bytes]:
    """A whole log: an incident, whom it was told to, and who they are."""
    people = [subscribed("ann", 0), subscribed("bob", 1), unsubscribed("bob", 2)]
    return sealed(*people, *journaled(turn.entry for turn in run().turns), *SOME)


async def tables(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table but for where the topic goes on, in order."""
    found = {}
    async with store.engine.connect() as connection:
        for table in METADATA.sorted_tables:
            rows = await connection.execute(select(table).order_by(*table.primary_key))
            found[table.name] = [{k: v for k, v in row.items() if k != "topic_offset"} for row in rows.mappings()]
    return found


async def apply(store: Store, values: Sequence[bytes | None]) -> None:
    await store.apply(values, len(values))
