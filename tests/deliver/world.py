"""A world in memory for the real sending side: a log, a provider that keeps the truth, processes that die anywhere.

Everything that a process awaits of the outside passes through `Process.step`, where it may be killed (it never
comes back from there), be sent out of its group, or see its folds creep on. One seed replays exactly.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.fanning import FanOut
from agents.gate import Gate
from agents.heartbeat import Heartbeat
from agents.holdings import FOLLOWED, NOWHERE, Holdings
from agents.keeping import Keeping
from agents.ordering import Ordering
from agents.sealing import Sealing
from agents.sending import Post
from agents.spending import Spending
from agents.turns import Turns
from pipeline.channels.base import Envelope, Recipient, Sent
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.pacing import AtOnce, Pace
from pipeline.deliver.retry import patience_for
from pipeline.deliver.spending import Cap
from pipeline.deliver.store import Place, proof_of
from pipeline.links import Links
from pipeline.operators import SIGNATURE, Signer
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Channel, Lane, Message
from schemas.codec import Event, Outgoing, Record
from schemas.delivery import DeliveriesEnded, ParkedOrder, Result
from schemas.ids import intent_id
from schemas.notice import Notice, Notices
from schemas.operator import Signature
from tests.deliver.given import AT

NOTICES = tuple(topics.notices(lane).name for lane in Lane)
DELIVERIES = tuple(topics.deliveries(channel, lane).name for channel in Channel for lane in Lane)
STEPS_OF_TROUBLE = 20
OPERATOR = Signer("ann", Ed25519PrivateKey.generate())


@dataclass
class World:
    """What outlives every process: one partition of each topic, what is committed, and what the provider took."""

    random: Random
    log: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    committed: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    sent_at: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    now: datetime = AT
    to_come: list[tuple[datetime, Outgoing]] = field(default_factory=list)
    """What others will write, and when: it stands in the log once the clock has gone that far."""
    vault: Vault = field(default_factory=lambda: Vault.of(b"a secret for tests, 32 characters"))
    earlier: list["asyncio.Task[object]"] = field(default_factory=list)
    kept: list[object] = field(default_factory=list)
    """Tasks of the dead: one that is collected would run its clean-up, which a killed process does not."""
    trouble: int = STEPS_OF_TROUBLE
    paces: dict[Channel, Pace] = field(
        default_factory=lambda: {channel: Pace(AtOnce.fixed(1 if channel is Channel.X else 4)) for channel in Channel}
    )

    caps: dict[Channel, Cap] = field(default_factory=dict)
    releasers: tuple[str, ...] = ()
    sealing: Sealing = field(default_factory=lambda: Sealing(60, lambda: 0.0))
    words_kept_until: datetime = AT + timedelta(days=7)

    def signature(self, event: Event[ParkedOrder]) -> Signature | None:
        """The signature of an order, with the key of the one operator that there is."""
        if (signature := event.extensions.get(SIGNATURE)) is None:
            return None
        roles = ("incident-manager",)
        return Signature(operator=OPERATOR.name, public_key=OPERATOR.public_key, roles=roles, signature=signature)

    def append(self, outgoing: Outgoing) -> int:
        """The offset of a record that is durable from now on."""
        records = self.log[outgoing.topic]
        at = len(records)
        records.append(Record(outgoing.topic, 0, at, self.now, outgoing.key, outgoing.value, outgoing.headers))
        return at

    def pass_to(self, moment: datetime) -> None:
        """Lets time pass, and happen what was to come until then."""
        self.now = max(self.now, moment)
        for at, outgoing in [one for one in self.to_come if one[0] <= self.now]:
            self.to_come.remove((at, outgoing))
            self.append(outgoing)

    def reasons(self, subscriber: str, seq: int) -> list[str]:
        """The reasons on record for the outcomes of a recipient's messages at a journal entry, in their order."""
        ended = (codec.decode(record, Message).data for record in self.log[topics.DELIVERY_RECORDS_TOPIC.name])
        return [
            outcome.reason
            for data in ended
            if isinstance(data, DeliveriesEnded) and data.seq == seq
            for outcome in data.outcomes
            if outcome.recipient == subscriber
        ]

    def ledger(self) -> tuple[Ledger, Counter[str], Counter[str]]:
        """The fold of the delivery records, the unknowns per intent, and all reasons."""
        ledger, unknowns, reasons = Ledger(), Counter[str](), Counter[str]()
        for record in self.log[topics.DELIVERY_RECORDS_TOPIC.name]:
            data: object = codec.decode(record, Message).data
            ledger.apply(data)
            if isinstance(data, DeliveriesEnded):
                for outcome in data.outcomes:
                    unknown = outcome.result is Result.UNKNOWN
                    unknowns[intent_id(data.incident, data.seq, outcome.recipient, data.channel)] += unknown
                    reasons[outcome.reason] += 1
        return ledger, unknowns, reasons


