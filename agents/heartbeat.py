"""How fresh is this worker's membership? A worker that the group may have given up must not send."""

import asyncio
import time
from collections.abc import Callable
from typing import Any


class Heartbeat:
    """Notes each heartbeat that the group's coordinator answered with "you are a member"."""

    def __init__(self, session_timeout_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = session_timeout_s / 2
        self._now = monotonic
        self._last = monotonic()
        self._watched: Any = None

    def watch(self, app: Any) -> None:
        """Listens in on the consumer's coordinator; aiokafka has no public word of its last heartbeat."""
        coordinator = app.consumer._thread._ensure_consumer()._coordinator
        self.answered(self._now())  # being assigned partitions is a sign of membership too
        if coordinator is self._watched:
            return
        beat = coordinator._do_heartbeat

        async def noted() -> bool:
            begun = self._now()
            member = bool(await beat())
            if member:
                self.answered(begun)
            return member

        coordinator._do_heartbeat = noted
        self._watched = coordinator

    def answered(self, begun: float) -> None:
        """A heartbeat that was sent at this moment was answered."""
        self._last = begun

    async def fresh(self) -> None:
        """Returns once the last heartbeat is younger than half the session time-out (it lies with the broker when)."""
        while self._now() - self._last > self._limit_s:
            await asyncio.sleep(0.05)
