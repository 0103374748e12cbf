"""What a deliver worker holds of each partition it owns: subscribers, their keys, the ledger, the waiting work.

All of it is a fold of topics. Before a partition is opened its folds have reached the end, and every attempt that an
earlier worker left without an end has been put on record as unknown.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from agents.app import die
from pipeline import subscribers
from pipeline.deliver.census import Tally
from pipeline.deliver.forgetting import NOBODY, Forgetting
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.people import People, Someone
from pipeline.deliver.roll import Roll
from pipeline.deliver.store import Place
from pipeline.deliver.work import Told, Work
from schemas import codec, topics
from schemas.base import Message
from schemas.codec import Record, Undecodable
from schemas.delivery import DeliveryBatch, DeliveryWake
from schemas.subscriber import SUBSCRIBER_EVENTS, SubscriberKey

log = logging.getLogger("tocsin.deliver")


@dataclass(eq=False)
class Holding:
    """The state of one partition.

    `places`: how far the topics of people were folded when they were kept last (`agents.keeping`); `last`: the last
    record of each that was folded since.
    """

    partition: int
    roll: Roll = field(default_factory=Roll)
    places: dict[str, Place] = field(default_factory=dict)
    last: dict[str, Record] = field(default_factory=dict)
    subscribers: People = field(init=False)
    ledger: Ledger = field(init=False)
    forgetting: Forgetting = field(default_factory=Forgetting)
    wakes: dict[str, DeliveryWake] = field(default_factory=dict)
    awaited: set[tuple[Told, str, int]] = field(default_factory=set)
    written: dict[int, bytes] = field(default_factory=dict)
    """Our own delivery records that have not been read yet: their ids by their offsets."""
    recorded: int = 0
    """The offset behind the last delivery record that was read."""
    tally: Tally | None = None
    """How many belong to each audience, once somebody has begun to count (`agents.counting`)."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.subscribers, self.ledger = People(self.roll), Ledger(self.roll)

    def wrote(self, record: Message, id: str, offset: int) -> None:
        """Folds a delivery record that this worker has written; read at that offset, it is not folded once more."""
        self.ledger.apply(record)
        if offset >= self.recorded:
            self.written[offset] = id.encode()

    def apply(self, record: Record) -> None:
        """Folds one record of any of the topics."""
        if record.topic == topics.DELIVERY_RECORDS_TOPIC.name:
            self.recorded = record.offset + 1
            if (ours := self.written.pop(record.offset, None)) is not None and ours == codec.id_of(record):
                return
        if record.topic in KEPT:
            self.last[record.topic] = record
        if record.topic == topics.SUBSCRIBER_KEYS.name:
            self.forgetting.apply(record)
            if record.value is None:
                if record.key != NOBODY:
                    self.subscribers.put_key((record.key or b"").decode(errors="replace"), None)
                return
        try:
            # an input is read here as its own agent reads it: what one takes and the other refuses is an opt-out lost
            outside = record.topic == topics.SUBSCRIBER_EVENTS_TOPIC.name
            event = codec.decode_input(record) if outside else codec.decode(record, Message)
        except Undecodable:
            return  # the agent of that topic has seen, or will see, to its dead letter
        data = event.data
        if isinstance(data, SUBSCRIBER_EVENTS):
            self._subscriber(event.subject or "", data, record)
        elif isinstance(data, SubscriberKey):
            self._key(event.subject or "", data)
        elif isinstance(data, DeliveryWake):
            self.wait(data)
        else:
            self.ledger.apply(data)

    def folded(self, record: Record) -> bool:
        """Whether this record of people is folded for certain. Of one that was kept in a file it is not known."""
        last = self.last.get(record.topic)
        return last is not None and last.offset >= record.offset

    def _subscriber(self, subscriber: str, data: Message, record: Record) -> None:
        before = self.subscribers.get(subscriber)
        after = subscribers.fold(subscriber, before.whole() if before else None, data, record.timestamp)
        if after is None:
            return
        now = self.subscribers.put(after)
        if _is_gone(after):
            # the tombstone of a key is gone after a while, for who starts from a file; that they are gone never is
            self.subscribers.put_key(subscriber, None)
        if self.tally is not None:
            self.tally.change(before, now)

    def _key(self, subscriber: str, key: SubscriberKey) -> None:
        """A key that comes after the erasure or the merging, from whoever did not know of it yet, opens nothing."""
        known = self.subscribers.get(subscriber)
        if known is None or not _is_gone(known):
            self.subscribers.put_key(subscriber, key)

    def wait(self, wake: DeliveryWake) -> None:
        """Takes a piece of waiting work in."""
        self.wakes[wake.wake_id] = wake
        self.awaited.update(_turns(wake.batch))

    def arrived(self, batch: DeliveryBatch) -> None:
        """This batch has come to its durable result: nobody waits for it any more."""
        if self.awaited:
            self.awaited.difference_update(_turns(batch))

    def is_awaited(self, told: Told, recipient: str, attempt: int) -> bool:
        """Whether some waiting work brings this attempt."""
        return (told, recipient, attempt) in self.awaited

    def due(self, at: datetime) -> list[DeliveryWake]:
        """Takes out the waiting work whose time has come; what was overtaken meanwhile is let go."""
        found = [wake for wake in self.wakes.values() if wake.due <= at]
        for wake in found:
            del self.wakes[wake.wake_id]
            if not self._still_waits(wake):
                self.arrived(wake.batch)
        return [wake for wake in found if self._still_waits(wake)]

    def lost(self, before: datetime) -> list[tuple[Told, str, Work]]:
        """Work that was to be tried again before this moment and that no waiting work will bring back."""
        return [
            (told, recipient, work)
            for told, recipient, work in self.ledger.waiting(before)
            if not self.is_awaited(told, recipient, work.attempt + 1)
        ]

    def _still_waits(self, wake: DeliveryWake) -> bool:
        batch = wake.batch
        told = Told(batch.incident, batch.seq, batch.channel)
        works = (self.ledger.work(told, recipient) for recipient in batch.recipients)
        return any(w is None or (not w.terminal and w.attempt < batch.attempt) for w in works)


