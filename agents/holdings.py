"""What a deliver worker holds of each partition it owns: subscribers, their keys, the ledger, the waiting work.

All of it is a fold of topics. Before a partition is opened its folds have reached the end, and every attempt that an
earlier worker left without an end has been put on record as unknown.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from agents.app import die
from agents.follow import Follower
from pipeline import subscribers
from pipeline.deliver.ledger import Ledger, Told, Work
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.codec import Record, Undecodable
from schemas.delivery import DeliveryWake
from schemas.subscriber import SUBSCRIBER_EVENTS, Subscriber, SubscriberKey

log = logging.getLogger("tocsin.deliver")


@dataclass
class Holding:
    """The state of one partition."""

    partition: int
    subscribers: dict[str, Subscriber] = field(default_factory=dict)
    keys: dict[str, SubscriberKey] = field(default_factory=dict)
    by_address: dict[tuple[Channel, str], set[str]] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    wakes: dict[str, DeliveryWake] = field(default_factory=dict)
    awaited: set[tuple[Told, str, int]] = field(default_factory=set)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def apply(self, record: Record) -> None:
        """Folds one record of any of the topics."""
        if record.topic == topics.SUBSCRIBER_KEYS.name and record.value is None:
            self.keys.pop((record.key or b"").decode(), None)
            return
        try:
            event = codec.decode(record, Message)
        except Undecodable:
            return  # the agent of that topic has seen, or will see, to its dead letter
        data = event.data
        if isinstance(data, SUBSCRIBER_EVENTS):
            self._subscriber(event.subject or "", data, record)
        elif isinstance(data, SubscriberKey):
            self.keys[event.subject or ""] = data
        elif isinstance(data, DeliveryWake):
            self.wait(data)
        else:
            self.ledger.apply(data)

    def _subscriber(self, subscriber: str, data: Message, record: Record) -> None:
        before = self.subscribers.get(subscriber)
        after = subscribers.fold(subscriber, before, data, record.timestamp)
        if after is None:
            return
        for channel, token in (before.address_tokens if before else {}).items():
            self.by_address.get((channel, token), set()).discard(subscriber)
        for channel, token in after.address_tokens.items():
            self.by_address.setdefault((channel, token), set()).add(subscriber)
        self.subscribers[subscriber] = after

    def wait(self, wake: DeliveryWake) -> None:
        """Takes a piece of waiting work in."""
        self.wakes[wake.wake_id] = wake
        batch = wake.batch
        told = Told(batch.incident, batch.seq, batch.channel)
        self.awaited.update((told, recipient, batch.attempt) for recipient in batch.recipients)

    def is_awaited(self, told: Told, recipient: str, attempt: int) -> bool:
        """Whether some waiting work brings this attempt."""
        return (told, recipient, attempt) in self.awaited

    def due(self, at: datetime) -> list[DeliveryWake]:
        """Takes out the waiting work whose time has come; what was overtaken meanwhile is let go."""
        found = [wake for wake in self.wakes.values() if wake.due <= at]
        for wake in found:
            del self.wakes[wake.wake_id]
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


FOLLOWED = (
    topics.SUBSCRIBER_EVENTS_TOPIC,
    topics.SUBSCRIBER_KEYS,
    topics.DELIVERY_RECORDS_TOPIC,
    topics.DELIVERY_WAKES,
)


class Holdings:
    """All partitions of this worker."""

    def __init__(self, settings: Settings, take_over: Callable[[Holding], Awaitable[None]]) -> None:
        self._held: dict[int, Holding] = {}
        self._follower = Follower(settings, FOLLOWED, self._apply)
        self._take_over = take_over
        self._opening: set[asyncio.Task[None]] = set()
        self._suspended = False

    async def start(self) -> None:
        """Connects."""
        await self._follower.start()

    async def stop(self) -> None:
        """Lets go of everything."""
        self._held.clear()
        await self._follower.stop()

    def suspend(self) -> None:
        """The group is being rebalanced: nothing is ours until it says so again; what is folded stays for then."""
        self._suspended = True

    def disown(self, partitions: Iterable[int]) -> None:
        """These are not ours now: what is under way for them stops before its next window."""
        for partition in partitions:
            self._held.pop(partition, None)

    async def own(self, partitions: set[int]) -> None:
        """Exactly these are ours; new ones are folded and opened in the background."""
        self.disown(self._held.keys() - partitions)
        self._suspended = False
        fresh = partitions - self._held.keys()
        for partition in fresh:
            self._held[partition] = Holding(partition)
        await self._follower.assign(partitions)
        for partition in fresh:
            task = asyncio.create_task(self._open(self._held[partition]))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def opened(self) -> None:
        """Returns when every partition of ours is open."""
        for holding in list(self._held.values()):
            await holding.opened.wait()

    async def get(self, partition: int) -> Holding | None:
        """The open holding of a partition; None if it is not ours (any more)."""
        holding = self._held.get(partition)
        if holding is not None:
            await holding.opened.wait()
        return self._held.get(partition)

    def owns(self, holding: Holding) -> bool:
        """Whether this very holding is still ours."""
        return not self._suspended and self._held.get(holding.partition) is holding

    def all(self) -> list[Holding]:
        """Every open holding."""
        return [holding for holding in self._held.values() if holding.opened.is_set()]

    async def opt_outs_reached(self, partition: int) -> None:
        """Returns when the subscribers' fold has reached the partition's end as of this moment."""
        await self._follower.caught_up(partition, topics.SUBSCRIBER_EVENTS_TOPIC)

    def _apply(self, record: Record) -> None:
        holding = self._held.get(record.partition)
        if holding is not None:
            holding.apply(record)

    async def _open(self, holding: Holding) -> None:
        try:
            await self._follower.caught_up(holding.partition)
            if self._held.get(holding.partition) is holding:
                await self._take_over(holding)
                holding.opened.set()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            die(error)
