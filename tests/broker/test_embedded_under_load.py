"""The embedded broker is stopped while it is written to: what it acknowledged is there afterwards."""

import asyncio

from pipeline.broker import connect
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.broker.topics import ensure
from pipeline.errors import BrokerError
from schemas import topics
from schemas.codec import Outgoing
from tests.conftest import MakeSettings

WRITERS = 6
BEFORE_THE_STOP = 3_000


async def test_nothing_acknowledged_is_lost_by_an_orderly_stop_under_load(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=3)
    acknowledged: set[bytes] = set()
    enough, done = asyncio.Event(), asyncio.Event()

    async def write(writer: int) -> None:
        topic, number = topics.DELIVERY_RECORDS_TOPIC.name, 0
        async with connect.open_producer(settings) as producer:
            while not done.is_set():
                value, number = f"{writer}-{number}".encode(), number + 1
                await connect.send(producer, Outgoing(topic, None, value, (), writer % 3))
                acknowledged.add(value)
                if len(acknowledged) >= BEFORE_THE_STOP:
                    enough.set()

    async with EmbeddedBroker(settings.data_dir) as broker:
        await ensure(settings)
        writers = [asyncio.create_task(write(n)) for n in range(WRITERS)]
        await enough.wait()
        await broker.restart()
        done.set()
        for ended in await asyncio.gather(*writers, return_exceptions=True):
            assert ended is None or isinstance(ended, BrokerError)  # what the broker forgot of the producer, it refuses
        there = {record.value async for record in connect.read_all(settings, topics.DELIVERY_RECORDS_TOPIC.name)}
    assert len(acknowledged) >= BEFORE_THE_STOP
    assert acknowledged <= there
