"""Latency: an event published until its mail is taken; idle, and while a large update is being sent.

Idle, the clock stops when the whole mail is with the sandbox's server, which is in this process. Under load it stops
when the outcome is on record, a little later: smtp-sink, which takes the load, does not say what it took.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pipeline.bench.figures import Latency
from pipeline.bench.pipeline import PATIENCE_S, RECIPIENTS
from pipeline.bench.running import running
from pipeline.bench.sinks import HOST, smtp_sink
from pipeline.broker.kafka import ApacheKafka
from pipeline.sandbox import Sandbox
from schemas.base import Severity
from schemas.incident import ImpactChanged, IncidentOpened

IDLE_EVENTS: Final = 100
"""In each run."""
WARM_UP: Final = 500
"""Events before them that do not count on Kafka: for so long a Java that has just started compiles what it does."""
PROBE: Final = "technical"
"""The audience of the one reader whose mails are timed under load; those of the load are customers."""


def measure(runs: int) -> Iterator[Latency]:
    """Both, each over all events of all runs."""
    with TemporaryDirectory() as directory:
        yield asyncio.run(_idle(Path(directory), runs * IDLE_EVENTS))
    with TemporaryDirectory() as directory, smtp_sink() as port:
        yield asyncio.run(_under_load(Path(directory), port))


async def _idle(directory: Path, count: int) -> Latency:
    """One reader, one event at a time, the next only after the mail of the one before."""
    taken: list[float] = []
    async with Sandbox() as sandbox, running(directory, smtp_url=sandbox.settings_env()["TOCSIN_SMTP_URL"]) as system:
        await system.subscribe(1)
        warm_up = WARM_UP if system.broker == ApacheKafka.SAID else 0
        for number in range(warm_up + count):
            begun = time.perf_counter()
            await system.publish(f"INC-{number}", _event(number))
            await sandbox.wait_for(lambda number=number: len(sandbox.mails) > number)  # type: ignore[misc]
            taken.append((time.perf_counter() - begun) * 1000)
        return Latency("latency_idle", taken[warm_up:], {"broker": system.broker})


async def _under_load(directory: Path, port: int) -> Latency:
    """One first notice after another to one reader, from the first mail of a large update until its last."""
    taken: list[float] = []
    async with running(directory, smtp_url=f"smtp://{HOST}:{port}") as system:
        count = RECIPIENTS[system.broker]
        await system.subscribe(count)
        await system.subscribe(1, audience=PROBE, first=count)
        await system.caught_up()
        async with system.outcomes() as load, system.outcomes() as probe, asyncio.timeout(PATIENCE_S):
            await system.publish("load", _event(0))
            for each in (load, probe):
                await each.accepted("load", count + 1)
            await system.publish("load", ImpactChanged(severity=Severity.CRITICAL), first=1)
            under_way = asyncio.create_task(load.accepted("load", count + 1))
            await probe.accepted("load", 1)
            while not under_way.done():
                number = len(taken) + 1
                begun = time.perf_counter()
                await system.publish(f"INC-{number}", _event(number, private_to=(PROBE,)))
                await probe.accepted(f"INC-{number}", 1)
                taken.append((time.perf_counter() - begun) * 1000)
            await under_way
        return Latency("latency_under_load", taken, {"broker": system.broker, "recipients": f"{count:,}"})


def _event(number: int, private_to: tuple[str, ...] | None = None) -> IncidentOpened:
    summary = f"It is number {number}."
    return IncidentOpened(title=f"Incident {number}", severity=Severity.MAJOR, summary=summary, private_to=private_to)
