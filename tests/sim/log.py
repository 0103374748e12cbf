"""The log: what is durable. Partitions of records in memory, as a broker keeps them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from pipeline.broker import connect
from schemas import codec, topics
from schemas.base import Message
from schemas.codec import Event, Outgoing, Record

PARTITIONS = 2


_home = lru_cache(maxsize=4096)(connect.partition_for)
"""The client hashes byte by byte, in Python; keys come again."""


class Written(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class Log:
    """All topics. `heard`: who is told of each record that was appended."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._records: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self._begins: dict[tuple[str, int], int] = defaultdict(int)
        self.heard: list[Callable[[str, int], None]] = []
        self.size = 0
        """How many records there are."""

    def append(self, outgoing: Outgoing) -> Written:
        """The record is durable from now on."""
        partition = outgoing.partition
        if partition is None:
            number = topics.BY_NAME[outgoing.topic].partitions or PARTITIONS
            partition = _home((outgoing.key or b"").decode(), number)
        records = self._records[outgoing.topic, partition]
        written = Written(outgoing.topic, partition, len(records))
        self.size += 1
        records.append(Record(*written, self._now(), outgoing.key, outgoing.value, outgoing.headers))
        for hear in list(self.heard):
            hear(outgoing.topic, partition)
        return written

    def records(self, topic: str, partition: int) -> list[Record]:
        """What stands in a partition."""
        return self._records[topic, partition]

    def end(self, topic: str, partition: int) -> int:
        """The offset of the record that will come next."""
        return len(self._records[topic, partition])

    def begin(self, topic: str, partition: int) -> int:
        """The offset of the first record that whoever follows is still given; the world itself forgets nothing."""
        return self._begins[topic, partition]

    def forget(self, topic: str, partition: int, before: int) -> None:
        """Gives nobody what stands before that offset any more."""
        self._begins[topic, partition] = max(before, self._begins[topic, partition])

    def all(self, *of: topics.Topic) -> Iterator[Record]:
        """Every record of these topics, partition by partition."""
        for topic in of:
            for partition in range(topic.partitions or PARTITIONS):
                yield from self._records[topic.name, partition]

    def number(self, topic: topics.Topic) -> int:
        """How many stand in a topic."""
        return sum(len(records) for (name, _), records in self._records.items() if name == topic.name)

    def events(self, *of: topics.Topic) -> Iterator[tuple[Record, Event[Message]]]:
        """Every record of these topics with what it says; tombstones apart."""
        for record in self.all(*of):
            if record.value is not None:
                yield record, codec.decode(record, Message)

    def dump(self) -> Iterator[bytes]:
        """Everything that stands anywhere, in a fixed order."""
        for key in sorted(self._records):
            for record in self._records[key]:
                yield repr(record).encode()