@dataclass(frozen=True)
class Fault:
    """After how many steps a process leaves its group while it still works, and after how many it is killed."""

    leaves: int | None = None
    killed: int | None = None
    dies_at: Channel | None = None
    """It ends at every message of this channel."""


class Process:
    """One worker: the real post and fan-out on a log, a follower and senders in memory."""

    def __init__(self, world: World, fault: Fault) -> None:
        self.world, self.fault = world, fault
        self.steps = 0
        self.over = asyncio.Event()
        """It was killed, or has left its group: the next one may start."""
        self.killed = asyncio.Event()
        self.left = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.pen = _Pen(self)
        self.providers: dict[Channel, Any] = {channel: _Provider(self, channel) for channel in Channel}
        self.dead = DeadLetters(self.pen, world.vault, "deliver")
        self.holdings = Holdings(self._follow, lambda holding: self.post.waiting.take_over(holding), Keeping(None))
        turns = Turns(lambda: world.now.timestamp())
        self.post = Post(
            self.pen, self.dead, self.holdings, cast(Heartbeat, _Beating()), world.vault,
            self.providers,
            {channel: patience_for(channel, 5, 60) for channel in Channel},
            {channel: Gate(pace, lambda: world.now, lambda: 1.0, turns) for channel, pace in world.paces.items()},
            turns,
            Spending(self.pen, self.holdings, world.caps, lambda: world.now),
            world.sealing,
            Links("https://example.com", world.vault),
            lambda: world.now, world.random.random, lambda: world.now.timestamp(),
        )  # fmt: skip
        self.fan_out = FanOut(self.pen, self.dead, self.holdings, turns, lambda: world.now)
        self.ordering = Ordering(
            self.pen, self.dead, self.holdings, self._signed, self._releasers, self._kept, lambda: world.now
        )

    async def _signed(self, event: Event[ParkedOrder]) -> Signature | None:
        return self.world.signature(event)

    async def _releasers(self) -> Collection[str]:
        return self.world.releasers

    async def _kept(self, partition: int, names: Collection[str]) -> Mapping[str, Notice]:
        await self.step()
        told = [codec.decode(record, Notices).data for topic in NOTICES for record in self.world.log[topic]]
        kept = {notice.notice_id: notice for one in told for notice in one.notices if notice.notice_id in names}
        return kept if self.world.now < self.world.words_kept_until else {}

    async def step(self) -> None:
        """Any moment at which the outside is awaited."""
        self.steps += 1
        if self.steps == self.fault.leaves:
            self.left = True
            self.holdings.suspend()
            self.holdings.release()
            self._tasks.add(asyncio.create_task(self.holdings.own(set())))
            self.over.set()
        if self.steps == self.fault.killed:
            self.killed.set()
        for _ in range(self.world.random.randrange(80 if self.left else 3)):  # who has left is slow: others overtake it
            await asyncio.sleep(0)
        if self.killed.is_set():
            self.over.set()
            await asyncio.Future()  # for ever: nothing of a killed process runs on
        self.follower.creep()

    async def run(self) -> None:
        """Works until nothing is left to do, and the clock has gone past everything that waits."""
        await self.holdings.own({0})
        await self.holdings.opened()
        while not self.left:
            await self._all_lanes()
            if self.left:
                return
            if self.world.earlier:
                await asyncio.wait(self.world.earlier)
                self.world.earlier.clear()
                continue
            wakes = [wake.due for holding in self.holdings.all() for wake in holding.wakes.values()]
            moments = [*wakes, *(at for at, _ in self.world.to_come)]
            if not moments:
                return
            self.world.pass_to(min(moments) + timedelta(milliseconds=1))
            for holding in self.holdings.all():
                await self.post.waiting.bring_back(holding)

    async def _all_lanes(self) -> None:
        handlers = dict.fromkeys(NOTICES, self.fan_out.handle) | dict.fromkeys(DELIVERIES, self.post.handle)
        handlers[topics.DELIVERY_ORDERS.name] = self.ordering.handle
        while not self.left and any(self.world.committed[t] < len(self.world.log[t]) for t in handlers):
            await asyncio.gather(*(self._lane(topic, handle) for topic, handle in handlers.items()))

    async def _lane(self, topic: str, handle: Callable[[Record], Any]) -> None:
        world, at = self.world, self.world.committed[topic]
        while at < len(world.log[topic]) and not self.left:
            if not await handle(world.log[topic][at]):
                return
            at += 1
            if world.random.random() < 0.5 and not self.left:
                world.committed[topic] = max(at, world.committed[topic])
        if not self.left:
            world.committed[topic] = max(at, world.committed[topic])

    def _follow(self, apply: Callable[[Record], None]) -> "_Follower":
        self.follower = _Follower(self, apply)
        return self.follower


