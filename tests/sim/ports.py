"""The ports of a process onto the world: how it writes, follows, and knows that it still is a member of its group."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agents.emit import Emitter
from agents.heartbeat import Heartbeat
from agents.holdings import NOWHERE
from pipeline.deliver.store import Place
from schemas import topics
from schemas.codec import Outgoing, Record

if TYPE_CHECKING:
    from tests.sim.process import Process

SESSION_S = 10.0
LOOKS_S = 0.05
AT_ONCE_S, LATE_S, LATE = 0.004, 3.0, 0.1


class Pen(Emitter):
    """Writes to the log. The process may die on the way there, or on the way back, when the record stands already."""

    def __init__(self, process: "Process", room: str) -> None:
        self._process, self._source = process, f"tocsin/{room}"

    async def forward(self, outgoing: Outgoing) -> Any:
        await self._process.step()
        written = self._process.world.log.append(outgoing)
        await self._process.step()
        return written


class Follower:
    """Applies records after a while, as a real one does, and up to the end when asked."""

    def __init__(self, process: "Process", of: Iterable[topics.Topic], apply: Callable[[Record], None]) -> None:
        self._process, self._apply = process, apply
        self._topics = tuple(topic.name for topic in of)
        self._next: dict[tuple[str, int], int] = {}
        self._reading = False

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def assign(self, partitions: Iterable[int], starts: Mapping[tuple[str, int], int] = NOWHERE) -> None:
        wanted = [(topic, partition) for topic in self._topics for partition in sorted(partitions)]
        begin = self._process.world.log.begin
        self._next = {tp: self._next.get(tp, max(starts.get(tp, 0), begin(*tp))) for tp in wanted}
        await self._process.step()
        self._read_soon()

    async def holds(self, topic: str, partition: int, place: Place) -> bool:
        raise AssertionError("nothing is kept in files here")

    async def caught_up(self, partition: int, *of: topics.Topic) -> None:
        tps = [(topic.name, partition) for topic in of] or [(topic, partition) for topic in self._topics]
        ends = {tp: self._process.world.log.end(*tp) for tp in tps}
        await self._process.world.loop.pause(self._lag_s())
        await self._process.step()
        for tp, end in ends.items():
            self._up_to(tp, end)

    def hear(self, topic: str, partition: int) -> None:
        """Something was appended there."""
        if (topic, partition) in self._next:
            self._read_soon()

    def _read_soon(self) -> None:
        if not self._reading:
            self._reading = True
            self._process.world.loop.call_later(self._lag_s(), self._read)

    def _lag_s(self) -> float:
        """How long a fetch takes: milliseconds, now and then seconds."""
        random = self._process.world.random
        return random.uniform(0, LATE_S if random.random() < LATE else AT_ONCE_S)

    def _read(self) -> None:
        self._reading = False
        if self._process.paused:
            self._process.on_waking.append(self._read_soon)
        elif not self._process.dead:
            for tp in list(self._next):
                self._up_to(tp, self._process.world.log.end(*tp))

    def _up_to(self, tp: tuple[str, int], end: int) -> None:
        if tp in self._next:  # who is behind the beginning goes on from there
            self._next[tp] = max(self._next[tp], self._process.world.log.begin(*tp))
        while self._next.get(tp, end) < end:
            record = self._process.world.log.records(*tp)[self._next[tp]]
            self._next[tp] += 1
            self._apply(record)


class Beating(Heartbeat):
    """As long as the process runs and the group knows it, its heartbeats are answered all the time."""

    def __init__(self, process: "Process") -> None:
        super().__init__(SESSION_S, process.world.loop.time)
        self._process = process

    async def fresh(self) -> None:
        while True:
            await self._process.running()
            if self._process.is_member:
                self.answered(self._process.world.loop.time())
                return await super().fresh()
            await self._process.world.loop.pause(self._process.world.random.uniform(0, LOOKS_S))
