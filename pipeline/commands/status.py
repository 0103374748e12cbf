"""`tocsin status`: who works, how far behind they are, what is open, and what is due."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from pydantic import BaseModel

from pipeline.broker import connect, runfile
from pipeline.clock import now as real_now
from pipeline.commands.lag import lags, projection_lag, standstill
from pipeline.commands.overview import owed, read_journal
from pipeline.commands.witness import Following, following, line_of
from pipeline.decide.state import IncidentState
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.parked import heaps
from pipeline.errors import BrokerError, ProjectionError
from pipeline.replay.spans import counted as counted  # others say it as this command does
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.base import Instant, rfc3339
from schemas.journal import JournalEntry


class Worker(BaseModel):
    """A process on this data directory. `ready`: it has its partitions and has folded their past."""

    name: str
    pid: int
    alive: bool
    ready: bool
    restarts: int | None = None


class Open(BaseModel):
    """An incident, or a maintenance, that is not over; `promised` is the next update that is owed.

    `due_in_s`: how many seconds are left until then by the incident's own clock; below 0: so late it is. `held`: the
    audiences that wait for somebody's approval or release. `ending`: until when a reported end is held back.
    """

    incident: str
    phase: str
    title: str | None
    severity: str | None
    since: Instant | None
    last: Instant | None
    promised: Instant | None
    due_in_s: float | None
    overdue: bool
    held: list[str] = []
    ending: Instant | None = None


class Waiting(BaseModel):
    """Deliveries that are tried again later; `next` is the first of their moments."""

    count: int
    next: Instant | None


class ParkedHeap(BaseModel):
    """Messages that wait for a person: of one incident and channel, for one reason."""

    incident: str
    channel: str
    reason: str
    count: int
    since: Instant


class Status(BaseModel):
    """Everything that `tocsin status` says. What hangs on the broker is None where it does not answer."""

    data_dir: str
    broker: str | None = None
    problem: str | None = None
    workers: list[Worker]
    lag: dict[str, int] | None = None
    projection_problem: str | None = None
    standstill: Instant | None = None
    """Since when something waits to be sealed by a log that stands still."""
    witness: Following | None = None
    incidents: list[Open] | None = None
    waiting: Waiting | None = None
    parked: list[ParkedHeap] | None = None
    dead_letters: int | None = None


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Workers, lag, open incidents, and what is due. Exit status 1 when the broker does not answer."""
    found = asyncio.run(gather(Settings(), real_now()))
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        _print(found)
    if found.problem is not None:
        raise typer.Exit(1)


async def gather(settings: Settings, now: datetime) -> Status:
    """The status at `now`; a broker that does not answer is part of it, not an error."""
    found = Status(data_dir=str(settings.data_dir), workers=workers(settings), witness=following(settings, now))
    try:
        found.broker = connect.bootstrap(settings)
        found.lag = await lags(settings)
        try:
            if (behind := await projection_lag(settings)) is not None:
                found.lag["projection"] = behind
        except ProjectionError as error:
            found.projection_problem = str(error)
        found.standstill = await standstill(settings, now)
        journal = await read_journal(settings)
        found.incidents = [
            _open(state, its_now(journal.entries[state.incident][-1], now)) for state in journal.under_way()
        ]
        ledger = await _ledger(settings)
        found.waiting = _waiting(ledger)
        found.parked = [ParkedHeap(**asdict(heap)) for heap in heaps(ledger.parked())]
        found.dead_letters = await _count(settings, topics.DEAD_LETTERS.name)
    except BrokerError as error:
        found.problem = str(error)
    return found


def workers(settings: Settings) -> list[Worker]:
    """What runs, or ran last, on this data directory: by the supervisor's run file, and by the rooms' own word."""
    run = settings.data_dir / "run"
    ready = {path.stem: pid for path in sorted(run.glob("*.ready")) if (pid := _pid(path)) is not None}
    told: dict[str, Any] = (runfile.read(run / "up.json") or {}).get("processes", {})
    found = [
        Worker(
            name=name,
            pid=process["pid"] or 0,
            alive=bool(process["pid"]) and runfile.process_of(process) is not None,
            # The sandbox gives no word of its own: the supervisor waits for its run file.
            ready=ready.get(name) == process["pid"] or name == "sandbox",
            restarts=process.get("restarts"),
        )
        for name, process in told.items()
    ]
    found += [
        Worker(name=name, pid=pid, alive=psutil.pid_exists(pid), ready=True)
        for name, pid in ready.items()
        if name not in told
    ]
    broker = runfile.read(run / "broker.json")
    if broker is not None:
        found.insert(
            0, Worker(name="broker", pid=broker["pid"], alive=runfile.process_of(broker) is not None, ready=True)
        )
    return found


