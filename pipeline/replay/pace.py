"""What happened once, one after the other, as fast as is wanted."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar


class Timed(Protocol):
    """Something that happened at a moment."""

    @property
    def at(self) -> datetime:
        """When."""
        ...


T = TypeVar("T", bound=Timed)


async def play(
    events: Sequence[T],
    publish: Callable[[T, float], Awaitable[None]],
    speed: float | None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Publishes `events` one after the other, `speed` times as fast as they happened; None: without waiting.

    Due times are counted from the first event, so that a slow acknowledgement does not shift what follows. Without
    waiting, an incident's clock stands between its events: it runs at 1, so that what was played decides alone.
    `clock` and `sleep` are in seconds. Errors of `publish` end the play.
    """
    if not events:
        return
    began, first = clock(), events[0].at
    for event in events:
        if speed is not None and (wait := (event.at - first).total_seconds() / speed - (clock() - began)) > 0:
            await sleep(wait)
        await publish(event, speed or 1.0)
