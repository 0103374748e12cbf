"""The recording: every incident played by its own clock, to everybody; each room killed once on the way."""

import asyncio
import math
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from pipeline.bench.day.progress import Progress
from pipeline.bench.day.verdict import OnRecord, arrived_at, on_record, verdict
from pipeline.bench.running import Running, started
from pipeline.bench.sinks import HOST, counting_sink, doubles
from pipeline.bench.whole.people import Population, with_readers
from pipeline.broker import connect
from pipeline.clock import now
from pipeline.commands.lag import lags, left_to, signed_last
from pipeline.commands.play import outgoing
from pipeline.errors import TocsinError
from pipeline.processes import Say
from pipeline.recorded import RecordedEvent
from pipeline.replay.pace import play
from pipeline.replay.past import Past
from pipeline.settings import REPOSITORY, Settings
from schemas import codec, topics
from schemas.journal import JournalEntry, WakeScheduled

KILLED: Final = {"decide": 0.25, "record": 0.5, "deliver": 0.75}
"""Which room dies, when so large a part of the incidents has begun."""
AT_ONCE: Final = 32
"""Incidents whose events are being played."""
AHEAD: Final = {"decide": 16, "deliver": 60}
"""Records that a room may have before it when the next incident begins; deliver's are notices, and batches of many."""
PARTITIONS: Final = 2
"""Each room is one worker: fewer partitions make fuller batches."""
LOOK_S, STILL_S, PATIENCE_S = 0.5, 5.0, 900.0
CLOCK_ENDS_AFTER: Final = timedelta(days=10)
"""By an incident's own clock, after its last event: what would be due later is not awaited."""
NO_LIMIT: Final = {
    "sms_per_s": 500.0, "sms_cap_per_incident": 10**9, "sms_cap_per_day": 10**9,
    "x_posts_per_quarter_hour": 10**9, "x_posts_per_day": 10**9, "x_cap_per_incident": 10**9, "x_cap_per_day": 10**9,
}  # fmt: skip
"""The clocks run fast, a provider's limits would not."""


@dataclass(frozen=True)
class Course:
    """How it is recorded: to how many, how many times as fast as it happened, drawn from which seed.

    After `within_min` minutes no further incident begins.
    """

    subscribers: int
    speed: float
    seed: int
    within_min: float = math.inf


