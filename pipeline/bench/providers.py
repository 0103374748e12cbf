"""What the figures of SMS and X share: the whole of Tocsin before a double of the provider, and calls side by side."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pipeline.bench.running import Running, running
from pipeline.channels.base import Envelope
from pipeline.clock import now
from pipeline.settings import Settings
from schemas.base import Level, Severity
from schemas.incident import IncidentOpened
from schemas.rendering import Content, rendering_of

DELAYS_MS: Final = (0, 50)
"""How late the provider answers: at once, and as far as one across the sea is away."""
PATIENCE_S: Final = 300.0
TEXT: Final = "Major: Logins fail for a part of the customers in Europe. We are working on it. Next update 10:30 UTC."


def of_doubles(given: dict[str, str]) -> Settings:
    """The settings that lead to the doubles, and nothing else."""
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]


def envelope(content: Content) -> Envelope:
    """One message of a notice."""
    rendering = rendering_of("en", Level.CUSTOMER, content)
    return Envelope("bench", "notice", 1, now(), content, rendering.sha256, rendering.language)


async def side_by_side(call: Callable[[int], Awaitable[object]], count: int, at_once: int) -> None:
    """Calls it with 0 to `count`, so many at once."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*(work() for _ in range(at_once)))


async def whole(
    given: dict[str, str],
    runs: int,
    *,
    reached: Callable[[int], dict[str, str]],
    audience: str,
    readers: int,
    incidents: int,
) -> tuple[str, list[float]]:
    """The broker's name; of each run the messages a second, from the first event published to the last outcome."""
    with TemporaryDirectory() as directory:
        async with running(Path(directory), **given) as system:
            await system.subscribe(readers, audience=audience, reached=reached)
            await system.caught_up()
            return system.broker, [await _once(system, run, audience, readers, incidents) for run in range(runs)]


async def _once(system: Running, run: int, audience: str, readers: int, incidents: int) -> float:
    async with system.outcomes() as outcomes, asyncio.timeout(PATIENCE_S):
        begun = time.perf_counter()
        told = (system.publish(f"INC-{run}-{number}", _event(number, audience)) for number in range(incidents))
        await asyncio.gather(*told)
        await outcomes.accepted(None, readers * incidents)
        return readers * incidents / (time.perf_counter() - begun)


def _event(number: int, audience: str) -> IncidentOpened:
    """Told to that audience alone: what others would be told is not what is measured."""
    return IncidentOpened(
        title=f"Logins fail in region {number}",
        severity=Severity.MAJOR,
        summary=f"Logins fail for a part of the customers in Europe; it is number {number}.",
        private_to=(audience,),
    )
