"""Kept connections: as many as there are windows at once, up to a limit; what nobody needs any more is given back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pipeline.channels.smtp_line import SmtpLine


class Pool:
    """Lends connections. The one used last is lent first, so that those not needed grow old; `idle_s` is how old."""

    def __init__(self, make: Callable[[], SmtpLine], *, limit: int, idle_s: float) -> None:
        self._make = make
        self._idle_s = idle_s
        self._slots = asyncio.Semaphore(limit)
        self._idle: list[tuple[float, SmtpLine]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> int:
        """How many connections are kept and not lent."""
        return len(self._idle)

    @asynccontextmanager
    async def line(self) -> AsyncIterator[SmtpLine]:
        """A connection of one's own, once one is free. What breaks is not kept, nor what a cancelled call leaves."""
        async with self._slots:
            line = self._idle.pop()[1] if self._idle else self._make()
            kept = False
            try:
                yield line
                kept = line.alive
            finally:
                if kept:
                    self._keep(line)
                else:
                    line.abort()

    async def close(self) -> None:
        """Ends the kept connections."""
        if self._timer is not None:
            self._timer.cancel()
        self._leave(len(self._idle))
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _keep(self, line: SmtpLine) -> None:
        loop = asyncio.get_running_loop()
        self._idle.append((loop.time(), line))
        if self._timer is None:
            self._timer = loop.call_later(self._idle_s, self._shrink)

    def _shrink(self) -> None:
        loop = asyncio.get_running_loop()
        self._leave(sum(since <= loop.time() - self._idle_s for since, _ in self._idle))
        self._timer = loop.call_at(self._idle[0][0] + self._idle_s, self._shrink) if self._idle else None

    def _leave(self, count: int) -> None:
        """Says goodbye on the `count` that were idle longest."""
        old, self._idle = self._idle[:count], self._idle[count:]
        for _, line in old:
            task = asyncio.create_task(line.quit())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
