import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher

from pipeline.broker import connect
from pipeline.broker.pacing import EMPTY_FETCH_S, pace_fetches
from pipeline.settings import Settings
from schemas.codec import Outgoing


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """When fetches were sent, paced; the client is as it was afterwards."""
    sent: list[float] = []
    original = Fetcher._proc_fetch_request

    async def noted(self: Fetcher, *request: object) -> bool:
        sent.append(time.monotonic())
        return bool(await original(self, *request))

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", noted)
    pace_fetches()
    pace_fetches()
    yield sent
    monkeypatch.undo()


async def test_a_consumer_with_nothing_to_read_asks_seldom_and_still_reads_at_once(
    own_broker: Settings, fetches: list[float]
) -> None:
    consumer = AIOKafkaConsumer(
        "incident.events", **connect.client_options(own_broker), auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        reading = asyncio.create_task(consumer.getone())
        async with asyncio.timeout(20):
            while len(fetches) <= 20:
                await asyncio.sleep(EMPTY_FETCH_S)
        gaps = [after - before for before, after in pairwise(fetches[5:])]
        assert min(gaps) >= EMPTY_FETCH_S * 0.9
        async with connect.open_producer(own_broker) as producer:
            await connect.send(producer, Outgoing("incident.events", b"k", b"v"))
            sent = time.monotonic()
            assert (await reading).value == b"v"
        assert time.monotonic() - sent < 1
    finally:
        await consumer.stop()


async def test_a_consumer_is_stopped_in_the_middle_of_a_pause(own_broker: Settings, fetches: list[float]) -> None:
    for _ in range(5):
        async with connect.open_reader(own_broker) as reader:
            reader.assign([TopicPartition("incident.events", 0)])
            seen = len(fetches)
            async with asyncio.timeout(20):
                while len(fetches) < seen + 2:
                    await asyncio.sleep(0)
