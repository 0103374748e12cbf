"""The whole way: one notice to many subscribers of mail, through every room, every record durable, the log on.

From the event published until the last outcome is on record, with a deliver worker for each of two cores where the
broker is Apache Kafka. Beside it, over the same number of recipients and against
the same smtp-sink: our email engine alone, and aiosmtplib's own loop.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pipeline.bench.email_engine import Course, Track
from pipeline.bench.figures import Measured, medians
from pipeline.bench.running import Running, kafka_is_there, running
from pipeline.bench.sinks import HOST, smtp_sink, tool
from schemas.base import Severity
from schemas.incident import IncidentOpened

RECIPIENTS: Final = {"Apache Kafka": 100_000, "the embedded broker": 10_000}
"""As many as the broker carries."""
CONNECTIONS: Final = 4
LOT_BYTES: Final = 128 * 1024
"""Of outcomes that are counted together; the last ones wait for a tenth of a second."""
PATIENCE_S: Final = 600.0
_WORDS: Final = "Logins fail for a part of the customers in Europe, and we are working on it. " * 20


def measure(runs: int) -> Iterator[Measured]:
    """Mails a second, by everything and by its parts."""
    with TemporaryDirectory() as directory, smtp_sink() as port:
        workers = min(2, os.cpu_count() or 1) if kafka_is_there() else 1
        broker, count, whole = asyncio.run(_whole(Path(directory), port, runs, workers))
        course = Course("pipeline", False, 0, CONNECTIONS, CONNECTIONS, ours=count, loop=min(count, 20_000), source=1)
        with ExitStack() as stack:
            track = Track.laid(course, Path(directory), stack, tool("smtp-source", "postfix"))
            rounds = [
                {"email_engine": asyncio.run(track.ours()), "aiosmtplib": asyncio.run(track.loop())}
                for _ in range(runs)
            ]
    found = medians([one | {"ours": rate} for one, rate in zip(rounds, whole, strict=True)])
    ours = found.pop("ours")
    about = {"broker": broker, "recipients": f"{count:,}", "deliver_workers": str(workers)}
    yield Measured("pipeline", "mails/s", ours, found, about)


async def _whole(directory: Path, port: int, runs: int, workers: int) -> tuple[str, int, list[float]]:
    async with running(directory, smtp_url=f"smtp://{HOST}:{port}", deliver_workers=workers) as system:
        count = RECIPIENTS[system.broker]
        await system.subscribe(count)
        await system.caught_up()
        return system.broker, count, [await _once(system, f"run-{number}", count) for number in range(runs)]


async def _once(system: Running, incident: str, count: int) -> float:
    event = IncidentOpened(title="Logins fail in Europe", severity=Severity.MAJOR, summary=_WORDS[:1400])
    async with system.outcomes(LOT_BYTES) as outcomes, asyncio.timeout(PATIENCE_S):
        begun = time.perf_counter()
        await system.publish(incident, event)
        await outcomes.accepted(incident, count)
        return count / (time.perf_counter() - begun)
