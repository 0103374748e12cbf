"""Who is there, read from the broker; and what is decided of them, written there."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeline.clock import now
from pipeline.enrolment import Planned
from pipeline.settings import Settings
from pipeline.subscribers import Roster
from schemas import topics

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer


async def read_roster(settings: Settings) -> Roster:
    """Everyone, read from the broker. Raises BrokerError."""
    from pipeline.broker import connect

    roster = Roster()
    for topic in (topics.SUBSCRIBER_KEYS, topics.SUBSCRIBER_EVENTS_TOPIC):
        async for record in connect.read_all(settings, topic.name):
            roster.read(record)
    roster.settle()
    return roster


async def write_all(settings: Settings, planned: Iterable[Planned]) -> None:
    """Writes with a producer of its own. Raises as `write`."""
    from pipeline.broker import connect

    async with connect.open_producer(settings) as producer:
        await write(producer, planned)


async def write(producer: "AIOKafkaProducer", planned: Iterable[Planned]) -> None:
    """Writes in the order that matters: all keys are acknowledged before any event, events before any tombstone.

    Raises BrokerError; what was acknowledged until then stands, and the same file again completes the rest.
    """
    from pipeline.broker import connect

    at = now()
    for stage in zip(*(entry.records(at) for entry in planned), strict=True):
        await asyncio.gather(*(connect.send(producer, outgoing) for records in stage for outgoing in records))
