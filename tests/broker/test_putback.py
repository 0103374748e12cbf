"""What the embedded broker loses in a crash is put back from the spare copy; an erased key is not."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from pipeline.broker import connect, spare, topics
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.broker.putback import put_back, said
from pipeline.errors import BrokerError
from pipeline.settings import Settings
from schemas import topics as wire
from schemas.codec import Outgoing, Record
from schemas.topics import Topic
from tests.audit.logs import no_file_larger_than, receipt
from tests.audit.test_appender import publish
from tests.conftest import MakeSettings


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(partitions=3)


async def crash(broker: EmbeddedBroker, settings: Settings) -> None:
    """kill -9, and a start up to where topics are put back."""
    await broker.kill9()
    await broker.start()
    await topics.ensure(settings)


async def read(settings: Settings, topic: Topic) -> list[Record]:
    return [record async for record in connect.read_all(settings, topic.name)]


async def key(settings: Settings, subscriber: str, value: bytes | None) -> None:
    async with connect.open_producer(settings) as producer:
        headers = (("ce_id", b"k"), ("ce_type", b"t"), ("ce_source", b"s"))
        await connect.send(producer, Outgoing(wire.SUBSCRIBER_KEYS.name, subscriber.encode(), value, headers, 0))


async def test_whatever_was_written_stands_there_again_in_its_order_and_at_its_offset(settings: Settings) -> None:
    async with EmbeddedBroker(settings.data_dir) as broker:
        await topics.ensure(settings)
        for partition in range(3):
            await publish(settings, [receipt(n) for n in range(partition * 100, partition * 100 + 50)], partition)
        before = await read(settings, wire.DELIVERY_RECORDS_TOPIC)
        await crash(broker, settings)
        lost = len(before) - len(await read(settings, wire.DELIVERY_RECORDS_TOPIC))
        found = await put_back(settings)
        after = await read(settings, wire.DELIVERY_RECORDS_TOPIC)
        assert lost > 0, "the broker lost nothing: this shows nothing"
        assert found.total() == lost
        assert f"lost {lost} records" in said(found)
        assert [(r.partition, r.offset, r.value, r.headers) for r in after] == [
            (r.partition, r.offset, r.value, r.headers) for r in before
        ]
        assert not await put_back(settings), "what is there is not put there again"


async def test_a_second_crash_before_anything_was_saved_is_as_the_first(settings: Settings) -> None:
    async with EmbeddedBroker(settings.data_dir) as broker:
        await topics.ensure(settings)
        await publish(settings, [receipt(n) for n in range(20)])
        await crash(broker, settings)
        await put_back(settings)
        await publish(settings, [receipt(n) for n in range(20, 30)])
        await crash(broker, settings)
        await put_back(settings)
        values = [record.value for record in await read(settings, wire.DELIVERY_RECORDS_TOPIC)]
        assert values == [receipt(n).value for n in range(30)]


async def test_what_the_broker_was_told_to_forget_is_not_put_back(settings: Settings) -> None:
    async with EmbeddedBroker(settings.data_dir):
        await topics.ensure(settings)
        await publish(settings, [receipt(n) for n in range(20)])
        part = TopicPartition(wire.DELIVERY_RECORDS_TOPIC.name, 0)
        async with connect.open_admin(settings) as admin:
            await admin.delete_records({part: RecordsToDelete(before_offset=12)})
        assert not await put_back(settings)
        values = [record.value for record in await read(settings, wire.DELIVERY_RECORDS_TOPIC)]
        assert values == [receipt(n).value for n in range(12, 20)]


async def test_an_orderly_stop_leaves_no_copy_and_nothing_to_put_back(settings: Settings) -> None:
    async with EmbeddedBroker(settings.data_dir) as broker:
        await topics.ensure(settings)
        await publish(settings, [receipt(n) for n in range(5)])
        await key(settings, "anna", b"wrapped")
        assert list(spare.spared(settings.data_dir))
        await broker.restart()
        assert not list(spare.spared(settings.data_dir))
        assert not spare.spared_keys(settings.data_dir)
        assert not await put_back(settings)
        assert len(await read(settings, wire.DELIVERY_RECORDS_TOPIC)) == 5


async def test_whoever_writes_on_after_the_copy_was_dropped_has_a_copy_all_the_same(settings: Settings) -> None:
    async with EmbeddedBroker(settings.data_dir) as broker:
        await topics.ensure(settings)
        async with connect.open_producer(settings) as producer:
            one, two = receipt(1), receipt(2)
            await connect.send(producer, Outgoing(one.topic, one.key, one.value, one.headers, 0))
            spare.drop(settings.data_dir)
            await connect.send(producer, Outgoing(two.topic, two.key, two.value, two.headers, 0))
        assert [record.value for record in spare.spared(settings.data_dir)] == [two.value]
        await crash(broker, settings)


async def test_a_key_is_put_back_and_an_erased_one_is_nowhere(settings: Settings) -> None:
    async with EmbeddedBroker(settings.data_dir) as broker:
        await topics.ensure(settings)
        await key(settings, "anna", b"annas wrapped key")
        await key(settings, "berta", b"bertas wrapped key")
        await key(settings, "berta", None)
        for path in spare.folder(settings.data_dir).iterdir():
            assert b"bertas wrapped key" not in path.read_bytes(), path
        await crash(broker, settings)
        await put_back(settings)
        last = {record.key: record.value for record in await read(settings, wire.SUBSCRIBER_KEYS)}
        assert last == {b"anna": b"annas wrapped key", b"berta": None}


async def test_where_the_disk_is_full_nothing_counts_as_written_and_it_goes_on_once_there_is_room(
    settings: Settings,
) -> None:
    one, two = (Outgoing(r.topic, r.key, r.value, r.headers, 0) for r in (receipt(1), receipt(2)))
    async with EmbeddedBroker(settings.data_dir):
        await topics.ensure(settings)
        async with connect.open_producer(settings) as producer:
            with no_file_larger_than(100), pytest.raises(BrokerError, match=r"spare cannot be written .*free space"):
                await connect.send(producer, one)
            await connect.send(producer, two)


async def test_records_that_come_together_go_to_disk_together(tmp_path, monkeypatch) -> None:
    kept = spare.Spare(tmp_path)
    written: list[int] = []
    to_disk = kept._to_disk
    monkeypatch.setattr(kept, "_to_disk", lambda records: (written.append(len(records)), to_disk(records)))
    await asyncio.gather(*(kept.keep(receipt(n)) for n in range(200)))
    kept.close()
    assert sum(written) == 200
    assert len(written) < 20
    assert list(spare.spared(tmp_path)) == [receipt(n) for n in range(200)]


async def test_a_line_that_a_crash_cut_off_is_passed_over(tmp_path) -> None:
    kept = spare.Spare(tmp_path)
    await kept.keep(receipt(1))
    kept.close()
    [path] = spare.folder(tmp_path).glob("*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"topic": "deliv')
    assert list(spare.spared(tmp_path)) == [receipt(1)]


async def test_a_file_that_nobody_wrote_to_for_a_day_is_dropped(tmp_path, monkeypatch) -> None:
    old = spare.Spare(tmp_path)
    await old.keep(receipt(1))
    old.close()
    monkeypatch.setattr(spare.time, "time", lambda: 10e9)
    new = spare.Spare(tmp_path)
    await new.keep(receipt(2))
    new.close()
    assert list(spare.spared(tmp_path)) == [receipt(2)]


def test_no_topic_that_is_put_back_keeps_its_records_for_less_than_the_copy() -> None:
    for name in spare.PUT_BACK:
        kept = wire.BY_NAME[name].retention_ms
        assert kept < 0 or timedelta(milliseconds=kept).total_seconds() > spare.KEEP_S
