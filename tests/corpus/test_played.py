"""Real incidents of others, played through the running system: each event ends, none is lost, none is told twice."""

import asyncio
import time
from pathlib import Path

import pytest

from pipeline.broker import connect
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.broker.process import BrokerProcess
from pipeline.commands.play import outgoing
from pipeline.errors import TocsinError
from pipeline.recorded import RecordedEvent, read
from pipeline.sandbox import Sandbox
from schemas import codec, topics
from schemas.journal import JournalEntry
from tests.chaos.verdict import judge
from tests.paths import CORPUS, needs_corpus
from tests.system import System, channel_counts, eventually, running

EMBEDDED_INCIDENTS = 40
FILE = CORPUS / "incidents" / "github-2022-2024.jsonl"


def kafka_or_skip(directory: Path) -> ApacheKafka:
    try:
        java()
        return ApacheKafka(directory, fetch_jars())
    except TocsinError as error:
        pytest.skip(str(error))


async def play_all(broker: BrokerProcess, events: list[RecordedEvent], within_s: float) -> None:
    async with Sandbox(x_posts_per_window=1_000_000) as sandbox, running(broker, sandbox, partitions=6) as system:
        await system.subscribe("customer", email="customer@example.com", phone="+14155552671")
        await system.subscribe("engineer", email="engineer@example.com", audiences="technical")
        await system.subscribe("both", email="both@example.com", audiences="customers;executives")
        await system.subscribe("account", x_handle="status", audiences="public")
        begun = time.monotonic()
        async with connect.open_producer(system.settings) as producer:
            for start in range(0, len(events), 200):
                part = (connect.send(producer, outgoing(event, 1.0)) for event in events[start : start + 200])
                await asyncio.gather(*part)
        journaled = await eventually(lambda: all_journaled(system, len(events)), within_s, "every event is journaled")
        intents = await expected_intents(system, journaled)
        found = await system.all_settled(intents, within_s)
        taken_s = time.monotonic() - begun
        verdict = judge(
            system, found, f"{len(events)} events of {len({e.incident for e in events})} incidents", fired=True
        )
        verdict.check()
        assert verdict.intents == intents
        assert verdict.duplicated_mails == 0
        assert verdict.unknown == 0
        print(f"{taken_s:.0f} s; {dict(channel_counts(found))}; reasons {dict(found.reasons)}")


async def all_journaled(system: System, count: int) -> list[JournalEntry] | None:
    entries = [codec.decode(record, JournalEntry).data for record in await system.read(topics.INCIDENT_JOURNAL)]
    played = {entry.input.id for entry in entries if entry.input.source != "tocsin/clock"}
    return entries if len(played) == count else None


async def expected_intents(system: System, entries: list[JournalEntry]) -> int:
    """What the journal's decisions amount to for the four subscribers: counted without deliver's own code."""
    count = 0
    for entry in entries:
        told = {d.audience: set(d.renderings) for d in entry.decisions if d.decision == "notice_decided"}
        count += len(told.get("customers", set()) & {"email", "sms"})
        count += len(told.get("technical", set()) & {"email"})
        count += "email" in (told.get("executives") or told.get("customers") or set())
        count += len(told.get("public", set()) & {"x"})
    return count


@needs_corpus
@pytest.mark.kafka
async def test_all_real_incidents_on_apache_kafka(tmp_path: Path) -> None:
    await play_all(kafka_or_skip(tmp_path), read([FILE]), 600)


@needs_corpus
@pytest.mark.slow
async def test_real_incidents_on_the_embedded_broker(tmp_path: Path) -> None:
    """As many as it carries in reasonable time: it writes all its data as one snapshot, again and again."""
    events = read([FILE])
    incidents = set(list(dict.fromkeys(event.incident for event in events))[:EMBEDDED_INCIDENTS])
    await play_all(EmbeddedBroker(tmp_path), [event for event in events if event.incident in incidents], 300)
