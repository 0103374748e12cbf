"""The log where the running system keeps it: in its topic."""

from collections.abc import AsyncIterator, Iterator
from itertools import islice

from aiokafka import TopicPartition

from pipeline.archive.reading import Archive
from pipeline.audit.held import index_of
from pipeline.audit.places import AT_ONCE, batched, sealed_records, vouchers, wanted
from pipeline.audit.seal import SEALED_TOPICS
from pipeline.audit.segments import read_lines, segment_files
from pipeline.audit.verify import Stored, Vouchers, exported
from pipeline.broker import connect
from pipeline.broker.topics import ARCHIVED
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
        """What stands in the topic, and before it what Kafka keeps no more: from the segments, or the archive."""
        batch: list[Stored] = []
        first = True
        async for record in connect.read_all(self._settings, topics.AUDIT_LOG.name):
            if first and record.offset:
                for earlier in self._earlier(index_of(record.value or b"")):
                    yield earlier
            first = False
            batch.append((record.value, dict(record.headers).get("ce_root")))
            if len(batch) >= AT_ONCE:
                yield batch
                batch = []
        yield batch

    async def records(self, topic: Topic, key: str | None = None, kind: str | None = None) -> AsyncIterator[Record]:
        """What stands in the topic, or in the partition of the key; what Kafka may have forgotten is read first.

        Journal and delivery records that were trimmed stand whole in the log.
        """
        if topic in ARCHIVED and self._settings.log_retention_days is not None and self._settings.archive is not None:
            for record in Archive(self._settings.archive).records(topic.name):
                if wanted(record, key, kind):
                    yield record
        home = None if key is None else [connect.partition_for(key, self._settings.partitions)]
        if topic in SEALED_TOPICS and any(begins := await connect.beginnings(self._settings, topic.name)):
            async for batch in self.stored():
                lines = (value for value, _ in batch if value is not None)
                for record in sealed_records(lines, topic, key, kind):
                    if record.offset < begins[record.partition]:
                        yield record
        async for record in connect.read_all(self._settings, topic.name, partitions=home):
            if wanted(record, key, kind):
                yield record

    def _earlier(self, upto: int) -> Iterator[list[Stored]]:
        """The entries before this one; none if they are nowhere, which a verification then says.

        On a new machine the segments hold as many as the record room has copied by now: the others the archive has.
        """
        segments, archive, read = self._settings.data_dir / "audit" / "segments", self._settings.archive, 0
        if segment_files(segments):
            for batch in batched(islice(read_lines(segments), upto)):
                read += len(batch)
                yield list(exported(batch))
        if read < upto and archive is not None:
            for piece in Archive(archive).log():
                yield list(exported(line for line in piece if read <= index_of(line) < upto))
