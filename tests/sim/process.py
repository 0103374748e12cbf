"""The processes: the real handlers of both rooms, on ports of the world. Each may die or stop at any step."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from agents.asking import Asking
from agents.closed import ClosedIncidents
from agents.deadletters import DeadLetters
from agents.desks import Desks
from agents.fanning import FanOut
from agents.gate import Gate
from agents.holdings import FOLLOWED, Holdings
from agents.keeping import Keeping
from agents.lanes import Handle
from agents.receiving import Receiving
from agents.sealing import Sealing
from agents.sending import Post
from agents.spending import Spending
from agents.turns import Turns
from pipeline.deliver.pacing import AtOnce, Pace
from pipeline.deliver.retry import patience_for
from pipeline.links import Links
from pipeline.operators import Registry
from schemas import topics
from schemas.base import Channel, Lane
from schemas.codec import Record
from tests.sim.group import Consumer, Group
from tests.sim.log import PARTITIONS
from tests.sim.ports import SESSION_S, Beating, Follower, Pen
from tests.sim.provider import VAULT, Provider

if TYPE_CHECKING:
    from tests.sim.world import World

CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.X)
RETRY_S, HOLD_S = 5.0, 60.0
SWEEP_S = 60.0
CLOCKS_APART_S = 2.0


class Process(ABC):
    """One process of a room in one group. It knows of the world what its ports show."""

    room: ClassVar[str]
    consumer: Consumer

    def __init__(self, world: "World", group: Group, name: str) -> None:
        self.world, self.group, self.name = world, group, name
        self.dead = self.paused = self.fallen = False
        self.dies_at: int | None = None
        self.steps = 0
        self.on_waking: list[Callable[[], None]] = []
        self.pauses: list[tuple[datetime, datetime]] = []
        self._followers: dict[str, list[Follower]] = defaultdict(list)
        self._asleep: list[asyncio.Future[None]] = []
        self._skew_s = world.random.uniform(-CLOCKS_APART_S, CLOCKS_APART_S)
        self._skew = timedelta(seconds=self._skew_s)
        self._ticking = False
        self.pen = Pen(self, self.room)
        self.letters = DeadLetters(self.pen, VAULT, self.room)
        world.log.heard.append(self._hear)

    # --- what the world does with it

    @property
    def runs(self) -> bool:
        return not self.dead and not self.paused

    @property
    def is_member(self) -> bool:
        return self.runs and not self.fallen and self in self.group.members

    def now(self) -> datetime:
        """By its own clock, to the millisecond."""
        at = self.world.now() + self._skew
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    async def step(self) -> None:
        """Any moment at which the outside is awaited."""
        self.steps += 1
        if self.steps == self.dies_at:
            self.kill()
        # a moment passes, or none at all
        if (drawn := self.world.random.random()) > 0.3:
            await (self.world.loop.pause((drawn - 0.6) * 0.01) if drawn >= 0.6 else asyncio.sleep(0))
        if self.dead or self.paused:
            await self.running()

    async def running(self) -> None:
        """Returns when it runs. Of a dead one nothing runs on, for ever."""
        while not self.runs:
            self._asleep.append(self.world.loop.create_future())
            await self._asleep[-1]

    def kill(self) -> None:
        """Its memory is lost. It starts anew a little later; the group may have noticed by then, or not."""
        if not self.dead:
            self.dead = True
            self.world.fired["killed"] += 1
            self.world.log.heard.remove(self._hear)
            self.world.loop.call_later(SESSION_S, self.group.expel, self)
            self.world.loop.call_later(self.world.random.choice((0.5, 5.0, 15.0, 40.0)), self.world.start_again, self)

    def pause(self, for_s: float) -> None:
        """It stops (SIGSTOP, a long stall) and wakes up again, perhaps as one whom the group has given up."""
        if self.runs:
            self.paused = True
            self.world.fired["stalled"] += 1
            now = self.world.now()
            self.pauses.append((now, now + timedelta(seconds=for_s)))
            if for_s > SESSION_S:
                self.world.loop.call_later(SESSION_S, self._is_missed)
            self.world.loop.call_later(for_s, self._wake)

    def _is_missed(self) -> None:
        if self.paused:
            self.fallen = True
            self.group.expel(self)

    def _wake(self) -> None:
        self.paused = False
        if self.dead:
            return
        waking, self.on_waking = self.on_waking, []
        for go_on in waking:
            go_on()
        for asleep in self._asleep:
            asleep.set_result(None)
        self._asleep = []
        if self not in self.group.members:
            self.fallen = True
            self.world.fired["given up and woken"] += 1
            self.world.loop.call_later(self.world.random.uniform(0, 3), self._come_back)

    def _come_back(self) -> None:
        if self.runs:
            self.group.join(self)

    def _hear(self, topic: str, partition: int) -> None:
        for follower in self._followers[topic]:
            follower.hear(topic, partition)
        self.consumer.hear(topic, partition)

    def follow(self, of: Iterable[topics.Topic], apply: Callable[[Record], None]) -> Any:
        """A follower of these topics."""
        followed = tuple(of)
        follower = Follower(self, followed, apply)
        for topic in followed:
            self._followers[topic.name].append(follower)
        return follower

    # --- what it does

    @abstractmethod
    async def start(self) -> None:
        """Reads what it must know and joins its group."""

    @abstractmethod
    async def revoked(self) -> None:
        """The group forms anew: as the room does when its partitions are taken away."""

    def assigned(self, partitions: Iterable[int], generation: int) -> None:
        """The group has formed."""
        if not self.dead:
            self.fallen = False
            self.consumer.assigned(partitions, generation)
            self.world.spawn(self._own(set(partitions)))

    @abstractmethod
    async def _own(self, partitions: set[int]) -> None:
        """Opens what is its own now."""

    @abstractmethod
    def due(self) -> datetime | None:
        """When its background work has something to do next, by its own clock."""

    def due_s(self) -> float | None:
        """The same as a second of the world's."""
        if self.dead or self.paused or self._ticking or (due := self.due()) is None:
            return None
        return (due - self.world.start).total_seconds() - self._skew_s + 0.001

    def tick(self) -> None:
        """Lets its background work do what is due."""
        if self.runs and not self._ticking:
            self._ticking = True
            self.world.spawn(self._ticked())

    async def _ticked(self) -> None:
        await self._work_in_background()
        self._ticking = False

    @abstractmethod
    async def _work_in_background(self) -> None:
        """Does what is due now."""


