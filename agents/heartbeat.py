"""How fresh is this worker's membership? A worker that the group may have given up must not send."""

import asyncio
import time
from typing import Any


class Heartbeat:
    """Notes each heartbeat that the group's coordinator answered with "you are a member"."""

    def __init__(self, session_timeout_s: float) -> None:
        self._limit_s = session_timeout_s / 2
        self._last = time.monotonic()
        self._watched: Any = None

    def watch(self, app: Any) -> None:
        """Listens in on the consumer's coordinator; aiokafka has no public word of its last heartbeat."""
        coordinator = app.consumer._thread._ensure_consumer()._coordinator
        self._last = time.monotonic()  # being assigned partitions is a sign of membership too
        if coordinator is self._watched:
            return
        beat = coordinator._do_heartbeat

        async def noted() -> bool:
            begun = time.monotonic()
            member = bool(await beat())
            if member:
                self._last = begun
            return member

        coordinator._do_heartbeat = noted
        self._watched = coordinator

    async def fresh(self) -> None:
        """Returns once the last heartbeat is younger than half the session time-out (it lies with the broker when)."""
        while time.monotonic() - self._last > self._limit_s:
            await asyncio.sleep(0.05)