def _pid(ready: Path) -> int | None:
    """A room writes its bare pid, the web service a run file."""
    text = ready.read_text().strip()
    return int(text) if text.isdecimal() else (runfile.read(ready) or {}).get("pid")


def its_now(last: JournalEntry, now: datetime) -> datetime:
    """The present moment of an incident; a played one has a clock of its own."""
    virtual = last.input.virtual
    if virtual is None:
        return now
    return virtual.time + (now - last.input.appended_at) * virtual.speed


def _open(state: IncidentState, now: datetime) -> Open:
    due = owed(state)
    return Open(
        incident=state.incident,
        phase=state.phase.value,
        title=state.known.title,
        severity=state.known.severity,
        since=state.reported_at,
        last=state.at,
        promised=due,
        due_in_s=None if due is None else (due - now).total_seconds(),
        overdue=due is not None and due < now,
        held=sorted({draft.telling.audience for draft in state.drafts.values()} | state.held),
        ending=state.ending.until if state.ending else None,
    )


async def _ledger(settings: Settings) -> Ledger:
    ledger = Ledger()
    async for record in connect.read_all(settings, topics.DELIVERY_RECORDS_TOPIC.name):
        ledger.apply(codec.decode(record).data)
    return ledger


def _waiting(ledger: Ledger) -> Waiting:
    """By the outcomes, since a waiting piece of work may have been overtaken by its own end."""
    due = [work.due for _, _, work in ledger.waiting(datetime.max.replace(tzinfo=real_now().tzinfo)) if work.due]
    return Waiting(count=len(due), next=min(due, default=None))


async def _count(settings: Settings, topic: str) -> int:
    return sum([1 async for _ in connect.read_all(settings, topic)])


def _print(found: Status) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(soft_wrap=True)
    for worker in found.workers:
        state = "ready" if worker.alive and worker.ready else "starting" if worker.alive else "[red]not running[/red]"
        again = f", restarted {counted(worker.restarts, 'time')}" if worker.restarts else ""
        where = f", {found.broker}" if worker.name == "broker" and found.broker else ""
        console.print(f"{worker.name:<10}{state} (pid {worker.pid}{again}){where}")
    if found.broker and not any(worker.name == "broker" for worker in found.workers):
        console.print(f"{'broker':<10}{escape(found.broker)}")
    if not found.workers:
        console.print(f"no process runs on {escape(found.data_dir)}")
    if found.problem is not None:
        console.print(f"[red]{escape(found.problem)}[/red]")
        return
    console.print("\nlag       " + ", ".join(f"{room} {lag}" for room, lag in (found.lag or {}).items()) + " records")
    if found.projection_problem is not None:
        console.print(f"[red]{escape(found.projection_problem)}[/red]")
    if found.standstill is not None:
        console.print(
            f"[red]log       stands still: what was recorded since {rfc3339(found.standstill)} is not sealed; "
            "nothing is sent before it is[/red]: see to the record room and to the disk under its data directory"
        )
    if found.witness is not None:
        console.print(line_of(found.witness, real_now()))
    for line in _incident_lines(found.incidents or []):
        console.print(line)
    if found.waiting and found.waiting.count:
        following = f", the next at {rfc3339(found.waiting.next)}" if found.waiting.next else ""
        console.print(
            f"waiting   {counted(found.waiting.count, 'delivery', 'deliveries')} to be tried again{following}"
        )
    for heap in found.parked or ():
        what = escape(f"{counted(heap.count, f'{heap.channel} message')} of {heap.incident}: {heap.reason}")
        console.print(f"[red]parked    {what}[/red], since {rfc3339(heap.since)}: tocsin deliveries retry or give-up")
    if found.dead_letters:
        console.print(f"[red]dead      {counted(found.dead_letters, 'dead letter')}[/red]: tocsin deadletters list")


def span(seconds: float) -> str:
    """A length of time in whole minutes, as one says it: "28 min", "2 h 05 min"."""
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _incident_lines(incidents: Iterable[Open]) -> Iterable[str]:
    from rich.markup import escape

    found = list(incidents)
    yield f"open      {len(found) or 'none'}"
    for one in found:
        promised = ""
        if one.promised is not None:
            promised = f", next update by {one.promised:%Y-%m-%d %H:%M} UTC, "
            away = span(abs(one.due_in_s or 0))
            promised = f"[red]{promised}overdue by {away}[/red]" if one.overdue else f"{promised}in {away}"
        severity = one.severity or "severity unsaid"
        yield escape(f"          {one.incident}: {one.title or 'untitled'} ({one.phase}, {severity})") + promised
        if one.held:
            whom = escape(", ".join(one.held))
            yield f"          [magenta]held for {whom}: somebody must approve or release it[/magenta]"
        if one.ending is not None:
            yield f"          reported over; told as over if it holds until {one.ending:%Y-%m-%d %H:%M} UTC"
