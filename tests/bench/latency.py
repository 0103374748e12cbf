"""Event published → mail taken (end of SMTP DATA), idle: `python -m tests.bench.latency [N]`.

One subscriber, one event at a time, the next only after the mail of the one before. The clock starts before the event
is written and stops when the sandbox's SMTP server has the whole mail; both are in this process.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pipeline.broker import connect
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from schemas import codec, topics
from schemas.base import Severity
from schemas.incident import IncidentOpened
from tests.system import running


async def measure(count: int) -> list[float]:
    """Milliseconds for each of `count` events."""
    taken: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        async with (
            Sandbox() as sandbox,
            running(EmbeddedBroker(Path(directory)), sandbox, ("decide", "deliver"), partitions=12) as system,
        ):
            await system.subscribe("one", email="one@example.com")
            async with connect.open_producer(system.settings) as producer:
                for n in range(count):
                    event = IncidentOpened(title=f"Incident {n}", severity=Severity.MAJOR, summary=f"It is number {n}.")
                    begun = time.perf_counter()
                    await connect.send(
                        producer,
                        codec.encode(topics.INCIDENT_EVENTS, event, id=f"e{n}", source="/bench", subject=f"INC-{n}"),
                    )
                    await sandbox.wait_for(lambda n=n: len(sandbox.mails) > n)  # type: ignore[misc]
                    taken.append((time.perf_counter() - begun) * 1000)
    return taken


def main() -> None:
    """Prints p50, p99 and the worst."""
    taken = asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
    cuts = statistics.quantiles(taken, n=100)
    print(f"{len(taken)} events: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, worst {max(taken):.1f} ms")


if __name__ == "__main__":
    main()
