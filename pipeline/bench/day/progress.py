"""How far the day has come, as it is put on record: a look at the journal and at the delivery records, by counting."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.broker import connect
from pipeline.errors import TocsinError
from pipeline.settings import Settings
from schemas import topics
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, Result
from schemas.ids import derived

PATIENCE_S: Final = 300.0
"""When nothing at all has come for so long, nothing more will."""
AT_ONCE: Final = timedelta(seconds=1)
Readers = Mapping[tuple[str, str], int]
"""How many are told of a notice, by audience and channel."""


def called_at_once(entry: Mapping[str, Any]) -> set[str]:
    """The ids, as the clock gives them, of the wakes that an entry asks for because something is overdue."""
    now = datetime.fromisoformat(entry["at"]) + AT_ONCE
    wakes = [decision for decision in entry["decisions"] if decision["decision"] == "wake_scheduled"]
    due = [(wake["reason"], datetime.fromisoformat(wake["due"])) for wake in wakes]
    return {derived("wake", entry["incident"], reason, at.isoformat()) for reason, at in due if at <= now}


class Progress:
    """Counts from the moment at which it is opened."""

    def __init__(self, settings: Settings, readers: Readers) -> None:
        self._settings = settings
        self._readers = readers
        self._consumer = AIOKafkaConsumer(**connect.client_options(settings), enable_auto_commit=False)
        self._changed = asyncio.Event()
        self.decided: set[str] = set()
        """The ids of the inputs that stand in the journal."""
        self._called: set[str] = set()
        self.expected = 0
        """How many messages the journal's decisions amount to, counted without deliver's own code."""
        self.intended = 0
        self.ended: Counter[Result] = Counter()

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        named = (topics.INCIDENT_JOURNAL.name, topics.DELIVERY_RECORDS_TOPIC.name)
        self._consumer.assign([TopicPartition(t, n) for t in named for n in range(self._settings.partitions)])
        await self._consumer.seek_to_end()
        for part in self._consumer.assignment():
            await self._consumer.position(part)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    @property
    def settled(self) -> int:
        """How many have come to their end, told or not."""
        return sum(count for result, count in self.ended.items() if result.terminal)

    def quiet_after(self, event: str) -> bool:
        """Whether it was decided on, and so was whatever it found overdue; everybody who hears of it has been told."""
        return event in self.decided and self._called <= self.decided and self.settled >= self.expected

    async def follow(self) -> None:
        """Counts until it is cancelled."""
        while True:
            for part, records in (await self._consumer.getmany(timeout_ms=1000)).items():
                for record in records:
                    self._count(part.topic, dict(record.headers).get("ce_type", b"").decode(), record.value or b"{}")
                self._changed.set()

    async def until(self, reached: Callable[[], bool], what: str) -> None:
        """Returns when it is so. Raises TocsinError when nothing has come for `PATIENCE_S`."""
        while not reached():
            self._changed.clear()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._changed.wait()
            except TimeoutError:
                raise TocsinError(
                    f"nothing has come for {PATIENCE_S:.0f} s while awaiting {what}: "
                    f"{self.expected} expected, {self.intended} intended, {self.settled} settled"
                ) from None

    async def still(self, for_s: float) -> None:
        """Returns when nothing has come for so long."""
        try:
            while True:
                self._changed.clear()
                async with asyncio.timeout(for_s):
                    await self._changed.wait()
        except TimeoutError:
            return

    def _count(self, topic: str, kind: str, value: bytes) -> None:
        data: dict[str, Any] = orjson.loads(value)
        if topic == topics.INCIDENT_JOURNAL.name:
            self.decided.add(data["input"]["id"])
            self.expected += sum(self._told(decision) for decision in data["decisions"])
            self._called |= called_at_once(data)
        elif kind == DeliveriesIntended.TYPE:
            self.intended += len(data["recipients"])
        elif kind == DeliveriesEnded.TYPE:
            self.ended.update(Result(outcome["result"]) for outcome in data["outcomes"])

    def _told(self, decision: Mapping[str, Any]) -> int:
        if decision["decision"] != "notice_decided":
            return 0
        return sum(self._readers.get((decision["audience"], channel), 0) for channel in decision["renderings"])
