"""A follower: reads whole partitions from their beginning and goes on reading, so that state is a fold of topics."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.app import die
from agents.holdings import NOWHERE
from pipeline.broker import connect
from pipeline.deliver.store import Place, proof_of
from pipeline.settings import Settings
from schemas import topics as all_topics
from schemas.codec import Record
from schemas.topics import Topic

log = logging.getLogger("tocsin.follow")

LOT_BYTES = 256 * 1024
LOT_WAIT_MS = 250
"""What is read in lots is read when so much is there, or after so long (one fetch for 20, under load)."""
GAP_CHECK_S = 1.0
PROOF_S = 10.0
TRIMMED = frozenset({all_topics.INCIDENT_JOURNAL.name, all_topics.DELIVERY_RECORDS_TOPIC.name})
"""The topics that Kafka forgets from their beginning, once nobody needs it (`pipeline.trimming`)."""
COMPACTED = frozenset(topic.name for topic in all_topics.ALL if topic.cleanup == "compact")


class Follower:
    """Follows the same partitions of several topics and hands each record to `apply`, in order per partition.

    `apply` must not await and must not raise: the position and the state move together, as others see them.
    `in_lots`: those of the topics that nobody waits for but at the beginning. A consumer of their own reads them, so
    that a record there does not end the fetch by which the others are heard of at once.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Iterable[Topic],
        apply: Callable[[Record], None],
        in_lots: Iterable[Topic] = (),
    ) -> None:
        self._settings = settings
        self._topics = tuple(topic.name for topic in topics)
        self._lots = frozenset(topic.name for topic in in_lots)
        self._apply = apply
        self._next: dict[TopicPartition, int] = {}
        self._moved = asyncio.Condition()
        self._assigning = asyncio.Lock()
        self._assigned = asyncio.Event()
        self._consumers: dict[bool, AIOKafkaConsumer] = {}
        """Under whether it reads in lots."""
        self._asker: AIOKafkaConsumer | None = None
        self._wanted: set[TopicPartition] = set()
        self._round: asyncio.Task[dict[TopicPartition, int]] | None = None
        self._round_begun = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connects; nothing is read before `assign`."""
        options = connect.client_options(self._settings)
        for lots in sorted({topic in self._lots for topic in self._topics}):
            self._consumers[lots] = AIOKafkaConsumer(
                **options,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_min_bytes=LOT_BYTES if lots else 1,
                fetch_max_wait_ms=LOT_WAIT_MS if lots else 500,
                max_partition_fetch_bytes=8 * 1024 * 1024,
            )
        # a broker answers the requests of one connection in turn: a question behind a long poll waits for its end
        self._asker = AIOKafkaConsumer(**options, enable_auto_commit=False)
        for client in (*self._consumers.values(), self._asker):
            await client.start()
        self._tasks = [asyncio.create_task(self._run(consumer)) for consumer in self._consumers.values()]

    async def stop(self) -> None:
        """Stops reading."""
        for task in self._tasks:
            task.cancel()
        for client in (*self._consumers.values(), self._asker):
            if client is not None:
                await client.stop()

    async def assign(self, partitions: Iterable[int], starts: Mapping[tuple[str, int], int] = NOWHERE) -> None:
        """Follows exactly `partitions` from now on, kept ones from where they are.

        New ones from where `starts` says, by topic and partition, else from their beginning.
        """
        wanted = {TopicPartition(topic, partition) for topic in self._topics for partition in partitions}
        async with self._assigning:
            self._assigned.clear()
            self._next = {tp: at for tp, at in self._next.items() if tp in wanted}
            if not wanted:
                for consumer in self._consumers.values():
                    consumer.unsubscribe()
                return
            for lots, consumer in self._consumers.items():
                consumer.assign([tp for tp in wanted if (tp.topic in self._lots) is lots])
            fresh = [tp for tp in wanted if tp not in self._next]
            beginnings = await self._ask().beginning_offsets(fresh) if fresh else {}
            self._next |= {tp: max(at, starts.get((tp.topic, tp.partition), 0)) for tp, at in beginnings.items()}
            for tp, at in beginnings.items():
                if at and tp.topic in TRIMMED:
                    log.info("%s-%d begins at %d: what stood before is of closed incidents, in the archive", *tp, at)
            for tp in wanted:
                self._reader(tp).seek(tp, self._next[tp])
            self._assigned.set()

    async def holds(self, topic: str, partition: int, place: Place) -> bool:
        """Whether the record before `place` is still the one that was folded there.

        Of a compacted topic it may be gone for good reasons: then it is enough that the topic reaches so far.
        """
        tp = TopicPartition(topic, partition)
        if (await self._ask().end_offsets([tp]))[tp] < place.next:
            return False
        if topic in COMPACTED:
            return True
        consumer = AIOKafkaConsumer(**connect.client_options(self._settings), enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([tp])
            consumer.seek(tp, place.next - 1)
            async with asyncio.timeout(PROOF_S):
                record = connect.to_record(await consumer.getone(tp))
        except TimeoutError:
            return False
        finally:
            await consumer.stop()
        return proof_of(record) == place.proof

    async def caught_up(self, partition: int, *topics: Topic) -> None:
        """Returns when everything that stood in the partition (of `topics`, or of all) at the call has been applied."""
        names = tuple(topic.name for topic in topics) or self._topics
        tps = [TopicPartition(name, partition) for name in names]
        ends = await self._ends(tps)
        for tp, end in ends.items():
            if end < self._next.get(tp, 0):
                log.error(
                    "the broker lost records: %s-%d ends at %d, but %d were folded; what was folded stays known here",
                    tp.topic, tp.partition, end, self._next[tp],
                )  # fmt: skip
        while not all(self._reached(tp, end) for tp, end in ends.items()):
            try:
                async with asyncio.timeout(GAP_CHECK_S), self._moved:
                    await self._moved.wait_for(lambda: all(self._reached(tp, end) for tp, end in ends.items()))
            except TimeoutError:
                await self._pass_gaps(ends)

    async def _pass_gaps(self, ends: dict[TopicPartition, int]) -> None:
        """Compaction may leave nothing between the last record and the end: then the client's position tells."""
        for tp, end in ends.items():
            if not self._reached(tp, end) and tp in self._reader(tp).assignment():
                position = await self._reader(tp).position(tp)
                if tp in self._next:  # else it was taken away meanwhile, and is to be read from its beginning next time
                    self._next[tp] = max(self._next[tp], position)

    def _reached(self, tp: TopicPartition, end: int) -> bool:
        return tp not in self._next or self._next[tp] >= end

    async def _run(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                await self._assigned.wait()
                for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                    self._take(tp, records)
                async with self._moved:
                    self._moved.notify_all()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            die(error)

    def _take(self, tp: TopicPartition, records: list[object]) -> None:
        if tp not in self._next:
            return  # taken away while the fetch was under way
        for raw in records:
            record = connect.to_record(raw)
            if record.offset >= self._next[tp]:
                self._apply(record)
                self._next[tp] = record.offset + 1

    async def _ends(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The ends as of now. Questions that come while one is on its way go together in the next one."""
        wanted = set(tps)
        self._wanted |= wanted
        if self._round is None or self._round_begun:
            previous, self._round_begun = self._round, False
            self._round = asyncio.create_task(self._ask_round(previous))
        ends = await asyncio.shield(self._round)
        return {tp: ends[tp] for tp in wanted}

    async def _ask_round(self, previous: "asyncio.Task[dict[TopicPartition, int]] | None") -> dict[TopicPartition, int]:
        if previous is not None:
            await asyncio.wait([previous])
        wanted, self._wanted, self._round_begun = self._wanted, set(), True
        return dict(await self._ask().end_offsets(list(wanted)))

    def _ask(self) -> AIOKafkaConsumer:
        if self._asker is None:
            raise RuntimeError("start() comes first")
        return self._asker

    def _reader(self, tp: TopicPartition) -> AIOKafkaConsumer:
        return self._consumers[tp.topic in self._lots]