class Deciding(Process):
    """The decide room."""

    room = "decide"

    def __init__(self, world: "World", group: Group, name: str) -> None:
        super().__init__(world, group, name)
        self.desks = Desks(
            self.pen, self.letters, self.follow, Registry(VAULT), self._acknowledged, self.now,
            partitions=PARTITIONS, sandbox=False,
        )  # fmt: skip
        self.consumer = Consumer(
            self, [((topics.INCIDENT_EVENTS.name, topics.INCIDENT_COMMANDS.name), self.desks.handle)]
        )

    async def _acknowledged(self, _partitions: Collection[int]) -> Mapping[tuple[str, int], int]:
        await self.step()
        return dict(self.group.committed)

    async def start(self) -> None:
        await self.desks.start()
        self.group.join(self)

    async def revoked(self) -> None:
        await self.running()
        self.desks.suspend()
        self.desks.let_go(range(PARTITIONS))

    async def _own(self, partitions: set[int]) -> None:
        await self.desks.own(partitions)

    def due(self) -> datetime | None:
        return self.desks.clockwork.next

    async def _work_in_background(self) -> None:
        await self.desks.clockwork.call(self.desks.awaited)


class Delivering(Process):
    """The deliver room."""

    room = "deliver"

    def __init__(self, world: "World", group: Group, name: str) -> None:
        super().__init__(world, group, name)
        self.heartbeat, turns = Beating(self), Turns(world.loop.time)
        self.holdings = Holdings(
            lambda apply: self.follow(FOLLOWED, apply),
            lambda holding: self.post.waiting.take_over(holding),
            Keeping(None),
        )
        self.post = Post(
            self.pen, self.letters, self.holdings, self.heartbeat, VAULT,
            {channel: cast(Any, Provider(self, channel)) for channel in CHANNELS},
            {channel: patience_for(channel, RETRY_S, HOLD_S) for channel in Channel},
            {channel: Gate(Pace(AtOnce.fixed(1)), self.now, lambda: 1.0, turns) for channel in CHANNELS},
            turns, Spending(self.pen, self.holdings, {}, self.now),
            Sealing(math.inf, world.loop.time),  # nobody seals here: the log may be silent
            Links("https://example.com", VAULT),
            self.now, world.random.random, world.loop.time,
        )  # fmt: skip
        fan_out = FanOut(self.pen, self.letters, self.holdings, turns, self.now)
        asking = Asking(self.pen, lambda: None, "Tocsin")
        receiving = Receiving(self.pen, self.letters, self.holdings, self.now, lambda: 5, asking, PARTITIONS)
        closed = ClosedIncidents(self.letters)
        self.closed = self.follow([topics.INCIDENTS_CLOSED], closed.heard)
        told, sent = closed.but_closed(fan_out.handle), closed.but_closed(self.post.handle)
        agents: list[tuple[topics.Topic, Handle]] = [
            *((topics.notices(lane), told) for lane in Lane),
            *((topics.deliveries(channel, lane), sent) for channel in CHANNELS for lane in Lane),
            (topics.PROVIDER_RECEIPTS, receiving.receipt),
            (topics.SUBSCRIBER_EVENTS_TOPIC, receiving.subscriber),
        ]
        self.consumer = Consumer(self, [((topic.name,), handle) for topic, handle in agents])
        self._swept = datetime.min.replace(tzinfo=UTC)

    async def start(self) -> None:
        await self.holdings.start()
        await self.closed.assign(range(PARTITIONS))
        for partition in range(PARTITIONS):
            await self.closed.caught_up(partition)
        self.group.join(self)

    async def revoked(self) -> None:
        await self.running()
        self.holdings.suspend()
        await self.post.quiet(SESSION_S / 3)
        await self.running()
        self.holdings.release()

    def assigned(self, partitions: Iterable[int], generation: int) -> None:
        self.heartbeat.answered(self.world.loop.time())
        super().assigned(partitions, generation)

    async def _own(self, partitions: set[int]) -> None:
        await self.holdings.own(partitions)

    def due(self) -> datetime | None:
        waiting = [holding.wakes for holding in self.holdings.all() if holding.wakes]
        return min((wake.due for wakes in waiting for wake in wakes.values()), default=None) if waiting else None

    async def _work_in_background(self) -> None:
        for holding in self.holdings.all():
            await self.post.waiting.bring_back(holding)
        if self.now() - self._swept > timedelta(seconds=SWEEP_S):
            self._swept = self.now()
            for holding in self.holdings.all():
                await self.post.waiting.give_up_lost(holding)