def _is_gone(someone: Someone) -> bool:
    return someone.erased or someone.merged_into is not None


def _turns(batch: DeliveryBatch) -> Iterator[tuple[Told, str, int]]:
    told = Told(batch.incident, batch.seq, batch.channel)
    return ((told, recipient, batch.attempt) for recipient in batch.recipients)


KEPT = frozenset({topics.SUBSCRIBER_EVENTS_TOPIC.name, topics.SUBSCRIBER_KEYS.name})
"""The topics of people: what is folded of them is kept in a file."""
FOLLOWED = (
    topics.SUBSCRIBER_EVENTS_TOPIC,
    topics.SUBSCRIBER_KEYS,
    topics.DELIVERY_RECORDS_TOPIC,
    topics.DELIVERY_WAKES,
)
OUR_OWN = (topics.DELIVERY_RECORDS_TOPIC, topics.DELIVERY_WAKES)
"""Of them: what a partition's worker writes itself, and folds as it does. What others wrote is read before it opens."""


NOWHERE: Mapping[tuple[str, int], int] = MappingProxyType({})


class Keeper(Protocol):
    """What holdings ask of `agents.keeping.Keeping`."""

    async def opened(self, partition: int) -> Holding:
        """The holding of a partition, as far as it was kept."""
        ...

    async def keep(self, holding: Holding) -> None:
        """Writes what changed."""
        ...

    async def tidy(self) -> None:
        """Deletes what was kept of partitions that are others' now."""
        ...

    async def forget(self, holding: Holding) -> Holding:
        """An empty holding in place of one that is not of these topics."""
        ...

    async def let_go(self, holding: Holding) -> None:
        """Writes what changed and gives the file back."""
        ...


class Following(Protocol):
    """What holdings ask of a follower of the topics in `FOLLOWED`; see `agents.follow.Follower`."""

    async def start(self) -> None:
        """Connects."""
        ...

    async def stop(self) -> None:
        """Stops reading."""
        ...

    async def assign(self, partitions: Iterable[int], starts: Mapping[tuple[str, int], int] = NOWHERE) -> None:
        """Follows exactly these; those that are new from where `starts` says, by topic and partition."""
        ...

    async def holds(self, topic: str, partition: int, place: Place) -> bool:
        """Whether the record before that place is still the one that was folded there."""
        ...

    async def caught_up(self, partition: int, *topics: topics.Topic) -> None:
        """Returns when what stood in the partition at the call has been applied."""
        ...