async def record(pasts: Sequence[Past], course: Course, archive: Path, say: Say = lambda _line: None) -> dict[str, Any]:
    """Records it all; what became of it. Raises TocsinError when nothing moves any more."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        given = stack.enter_context(doubles())
        port, sink = stack.enter_context(counting_sink())
        policy = with_readers(REPOSITORY / "deploy" / "policies" / "small-saas", directory / "policy")
        where = {"smtp_url": f"smtp://{HOST}:{port}", "archive": str(archive), "policy_dir": policy}
        async with started(directory, **{**NO_LIMIT, **where, **given, "partitions": PARTITIONS}) as system:
            of = Population(sorted({name for past in pasts for name in past.components}), course.seed)
            audiences = await _subscribe(system, of, course.subscribers)
            say(f"subscribed: {dict(audiences)}")
            begun = time.perf_counter()
            async with Progress(system.settings, {}) as progress:
                following = asyncio.create_task(progress.follow())
                told, killed = await _play(system, pasts, course, say)
                found = await _settled(system, told, progress, say)
                following.cancel()
            took_s = time.perf_counter() - begun
            arrived = await arrived_at(system.settings, sink.mails)
            while (await lags(system.settings))["record"]:
                await asyncio.sleep(LOOK_S)  # between two looks at what another process has sealed
            return {
                "broker": system.broker,
                "subscribers": course.subscribers,
                "audiences": dict(audiences),
                "incidents": len(told),
                "events": sum(len(past.events) for past in told),
                **{name: value for name, value in verdict(found.intents, found, arrived).items() if name != "expected"},
                "killed": killed,
                "seconds": round(took_s, 1),
                "cpu_s": _cpu_s(system),
                "seconds_until_sealed": round(time.perf_counter() - begun, 1),
                "intents_per_s": round(found.intents / took_s, 1),
                "speed": course.speed,
                "seed": course.seed,
            }


async def _subscribe(system: Running, population: Population, count: int) -> Counter[str]:
    await system.subscribe(count, reached=population.fields)
    account = {"x_handle": "status", "audiences": ["public"]}
    await system.subscribe(1, first=count, reached=lambda _: account)
    await system.caught_up()
    return Counter(population.fields(number)["audiences"][0] for number in range(count))


async def _play(
    system: Running, pasts: Sequence[Past], course: Course, say: Say
) -> tuple[list[Past], list[dict[str, Any]]]:
    """Plays them; which were played, and which room was killed when."""
    begun, within_s = time.perf_counter(), course.within_min * 60
    turns, told, killed = asyncio.Semaphore(AT_ONCE), list[Past](), list[dict[str, Any]]()
    due = {round(part * len(pasts)): room for room, part in KILLED.items()}

    async def tell(event: RecordedEvent, factor: float) -> None:
        await connect.send(system.producer, outgoing(event, factor))

    async def one(past: Past) -> None:
        try:
            await play(past.events, tell, course.speed)
        finally:
            turns.release()

    async with (
        connect.open_admin(system.settings) as admin,
        connect.open_reader(system.settings) as reader,
        asyncio.TaskGroup() as playing,
    ):
        for number, past in enumerate(pasts):
            await turns.acquire()
            before = await _before_them(admin, reader, system.settings)
            passed_s = round(time.perf_counter() - begun, 1)
            if passed_s > within_s:
                break
            say(f"{passed_s:8.1f} s  {number + 1} of {len(pasts)}  {past.incident}; before them: {before}")
            playing.create_task(one(past))
            told.append(past)
            if (room := due.get(number)) is not None:
                killed.append({"room": room, "incidents_begun": number + 1, "s": passed_s})
                killed[-1] |= await _killed(system, room, say)
    return told, killed


async def _before_them(admin: Any, reader: Any, settings: Settings) -> dict[str, int]:
    """Returns when the rooms have little enough before them, and says how much that is."""
    while True:
        before = {room: await left_to(room, admin, reader, settings) for room in AHEAD}
        if all(before[room] <= most for room, most in AHEAD.items()):
            return before
        await asyncio.sleep(LOOK_S)  # between two looks at what other processes have committed


async def _killed(system: Running, room: str, say: Say) -> dict[str, Any]:
    behind, pid = await lags(system.settings), system.processes()[room]
    os.kill(pid, signal.SIGKILL)
    say(f"{room} (pid {pid}) was killed with SIGKILL, {behind[room]} records behind")
    signed = await signed_last(system.settings)
    return {"behind": behind[room], "records_sealed_by_then": sum(signed[1].values()) if signed else 0}


def _cpu_s(system: Running) -> dict[str, float]:
    """Of each process since it was started, or started again."""
    times = {name: psutil.Process(pid).cpu_times() for name, pid in system.processes().items()}
    return {name: round(spent.user + spent.system, 1) for name, spent in times.items()}


async def _settled(system: Running, pasts: Sequence[Past], progress: Progress, say: Say) -> OnRecord:
    """Returns when every event was decided on, every clock has run down, and everybody's message has its end."""
    events = {event.id for past in pasts for event in past.events}
    await progress.until(lambda: events <= progress.decided, "what every event brings")
    while (ends := await _clocks_end(system.settings)) is not None:
        say(f"the clocks run for another {(ends - now()).total_seconds():.0f} s; {progress.settled:,} settled")
        await asyncio.sleep(max(0.0, (ends - now()).total_seconds()))
    patient_until = time.monotonic() + PATIENCE_S
    while time.monotonic() < patient_until:
        await progress.still(STILL_S)
        behind = await lags(system.settings)
        if behind["decide"] or behind["deliver"]:
            continue
        found = await on_record(system.settings)
        say(f"{found.intents:,} intents on record, {found.open:,} without an end")
        if not found.open:
            return found
    raise TocsinError(f"after {PATIENCE_S:.0f} s messages are still without an end")


async def _clocks_end(settings: Settings) -> datetime | None:
    """When the last moment that a decision asked for comes, in real time; None if all have passed."""
    last, end = dict[str, datetime](), now()
    async for record in connect.read_all(settings, topics.INCIDENT_JOURNAL.name):
        entry = codec.decode(record, JournalEntry).data
        clock, said = entry.input.virtual, entry.input
        if clock is None:
            continue
        if said.topic == topics.INCIDENT_EVENTS.name:
            last[entry.incident] = max(clock.time, last.get(entry.incident, clock.time))
        for decision in entry.decisions:
            if isinstance(decision, WakeScheduled) and decision.due <= last[entry.incident] + CLOCK_ENDS_AFTER:
                end = max(end, said.appended_at + (decision.due - clock.time) / clock.speed)
    return end if end > now() else None
