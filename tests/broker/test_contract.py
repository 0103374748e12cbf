"""What Tocsin asks of a broker, held against the embedded one and against Apache Kafka alike."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic

from pipeline.broker import connect, topics
from pipeline.broker.kafka import ApacheKafka
from pipeline.broker.process import BrokerProcess
from pipeline.errors import BrokerError, TopicMismatch
from pipeline.settings import Settings
from schemas import topics as declared
from schemas.codec import Outgoing, Record
from tests.conftest import MakeSettings

NewTopicNamed = Callable[..., Awaitable[str]]


@pytest.fixture
def settings(broker: BrokerProcess, make_settings: MakeSettings) -> Settings:
    return make_settings(broker=f"kafka://{broker.bootstrap}", partitions=3)


@pytest.fixture
def new_topic(settings: Settings) -> NewTopicNamed:
    async def create(partitions: int = 3, **config: str) -> str:
        name = f"test.{uuid4().hex}"
        config = {key.replace("_", "."): value for key, value in config.items()}
        async with connect.open_admin(settings) as admin:
            await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
        return name

    return create


async def everything(settings: Settings, topic: str, **options: object) -> list[Record]:
    return [record async for record in connect.read_all(settings, topic, **options)]  # type: ignore[arg-type]


async def test_a_record_comes_back_with_its_headers_key_and_the_time_of_its_append(
    settings: Settings, new_topic: NewTopicNamed
) -> None:
    topic = await new_topic(message_timestamp_type="LogAppendTime")
    headers = (("ce_id", b"1"), ("content-type", "störung".encode()), ("empty", b""))
    async with connect.open_producer(settings) as producer:
        written = await connect.send(producer, Outgoing(topic, b"key", b"\x00value", headers, partition=2))
    (record,) = await everything(settings, topic)
    assert (record.key, record.value, record.headers) == (b"key", b"\x00value", headers)
    assert (record.partition, record.offset) == (2, written.offset)
    assert abs(datetime.now(UTC) - record.timestamp) < timedelta(seconds=30)
    assert record.timestamp.tzinfo is UTC


async def test_null_keys_and_tombstones_are_kept_apart_from_empty_ones(
    settings: Settings, new_topic: NewTopicNamed
) -> None:
    topic = await new_topic(1)
    pairs = [(None, b"value"), (b"", b"value"), (b"key", None), (b"key", b"")]
    async with connect.open_producer(settings) as producer:
        for key, value in pairs:
            await connect.send(producer, Outgoing(topic, key, value))
    assert [(record.key, record.value) for record in await everything(settings, topic)] == pairs


async def test_partition_for_agrees_with_where_the_client_puts_a_key(
    settings: Settings, new_topic: NewTopicNamed
) -> None:
    topic = await new_topic(7)
    keys = ["", "a", "incident-1", "störung-münchen", "🔥", "x" * 1000, *(f"subscriber-{n}" for n in range(60))]
    async with connect.open_producer(settings) as producer:
        written = await asyncio.gather(*(connect.send(producer, Outgoing(topic, key.encode(), b"")) for key in keys))
    assert [place.partition for place in written] == [connect.partition_for(key, 7) for key in keys]


async def test_read_all_gives_each_partition_in_its_order_and_stops_at_the_end(
    settings: Settings, new_topic: NewTopicNamed
) -> None:
    topic = await new_topic(3)
    async with connect.open_producer(settings) as producer:
        for number in range(300):
            await producer.send(topic, str(number).encode(), partition=number % 2)
        await producer.flush()
    records = await everything(settings, topic)
    assert [(record.partition, record.offset) for record in records] == [(p, o) for p in (0, 1) for o in range(150)]
    assert [int(record.value or b"") for record in records] == [*range(0, 300, 2), *range(1, 300, 2)]


async def test_read_all_reads_the_partitions_asked_for_from_where_it_is_told(
    settings: Settings, new_topic: NewTopicNamed
) -> None:
    topic = await new_topic(3)
    async with connect.open_producer(settings) as producer:
        for number in range(30):
            await producer.send(topic, str(number).encode(), partition=number % 3)
        await producer.flush()
    records = await everything(settings, topic, partitions=[1, 2], start={2: 8})
    assert [(record.partition, record.offset) for record in records] == [*((1, o) for o in range(10)), (2, 8), (2, 9)]
    assert await everything(settings, topic, start={0: 10, 1: 10, 2: 10}) == []


async def test_read_all_of_an_empty_topic_gives_nothing(settings: Settings, new_topic: NewTopicNamed) -> None:
    assert await everything(settings, await new_topic(3)) == []


async def test_read_all_says_when_the_broker_has_lost_what_was_read_before(
    settings: Settings, new_topic: NewTopicNamed
) -> None:
    topic = await new_topic(1)
    with pytest.raises(BrokerError, match=r"ends at 0, but was read up to 5 before: the broker has lost records"):
        await everything(settings, topic, start={0: 5})


async def test_read_all_names_a_missing_topic_and_does_not_create_it(settings: Settings) -> None:
    for _ in range(2):
        with pytest.raises(TopicMismatch, match=r"test\.absent does not exist"):
            await everything(settings, "test.absent")


async def test_an_oversized_record_is_refused_at_once_and_the_producer_goes_on(settings: Settings) -> None:
    await topics.ensure(settings)
    async with connect.open_producer(settings) as producer:
        with pytest.raises(BrokerError, match=r"too large for dead\.letters, which takes 1048588"):
            await connect.send(producer, Outgoing("dead.letters", b"k", b"x" * 1_048_588))
        await connect.send(producer, Outgoing("dead.letters", b"k", b"x" * 1_048_480))
        await connect.send(producer, Outgoing("dead.letters", b"k", b"the producer goes on"))


async def test_an_input_topic_takes_what_is_larger_than_the_largest_input(settings: Settings) -> None:
    await topics.ensure(settings)
    key = uuid4().hex.encode()
    async with connect.open_producer(settings) as producer:
        await connect.send(producer, Outgoing("incident.events", key, b"x" * 2_000_000))
    sizes = [len(record.value or b"") for record in await everything(settings, "incident.events") if record.key == key]
    assert sizes == [2_000_000]


async def test_all_topics_are_created_once_as_declared_even_when_several_processes_do_it(settings: Settings) -> None:
    created = await asyncio.gather(*(topics.ensure(settings) for _ in range(3)))
    names = [name for names in created for name in names]
    assert len(names) == len(set(names))  # whoever came second created nothing
    assert await topics.ensure(settings) == ()
    assert await connect.partition_count(settings, "audit.log") == 1
    assert await connect.partition_count(settings, "incident.events") == 3


async def test_a_topic_that_is_not_as_declared_is_named_with_the_command_that_mends_it(settings: Settings) -> None:
    await topics.ensure(settings)
    with pytest.raises(TopicMismatch) as caught:
        await topics.ensure(settings.model_copy(update={"partitions": 5}))
    lines = str(caught.value).splitlines()[1:]
    assert len(lines) == sum(topic.partitions is None for topic in declared.ALL)
    assert lines[0].startswith("- incident.events has 3 partitions, expected 5. Mend: set TOCSIN_PARTITIONS=3")
    assert f"kafka-topics.sh --bootstrap-server {connect.bootstrap(settings)} --alter" in lines[0]


async def test_records_survive_an_orderly_restart_and_clients_find_the_broker_again(
    broker: BrokerProcess, settings: Settings, new_topic: NewTopicNamed
) -> None:
    topic = await new_topic(2)
    async with connect.open_producer(settings) as producer:
        for number in range(100):
            await producer.send(topic, str(number).encode(), partition=number % 2)
        await producer.flush()
        address = broker.bootstrap
        await broker.restart()
        assert broker.bootstrap == address
        after = await connect.send(producer, Outgoing(topic, None, b"after", partition=0))
    assert after.offset == 50
    assert len(await everything(settings, topic)) == 101


@pytest.mark.kafka
async def test_what_was_acknowledged_survives_a_kill_of_apache_kafka(
    kafka: ApacheKafka, make_settings: MakeSettings
) -> None:
    settings = make_settings(broker=f"kafka://{kafka.bootstrap}")
    topic = f"test.{uuid4().hex}"
    async with connect.open_admin(settings) as admin:
        await admin.create_topics([NewTopic(topic, 4, 1)])
    acknowledged: set[str] = set()
    enough = asyncio.Event()

    async def write() -> None:
        async with connect.open_producer(settings) as producer:
            for number in range(600):
                await connect.send(producer, Outgoing(topic, None, str(number).encode(), partition=number % 4))
                acknowledged.add(str(number))
                if number == 300:
                    enough.set()

    writing = asyncio.create_task(write())
    await enough.wait()
    await kafka.kill9()
    before = len(acknowledged)
    await kafka.start()
    await writing
    read = [(record.value or b"").decode() for record in await everything(settings, topic)]
    assert 300 < before < 600, "the kill came in the middle"
    assert acknowledged <= set(read)
    assert len(read) == len(set(read)), "the idempotent producer repeats nothing"


MEMBER = """
import asyncio, sys
from aiokafka import AIOKafkaConsumer
async def main(bootstrap, topic):
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id="room", group_instance_id="room-1",
                                enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    await consumer.getone()
    await consumer.commit()
    print("committed", flush=True)
    await asyncio.Event().wait()
asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_static_member_comes_back_to_its_partitions_and_its_commits(
    broker: BrokerProcess, settings: Settings, new_topic: NewTopicNamed
) -> None:
    topic = await new_topic(1)
    async with connect.open_producer(settings) as producer:
        for value in (b"first", b"second"):
            await connect.send(producer, Outgoing(topic, None, value))
    arguments = [sys.executable, "-c", MEMBER.replace('"room', f'"{topic}'), broker.bootstrap, topic]
    member = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    assert member.stdout is not None
    assert await member.stdout.readline() == b"committed\n"
    member.kill()
    await member.wait()
    back = AIOKafkaConsumer(
        topic, bootstrap_servers=broker.bootstrap, group_id=topic, group_instance_id=f"{topic}-1",
        enable_auto_commit=False, auto_offset_reset="earliest",
    )  # fmt: skip
    await back.start()
    try:
        async with asyncio.timeout(20):  # the session lasts 10 s; a dynamic member would wait for its end at least
            record = await back.getone()
    finally:
        await back.stop()
    assert record.value == b"second"
    assert back.assignment() <= {TopicPartition(topic, 0)}