class Holdings:
    """All partitions of this worker."""

    def __init__(
        self,
        follower: Callable[[Callable[[Record], None]], Following],
        take_over: Callable[[Holding], Awaitable[None]],
        keeper: Keeper,
    ) -> None:
        self._held: dict[int, Holding] = {}
        self._follower = follower(self._apply)
        self._take_over = take_over
        self._keeper = keeper
        self._tasks: set[asyncio.Task[None]] = set()
        self._settled = asyncio.Event()
        self._turn = 0
        self._said = 0

    async def start(self) -> None:
        """Connects."""
        await self._follower.start()

    async def stop(self) -> None:
        """Lets go of everything."""
        self.disown(list(self._held))
        await asyncio.gather(*self._tasks)
        await self._follower.stop()

    async def keep(self) -> None:
        """Writes to their files what changed of each partition's people."""
        for holding in self.all():
            await self._keeper.keep(holding)
        if self._settled.is_set():
            await self._keeper.tidy()

    def suspend(self) -> None:
        """Nothing new is begun from now on, until the group says again what is ours; what is folded stays for then."""
        self._said += 1
        self._settled.clear()

    def release(self) -> None:
        """The group may give our partitions to others from now on: what has not reached its effect must not."""
        self._turn += 1

    def disown(self, partitions: Iterable[int]) -> None:
        """These are not ours now: what is under way for them stops before its next window."""
        for partition in partitions:
            if (holding := self._held.pop(partition, None)) is not None:
                holding.opened.set()  # whoever waits for it looks again, and finds it gone
                self._in_background(self._keeper.let_go(holding))

    async def own(self, partitions: set[int]) -> None:
        """Exactly these are ours; all are opened in the background.

        Those that were ours before too: another worker may have had them in between, if we were thought dead.
        """
        self._said += 1
        self._settled.clear()
        said, new = self._said, partitions - self._held.keys()
        found = {partition: await self._kept(partition) for partition in sorted(new)}
        if said != self._said:  # the group has said something else meanwhile
            for holding in found.values():
                await self._keeper.let_go(holding)
            return
        self.disown(self._held.keys() - partitions)
        self._held |= found
        for holding in self._held.values():
            holding.opened.clear()
        self._settled.set()
        ours = list(self._held.values())
        starts = {(topic, p): place.next for p, one in found.items() for topic, place in one.places.items()}
        await self._follower.assign(partitions, starts)
        for holding in ours:
            self._in_background(self._open(holding, said))

    async def _kept(self, partition: int) -> Holding:
        """The partition's holding as it was kept, if the topics still are what they were then."""
        holding = await self._keeper.opened(partition)
        for topic, place in holding.places.items():
            if not await self._follower.holds(topic, partition, place):
                return await self._keeper.forget(holding)
        return holding

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def opened(self) -> None:
        """Returns when every partition that is ours now is open, or no longer ours."""
        for holding in list(self._held.values()):
            await holding.opened.wait()

    async def get(self, partition: int) -> Holding | None:
        """The open holding of a partition; None if it is not ours. Waits while the group has not said."""
        while True:
            await self._settled.wait()
            holding = self._held.get(partition)
            if holding is None:
                return None
            await holding.opened.wait()
            if self._settled.is_set() and self._held.get(partition) is holding and holding.opened.is_set():
                return holding

    def turn(self, holding: Holding) -> int | None:
        """The turn in which something may be begun for this very holding; None if it is not ours (any more).

        Nor before it is open (again): what another worker did in between is not folded yet.
        """
        return self._turn if self._is_ours(holding) and holding.opened.is_set() else None

    def _is_ours(self, holding: Holding) -> bool:
        return self._settled.is_set() and self._held.get(holding.partition) is holding

    def lasts(self, holding: Holding, turn: int) -> bool:
        """Whether that turn still lasts, so that what was begun in it may reach its effect."""
        return self._turn == turn and self._held.get(holding.partition) is holding

    def all(self) -> list[Holding]:
        """Every open holding."""
        return [holding for holding in self._held.values() if holding.opened.is_set()]

    async def opt_outs_reached(self, partition: int) -> None:
        """Returns when the folds of subscribers and their keys have reached the partition's end as of this moment."""
        await self._follower.caught_up(partition, topics.SUBSCRIBER_EVENTS_TOPIC, topics.SUBSCRIBER_KEYS)

    def _apply(self, record: Record) -> None:
        holding = self._held.get(record.partition)
        if holding is not None:
            holding.apply(record)

    async def _open(self, holding: Holding, said: int) -> None:
        try:
            await self._follower.caught_up(holding.partition)
            if said == self._said and self._is_ours(holding):
                await self._take_over(holding)
                holding.opened.set()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            die(error)
