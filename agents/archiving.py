"""Archiving: whoever appends to the log also copies it, and what belongs to it, into the archive, piece by piece.

A piece is written once. Where the archive cannot be reached, that is said, and tried again and again; after a while
(TOCSIN_ARCHIVE_BEHIND_S) sealing waits for it, and with it sending: what cannot be proved later must not be said now.
When it was reached last stands in a file, so that a restart gains no time.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.archive import layout
from pipeline.archive.copying import LogCopy
from pipeline.archive.lines import line_of
from pipeline.archive.progress import Progress
from pipeline.archive.store import Store
from pipeline.audit.files import replace_file, writing
from pipeline.audit.seal import UNREADABLE, source_of
from pipeline.broker import connect
from pipeline.clock import Clock
from pipeline.errors import ArchiveUnreachable, BrokerError
from pipeline.settings import Settings
from schemas.topics import Topic

EVERY_S = 5.0
PIECE_BYTES = 8 * 1024 * 1024

T = TypeVar("T")

log = logging.getLogger("tocsin.archive")


@dataclass
class Part:
    """How far one partition of a topic is archived. Mutable."""

    topic: str
    partition: int
    generation: int = 0
    next: int = 0

    @property
    def tp(self) -> TopicPartition:
        """As the client calls it."""
        return TopicPartition(self.topic, self.partition)


class Archiver:
    """Copies until it is cancelled; a piece that was begun is written whole first, or not at all."""

    def __init__(self, settings: Settings, url: str, clock: Clock) -> None:
        """Raises ConfigurationError where nobody knows such an address."""
        self._settings = settings
        self._store = Store(url)
        self._log = LogCopy(self._store, settings.data_dir)
        self._parts: list[Part] = []
        self._clock = clock
        self._opened = False
        self._ending = asyncio.Event()
        self._progress = Progress.path(settings.data_dir)
        before = Progress.read(self._progress)
        self.progress = before if before is not None and before.url == url else Progress(0, clock(), url)

    @property
    def late(self) -> bool:
        """Whether the archive has been out of reach for so long that sealing must wait."""
        return (self._clock() - self.progress.at).total_seconds() > self._settings.archive_behind_s

    async def run(self) -> None:
        """Copies every few seconds until `stop`. Raises AuditError if the archive is another log's."""
        while not self._ending.is_set():
            await self.once()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), EVERY_S)

    def stop(self) -> None:
        """Asks it to end after the piece in hand."""
        self._ending.set()

    async def once(self) -> None:
        """Copies what is new now; where something is out of reach that is said. Raises as `run` does."""
        try:
            await self._copy()
        except (ArchiveUnreachable, BrokerError) as error:
            when = "now" if self.late else f"{self._settings.archive_behind_s:.0f} s after it was reached last"
            log.error("%s; tried again in %.0f s. Sealing waits for it, from %s", error, EVERY_S, when)
            return
        self.progress = Progress(self._log.size, self._clock(), self._store.url)
        with writing(self._progress):
            replace_file(self._progress, self.progress.line)

    async def _copy(self) -> None:
        if not self._opened:
            await asyncio.to_thread(self._log.open, self.progress.entries)
            self._parts = [
                await self._found(topic.name, p) for topic in layout.STOCK for p in await self._partitions(topic)
            ]
            self._opened = True
        steps = self._log.copying()
        while await _to_its_end(next, steps, None) is not None:
            pass
        await self._copy_records()

    async def _partitions(self, topic: Topic) -> range:
        return range(await connect.partition_count(self._settings, topic.name))

    async def _found(self, topic: str, partition: int) -> Part:
        names = await asyncio.to_thread(self._store.names, layout.record_folder(topic, partition))
        last = max(layout.pieces(names), default=None)
        return Part(topic, partition) if last is None else Part(topic, partition, last.generation, last.after)

    async def _copy_records(self) -> None:
        async with connect.open_reader(self._settings) as reader:
            try:
                parts = [part.tp for part in self._parts]
                begins, ends = await reader.beginning_offsets(parts), await reader.end_offsets(parts)
                for part in self._parts:
                    if ends[part.tp] != part.next:
                        await self._copy_part(reader, part, begins[part.tp], ends[part.tp])
            except KafkaError as error:
                raise BrokerError(f"what is to be archived cannot be read: {error!r}") from error

    async def _copy_part(self, reader: AIOKafkaConsumer, part: Part, begin: int, end: int) -> None:
        if end < part.next:
            log.error(
                "%s-%d ends at %d, but was archived up to %d: the broker lost records. It is archived anew",
                part.topic, part.partition, end, part.next,
            )  # fmt: skip
            part.generation, part.next = part.generation + 1, begin
        elif begin > part.next:
            if part.next:
                log.error("%s-%d: offsets %d to %d were deleted before they were archived",
                          part.topic, part.partition, part.next, begin - 1)  # fmt: skip
            part.next = begin
        lines, size = list[bytes](), 0
        async for record in connect.read_partition(reader, part.tp, part.next, end):
            if source_of(record).type == UNREADABLE:
                continue  # contact data in clear, perhaps, and nothing that any fold takes: the log holds its hash
            lines.append(line_of(record) + b"\n")
            size += len(lines[-1])
            if size >= PIECE_BYTES:
                await self._put(part, lines, record.offset + 1)
                lines, size = [], 0
        await self._put(part, lines, end)

    async def _put(self, part: Part, lines: list[bytes], after: int) -> None:
        if lines:
            name = layout.record_piece(part.topic, part.partition, part.generation, part.next, after)
            await _to_its_end(self._store.put, name, b"".join(lines))
        part.next = after


async def _to_its_end(work: Callable[..., T], *given: object) -> T:
    """Does `work` in a thread. A cancellation waits for it: nothing writes beside whoever gets the lock next."""
    running = asyncio.get_running_loop().run_in_executor(None, work, *given)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()  # nobody is left to be told
        raise cancelled
    return running.result()
