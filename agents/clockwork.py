"""The clock as an input: a moment that a decision asked for becomes a wake command in the log when it has come."""

import asyncio
import heapq
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from agents.emit import Emitter
from pipeline.clock import Clock
from schemas import codec, topics
from schemas.base import rfc3339
from schemas.command import Wake, WakeReason
from schemas.ids import derived
from schemas.journal import JournalEntry, VirtualClock, WakeScheduled

SOURCE = "tocsin/clock"
TICK_S = 0.1
Awaited = Callable[[int, str, str], bool]
"""Whether this call is still to come: partition, incident, id of the wake."""

log = logging.getLogger("tocsin.clock")


class Clockwork:
    """Keeps the wakes of the partitions of this worker. Their ids are deterministic: a second one is a duplicate."""

    def __init__(self, emitter: Emitter, now: Clock) -> None:
        self._emitter = emitter
        self._now = now
        self._heap: list[tuple[datetime, int, str, datetime, WakeReason]] = []
        self._virtual: dict[str, VirtualClock] = {}

    def note(self, partition: int, entry: JournalEntry) -> None:
        """Takes in the wakes that an entry asks for; a played incident's follow its virtual clock."""
        virtual = entry.input.virtual
        if virtual is not None:
            self._virtual[entry.incident] = virtual
        for decision in entry.decisions:
            if isinstance(decision, WakeScheduled):
                at = decision.due
                if virtual is not None:
                    ahead = (decision.due - virtual.time).total_seconds() / virtual.speed
                    at = entry.input.appended_at + timedelta(seconds=max(ahead, 0.0))
                heapq.heappush(self._heap, (at, partition, entry.incident, decision.due, decision.reason))

    def forget(self, partition: int) -> None:
        """This partition's wakes are another worker's now."""
        self._heap = [item for item in self._heap if item[1] != partition]
        heapq.heapify(self._heap)

    async def run(self, awaited: Awaited) -> None:
        """Publishes for ever what is due, unless it is no longer awaited."""
        while True:
            await asyncio.sleep(TICK_S)
            await self.call(awaited)

    async def call(self, awaited: Awaited) -> None:
        """Publishes what is due at this moment."""
        while self._heap and self._heap[0][0] <= self._now():
            _, partition, incident, due, reason = heapq.heappop(self._heap)
            wake_id = derived("wake", incident, reason, due.isoformat())
            if awaited(partition, incident, wake_id):
                await self._publish(partition, incident, due, reason, wake_id)

    @property
    def next(self) -> datetime | None:
        """When something is due next."""
        return self._heap[0][0] if self._heap else None

    async def _publish(self, partition: int, incident: str, due: datetime, reason: WakeReason, wake_id: str) -> None:
        extensions = {}
        if (virtual := self._virtual.get(incident)) is not None:
            extensions = {"virtualtime": rfc3339(due), "virtualspeed": str(virtual.speed)}
        await self._emitter.forward(
            codec.encode(
                topics.INCIDENT_COMMANDS,
                Wake(due=due, reason=reason),
                id=wake_id,
                source=SOURCE,
                subject=incident,
                time=due,
                partition=partition,  # where the incident is, wherever its key would lead
                extensions=extensions,
            )
        )
