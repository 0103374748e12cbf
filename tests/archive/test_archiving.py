"""The appender and its archive: what is sealed gets there, and where it cannot, sealing waits and goes on."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from agents import archiving, record
from agents.record import TURN, RecordRoom
from pipeline import policy
from pipeline.archive import copying, layout
from pipeline.archive.reading import Archive
from pipeline.archive.store import Store
from pipeline.audit.in_topics import InTopics
from pipeline.audit.places import InArchive, InFiles
from pipeline.audit.reading import verified
from pipeline.audit.segments import read_lines
from pipeline.broker import connect
from pipeline.broker.topics import declared
from pipeline.errors import AuditError, ConfigurationError
from pipeline.settings import REPOSITORY, Settings
from schemas import codec, topics
from schemas.rendering import SmsContent, rendering_of
from tests.audit.logs import receipt, record_of, subscribed
from tests.audit.test_appender import DEADLINE_S, Running, appending, publish
from tests.conftest import MakeSettings
from tests.system import eventually

SEGMENTS = "audit/segments"


@pytest.fixture
def settings(own_broker: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(archiving, "EVERY_S", 0.05)
    return own_broker.model_copy(update={"archive": str(tmp_path / "archive"), "archive_behind_s": 0.5})


async def test_what_is_sealed_and_what_belongs_to_it_is_in_the_archive_when_it_ends(settings: Settings) -> None:
    version = policy.load(REPOSITORY / "deploy" / "policies" / "small-saas")
    content = SmsContent(text="Payments fail.", encoding="GSM-7", segments=1)
    rendering = rendering_of("en", "customer", content)
    named = [
        record_of(codec.encode(topics.POLICIES, version, id=version.hash, source="/t", subject="p"), 0),
        record_of(codec.encode(topics.RENDERINGS, rendering, id="r", source="/t", key=rendering.sha256), 0),
        subscribed("s-1", 0),
    ]
    clear = replace(subscribed("s-1", 1), value=b'{"email": "typed.wrong@clear-mail.example"}')
    await publish(settings, [*named, clear, *(receipt(n) for n in range(5))])
    async with appending(settings) as running:
        await running.sealed(7)
        await publish(settings, [receipt(9)])
        await running.sealed(8)
    result = await verified(InArchive(settings.archive))
    assert (result.ok, result.entries, result.signed) == (True, 8, 8)
    kept = b"".join(path.read_bytes() for path in Path(settings.archive).rglob("*") if path.is_file())
    assert b"typed.wrong" not in kept, "what is written for ever holds no address that somebody wrote in clear"
    archive = Archive(settings.archive)
    for one in named:
        [there] = list(archive.records(one.topic))
        assert there in [r async for r in connect.read_all(settings, one.topic)]
        assert there.value == one.value
    assert not list(archive.records(topics.SUBSCRIBER_KEYS.name))


async def test_sealing_waits_for_an_archive_that_is_out_of_reach_and_goes_on(settings: Settings, caplog) -> None:
    folder, away = Path(settings.archive), Path(f"{settings.archive}.away")
    await publish(settings, [receipt(n) for n in range(3)])
    async with appending(settings) as running:
        await running.sealed(3)
        folder.rename(away)
        folder.write_text("a file stands where the folder should be")
        await running.until(lambda: running.appender.archive_late)
        before = running.appender.held.chain.size
        await publish(settings, [receipt(n) for n in range(3, 6)])
        await running.until(lambda: caplog.text.count("Sealing waits for it, from now") > 10)
        assert running.appender.held.chain.size == before
        folder.unlink()
        away.rename(folder)
        await running.sealed(6)
    assert (await verified(InArchive(settings.archive))).entries == 6


async def test_a_restart_gains_no_time(settings: Settings) -> None:
    async with appending(settings):
        pass
    shutil.rmtree(settings.archive)
    Path(settings.archive).write_text("")
    patient = archiving.Archiver(
        settings, settings.archive, lambda: archiving.Progress.read(archiving.Progress.path(settings.data_dir)).at
    )
    assert not patient.late
    await publish(settings, [receipt(0)])
    async with appending(settings) as running:
        await running.until(lambda: running.appender.archive_late)


async def forget(settings: Settings, upto: int) -> None:
    """Kafka deletes the beginning of the log's topic."""
    async with connect.open_admin(settings) as admin:
        part = TopicPartition(topics.AUDIT_LOG.name, 0)
        await admin.delete_records({part: RecordsToDelete(before_offset=upto)})
    offsets = [record.offset async for record in connect.read_all(settings, topics.AUDIT_LOG.name)]
    assert min(offsets) == upto


@pytest.mark.parametrize("machine", ["the same", "another", "another, killed while it copied"])
async def test_the_log_goes_on_where_kafka_has_forgotten_its_beginning(settings: Settings, machine: str) -> None:
    await publish(settings, [receipt(n) for n in range(8)])
    async with appending(settings) as running:
        await running.sealed(8)
    await forget(settings, 5)
    if machine != "the same":
        [segment] = (settings.data_dir / SEGMENTS).iterdir()
        lines = segment.read_bytes().splitlines(keepends=True)
        segment.unlink()
        if "killed" in machine:
            segment.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    found = await verified(InTopics(settings))
    assert (found.ok, found.entries, found.signed) == (True, 8, 8)
    await publish(settings, [receipt(n) for n in range(8, 10)])
    async with appending(settings) as running:
        await running.sealed(10)
    for place in (InTopics(settings), InArchive(settings.archive), InFiles(settings.data_dir / SEGMENTS, settings)):
        found = await verified(place)
        assert (found.ok, found.entries) == (True, 10), place


