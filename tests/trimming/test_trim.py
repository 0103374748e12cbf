"""Trimming on a real broker: Kafka forgets what is closed and archived, and every question is answered as before."""

import shutil
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from agents import archiving
from pipeline.archive.reading import Archive
from pipeline.audit.in_topics import InTopics
from pipeline.audit.places import InArchive
from pipeline.audit.reading import verified
from pipeline.broker import connect
from pipeline.clock import now
from pipeline.commands import overview
from pipeline.commands.answering import renderings
from pipeline.errors import AuditError, ConfigurationError, NotFound
from pipeline.replay.sources import journals
from pipeline.settings import Settings
from pipeline.trimming.trim import trim
from schemas import codec, topics
from schemas.base import Level
from schemas.codec import Outgoing
from schemas.command import Close
from schemas.delivery import Result
from schemas.rendering import SmsContent, rendering_of
from tests.audit.test_appender import appending
from tests.conftest import MakeSettings
from tests.trimming.given import closed, ended, going_on, journal, later, told

JOURNAL, RECORDS = topics.INCIDENT_JOURNAL, topics.DELIVERY_RECORDS_TOPIC


@pytest.fixture
def settings(own_broker: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(archiving, "EVERY_S", 0.05)
    return own_broker.model_copy(update={"archive": str(tmp_path / "archive"), "log_retention_days": 7})


async def write(settings: Settings, *records: Outgoing) -> None:
    async with connect.open_producer(settings) as producer:
        for record in records:
            await connect.send(producer, record)


async def seal(settings: Settings, entries: int) -> None:
    """Seals so many, and archives them."""
    async with appending(settings) as running:
        await running.until(lambda: running.appender.held.chain.size >= entries)
    assert Archive(settings.archive or "").size == running.appender.held.chain.size


async def begins(settings: Settings) -> tuple[int, int]:
    """Where Kafka's journal and records begin, in the partition of these tests."""
    return (await connect.beginnings(settings, JOURNAL.name))[0], (await connect.beginnings(settings, RECORDS.name))[0]


async def asked(settings: Settings) -> tuple[object, list[tuple[int, str]]]:
    """What replay and who asks what was told to whom are given by the running system."""
    place = InTopics(settings)
    records = [(r.offset, codec.decode(r).id) async for r in place.records(RECORDS)]
    return await journals(place), records


async def test_what_is_closed_and_archived_is_forgotten_and_every_answer_stays_the_same(settings: Settings) -> None:
    old, goes_on = ended("old"), going_on("open")
    await write(
        settings,
        *journal(old),
        *journal(goes_on),
        *told("old"),
        *told("confirmation.1", Result.PARKED),
        *told("old2"),
        *told("open", None),
        closed(old),
    )
    await seal(settings, len(old.decided) + 1 + 7)
    before = await asked(settings)
    found = await trim(settings, later)
    assert found.forgotten == {JOURNAL.name: len(old.decided), RECORDS.name: 2}
    assert await begins(settings) == (len(old.decided), 2)
    assert await asked(settings) == before
    archived = await journals(InArchive(settings.archive or ""))
    assert [entry.seq for entry in archived["old"]] == [one.entry.seq for one in old.decided]
    for place in (InTopics(settings), InArchive(settings.archive or "")):
        assert (await verified(place)).ok
    left = await overview.read_journal(settings)
    assert list(left.states) == ["open"]
    assert left.states["open"] == goes_on.state
    assert dict(found.judged.kept)["open"] == "not over"
    with pytest.raises(NotFound, match="old ended long ago and is closed"):
        await overview.must_not_be_closed(settings, "old")
    assert (await trim(settings, later)).forgotten == {JOURNAL.name: 0, RECORDS.name: 0}
    await write(settings, *told("open"))
    await seal(settings, len(old.decided) + 1 + 8)  # whoever seals takes what is gone for no loss
    assert (await verified(InTopics(settings))).ok


async def test_what_ended_long_ago_is_ordered_closed_and_goes_no_sooner_than_it_is(settings: Settings) -> None:
    story = ended("done", close=False)
    await write(settings, *journal(story), *told("done"))
    await seal(settings, len(story.decided) + 2)
    assert (await trim(settings, now)).judged.closing == ()
    assert (await trim(settings, later)).judged.closing == (("done", story.state.seq),)
    assert await begins(settings) == (0, 0)
    [order] = [r async for r in connect.read_all(settings, topics.INCIDENT_COMMANDS.name)]
    assert codec.decode(order, Close).data == Close(seq=story.state.seq)
    assert (order.key, order.partition) == (b"done", connect.partition_for("done", settings.partitions))


async def test_nothing_goes_before_the_archive_has_it_and_can_be_read(settings: Settings) -> None:
    archive, away = Path(settings.archive or ""), Path(f"{settings.archive}.away")
    old = ended("old")
    await write(settings, *journal(old), closed(old))
    found = await trim(settings, later)
    assert (found.lacking, await begins(settings)) == (len(old.decided) - 1, (0, 0)), "nothing is archived"
    await seal(settings, len(old.decided))
    await write(settings, *told("old"), *told("elder"))
    found = await trim(settings, later)
    assert await begins(settings) == (len(old.decided) - 1, 0), "records that are not sealed yet stay"
    assert found.lacking == 3
    await seal(settings, len(old.decided) + 4)

    archive.rename(away)
    assert (await trim(settings, later)).lacking == 3, "the archive is gone"
    shutil.copytree(away, archive)
    first, *_ = sorted((archive / "log").iterdir())
    first.write_bytes(first.read_bytes().replace(b'"old"', b'"odd"', 1))
    last = max((archive / "log").iterdir())
    last.write_bytes(last.read_bytes().replace(b'"elder"', b'"older"', 1))
    with pytest.raises(AuditError, match="is damaged: nothing is forgotten"):
        await trim(settings, later)
    assert await begins(settings) == (len(old.decided) - 1, 0)
    shutil.rmtree(archive)
    away.rename(archive)
    assert (await trim(settings, later)).forgotten[RECORDS.name] == 3
    assert await begins(settings) == (len(old.decided) - 1, 3)


async def test_the_words_of_a_draft_that_waits_for_longer_than_kafka_keeps_them_are_in_the_archive(
    settings: Settings,
) -> None:
    words = [rendering_of("en", Level.CUSTOMER, SmsContent(text=text, encoding="GSM-7", segments=1)) for text in "ab"]
    held = [codec.encode(topics.RENDERINGS, r, id=r.sha256, source="/t", key=r.sha256, partition=0) for r in words]
    await write(settings, *held)
    await seal(settings, 0)
    part = TopicPartition(topics.RENDERINGS.name, 0)
    async with connect.open_admin(settings) as admin:
        await admin.delete_records({part: RecordsToDelete(before_offset=1)})
    asked = {one.sha256: one for one in words}
    assert await renderings(settings, asked) == asked
    assert await renderings(settings, ["0" * 64]) == {}
    assert await renderings(settings, []) == {}


async def test_without_an_archive_nothing_is_trimmed(make_settings: MakeSettings) -> None:
    for settings in (make_settings(archive="/there"), make_settings(log_retention_days=7)):
        with pytest.raises(ConfigurationError, match="before TOCSIN_ARCHIVE and TOCSIN_LOG_RETENTION_DAYS are set"):
            await trim(settings, later)
