"""Turns: while something first is at hand, updates begin nothing new, so that the process is free for it.

For a moment only: a first notice to a server that hangs holds nobody up for longer.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from schemas.base import Lane

HOLD_S = 0.25
"""For how long something first may hold updates up; where nothing else is done it is told in a fifth of that."""


class Turns:
    """Of one process. `now`: seconds, by a clock that is never set."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._number = count()
        self._came: dict[int, float] = {}
        self._over = asyncio.Event()
        """Set, and made anew, when something first has ended."""

    @contextmanager
    def of(self, lane: Lane) -> Iterator[None]:
        """Something of this lane is at hand."""
        if lane is not Lane.FIRST:
            yield
            return
        number = next(self._number)
        self._came[number] = self._now()
        try:
            yield
        finally:
            del self._came[number]
            self._over.set()
            self._over = asyncio.Event()

    def holds(self, lane: Lane) -> bool:
        """Whether what is of this lane is to begin nothing at this moment."""
        return lane is not Lane.FIRST and self._left_s() > 0

    async def passes(self, lane: Lane) -> None:
        """Lets others go on; returns when what is of this lane may."""
        await asyncio.sleep(0)
        while self.holds(lane):
            try:
                async with asyncio.timeout(self._left_s()):
                    await self._over.wait()
            except TimeoutError:
                continue  # unless another one came meanwhile

    def _left_s(self) -> float:
        return max(self._came.values()) + HOLD_S - self._now() if self._came else 0.0