class Gate:
    """Holds the threads that come to it until it is opened."""

    def __init__(self) -> None:
        self.reached, self._opened = threading.Event(), threading.Event()

    def pass_through(self) -> None:
        self.reached.set()
        assert self._opened.wait(DEADLINE_S)

    def open(self) -> None:
        self._opened.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()  # no thread is left behind by a test that failed


@pytest.fixture
async def threads(settings: Settings) -> AsyncIterator[ThreadPoolExecutor]:
    """The threads of the test's loop, whose end can be waited for."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor() as threads:
        loop.set_default_executor(threads)
        yield threads
    loop.set_default_executor(ThreadPoolExecutor())


async def seal_without_archive(settings: Settings, count: int) -> None:
    await publish(settings, [receipt(n) for n in range(count)])
    async with appending(settings.model_copy(update={"archive": None})) as running:
        await running.sealed(count)


def held_up(put: Callable[[Store, str, bytes], None], gate: Gate) -> Callable[[Store, str, bytes], None]:
    """An archive that takes its time for a piece of the log."""

    def slow(store: Store, name: str, content: bytes) -> None:
        if name.startswith(layout.LOG):
            gate.pass_through()
        put(store, name, content)

    return slow


async def test_nothing_is_written_into_the_segments_by_an_appender_that_was_cancelled(
    settings: Settings, threads: ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebalance in the midst of the copy: the same process is given the turn again, and copies for itself."""
    monkeypatch.setattr(copying, "PIECE_ENTRIES", 2)
    await publish(settings, [receipt(n) for n in range(8)])
    async with appending(settings) as running:
        await running.sealed(8)
    await forget(settings, 7)
    lines = list(read_lines(settings.data_dir / SEGMENTS))
    shutil.rmtree(settings.data_dir / SEGMENTS)
    read = Archive.log

    def slowly(archive: Archive) -> Iterator[list[bytes]]:
        for number, piece in enumerate(read(archive)):
            if number == 1:
                gate.pass_through()
            yield piece

    with monkeypatch.context() as patched:
        patched.setattr(Archive, "log", slowly)
        first = Running(settings)
        await first.until(gate.reached.is_set)
        first.task.cancel()
        await asyncio.wait({first.task}, timeout=DEADLINE_S)
    async with appending(settings) as second:
        assert second.appender.held.chain.size == 8
    gate.open()
    threads.shutdown()  # until none is at work
    assert list(read_lines(settings.data_dir / SEGMENTS)) == lines


@pytest.mark.parametrize("when", ["at its start", "beside sealing"])
async def test_the_lock_is_given_back_when_no_thread_writes_into_the_archive_any_more(
    when: str, settings: Settings, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(copying, "PIECE_ENTRIES", 2)
    settings = settings.model_copy(update={"archive_behind_s": DEADLINE_S})
    if when == "at its start":
        await seal_without_archive(settings, 8)
    first = Running(settings)
    if when == "beside sealing":
        await first.until(first.at_work.is_set)
    monkeypatch.setattr(Store, "put", held_up(Store.put, gate))
    if when == "beside sealing":
        await publish(settings, [receipt(n) for n in range(8)])
    await first.until(gate.reached.is_set)
    first.task.cancel()
    second = Running(settings)
    await second.until(lambda: "still seals on this data directory" in caplog.text)
    first.task.cancel()
    await asyncio.wait({first.task}, timeout=0.1)
    assert not first.task.done(), "no second word makes it go sooner"
    gate.open()
    await asyncio.wait({first.task}, timeout=DEADLINE_S)
    assert Archive(settings.archive).size in {1, 2}, "the piece in hand is written, and no other"
    await second.sealed(8)
    await second.stop()
    assert (await verified(InArchive(settings.archive))).entries == 8


async def test_an_archive_that_hangs_does_not_keep_the_turn_from_others(
    settings: Settings, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "STOP_WITHIN_S", 0.1)
    monkeypatch.setattr(Store, "put", held_up(Store.put, gate))
    await seal_without_archive(settings, 3)
    room = RecordRoom(settings)
    await room._assigned(room.app, [TURN])
    assert await asyncio.to_thread(gate.reached.wait, DEADLINE_S)
    await asyncio.wait_for(room._revoked(room.app, [TURN]), DEADLINE_S / 2)
    gate.open()
    await room._assigned(room.app, [TURN])

    async def ready() -> bool:
        return (settings.data_dir / "run" / "record.ready").exists()

    await eventually(ready)
    await room._stopping(room.app)
    assert (await verified(InArchive(settings.archive))).entries == 3


async def test_without_segments_and_archive_a_forgotten_beginning_is_named(settings: Settings) -> None:
    await publish(settings, [receipt(n) for n in range(8)])
    async with appending(settings) as running:
        await running.sealed(8)
    await forget(settings, 5)
    shutil.rmtree(settings.data_dir / "audit" / "segments")
    alone = settings.model_copy(update={"archive": None})
    with pytest.raises(AuditError, match="topic begins with entry 5, and the segments end before entry 0"):
        async with appending(alone):
            pass
    assert not (await verified(InTopics(alone))).ok


def test_kafka_is_not_told_to_forget_what_no_archive_keeps(make_settings: MakeSettings) -> None:
    kept = make_settings(archive="/there", log_retention_days=7)
    assert declared(topics.AUDIT_LOG, kept)["retention.ms"] == str(7 * topics.DAY_MS)
    assert declared(topics.INCIDENT_JOURNAL, kept)["retention.ms"] == "-1"
    with pytest.raises(ConfigurationError, match="TOCSIN_LOG_RETENTION_DAYS is set without TOCSIN_ARCHIVE"):
        declared(topics.AUDIT_LOG, make_settings(log_retention_days=7))
