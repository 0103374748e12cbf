"""How far each room is behind: what stands in its topics and was not worked off yet, in records."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from aiokafka import TopicPartition

from pipeline.audit.seal import SEALED_TOPICS
from pipeline.broker import connect
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.audit import CheckpointSigned
from schemas.base import Channel, Lane

WORKED_OFF: dict[str, tuple[topics.Topic, ...]] = {
    "decide": (topics.INCIDENT_EVENTS, topics.INCIDENT_COMMANDS),
    "deliver": (
        *(topics.notices(lane) for lane in Lane),
        *(topics.deliveries(channel, lane) for channel in Channel for lane in Lane),
        topics.PROVIDER_RECEIPTS,
        topics.SUBSCRIBER_EVENTS_TOPIC,
        topics.DELIVERY_ORDERS,
    ),
}
"""What the consumer group of each room acknowledges."""
Part = tuple[str, int]


async def lags(settings: Settings) -> dict[str, int]:
    """The lag of each room. Raises BrokerError."""
    async with connect.open_admin(settings) as admin, connect.open_reader(settings) as reader:
        found = {room: await left_to(room, admin, reader, settings) for room in WORKED_OFF}
        begins, ends = await _bounds(reader, SEALED_TOPICS, settings)
    _, sealed = await signed_last(settings) or (None, {})
    found["record"] = behind(begins, ends, sealed)
    return found


async def left_to(room: str, admin: Any, reader: Any, settings: Settings) -> int:
    """What one of the rooms that acknowledge has before it, for whoever looks again and again by the same clients."""
    begins, ends = await _bounds(reader, WORKED_OFF[room], settings)
    return behind(begins, ends, await committed(admin, room, list(ends)))


def behind(begins: Mapping[Part, int], ends: Mapping[Part, int], reached: Mapping[Part, int]) -> int:
    """How many records lie between what was reached and the ends; what was never begun counts as a whole."""
    return sum(max(0, end - max(reached.get(part, 0), begins[part])) for part, end in ends.items())


async def _bounds(
    reader: Any, named: Sequence[topics.Topic], settings: Settings
) -> tuple[dict[Part, int], dict[Part, int]]:
    parts = [
        TopicPartition(topic.name, number)
        for topic in named
        for number in range(settings.partitions if topic.partitions is None else topic.partitions)
    ]
    begins, ends = await reader.beginning_offsets(parts), await reader.end_offsets(parts)
    return {(p.topic, p.partition): begins[p] for p in parts}, {(p.topic, p.partition): ends[p] for p in parts}


async def committed(admin: Any, room: str, parts: list[Part]) -> dict[Part, int]:
    """Up to where a room has acknowledged what stands in these partitions; without those that it never did.

    Raises aiokafka's KafkaError.
    """
    asked = [TopicPartition(topic, number) for topic, number in parts]
    told = await admin.list_consumer_group_offsets(f"tocsin-{room}", partitions=asked)
    return {(part.topic, part.partition): place.offset for part, place in told.items() if place.offset >= 0}


async def projection_lag(settings: Settings) -> int | None:
    """How many records of the log are not in the SQL projection yet; None where there is no projection.

    Raises BrokerError, and ProjectionError where the database does not answer.
    """
    if settings.database_url is None and not (settings.data_dir / "projection").exists():
        return None
    from pipeline.projection.reader import reader  # SQLAlchemy is not imported where nothing is projected

    async with reader(settings) as found:
        if found is None:
            return None
        reached = (await found.place()).topic_offset
    async with connect.open_reader(settings) as asked:
        begins, ends = await _bounds(asked, (topics.AUDIT_LOG,), settings)
    return behind(begins, ends, {(topics.AUDIT_LOG.name, 0): reached})


async def signed_last(settings: Settings) -> tuple[datetime, dict[Part, int]] | None:
    """When the log was signed for last, by the broker's clock, and how far each partition had been read by then.

    None: it never was. Raises BrokerError.
    """
    place = (topics.AUDIT_CHECKPOINTS.name, 0)
    async with connect.open_reader(settings) as reader:
        begins, ends = await _bounds(reader, (topics.AUDIT_CHECKPOINTS,), settings)
    last, start = None, max(begins[place], ends[place] - 1)
    async for record in connect.read_all(settings, topics.AUDIT_CHECKPOINTS.name, start={0: start}):
        last = record
    if last is None:
        return None
    read = codec.decode(last, CheckpointSigned).data.read
    return last.timestamp, {(topic, n): at for topic, places in read.items() for n, at in enumerate(places)}


async def standstill(settings: Settings, now: datetime) -> datetime | None:
    """Since when something waits to be sealed, if the log stands still; None while it goes on. Raises BrokerError."""
    bound = timedelta(seconds=settings.sealed_within_s)
    signed_at, reached = await signed_last(settings) or (None, {})
    if signed_at is not None and now - signed_at <= bound:
        return None
    waits = None
    for topic in SEALED_TOPICS:
        start = {number: at for (name, number), at in reached.items() if name == topic.name}
        async for record in connect.read_all(settings, topic.name, start=start):
            waits = min(waits or record.timestamp, record.timestamp)
    return waits if waits is not None and now - waits > bound else None
