"""The appender: the one process that seals. It continues the log exactly where it ends, or stops.

Order of effects: the broker has the entries, then our own disk, then a checkpoint is signed over them. Whatever is
lost after a crash can be made again from what came before; and nothing is signed that is not stored twice.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain, islice

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.archiving import Archiver
from agents.sources import Sources
from agents.trimming import trimming
from pipeline import failpoints
from pipeline.archive.reading import Archive
from pipeline.audit.checkpoint import Notary, checkpoint_path
from pipeline.audit.cosigning import Cosigning
from pipeline.audit.held import Held, index_of
from pipeline.audit.keys import LogKeys
from pipeline.audit.people import SEED_BYTES, commitment_of
from pipeline.audit.seal import SOURCE, Sealed, Source, seal, seal_own, sealed_again
from pipeline.audit.segments import Segments
from pipeline.broker import connect
from pipeline.broker.locks import Lock
from pipeline.clock import Clock
from pipeline.errors import AlreadyRunning, AuditError, BrokerError
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.audit import CheckpointSigned, TurnTaken
from schemas.base import rfc3339
from schemas.codec import Record
from schemas.ids import derived

AT_ONCE = 1000
LOCK_EVERY_S = 0.5

log = logging.getLogger("tocsin.audit")


class Appender:
    """Seals until it is told to stop. One use: after a stop, or an error, a new one begins from the log."""

    def __init__(
        self, settings: Settings, keys: LogKeys, holder: str, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._holder = holder
        self._clock = clock
        self._monotonic = monotonic
        self._stopping = asyncio.Event()
        self._held = Held()
        self._segments = Segments(settings.data_dir / "audit" / "segments")
        self._archiver = Archiver(settings, settings.archive, clock) if settings.archive else None
        self._cosigning: Cosigning | None = None
        self._next_offset = 0

    @property
    def held(self) -> Held:
        """What it holds of the log."""
        return self._held

    @property
    def archive_late(self) -> bool:
        """Whether sealing waits for the archive."""
        return self._archiver is not None and self._archiver.late

    def stop(self) -> None:
        """Asks it to end after what it has in hand; `run` returns then."""
        self._stopping.set()

    async def run(self, at_work: Callable[[], None]) -> None:
        """Reads the log to its end, says so (`at_work`), then seals. Raises AuditError, BrokerError: nothing goes on.

        A cancellation is safe at any point, as a crash is.
        """
        lock = await self._locked()
        if lock is None:
            return
        try:
            async with AsyncExitStack() as opened:
                self._producer = await opened.enter_async_context(connect.open_producer(self._settings))
                self._notary = Notary(self._settings.data_dir, self._keys, self._monotonic)
                if self._settings.witness_url is not None:
                    self._cosigning = Cosigning(self._settings.witness_url, self._settings.data_dir)
                await self._recover()
                await self._settle()
                self._sign()
                self._notary.change_key(self._held.keys)
                await self._take_turn()
                sources = Sources(self._settings, self._held, self._monotonic)
                opened.push_async_callback(sources.close)
                await sources.open()
                if self._archiver is not None:
                    await self._archiver.once()
                if not self.archive_late:
                    await self._tell(sources)
                at_work()
                async with self._witnessed():
                    async with trimming(self._settings), self._archiving():
                        await self._follow(sources)
                    self._sign()
                if self._archiver is not None:
                    await self._archiver.once()
        finally:
            lock.release()

    async def _locked(self) -> Lock | None:
        """The lock of the data directory: a paused appender that wakes up must not write segments beside ours."""
        lock, said = Lock(self._settings.data_dir / "audit" / "appender.lock"), False
        while not self._stopping.is_set():
            try:
                lock.acquire(lambda pid: f"process {pid or '(unknown)'} still seals on this data directory")
            except AlreadyRunning as error:
                if not said:
                    log.warning("%s: waiting until it ends", error)
                said = True
                await asyncio.sleep(LOCK_EVERY_S)
            else:
                return lock
        return None

    def _take_note(self) -> None:
        """One entry more: those who vouch for the log follow each."""
        self._notary.follow(self._held.chain)
        if self._cosigning is not None:
            self._cosigning.follow(self._held.chain)

    def _sign(self) -> None:
        note = self._notary.sign(self._held.chain)
        if self._cosigning is not None and note is not None:
            self._cosigning.offer(note)

    async def _vouch(self, sources: Sources) -> None:
        """Signs, and tells those who send that sealing goes on: nothing is sent while it stands still."""
        self._sign()
        failpoints.hit("record.after_checkpoint")
        await self._tell(sources)

    @asynccontextmanager
    async def _witnessed(self) -> AsyncIterator[None]:
        """Shows the checkpoints to the witness, beside the work of the block."""
        if self._cosigning is None:
            yield
            return
        if self._notary.last is not None:  # it may not have seen the last one of before
            self._cosigning.offer(checkpoint_path(self._settings.data_dir).read_bytes())
        async with self._cosigning.at_work():
            yield

    # --- continuing

    async def _recover(self) -> None:
        """Folds the log; gives the segments what they lack of it, and the broker what it lost of them."""
        self._segments.open()
        self._take_note()
        self._next_offset = await self._end()
        on_disk, lacking = iter(self._segments), list[bytes]()
        async for record in connect.read_all(self._settings, topics.AUDIT_LOG.name):
            self._next_offset = max(self._next_offset, record.offset + 1)
            value = record.value or b""
            if record.offset and not self._held.chain.size:
                await self._fold_earlier(index_of(value), on_disk)
            if not self._held.take(value):
                continue
            self._take_note()
            line = next(on_disk, None)
            if line is None:
                lacking.append(value)
            elif line != value:
                raise AuditError(
                    f"entry {self._held.chain.size - 1} in the log is another than in {self._settings.data_dir}/audit/"
                    "segments: one of the two was changed; `tocsin audit verify` says which"
                )
            if len(lacking) >= AT_ONCE:
                self._segments.append(lacking)
                lacking = []
        self._segments.append(lacking)
        if self._held.voids:
            log.warning("%d appends in the log do not link: void, passed over", self._held.voids)
        if (first := next(on_disk, None)) is not None:
            await self._put_back(chain((first,), on_disk))

    async def _fold_earlier(self, upto: int, on_disk: Iterator[bytes]) -> None:
        """What Kafka keeps no more stands in the segments; on another machine these are first made from the archive."""
        if self._segments.size < upto and self._settings.archive is not None:
            log.warning("the log begins with entry %d in its topic: earlier segments come from the archive", upto)
            await self._copy_earlier(Archive(self._settings.archive), upto)
        while self._held.chain.size < upto:
            if (line := next(on_disk, None)) is None:
                raise AuditError(
                    f"the topic begins with entry {upto}, and the segments end before entry {self._segments.size}: "
                    "put them back, or set TOCSIN_ARCHIVE to the archive that has them"
                )
            if not self._held.take(line):
                raise AuditError(f"entry {self._held.chain.size} in the segments is damaged: it does not follow on")
            self._take_note()

    async def _copy_earlier(self, archive: Archive, upto: int) -> None:
        """A thread only reads. What it reads after a cancellation nobody writes: the lock may be another's by then."""
        lacking = ([line for line in piece if self._segments.size <= index_of(line) < upto] for piece in archive.log())
        while (lines := await asyncio.to_thread(next, lacking, None)) is not None:
            self._segments.append(lines)

    async def _put_back(self, lost: Iterable[bytes]) -> None:
        """Writes what the broker lost of the log again, the same bytes."""
        size = self._held.chain.size
        log.error(
            "the broker lost %d sealed entries, from entry %d on: they are put back from the segments",
            self._segments.size - size, size,
        )  # fmt: skip
        lines = iter(lost)
        while batch := list(islice(lines, AT_ONCE)):
            sealed = []
            for value in batch:
                one = self._again(value)
                self._held.add(one)
                self._take_note()
                sealed.append(one)
            await self._append(sealed)

    def _again(self, value: bytes) -> Sealed:
        at = self._held.chain
        try:
            one = sealed_again(at, value)
        except ValueError:
            one = None
        if one is None or (one.entry.index, one.entry.prev) != (at.size, at.last.hex()):
            raise AuditError(f"entry {at.size} in the segments is damaged: it does not follow on the log; not put back")
        return one

    async def _end(self) -> int:
        part = TopicPartition(topics.AUDIT_LOG.name, 0)
        async with connect.open_reader(self._settings) as reader:
            ends = await reader.end_offsets([part])
        return int(ends[part])

    async def _take_turn(self) -> None:
        at, size = self._clock(), self._held.chain.size
        turn = TurnTaken(holder=self._holder, size=size, at=at)
        written = codec.encode(
            topics.AUDIT_TURN,
            turn,
            id=derived("turn", self._holder, size, rfc3339(at)),
            source=SOURCE,
            subject=self._holder,
            partition=0,
        )
        await connect.send(self._producer, written)

    async def _tell(self, sources: Sources) -> None:
        """At every start too: an earlier one may have died between signing and telling."""
        at, chain = self._clock(), self._held.chain
        root, read = chain.tree.root().hex(), sources.read()
        signed = CheckpointSigned(holder=self._holder, size=chain.size, root=root, read=read, at=at)
        written = codec.encode(
            topics.AUDIT_CHECKPOINTS,
            signed,
            id=derived("signed", self._holder, chain.size, rfc3339(at)),
            source=SOURCE,
            subject=self._holder,
            key="log",
            partition=0,
        )
        sources.moved = False
        await connect.send(self._producer, written)

    # --- sealing

    @asynccontextmanager
    async def _archiving(self) -> AsyncIterator[None]:
        """Copies into the archive, beside the work of the block, which ends with it if it must not go on."""
        if self._archiver is None:
            yield
            return
        copying = asyncio.create_task(self._archiver.run())
        copying.add_done_callback(lambda _: self._stopping.set())
        try:
            yield
        except BaseException:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
            raise
        self._archiver.stop()
        await copying

    async def _follow(self, sources: Sources) -> None:
        while not self._stopping.is_set():
            batch = await sources.poll()
            late = self.archive_late
            while self.archive_late and not self._stopping.is_set():
                await asyncio.sleep(LOCK_EVERY_S)
            if self._stopping.is_set():
                return  # what was read and is not sealed is read again
            if late and not batch:
                await self._tell(sources)
            if batch:
                await self._seal(batch)
            await self._introduce(sources)
            if self._notary.due() or (sources.moved and not self._notary.unsigned):
                await self._vouch(sources)

    async def _seal(self, batch: Sequence[tuple[Record, Source]]) -> None:
        sealed, at = list[Sealed](), self._held.chain
        for record, source in batch:
            sealed.append(seal(at, record, source, secrets.token_bytes(SEED_BYTES)))
            at = sealed[-1].chain
            if (entry := sealed[-1].entry).seed is not None:
                sealed.append(seal_own(at, commitment_of(entry), entry.appended_at))
                at = sealed[-1].chain
        await self._keep(sealed)

    async def _settle(self) -> None:
        """A crash may have left an entry that speaks of many without its commitment to each of them."""
        if (entry := self._held.owing) is not None:
            await self._keep([seal_own(self._held.chain, commitment_of(entry), entry.appended_at)])

    async def _introduce(self, sources: Sources) -> None:
        """Has a key that waits introduced by the present one, and then lets it sign."""
        said = self._notary.introduction(self._held.chain.size, self._held.keys)
        if said is None:
            return
        await self._keep([seal_own(self._held.chain, said, self._clock())])
        await self._vouch(sources)
        failpoints.hit("record.key_introduced")
        if self._notary.change_key(self._held.keys):
            log.warning("the log is signed with another key from entry %d on: %s",
                        self._held.chain.size, self._notary.public)  # fmt: skip

    async def _keep(self, sealed: Sequence[Sealed]) -> None:
        await self._append(sealed)
        failpoints.hit("record.after_append")
        for one in sealed:
            self._held.add(one)
            self._take_note()
        self._segments.append([one.value for one in sealed])
        failpoints.hit("record.after_segments")

    async def _append(self, sealed: Sequence[Sealed]) -> None:
        """Sends all, then looks at each acknowledgement in order: every entry must stand right behind the last."""
        acknowledged = await self._send(sealed)
        for one, offset in zip(sealed, acknowledged, strict=True):
            if offset != self._next_offset:
                raise AuditError(
                    f"someone else appends to the log: entry {one.entry.index} was to stand at offset "
                    f"{self._next_offset} and stands at {offset}"
                )
            self._next_offset += 1

    async def _send(self, sealed: Sequence[Sealed]) -> list[int]:
        producer: AIOKafkaProducer = self._producer
        try:
            sent = [
                await producer.send(
                    one.outgoing.topic,
                    value=one.outgoing.value,
                    key=one.outgoing.key,
                    partition=one.outgoing.partition,
                    headers=list(one.outgoing.headers),
                )
                for one in sealed
            ]
            return [metadata.offset for metadata in await asyncio.gather(*sent)]
        except KafkaError as error:
            raise BrokerError(f"the log cannot be appended to: {error!r}; sealing stops") from error
