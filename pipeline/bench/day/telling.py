"""The day itself: everything started, everybody subscribed, one event after another, and what became of it."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from pipeline.bench.day.progress import Progress
from pipeline.bench.day.verdict import arrived_at, on_record, verdict
from pipeline.bench.running import Running, phone, running
from pipeline.bench.sinks import HOST, Taken, counting_sink, doubles
from pipeline.broker import connect
from pipeline.commands.lag import lags
from pipeline.commands.play import outgoing
from pipeline.processes import Say
from pipeline.recorded import RecordedEvent

SAMPLED_EVERY_S: Final = 1.0
SPEED: Final = 0.01
"""The day's clock all but stands between two events: what it would bring would supersede what is being sent."""
Sample = dict[str, Any]
"""`s`: seconds since the first event; `intended`, `settled`, `mails` so far; `mb`: each process's resident memory."""


@dataclass(frozen=True)
class Size:
    """How many are told: by mail, by SMS; and one account on X."""

    mails: int
    texts: int

    @property
    def readers(self) -> dict[tuple[str, str], int]:
        """By audience and channel."""
        return {("customers", "email"): self.mails, ("customers", "sms"): self.texts, ("public", "x"): 1}


async def tell(events: Sequence[RecordedEvent], size: Size, say: Say = lambda _line: None) -> dict[str, Any]:
    """Tells it all; what became of it, with `samples`. Raises TocsinError when nothing moves any more."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        given = stack.enter_context(doubles())
        port, sink = stack.enter_context(counting_sink())
        async with running(directory, smtp_url=f"smtp://{HOST}:{port}", **given) as system:
            await _subscribe(system, size)
            async with Progress(system.settings, size.readers) as progress:
                samples: list[Sample] = []
                took_s = await _day(system, events, progress, sink, samples, say)
            behind = time.perf_counter()
            while (await lags(system.settings))["record"]:
                await asyncio.sleep(SAMPLED_EVERY_S)  # between two looks at what another process has sealed
            sealed_s = time.perf_counter() - behind
            record = await on_record(system.settings)
            arrived = await arrived_at(system.settings, sink.mails)
            return {
                "broker": system.broker,
                "subscribers": {"email": size.mails, "sms": size.texts, "x": 1},
                "incidents": len({event.incident for event in events}),
                "events": len(events),
                **verdict(progress.expected, record, arrived),
                "seconds": round(took_s, 1),
                "seconds_until_sealed": round(sealed_s, 1),
                "intents_per_s": round(record.intents / took_s, 1),
                "memory_mb": _memory(samples),
                "samples": samples,
            }


async def _subscribe(system: Running, size: Size) -> None:
    await system.subscribe(size.mails)
    await system.subscribe(size.texts, first=size.mails, reached=phone)
    account = {"x_handle": "status"}
    await system.subscribe(1, first=size.mails + size.texts, audience="public", reached=lambda _: account)
    await system.caught_up()


async def _day(
    system: Running,
    events: Sequence[RecordedEvent],
    progress: Progress,
    sink: Taken,
    samples: list[Sample],
    say: Say,
) -> float:
    begun = time.perf_counter()

    def look() -> None:
        samples.append(_sample(system, progress, sink, time.perf_counter() - begun))

    async def look_again_and_again() -> None:
        while True:
            look()
            await asyncio.sleep(SAMPLED_EVERY_S)

    async with asyncio.TaskGroup() as beside:
        tasks = [beside.create_task(progress.follow()), beside.create_task(look_again_and_again())]
        for event in events:
            await connect.send(system.producer, outgoing(event, SPEED))
            await progress.until(lambda event=event: progress.quiet_after(event.id), f"what {event.id} brings")  # type: ignore[misc]
            passed_s = time.perf_counter() - begun
            say(f"{passed_s:8.1f} s  {event.at:%H:%M} {event.incident}  {progress.settled:,} settled")
        look()
        for task in tasks:
            task.cancel()
    return float(samples[-1]["s"])


def _sample(system: Running, progress: Progress, sink: Taken, passed_s: float) -> Sample:
    resident = {name: _resident_mb(pid) for name, pid in system.processes().items()}
    return {
        "s": round(passed_s, 1),
        "intended": progress.intended,
        "settled": progress.settled,
        "mails": sink.mails,
        "mb": {name: mb for name, mb in resident.items() if mb is not None},
    }


def _resident_mb(pid: int) -> float | None:
    try:
        return round(psutil.Process(pid).memory_info().rss / 1e6, 1)
    except psutil.NoSuchProcess:
        return None  # it has just ended; whoever keeps it starts it again


def _memory(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Of each process: at the start, after a quarter of the time, at the end, and the most."""
    found = {}
    for name in samples[0]["mb"]:
        course = [sample["mb"][name] for sample in samples if name in sample["mb"]]
        found[name] = {"start": course[0], "quarter": course[len(course) // 4], "end": course[-1], "most": max(course)}
    return found
