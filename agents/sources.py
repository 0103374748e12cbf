"""What is to be sealed: all partitions of the sealed topics, each read on from the record that was sealed last.

An offset is no identity, since a broker that lost records uses offsets again: the record at the last sealed offset
must still be the one that was sealed. Where it is not, that is said loudly and the partition is read from its start;
what is sealed already is recognised by its id.
"""

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from pipeline.audit.held import Held
from pipeline.audit.seal import SEALED_TOPICS, Source, identity, source_of
from pipeline.broker import connect
from pipeline.errors import BrokerError
from pipeline.settings import Settings
from schemas.codec import Record

ORDER = {topic.name: place for place, topic in enumerate(SEALED_TOPICS)}
BATCH_RECORDS = 500
WAIT_MS = 200
FETCH_BYTES = 256 * 1024
FETCH_WAIT_MS = 100
"""Sealing follows in bulk: answered at each record, it and the broker would work for it as hard as for the sending."""
LOSS_CHECK_S = 5.0

log = logging.getLogger("tocsin.audit")


class Sources:
    """Reads the sealed topics without a group: the log itself says how far each has come."""

    def __init__(self, settings: Settings, held: Held, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._held = held
        self._now = monotonic
        self._checked_at = float("-inf")
        self._unproved: set[TopicPartition] = set()
        self._next: dict[TopicPartition, int] = {}
        self.moved = False
        """Whether something was read that nobody was told of."""
        self._consumer: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        """Connects and goes to where the log ends. Raises BrokerError, TopicMismatch."""
        parts = [
            TopicPartition(topic.name, number)
            for topic in SEALED_TOPICS
            for number in range(await connect.partition_count(self._settings, topic.name))
        ]
        self._consumer = consumer = AIOKafkaConsumer(
            **connect.client_options(self._settings),
            group_id=None,
            enable_auto_commit=False,
            fetch_min_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            auto_offset_reset="none",  # a reset in silence would hide that the broker lost records
        )
        try:
            await consumer.start()
            consumer.assign(parts)
            begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        except KafkaError as error:
            raise connect.unreachable(self._settings, error) from error
        for part in parts:
            self._begin(part, begins[part], ends[part])

    async def close(self) -> None:
        """Disconnects."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def poll(self) -> list[tuple[Record, Source]]:
        """What is new, in the order of append times; after a short wait perhaps nothing. Raises BrokerError."""
        consumer = self._require()
        try:
            fetched = await consumer.getmany(timeout_ms=WAIT_MS, max_records=BATCH_RECORDS)
            if not fetched:
                await self._look_for_loss()
        except OffsetOutOfRangeError as error:
            for part in error.args[0] if error.args and isinstance(error.args[0], dict) else consumer.assignment():
                await self._again(part, "the broker knows nothing of the next offset")
            return []
        except KafkaError as error:
            raise BrokerError(f"the records to be sealed cannot be read: {error!r}") from error
        self.moved = self.moved or bool(fetched)
        self._next |= {part: raw[-1].offset + 1 for part, raw in fetched.items()}
        whole = [await self._proved(part, list(map(connect.to_record, raw))) for part, raw in fetched.items()]
        return list(self._new(heapq.merge(*whole, key=_when)))

    def read(self) -> dict[str, tuple[int, ...]]:
        """Which offset comes next in each partition of each topic."""
        by_topic: dict[str, list[int]] = {}
        for part in sorted(self._next):
            by_topic.setdefault(part.topic, []).append(self._next[part])
        return {topic: tuple(places) for topic, places in by_topic.items()}

    def _seek(self, part: TopicPartition, offset: int) -> None:
        self._next[part] = offset
        self._require().seek(part, offset)

    def _begin(self, part: TopicPartition, begin: int, end: int) -> None:
        place = self._held.places.get((part.topic, part.partition))
        if place is None:
            self._seek(part, begin)
        elif place.offset >= end:
            self._lost(part, f"it ends at {end}, but the record at {place.offset} is sealed")
            self._seek(part, begin)
        elif place.offset < begin:
            if place.offset + 1 < begin:
                log.error("%s-%d: offsets %d to %d were deleted before they were sealed",
                          part.topic, part.partition, place.offset + 1, begin - 1)  # fmt: skip
            self._seek(part, begin)
        else:
            self._unproved.add(part)
            self._seek(part, place.offset)
            self._next[part] += 1  # read once more to be sure of it, and sealed already

    async def _proved(self, part: TopicPartition, records: list[Record]) -> list[Record]:
        """The first record after a start must be the one that was sealed last."""
        if part in self._unproved and records:
            self._unproved.discard(part)
            first = records[0]
            if not self._held.is_last_of(first, _identity(first, source_of(first))):
                await self._again(part, f"another record stands at the last sealed offset {first.offset}")
                return []
            return records[1:]
        return records

    def _new(self, records: Iterable[Record]) -> Iterator[tuple[Record, Source]]:
        fresh: set[bytes] = set()
        for record in records:
            source = source_of(record)
            who = _identity(record, source)
            if who not in fresh and not self._held.knows(who):
                fresh.add(who)
                yield record, source

    async def _look_for_loss(self) -> None:
        if self._now() - self._checked_at < LOSS_CHECK_S:
            return
        self._checked_at = self._now()
        consumer = self._require()
        ends = await consumer.end_offsets(list(consumer.assignment()))
        for part, end in ends.items():
            if (position := await consumer.position(part)) > end:
                await self._again(part, f"it ends at {end}, but was read up to {position}")

    async def _again(self, part: TopicPartition, why: str) -> None:
        self._lost(part, why)
        self._unproved.discard(part)
        begins = await self._require().beginning_offsets([part])
        self._seek(part, begins[part])

    def _lost(self, part: TopicPartition, why: str) -> None:
        log.error(
            "the broker lost records of %s-%d: %s. What is sealed stays sealed; the partition is read from its start",
            part.topic, part.partition, why,
        )  # fmt: skip

    def _require(self) -> Any:
        if self._consumer is None:
            raise RuntimeError("open() comes first")
        return self._consumer


def _when(record: Record) -> tuple[datetime, int]:
    """By append time; of the same millisecond, a decision before what followed from it."""
    return record.timestamp, ORDER[record.topic]


def _identity(record: Record, source: Source) -> bytes:
    return identity(record.topic, source.type, source.subject, source.id)
