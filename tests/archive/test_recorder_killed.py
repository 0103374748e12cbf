"""A recorder that is killed in the middle leaves an archive from which everything is replayed byte for byte."""

import asyncio
import signal
from pathlib import Path

import pytest

from pipeline import policy
from pipeline.audit.places import InArchive
from pipeline.audit.reading import verified
from pipeline.broker import connect
from pipeline.recorded import RecordedEvent, read
from pipeline.replay.census import example
from pipeline.replay.checking import check
from pipeline.replay.past import pasts_of
from pipeline.replay.rerun import Conditions, rerun
from pipeline.settings import REPOSITORY, Settings
from schemas import codec, topics
from schemas.audit import AuditEntry
from schemas.base import Channel
from schemas.codec import Outgoing
from tests.audit.test_record_room import DEADLINE_S, eventually, room
from tests.paths import CORPUS, needs_corpus
from tests.replay.told import records

pytestmark = pytest.mark.chaos

POLICY = policy.load(REPOSITORY / "deploy" / "policies" / "small-saas")


def shipped() -> list[RecordedEvent]:
    return read(sorted((REPOSITORY / "deploy" / "incidents").glob("*.json")))


def real() -> list[RecordedEvent]:
    events = read([CORPUS / "incidents" / "github-2022-2024.jsonl"])
    named = list(dict.fromkeys(event.incident for event in events))[:20]
    return [event for event in events if event.incident in named]


async def all_sealed(settings: Settings, count: int) -> bool:
    """Whether so many records are sealed, once each; what the log says of itself is not counted."""
    entries = [codec.decode(r, AuditEntry).data async for r in connect.read_all(settings, topics.AUDIT_LOG.name)]
    of_others = [
        (entry.record_type, entry.subject, entry.record_id)
        for entry in entries
        if entry.origin.topic != topics.AUDIT_LOG.name
    ]
    assert len(set(of_others)) == len(of_others)
    return len(of_others) >= count


@pytest.mark.parametrize("events", [shipped, pytest.param(real, marks=needs_corpus)])
async def test_it_is_replayed_byte_for_byte_twice(own_broker: Settings, tmp_path: Path, events) -> None:
    compiled = policy.compile(POLICY)
    conditions = Conditions(compiled, example(compiled), channels=tuple(Channel))
    pasts = pasts_of(events())
    turns = tuple(turn for past in pasts for turn in rerun(past, conditions).turns)
    told = list(records(turns))
    url = str(tmp_path / "archive")
    async with connect.open_producer(own_broker) as producer:
        version = codec.encode(topics.POLICIES, POLICY, id=POLICY.hash, source="/t", subject=POLICY.name)
        await connect.send(producer, version)
        sending = (Outgoing(one.topic, one.key, one.value, one.headers, 0) for one in told)
        await asyncio.gather(*(connect.send(producer, one) for one in sending))
    async with room(own_broker, TOCSIN_ARCHIVE=url, TOCSIN_FAILPOINT="record.after_append:2") as process:
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == -signal.SIGKILL
    async with room(own_broker, TOCSIN_ARCHIVE=url) as process:
        await eventually(lambda: all_sealed(own_broker, len(told)))
        process.terminate()
        await asyncio.wait_for(process.wait(), DEADLINE_S)
    place = InArchive(url)
    result = await verified(place)
    assert (result.ok, result.signed) == (True, result.entries)
    first, second = await check(place), await check(place)
    assert first == second
    assert first.differences == []
    assert (first.incidents, first.entries) == (len(pasts), len(turns))
    print(f"\n{first.incidents} incidents, {first.entries} entries, {first.messages} windows, {len(told)} sealed")
