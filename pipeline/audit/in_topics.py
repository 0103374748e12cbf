"""The log where the running system keeps it: in its topic."""

from collections.abc import AsyncIterator

from aiokafka import TopicPartition

from pipeline.audit.places import AT_ONCE, vouchers
from pipeline.audit.verify import Stored, Vouchers
from pipeline.broker import connect
from pipeline.settings import Settings
from schemas import topics
from schemas.codec import Record
from schemas.topics import Topic


class InTopics:
    """The running system: its topics, and what its data directory vouches with."""

    voids_allowed = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def vouchers(self) -> Vouchers:
        """Those of the data directory, if any."""
        return vouchers(self._settings.data_dir)

    async def extent(self) -> int:
        """How many records stand in the topic."""
        part = TopicPartition(topics.AUDIT_LOG.name, 0)
        async with connect.open_reader(self._settings) as reader:
            return int((await reader.end_offsets([part]))[part])

    async def stored(self) -> AsyncIterator[list[Stored]]:
        """What stands in the topic."""
        batch: list[Stored] = []
        async for record in connect.read_all(self._settings, topics.AUDIT_LOG.name):
            batch.append((record.value, dict(record.headers).get("ce_root")))
            if len(batch) >= AT_ONCE:
                yield batch
                batch = []
        yield batch

    async def records(self, topic: Topic, key: str | None = None) -> AsyncIterator[Record]:
        """What stands in the topic, or in the partition of the key."""
        home = None if key is None else [connect.partition_for(key, self._settings.partitions)]
        async for record in connect.read_all(self._settings, topic.name, partitions=home):
            if key is None or record.key == key.encode():
                yield record
