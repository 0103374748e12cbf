"""The deliver room: fan out, admit, send, and take in what comes back. Its state is held per partition (holdings)."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import faust

from agents.app import Background, die, make_app, ready, settle
from agents.asking import Asking, name_in
from agents.closed import ClosedIncidents
from agents.counting import Counting
from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.fanning import FanOut
from agents.follow import Follower
from agents.gate import Gate
from agents.heartbeat import Heartbeat
from agents.holdings import FOLLOWED, OUR_OWN, Holding, Holdings
from agents.keeping import Keeping
from agents.lanes import Handle, serve
from agents.ordering import Ordering
from agents.receiving import Receiving
from agents.sealing import Sealing
from agents.sending import Post
from agents.spending import Spending
from agents.turns import Turns
from pipeline import clock
from pipeline.broker import connect
from pipeline.channels import build_senders
from pipeline.deliver.forgetting import closing
from pipeline.deliver.pacing import pace_for
from pipeline.deliver.retry import patience_for
from pipeline.deliver.spending import caps
from pipeline.links import Links
from pipeline.operators import OPERATOR, SIGNATURE, Registry
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Channel, Lane
from schemas.codec import Event, Record, Undecodable
from schemas.delivery import ParkedOrder
from schemas.notice import Notice, Notices
from schemas.operator import Signature

ROOM = "deliver"
WAKE_EVERY_S = 0.2
COUNT_EVERY_S = 0.2
SWEEP_EVERY_S = 60.0
KEEP_EVERY_S = 10.0
UNANSWERED_EVERY_S = 3600.0

log = logging.getLogger("tocsin.deliver")


class Deliver:
    """Wires the room together; one per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._vault = Vault.open(settings)
        self._heartbeat = Heartbeat(settings.session_timeout_s)
        self._started = asyncio.Event()
        self._announced = False
        self._turns = Turns(time.monotonic)
        self._background = Background()
        self.app = make_app(settings, ROOM)
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.app.on_before_shutdown.connect(self._stopping)
        self.app.task(self._start)
        self._agents()

    def _agents(self) -> None:
        """One stream for each topic: a lane never waits for the other, nor a channel for another."""
        for lane in Lane:
            self._agent(topics.notices(lane), self._notice)
            for channel in Channel:
                self._agent(topics.deliveries(channel, lane), self._batch)
        self._agent(topics.PROVIDER_RECEIPTS, self._receipt)
        self._agent(topics.SUBSCRIBER_EVENTS_TOPIC, self._subscriber)
        self._agent(topics.DELIVERY_ORDERS, self._order)

    async def _notice(self, record: Record) -> bool:
        return await self._told(record)

    async def _batch(self, record: Record) -> bool:
        return await self._sent(record)

    async def _receipt(self, record: Record) -> bool:
        return await self._receiving.receipt(record)

    async def _subscriber(self, record: Record) -> bool:
        return await self._receiving.subscriber(record)

    async def _order(self, record: Record) -> bool:
        return await self._ordering.handle(record)

    def _agent(self, topic: topics.Topic, handle: Handle) -> None:
        async def work(stream: Any) -> None:
            await self._started.wait()
            await serve(stream, handle)

        source = self.app.topic(topic.name, key_serializer="raw", value_serializer="raw")
        self.app.agent(source, name=f"{ROOM}.{topic.name}", concurrency=1)(work)

    async def _start(self) -> None:
        try:
            self._emitter = Emitter(await connect.producer(self._settings), ROOM)
            dead = DeadLetters(self._emitter, self._vault, ROOM)
            keeping = Keeping(self._settings.data_dir / ROOM)
            self._holdings = Holdings(self._follower, self._take_over, keeping)
            self._fan_out = FanOut(self._emitter, dead, self._holdings, self._turns, clock.now)
            self._counting = Counting(self._emitter, self._holdings, clock.now)
            self._spending = Spending(self._emitter, self._holdings, caps(self._settings), clock.now)
            self._registry = Registry(self._vault)
            self._sealing = Sealing(self._settings.sealed_within_s, time.monotonic)
            asking = Asking(self._emitter, lambda: self._counting.policy, name_in(self._settings.mail_from))
            self._receiving = Receiving(
                self._emitter,
                dead,
                self._holdings,
                clock.now,
                lambda: self._counting.soft_bounces,
                asking,
                self._settings.partitions,
            )
            self._post = self._make_post(dead)
            self._closed = ClosedIncidents(dead)
            self._told = self._closed.but_closed(self._fan_out.handle)
            self._sent = self._closed.but_closed(self._post.handle)
            self._ordering = Ordering(
                self._emitter, dead, self._holdings, self._signed, self._releasers, self._kept, clock.now
            )
            await self._holdings.start()
            await self._follow_all()
            self._started.set()
            self._background.run(self._wake())
            self._background.run(self._count())
            self._background.run(self._keep())
            self._background.run(self._forget_unanswered())
            self._background.run(self._tell_spending())
        except Exception as error:
            die(error)

    async def _follow_all(self) -> None:
        """What every worker reads of every partition. What was spent or closed is read before anything is sent."""
        every = range(self._settings.partitions)
        self._policies = Follower(self._settings, [topics.POLICIES], self._counting.published)
        self._operators = Follower(self._settings, [topics.OPERATORS], self._registry.apply)
        spent = Follower(self._settings, [topics.DELIVERY_SPENDING], self._spending.heard)
        signed = Follower(self._settings, [topics.AUDIT_CHECKPOINTS], self._sealing.heard)
        closed = Follower(self._settings, [topics.INCIDENTS_CLOSED], self._closed.heard)
        of_one, whole = (self._policies, self._operators, signed), (spent, closed)
        for follower in (*whole, *of_one):
            await follower.start()
            await follower.assign(range(1) if follower in of_one else every)
        await asyncio.gather(*(read.caught_up(partition) for read in whole for partition in every))
        await self._policies.caught_up(0)

    async def _signed(self, event: Event[ParkedOrder]) -> Signature | None:
        """Operators are read up to this moment: whoever was taken away just now orders nothing any more."""
        await self._operators.caught_up(0)
        name, signature = event.extensions.get(OPERATOR), event.extensions.get(SIGNATURE)
        return self._registry.signature(name, signature) if name and signature else None

    async def _releasers(self) -> Collection[str]:
        """The policy is read up to this moment as well: who may give such an order may just have been changed."""
        await self._policies.caught_up(0)
        return self._counting.policy.audience.releasers if self._counting.policy else ()

    async def _kept(self, partition: int, names: Collection[str]) -> Mapping[str, Notice]:
        """Read from the beginning: a week of notices, and only when a person orders something."""
        found: dict[str, Notice] = {}
        for lane in Lane:
            async for record in connect.read_all(self._settings, topics.notices(lane).name, partitions=[partition]):
                try:
                    told = codec.decode(record, Notices).data
                except Undecodable:
                    continue  # its dead letter is there since it came
                found |= {notice.notice_id: notice for notice in told.notices if notice.notice_id in names}
        return found

    def _make_post(self, dead: DeadLetters) -> Post:
        settings = self._settings
        links = Links(settings.public_url.rstrip("/"), self._vault, bounces=settings.mail_return_path is not None)
        return Post(
            self._emitter,
            dead,
            self._holdings,
            self._heartbeat,
            self._vault,
            build_senders(settings, links.status_callback),
            {channel: patience_for(channel, settings.retry_base_s, settings.unknown_hold_s) for channel in Channel},
            self._gates(),
            self._turns,
            self._spending,
            self._sealing,
            links,
            clock.now,
            random.random,
            time.monotonic,
        )

    def _gates(self) -> dict[Channel, Gate]:
        """A provider's limit is shared as the partitions are: nobody need know how many workers there are."""

        def share() -> float:
            return max(1, len(self._holdings.all())) / self._settings.partitions

        at, settings = clock.now(), self._settings
        return {one: Gate(pace_for(one, settings, at), clock.now, share, self._turns) for one in Channel}

    def _follower(self, apply: Callable[[Record], None]) -> Follower:
        return Follower(self._settings, FOLLOWED, apply, in_lots=OUR_OWN)

    async def _take_over(self, holding: Holding) -> None:
        await self._post.waiting.take_over(holding)

    async def _assigned(self, _app: faust.App, assigned: Iterable[Any], **_: Any) -> None:
        owned = {tp.partition for tp in assigned if tp.topic == topics.SUBSCRIBER_EVENTS_TOPIC.name}
        self._heartbeat.watch(self.app)
        self._background.run(self._own(owned))

    async def _own(self, partitions: set[int]) -> None:
        """In the background: the group must not wait for a long fold."""
        await self._started.wait()
        await self._holdings.own(partitions)
        await self._holdings.opened()
        settle()
        if not self._announced:
            self._announced = True
            log.info("deliver is ready with %d partitions", len(partitions))
            ready(self._settings, ROOM)

    async def _revoked(self, _app: faust.App, revoked: Iterable[Any], **_: Any) -> None:
        await self._let_go(within_s=self._settings.session_timeout_s / 3)
        if self._started.is_set():
            self._holdings.release()

    async def _stopping(self, _app: faust.App, **_: Any) -> None:
        await self._let_go(within_s=25.0)
        if self._started.is_set():
            await self._holdings.keep()

    async def _let_go(self, within_s: float) -> None:
        """Begins no new window and lets those under way come to their record."""
        if self._started.is_set():
            self._holdings.suspend()
            await self._post.quiet(within_s)

    async def _wake(self) -> None:
        """Brings back what waits when its time has come, and now and then looks for what was lost."""
        swept = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(WAKE_EVERY_S)
            for holding in self._holdings.all():
                await self._post.waiting.bring_back(holding)
            if (now := asyncio.get_running_loop().time()) - swept > SWEEP_EVERY_S:
                swept = now
                for holding in self._holdings.all():
                    await self._post.waiting.give_up_lost(holding)
                    if holding.forgetting.due(clock.now()):
                        await self._emitter.forward(closing(holding.partition))

    async def _keep(self) -> None:
        """Writes to file now and then what is known of people."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            await self._holdings.keep()

    async def _forget_unanswered(self) -> None:
        while True:
            for holding in self._holdings.all():
                await self._receiving.forget_unanswered(holding)
            await asyncio.sleep(UNANSWERED_EVERY_S)

    async def _count(self) -> None:
        """Tells how many there are in each audience, under the policy in force."""
        while True:
            await self._counting.tell()
            await asyncio.sleep(COUNT_EVERY_S)

    async def _tell_spending(self) -> None:
        while True:
            await self._spending.tell(asyncio.get_running_loop().time())
            await asyncio.sleep(COUNT_EVERY_S)


def build(settings: Settings) -> faust.App:
    """The room's Faust app, wired."""
    return Deliver(settings).app
