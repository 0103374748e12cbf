"""The appender on a real broker: what it seals, how it goes on after a stop, a loss, a rival."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from agents.appender import Appender
from pipeline import clock
from pipeline.audit.checkpoint import checkpoint_path
from pipeline.audit.findings import Result
from pipeline.audit.keys import KeyFiles, public_key_path
from pipeline.audit.segments import Segments, read_lines
from pipeline.audit.verify import Vouchers, verify
from pipeline.broker import connect
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.commands.lag import lags
from pipeline.errors import AuditError
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.audit import AuditEntry, CheckpointSigned, TurnTaken
from schemas.codec import Outgoing, Record
from tests.audit.logs import no_file_larger_than, receipt, seal_all, subscribed, unsubscribed
from tests.system import eventually

DEADLINE_S = 20.0


def outgoing(record: Record, partition: int = 0) -> Outgoing:
    return Outgoing(record.topic, record.key, record.value, record.headers, partition)


async def publish(settings: Settings, records: Iterable[Record], partition: int = 0) -> None:
    async with connect.open_producer(settings) as producer:
        await asyncio.gather(*(connect.send(producer, outgoing(record, partition)) for record in records))


async def the_log(settings: Settings) -> list[Record]:
    return [record async for record in connect.read_all(settings, topics.AUDIT_LOG.name)]


async def verified(settings: Settings) -> Result:
    stored = [(record.value, dict(record.headers).get("ce_root")) for record in await the_log(settings)]
    vouchers = Vouchers(checkpoint_path(settings.data_dir).read_bytes(), public_key_path(settings.data_dir).read_text())
    return verify(stored, vouchers, voids_allowed=True)


class Running:
    """An appender at work."""

    def __init__(self, settings: Settings) -> None:
        self.appender = Appender(settings, KeyFiles(settings.data_dir), "test-1", clock.now, time.monotonic)
        self.at_work = asyncio.Event()
        self.task = asyncio.create_task(self.appender.run(self.at_work.set))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something that the appender brings about; its error is ours."""

        async def met() -> None:
            while not condition():
                await asyncio.sleep(0.01)

        waiting = asyncio.create_task(met())
        await asyncio.wait({waiting, self.task}, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            if self.task.done():
                self.task.result()
            raise AssertionError("it did not come to it in time")

    async def sealed(self, entries: int) -> None:
        await self.until(lambda: self.appender.held.chain.size >= entries)

    async def stop(self) -> None:
        self.appender.stop()
        await asyncio.wait_for(self.task, DEADLINE_S)


@asynccontextmanager
async def appending(settings: Settings) -> AsyncIterator[Running]:
    running = Running(settings)
    await running.until(running.at_work.is_set)
    try:
        yield running
    finally:
        await running.stop()


async def test_it_seals_everything_from_all_topics_and_partitions_once(own_broker):
    await publish(own_broker, [receipt(n) for n in range(5)], partition=0)
    await publish(own_broker, [receipt(n) for n in range(3, 8)], partition=2)
    await publish(own_broker, [subscribed("s-1", 0), unsubscribed("s-1", 1)], partition=1)
    async with appending(own_broker) as running:
        await running.sealed(10)
        await publish(own_broker, [receipt(99), receipt(0)], partition=1)
        await running.sealed(11)
    result = await verified(own_broker)
    assert (result.ok, result.entries, result.voids, result.signed) == (True, 11, 0, 11)
    entries = [codec.decode(record, AuditEntry).data for record in await the_log(own_broker)]
    assert {entry.origin.topic for entry in entries} == {"delivery.records", "subscriber.events"}
    assert len({entry.record_id for entry in entries}) == 11


async def test_the_segments_hold_the_exact_bytes_of_the_log(own_broker):
    await publish(own_broker, [receipt(n) for n in range(5)])
    async with appending(own_broker) as running:
        await running.sealed(5)
    lines = list(read_lines(own_broker.data_dir / "audit" / "segments"))
    assert lines == [record.value for record in await the_log(own_broker)]


async def test_it_says_that_it_took_the_turn_and_with_how_many_entries(own_broker):
    await publish(own_broker, [receipt(0)])
    async with appending(own_broker) as running:
        await running.sealed(1)
    async with appending(own_broker):
        pass
    turns = [
        codec.decode(record, TurnTaken).data async for record in connect.read_all(own_broker, topics.AUDIT_TURN.name)
    ]
    assert [(turn.holder, turn.size) for turn in turns] == [("test-1", 0), ("test-1", 1)]


async def test_it_says_at_its_start_and_whenever_it_signed_that_sealing_goes_on(own_broker):
    async with appending(own_broker) as running:
        await publish(own_broker, [receipt(0)])
        await running.sealed(1)

        async def said() -> bool:
            return (await lags(own_broker))["record"] == 0

        await eventually(said)
    told = [
        codec.decode(record, CheckpointSigned).data
        async for record in connect.read_all(own_broker, topics.AUDIT_CHECKPOINTS.name)
    ]
    assert [signed.size for signed in told] == [0, 1]
    assert bytes.fromhex(told[-1].root) == (await verified(own_broker)).root
    assert sorted(told[-1].read["delivery.records"]) == [0, 0, 1]


async def test_what_comes_twice_is_read_and_said_to_be_and_not_sealed_again(own_broker):
    async with appending(own_broker) as running:
        await publish(own_broker, [receipt(0)])
        await running.sealed(1)
        await publish(own_broker, [receipt(0)])

        async def said() -> bool:
            return (await lags(own_broker))["record"] == 0

        await eventually(said)
    assert (await verified(own_broker)).entries == 1


async def test_the_next_one_goes_on_where_the_log_ends(own_broker):
    await publish(own_broker, [receipt(n) for n in range(3)])
    async with appending(own_broker) as running:
        await running.sealed(3)
    await publish(own_broker, [receipt(n) for n in range(2, 6)])
    async with appending(own_broker) as running:
        await running.sealed(6)
    result = await verified(own_broker)
    assert (result.ok, result.entries, result.signed) == (True, 6, 6)


async def test_after_a_crash_between_append_and_segment_nothing_is_sealed_twice_and_the_segment_is_completed(
    own_broker, monkeypatch
):
    class Killed(BaseException):
        pass

    def die(name: str) -> None:
        assert name == "record.after_append"
        raise Killed

    await publish(own_broker, [receipt(n) for n in range(3)])
    monkeypatch.setattr("pipeline.failpoints.hit", die)
    with pytest.raises(Killed):
        await Appender(own_broker, KeyFiles(own_broker.data_dir), "test-1", clock.now, time.monotonic).run(lambda: None)
    monkeypatch.undo()
    assert len(await the_log(own_broker)) == 3
    segments = Segments(own_broker.data_dir / "audit" / "segments")
    segments.open()
    assert segments.size == 0
    async with appending(own_broker) as running:
        await publish(own_broker, [receipt(3)])
        await running.sealed(4)
    assert (await verified(own_broker)).entries == 4
    assert len(list(segments)) == 4


async def test_it_stops_when_someone_else_appends_and_the_rivals_append_is_void(own_broker):
    before = seal_all([receipt(0)])
    await publish(own_broker, [receipt(0)])
    running = Running(own_broker)
    await running.sealed(1)
    entry = AuditEntry.model_validate_json((await the_log(own_broker))[0].value)
    assert entry.record_id == before[0].entry.record_id
    async with connect.open_producer(own_broker) as producer:
        await connect.send(producer, before[0].outgoing)
    await publish(own_broker, [receipt(1)])
    with pytest.raises(AuditError, match="someone else appends to the log: entry 1 was to stand at offset 1"):
        await asyncio.wait_for(running.task, DEADLINE_S)
    async with appending(own_broker) as again:
        await again.sealed(2)
        assert again.appender.held.voids == 1


async def test_what_the_broker_lost_of_the_log_is_put_back_from_the_segments(make_settings, tmp_path, caplog):
    """Another broker, as empty as one that lost everything, under the same data directory."""
    settings = make_settings(partitions=3)
    broker, other = EmbeddedBroker(tmp_path / "one"), EmbeddedBroker(tmp_path / "two")
    async with broker, other:
        first = make_settings(partitions=3, broker=f"kafka://{broker.bootstrap}")
        second = make_settings(partitions=3, broker=f"kafka://{other.bootstrap}")
        await ensure_topics(first, second)
        await publish(first, [receipt(n) for n in range(4)])
        async with appending(first) as running:
            await running.sealed(4)
        before = [record.value for record in await the_log(first)]
        await publish(second, [receipt(n) for n in (3, 7)])
        with caplog.at_level(logging.ERROR):
            async with appending(second) as running:
                await running.sealed(5)
        assert [record.value for record in await the_log(second)][:4] == before
        assert (await verified(second)).entries == 5
    assert "the broker lost 4 sealed entries, from entry 0 on" in caplog.text
    assert "the broker lost records of delivery.records-0" in caplog.text
    assert settings.data_dir == first.data_dir


async def test_another_record_at_the_last_sealed_offset_is_noticed_and_nothing_is_left_out(
    make_settings, tmp_path, caplog
):
    broker, other = EmbeddedBroker(tmp_path / "one"), EmbeddedBroker(tmp_path / "two")
    async with broker, other:
        first = make_settings(partitions=3, broker=f"kafka://{broker.bootstrap}")
        second = make_settings(partitions=3, broker=f"kafka://{other.bootstrap}")
        await ensure_topics(first, second)
        await publish(first, [receipt(n) for n in range(3)])
        async with appending(first) as running:
            await running.sealed(3)
        await publish(second, [receipt(n) for n in (0, 7, 8, 9)])
        with caplog.at_level(logging.ERROR):
            async with appending(second) as running:
                await running.sealed(6)
    assert "another record stands at the last sealed offset 2" in caplog.text


async def ensure_topics(*deployments: Settings) -> None:
    from pipeline.broker.topics import ensure

    for settings in deployments:
        await ensure(settings)


async def test_a_log_that_differs_from_the_segments_is_not_continued(own_broker):
    await publish(own_broker, [receipt(n) for n in range(3)])
    async with appending(own_broker) as running:
        await running.sealed(3)
    path = own_broker.data_dir / "audit" / "segments" / "00000000.jsonl"
    path.write_bytes(path.read_bytes().replace(b"delivered", b"delayed!!", 1))
    with pytest.raises(AuditError, match="entry 0 in the log is another than in"):
        await Appender(own_broker, KeyFiles(own_broker.data_dir), "test-1", clock.now, time.monotonic).run(lambda: None)


async def test_a_log_cut_behind_its_checkpoint_is_not_continued(make_settings, tmp_path):
    broker, other = EmbeddedBroker(tmp_path / "one"), EmbeddedBroker(tmp_path / "two")
    async with broker, other:
        first = make_settings(partitions=3, broker=f"kafka://{broker.bootstrap}")
        second = make_settings(partitions=3, broker=f"kafka://{other.bootstrap}")
        await ensure_topics(first, second)
        await publish(first, [receipt(n) for n in range(3)])
        async with appending(first) as running:
            await running.sealed(3)
        for path in (first.data_dir / "audit" / "segments").iterdir():
            path.unlink()
        with pytest.raises(AuditError, match="signed for 3 entries, and it ends after 0"):
            await Appender(second, KeyFiles(second.data_dir), "test-1", clock.now, time.monotonic).run(lambda: None)


async def test_a_full_disk_stops_the_sealing_and_it_goes_on_once_there_is_room(own_broker):
    await publish(own_broker, [receipt(0)])
    running = Running(own_broker)
    await running.sealed(1)
    with no_file_larger_than(700):
        await publish(own_broker, [receipt(1)])
        with pytest.raises(AuditError, match=r"cannot be written .*sealing stops"):
            await asyncio.wait_for(running.task, DEADLINE_S)
    async with appending(own_broker) as again:
        await publish(own_broker, [receipt(2)])
        await again.sealed(3)
    assert (await verified(own_broker)).entries == 3


async def test_a_second_appender_on_the_same_directory_waits_for_the_first_to_end(own_broker, caplog):
    async with appending(own_broker):
        second = Running(own_broker)
        with caplog.at_level(logging.WARNING):
            await second.until(lambda: "still seals on this data directory" in caplog.text)
        assert not second.at_work.is_set()
    await second.until(second.at_work.is_set)
    await second.stop()


async def test_poison_is_sealed_by_its_hash_and_the_rest_goes_on(own_broker):
    poison = Outgoing("subscriber.events", b"s-1", b"\xff{", (), 0)
    async with appending(own_broker) as running:
        async with connect.open_producer(own_broker) as producer:
            await connect.send(producer, poison)
            await producer.send_and_wait("subscriber.events", b"null header", partition=0, headers=[("ce_id", None)])
        await publish(own_broker, [unsubscribed("s-1", 1)])
        await running.sealed(3)
    entries = [codec.decode(record, AuditEntry).data for record in await the_log(own_broker)]
    assert [entry.record_type for entry in entries] == [
        "io.tocsin.unreadable",
        "io.tocsin.unreadable",
        "io.tocsin.subscriber.unsubscribed.v1",
    ]
