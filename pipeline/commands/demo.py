"""`tocsin demo`: a large incident end to end on this machine; nothing leaves it."""

import asyncio
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.audit.findings import Result
from pipeline.broker import connect, runfile
from pipeline.clock import now
from pipeline.commands import subscribers as roster_commands
from pipeline.commands.completion import Completion, follow
from pipeline.commands.play import parse_speed, play_to_broker
from pipeline.enrolment import plan_import
from pipeline.errors import AlreadyRunning, ConfigurationError, TocsinError
from pipeline.recorded import RecordedEvent, read
from pipeline.registrations import read_csv
from pipeline.sandbox.truth import Mail, Post, Text, read_truth
from pipeline.settings import REPOSITORY, Settings
from pipeline.subscribers import Roster
from pipeline.supervisor import Supervisor
from pipeline.vault import Vault
from schemas.base import Channel

INCIDENTS = REPOSITORY / "deploy" / "incidents"
LARGE = INCIDENTS / "large-overnight-payments.json"
SUBSCRIBERS = INCIDENTS / "subscribers.csv"
DATA_DIR = REPOSITORY / "build" / "demo"
SPEED = "3000"
FINISH_S = 90.0
SHOWN_PHRASE = "through the night"
"""The update before the offices close: what a good message in a long outage looks like."""


def demo(
    keep_up: Annotated[bool, typer.Option("--keep-up", help="Leave everything running until Ctrl-C.")] = False,
    speed: Annotated[str, typer.Option(help="How many times as fast as it happened; max: without waiting.")] = SPEED,
    data_dir: Annotated[Path, typer.Option(help="Where it lives; wiped at the start.")] = DATA_DIR,
) -> None:
    """Play a large incident end to end on this machine, show what was said to whom, and verify the log."""
    factor = parse_speed(speed)
    csv, events = SUBSCRIBERS.read_text("utf-8"), read([LARGE])
    result = asyncio.run(_demo(fresh_settings(data_dir.resolve()), csv, events, factor, keep_up))
    if not result.ok:
        raise TocsinError("; ".join(map(str, result.findings[:3])))
    typer.echo(f"log verified: {result.entries} entries")


def fresh_settings(data_dir: Path) -> Settings:
    """Every setting at its default: a demonstration must never write to the broker or the accounts of its user.

    Wipes `data_dir`, but only what a demonstration has left there. Raises ConfigurationError, AlreadyRunning.
    """
    if runfile.read_live(data_dir / "run" / "up.json") is not None:
        raise AlreadyRunning(f"something runs on {data_dir}: stop it first, or give another --data-dir")
    marker = data_dir / ".tocsin-demo"
    if data_dir.exists() and any(data_dir.iterdir()) and not marker.exists():
        raise ConfigurationError(f"{data_dir} holds something that no demo has left there: give another --data-dir")
    shutil.rmtree(data_dir, ignore_errors=True)
    data_dir.mkdir(parents=True)
    marker.touch()
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    return Settings(_env_file=None, **{**defaults, "data_dir": data_dir, "sandbox": True, "web_port": 0})


async def _demo(
    settings: Settings, csv: str, events: Sequence[RecordedEvent], speed: float | None, keep_up: bool
) -> Result:
    began = time.monotonic()
    async with Supervisor(settings, sandbox=True, say=_say) as supervisor:
        await supervisor.ready()
        _say(f"all rooms are ready after {time.monotonic() - began:.0f} s")
        settings = supervisor.settings
        roster = await enrol(settings, csv)
        _say(f"{len(roster.subscribers)} subscribers in two time zones are enrolled")
        completion = Completion(roster.subscribers.values(), [(event.incident, event.id) for event in events])
        hours = (events[-1].at - events[0].at).total_seconds() / 3600
        _say(f"playing {LARGE.name}: {hours:.0f} hours of an outage in compressed time")
        await play_to_broker(settings, events, speed)
        await follow(settings, completion, FINISH_S)
        _show(completion, settings, events)
        result = await _verified(settings)
        if keep_up:
            await _stay(supervisor)
    return result


async def enrol(settings: Settings, csv: str) -> Roster:
    """Everyone in the CSV text, written and acknowledged. Raises TocsinError with the first line that is refused."""
    vault, roster = Vault.open(settings), Roster()
    planned = list(plan_import(read_csv(csv.splitlines(keepends=True)), roster, vault, now()))
    for line in planned:
        if line.refused is not None:
            raise TocsinError(f"subscribers, line {line.line}: {line.refused}")
    async with connect.open_producer(settings) as producer:
        await roster_commands.write(producer, planned)
    return roster


def _show(completion: Completion, settings: Settings, events: Sequence[RecordedEvent]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    table = Table("audience", *Channel, title=f"what {events[0].incident} came to", title_justify="left")
    told = completion.told()
    for audience in sorted({audience for audience, _, _ in told}):
        table.add_row(audience, *(_cell(told, audience, channel) for channel in Channel))
    console.print(table)
    truth = read_truth(settings.data_dir / "sandbox")
    mails = [record for record in truth if isinstance(record, Mail)]
    texts = [record for record in truth if isinstance(record, Text)]
    posts = [record for record in truth if isinstance(record, Post)]
    for title, body in (
        ("one mail of many", _mail(next((mail for mail in mails if SHOWN_PHRASE in mail.text), mails[-1]))),
        ("one SMS", f"to {texts[-1].to} in {texts[-1].num_segments} segments\n\n{texts[-1].body}"),
        ("one post on X", posts[0].text),
    ):
        console.rule(title, align="left")
        console.print(escape(body))
    console.rule(align="left")


def _cell(told: dict[tuple[str, Channel, str], int], audience: str, channel: Channel) -> str:
    parts = [(n, result) for (a, c, result), n in sorted(told.items()) if (a, c) == (audience, channel)]
    return ", ".join(f"{n} {result}" for n, result in parts) or "-"


def _mail(mail: Mail) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in mail.headers)
    return f"{headers}\n\n{mail.text}"


async def _verified(settings: Settings) -> Result:
    from pipeline.audit.verify import verify

    stored = [
        (record.value, dict(record.headers).get("ce_root")) async for record in connect.read_all(settings, "audit.log")
    ]
    return verify(stored, voids_allowed=True)


async def _stay(supervisor: Supervisor) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    directory = supervisor.settings.data_dir
    _say(f"inbox  {supervisor.inbox_url}")
    _say(f"try    TOCSIN_DATA_DIR={directory} TOCSIN_SANDBOX=true tocsin status")
    _say("Ctrl-C stops everything")
    await stopped.wait()


def _say(line: str) -> None:
    typer.echo(line)
