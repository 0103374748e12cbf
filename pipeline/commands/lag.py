"""How far each room is behind: what stands in its topics and was not worked off yet, in records."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from aiokafka import TopicPartition

from pipeline.audit.seal import SEALED_TOPICS
from pipeline.broker import connect
from pipeline.settings import Settings
from schemas import topics
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
TAIL = 4096
Part = tuple[str, int]


async def lags(settings: Settings) -> dict[str, int]:
    """The lag of each room. Raises BrokerError."""
    found = {}
    async with connect.open_admin(settings) as admin, connect.open_reader(settings) as reader:
        for room, worked_off in WORKED_OFF.items():
            begins, ends = await _bounds(reader, worked_off, settings)
            committed = await _committed(admin, f"tocsin-{room}", list(ends))
            found[room] = behind(begins, ends, committed)
        begins, ends = await _bounds(reader, SEALED_TOPICS, settings)
    found["record"] = behind(begins, ends, await sealed_up_to(settings, (p for p in ends if ends[p] > begins[p])))
    return found


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


async def _committed(admin: Any, group: str, parts: list[Part]) -> dict[Part, int]:
    asked = [TopicPartition(topic, number) for topic, number in parts]
    told = await admin.list_consumer_group_offsets(group, partitions=asked)
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


async def log_length(settings: Settings) -> int:
    """How many records stand in the topic of the log. Raises BrokerError."""
    async with connect.open_reader(settings) as reader:
        begins, ends = await _bounds(reader, (topics.AUDIT_LOG,), settings)
    return behind(begins, ends, {})


async def sealed_up_to(settings: Settings, wanted: Iterable[Part]) -> dict[Part, int]:
    """Per partition of the sealed topics, the offset after the record that was sealed last.

    The record room keeps no offsets: the log itself says how far it has come. Its tail is read, and more of it only
    where a partition has been silent for long.
    """
    missing, tail = set(wanted), TAIL
    log = (topics.AUDIT_LOG.name, 0)
    async with connect.open_reader(settings) as reader:
        begins, ends = await _bounds(reader, (topics.AUDIT_LOG,), settings)
    while True:
        start = max(begins[log], ends[log] - tail)
        reached: dict[Part, int] = {}
        async for record in connect.read_all(settings, topics.AUDIT_LOG.name, start={0: start}):
            origin = orjson.loads(record.value or b"{}").get("origin")
            if origin is not None:
                reached[origin["topic"], origin["partition"]] = origin["offset"] + 1
        if start == begins[log] or missing <= reached.keys():
            return reached
        tail *= 16
