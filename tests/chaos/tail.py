"""Reads on in topics for as long as a test lasts: each look costs what is new, not what has been."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from pipeline.broker import connect
from pipeline.settings import Settings
from schemas.codec import Record
from schemas.topics import Topic


class Tail:
    """Hands each record of one topic to `apply`, from the beginning on."""

    def __init__(self, reader: Any, apply: Callable[[Record], None]) -> None:
        self._reader = reader
        self._apply = apply

    async def read_on(self) -> None:
        """Takes in what is new up to the ends as of now."""
        ends = await self._reader.end_offsets(list(self._reader.assignment()))
        while [part for part, end in ends.items() if await self._reader.position(part) < end]:
            for records in (await self._reader.getmany(timeout_ms=200)).values():
                for record in records:
                    self._apply(connect.to_record(record))


@asynccontextmanager
async def tail(settings: Settings, topic: Topic, apply: Callable[[Record], None]) -> AsyncIterator[Tail]:
    """A tail of a topic, for the length of a block."""
    count = await connect.partition_count(settings, topic.name)
    async with connect.open_reader(settings) as reader:
        parts = [TopicPartition(topic.name, number) for number in range(count)]
        reader.assign(parts)
        for part, begin in (await reader.beginning_offsets(parts)).items():
            reader.seek(part, begin)
        yield Tail(reader, apply)