class _Follower:
    """Applies records late, as a real one does, and up to the end when asked."""

    def __init__(self, process: Process, apply: Callable[[Record], None]) -> None:
        self._process, self._apply = process, apply
        self._next: dict[str, int] = {}
        self.creeps = True

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def assign(self, partitions: Iterable[int], starts: Mapping[tuple[str, int], int] = NOWHERE) -> None:
        names = [topic.name for topic in FOLLOWED] if set(partitions) else []
        self._next = {name: starts.get((name, 0), 0) for name in names}

    async def holds(self, topic: str, partition: int, place: Place) -> bool:
        log = self._process.world.log[topic]
        return len(log) >= place.next and proof_of(log[place.next - 1]) == place.proof

    async def caught_up(self, partition: int, *of: topics.Topic) -> None:
        names = [topic.name for topic in of or FOLLOWED]
        ends = {name: len(self._process.world.log[name]) for name in names}
        await self._process.step()
        for name, end in ends.items():
            self._up_to(name, end)

    def creep(self) -> None:
        for name, at in list(self._next.items()) if self.creeps else ():
            end = len(self._process.world.log[name])
            self._up_to(name, self._process.world.random.randint(at, max(at, end)))

    def _up_to(self, name: str, end: int) -> None:
        while self._next.get(name, end) < end:
            record = self._process.world.log[name][self._next[name]]
            self._next[name] += 1
            self._apply(record)


class _Pen(Emitter):
    def __init__(self, process: Process) -> None:
        self._process, self._source = process, "tocsin/deliver"

    async def forward(self, outgoing: Outgoing) -> Any:
        await self._process.step()
        offset = self._process.world.append(outgoing)
        await self._process.step()
        return SimpleNamespace(offset=offset)


class _Beating:
    async def fresh(self) -> None: ...


class _Provider:
    """Takes, refuses for now, or leaves one in the dark, having taken it or not; trouble ends after a while."""

    def __init__(self, process: Process, channel: Channel) -> None:
        self._process, self.channel = process, channel
        self.max_window = 2 if channel is Channel.EMAIL else 1

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        return [await self._one(recipient) for recipient in recipients]

    async def _one(self, recipient: Recipient) -> Sent:
        if self.channel is self._process.fault.dies_at:
            self._process.killed.set()
        await self._process.step()
        world = self._process.world
        fate = world.random.choice(("taken", "taken", "later", "dark", "taken, dark")) if world.trouble else "taken"
        world.trouble = max(0, world.trouble - 1)
        world.accepted[recipient.intent_id] += fate.startswith("taken")
        world.sent_at[recipient.intent_id].append(world.now)
        await self._process.step()
        result = {"taken": Result.ACCEPTED, "later": Result.RETRYABLE}.get(fate, Result.UNKNOWN)
        return Sent(result, fate)

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        await self._process.step()
        known = self.channel is not Channel.EMAIL and self._process.world.accepted[recipient.intent_id]
        return Sent(Result.ACCEPTED if known else Result.RETRYABLE, "looked up")

    async def close(self) -> None: ...


async def live(world: World, faults: Sequence[Fault]) -> None:
    """One process after another, each with its fault, then one that is left in peace until all is done."""
    for fault in (*faults, Fault()):
        process = Process(world, fault)
        run = asyncio.create_task(process.run())
        over = asyncio.create_task(process.over.wait())
        world.kept += [process, run, over]
        await asyncio.wait({run, over}, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            run.result()
        elif process.left:
            killed = asyncio.create_task(process.killed.wait())
            world.kept.append(killed)
            ended = asyncio.create_task(asyncio.wait({run, killed}, return_when=asyncio.FIRST_COMPLETED))
            world.earlier.append(cast("asyncio.Task[object]", ended))
