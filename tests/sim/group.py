"""A consumer group as Kafka has it, and the consumer of one process as Faust has it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from agents.lanes import Handle, serve
from schemas.codec import Record
from tests.sim.log import PARTITIONS
from tests.sim.ports import SESSION_S

if TYPE_CHECKING:
    from tests.sim.process import Process
    from tests.sim.world import World

COMMIT_S = 0.2
GATHERS_S = 0.02
"""So long a group waits for whoever else joins."""


class Group:
    """Who of a room's processes has which partitions, and up to where each is done with."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.members: list[Process] = []
        self.generation = 0
        self.committed: dict[tuple[str, int], int] = defaultdict(int)
        self._forming = False
        self._again = False

    def join(self, process: "Process") -> None:
        """A new member, or one that comes back."""
        if process not in self.members:
            self.members.append(process)
        self.rebalance()

    def expel(self, process: "Process") -> None:
        """Nothing was heard of it for a session's time."""
        if process in self.members:
            self.members.remove(process)
            self.rebalance()

    def rebalance(self) -> None:
        """Forms the group anew; what is asked for meanwhile is done after that."""
        if self._forming:
            self._again = True
        else:
            self._forming = True
            self._world.spawn(self._form())

    async def _form(self) -> None:
        while True:
            await asyncio.sleep(GATHERS_S)
            self._again = False
            leaving = [self._world.spawn(member.revoked()) for member in self.members]
            if leaving:
                await asyncio.wait(leaving, timeout=SESSION_S)
            self.generation += 1
            self._world.fired["rebalanced"] += 1
            members = [member for member in self.members if member.runs]
            shares: dict[Process, list[int]] = {member: [] for member in members}
            for partition in range(PARTITIONS if members else 0):
                shares[self._world.random.choice(members)].append(partition)
            self.members = members
            for member, partitions in shares.items():
                member.assigned(partitions, self.generation)
            if not self._again:
                self._forming = False
                return


class Message(NamedTuple):
    """A record as Faust hands it to a stream."""

    record: Record
    generation_id: int

    @property
    def topic(self) -> str:
        return self.record.topic

    @property
    def partition(self) -> int:
        return self.record.partition

    @property
    def offset(self) -> int:
        return self.record.offset

    @property
    def timestamp(self) -> float:
        return self.record.timestamp.timestamp()

    @property
    def key(self) -> bytes | None:
        return self.record.key

    @property
    def value(self) -> bytes | None:
        return self.record.value

    @property
    def headers(self) -> Any:
        return self.record.headers


class Delivered(NamedTuple):
    """What a stream yields."""

    message: Message
    app: "Consumer"

    def ack(self) -> None:
        self.app.acknowledge(self.message)


class Consumer:
    """Fetches from where the group has committed, one stream an agent, and commits now and then what was acknowledged.

    Faust commits past what is not acknowledged; so does this one, always: whoever acknowledges too early loses it.
    """

    def __init__(self, process: "Process", agents: Iterable[tuple[tuple[str, ...], Handle]]) -> None:
        self._process = process
        self._handles = dict(agents)
        self._agent_of = {topic: topics for topics in self._handles for topic in topics}
        self._streams: dict[tuple[str, ...], asyncio.Queue[Delivered]] = {}
        self._next: dict[tuple[str, int], int] = {}
        self._acked: dict[tuple[str, int], int] = {}
        self._committing = False
        self.consumer_generation_id = 0

    def assigned(self, partitions: Iterable[int], generation: int) -> None:
        """These are read from now on."""
        committed = self._process.group.committed
        self.consumer_generation_id = generation
        self._acked = {}
        self._next = {(topic, p): committed[topic, p] for topic in self._agent_of for p in partitions}
        for topic, partition in self._next:
            self.hear(topic, partition)

    def hear(self, topic: str, partition: int) -> None:
        """Something stands there that may not have been read."""
        tp = (topic, partition)
        if tp in self._next and self._next[tp] < self._process.world.log.end(*tp):
            self._process.world.loop.call_later(self._process.world.latency(), self._fetch, tp)

    def _fetch(self, tp: tuple[str, int]) -> None:
        if self._process.paused:
            self._process.on_waking.append(lambda: self._fetch(tp))
            return
        if tp not in self._next or self._process.dead:
            return
        for record in self._process.world.log.records(*tp)[self._next[tp] :]:
            self._next[tp] = record.offset + 1
            self._stream(tp[0]).put_nowait(Delivered(Message(record, self.consumer_generation_id), self))

    def _stream(self, topic: str) -> "asyncio.Queue[Delivered]":
        topics = self._agent_of[topic]
        if topics not in self._streams:
            self._streams[topics] = asyncio.Queue()
            self._process.world.spawn(serve(_Stream(self._streams[topics]), self._handles[topics]))
        return self._streams[topics]

    def acknowledge(self, message: Message) -> None:
        """Up to here everything has come to its durable result."""
        if message.generation_id != self.consumer_generation_id or self._process.dead:
            return
        tp = (message.topic, message.partition)
        self._acked[tp] = max(self._acked.get(tp, 0), message.offset + 1)
        if not self._committing:
            self._committing = True
            self._process.world.loop.call_later(self._process.world.random.uniform(0, COMMIT_S), self._commit)

    def _commit(self) -> None:
        self._committing = False
        group = self._process.group
        if self._process.paused:
            self._process.on_waking.append(self._commit)
        elif self._process.is_member and self.consumer_generation_id == group.generation:
            for tp, offset in self._acked.items():
                group.committed[tp] = max(group.committed[tp], offset)

    @property
    def lag(self) -> Mapping[tuple[str, int], int]:
        """What of the partitions that it reads is not committed."""
        group, log = self._process.group, self._process.world.log
        return {tp: lag for tp in self._next if (lag := log.end(*tp) - group.committed[tp])}


class _Stream:
    """A stream of Faust's, as far as `serve` asks for one."""

    def __init__(self, queue: "asyncio.Queue[Delivered]") -> None:
        self._queue = queue

    def noack(self) -> "_Stream":
        return self

    async def events(self) -> AsyncIterator[Delivered]:
        while True:
            yield await self._queue.get()
