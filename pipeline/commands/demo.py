"""`tocsin demo`: a large incident end to end on this machine; nothing leaves it."""

import asyncio
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.audit.findings import Result
from pipeline.audit.in_topics import InTopics
from pipeline.audit.reading import verified
from pipeline.broker import connect, runfile
from pipeline.clock import now
from pipeline.commands.auditing.verifying import report
from pipeline.commands.completion import Completion, follow
from pipeline.commands.play import parse_speed, play_to_broker
from pipeline.commands.status import counted
from pipeline.commands.subscribing import writing
from pipeline.enrolment import Terms, plan_import
from pipeline.errors import AlreadyRunning, ConfigurationError, TocsinError
from pipeline.honesty.gathering import gather
from pipeline.projection.reader import reader
from pipeline.recorded import RecordedEvent, read
from pipeline.registrations import read_csv
from pipeline.replay.spans import percent, span
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
SIGNED_S = 5.0
PROJECTED_S = 30.0
LEFTOVERS_S = 10.0
SHOWN_PHRASE, END_WORD = "through the night", "esolved"
"""What is shown in full: the mail before the offices close, the SMS of the end."""
SHOWN_HEADERS = ("Message-ID", "From", "To", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post")


def demo(
    keep_up: Annotated[bool, typer.Option("--keep-up", help="Leave everything running until Ctrl-C.")] = False,
    speed: Annotated[str, typer.Option(help="How many times as fast as it happened; max: without waiting.")] = SPEED,
    data_dir: Annotated[Path, typer.Option(help="Where it lives; wiped at the start.")] = DATA_DIR,
) -> None:
    """Play a large incident end to end on this machine, show what was said to whom, and verify the log."""
    factor = parse_speed(speed)
    csv, events = SUBSCRIBERS.read_text("utf-8"), read([LARGE])
    settings = fresh_settings(data_dir.resolve())
    try:
        result = asyncio.run(_demo(settings, csv, events, factor, keep_up))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
    report(result)


def fresh_settings(data_dir: Path) -> Settings:
    """Every setting at its default: a demonstration must never write to the broker or the accounts of its user.

    Wipes `data_dir`, but only what a demonstration has left there. Raises ConfigurationError, AlreadyRunning.
    """
    if runfile.read_live(data_dir / "run" / "up.json") is not None:
        raise AlreadyRunning(f"something runs on {data_dir}: stop it first, or give another --data-dir")
    _end_leftovers(data_dir / "run")
    marker = data_dir / ".tocsin-demo"
    if data_dir.exists() and any(data_dir.iterdir()) and not marker.exists():
        raise ConfigurationError(f"{data_dir} holds something that no demo has left there: give another --data-dir")
    shutil.rmtree(data_dir, ignore_errors=True)
    data_dir.mkdir(parents=True)
    marker.touch()
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    return Settings(_env_file=None, **{**defaults, "data_dir": data_dir, "sandbox": True, "web_port": 0})


def _end_leftovers(run: Path) -> None:
    """A demonstration that was killed leaves its processes: they would work on in a directory that is gone."""
    told = [*(runfile.read(run / "up.json") or {}).get("processes", {}).values(), runfile.read(run / "broker.json")]
    left = [process for one in told if (process := runfile.process_of(one)) is not None]
    for process in left:
        process.terminate()
    for process in psutil.wait_procs(left, LEFTOVERS_S)[1]:
        process.kill()


async def _demo(
    settings: Settings, csv: str, events: Sequence[RecordedEvent], speed: float | None, keep_up: bool
) -> Result:
    began, work = time.monotonic(), asyncio.current_task()
    if work is not None:  # SIGTERM, like Ctrl-C, stops everything in order
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    async with Supervisor(settings, sandbox=True, projection=True, say=_say) as supervisor:
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
        result = await _verified_and_signed(settings)
        await _show_figures(settings, result.entries)
        if keep_up:
            await _stay(supervisor, events[0].incident)
    return result


async def _verified_and_signed(settings: Settings) -> Result:
    """The log's verification, once its last entries are signed for: the checkpoint follows them within a second."""
    began = time.monotonic()
    while True:
        result = await verified(InTopics(settings))
        if (result.signed or 0) >= result.entries or result.findings or time.monotonic() - began > SIGNED_S:
            return result
        await asyncio.sleep(0.2)


async def _show_figures(settings: Settings, entries: int) -> None:
    """How it was told, from the projection of the log, once that has all of it."""
    async with reader(settings) as store:
        if store is None:
            return
        try:
            async with asyncio.timeout(PROJECTED_S):
                while (await store.place()).entries < entries:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            _say("the projection is still behind the log: tocsin report says more later")
            return
        sums = (await gather(store, None, now())).sums
    _say(
        f"told: the first message {span(sums.first_s.max)} after the first word, never silent for longer than "
        f"{span(sums.silence_s.max)}, {percent(sums.promises_kept)} of the promises kept (tocsin report)"
    )


async def enrol(settings: Settings, csv: str) -> Roster:
    """Everyone in the CSV text, written and acknowledged. Raises TocsinError with the first line that is refused."""
    vault, roster = Vault.open(settings), Roster()
    planned = list(plan_import(read_csv(csv.splitlines(keepends=True)), roster, vault, now(), Terms(consent="made up")))
    for line in planned:
        if line.refused is not None:
            raise TocsinError(f"subscribers, line {line.line}: {line.refused}")
    async with connect.open_producer(settings) as producer:
        await writing.write(producer, planned)
    return roster


def _show(completion: Completion, settings: Settings, events: Sequence[RecordedEvent]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    told = completion.told()
    used = [channel for channel in Channel if any(one is channel for _, one, _ in told)]
    table = Table("audience", *used, title=f"what {events[0].incident} came to", title_justify="left")
    for audience in sorted({audience for audience, _, _ in told}):
        table.add_row(audience, *(_cell(told, audience, channel) for channel in used))
    console.print(table)
    for what, times in completion.withheld().items():
        console.print(escape(f"not said, {times} times: {what}" if times > 1 else f"not said: {what}"))
    truth = read_truth(settings.data_dir / "sandbox")
    mails = [record for record in truth if isinstance(record, Mail)]
    texts = [record for record in truth if isinstance(record, Text)]
    posts = [record for record in truth if isinstance(record, Post)]
    for title, body in (
        ("one mail of many", _mail(next((mail for mail in mails if SHOWN_PHRASE in mail.text), mails[-1]))),
        ("one SMS", _sms(next((text for text in reversed(texts) if END_WORD in text.body), texts[-1]))),
        ("one post on X", posts[0].text),
    ):
        console.rule(title, align="left")
        console.print(escape(body))
    console.rule(align="left")
    console.print(
        escape(f"all {len(mails)} mails, {len(texts)} SMS, {len(posts)} posts: {settings.data_dir / 'sandbox'}")
    )
    console.print("to look around in it, with an inbox page in the browser: .venv/bin/tocsin demo --keep-up")


def _cell(told: dict[tuple[str, Channel, str], int], audience: str, channel: Channel) -> str:
    parts = [(n, result) for (a, c, result), n in sorted(told.items()) if (a, c) == (audience, channel)]
    return ", ".join(f"{n} {result}" for n, result in parts) or "-"


def _mail(mail: Mail) -> str:
    headers = "\n".join(f"{name}: {mail.header(name)}" for name in SHOWN_HEADERS if mail.header(name))
    return f"{headers}\n\n{mail.text}"


def _sms(text: Text) -> str:
    return f"to {text.to} in {counted(text.num_segments, 'segment')}\n\n{text.body}"


async def _stay(supervisor: Supervisor, incident: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    directory = supervisor.settings.data_dir
    _say(f"inbox  {supervisor.inbox_url}")
    looks = ("status", f"replay {incident}", "report", "audit verify")
    _say(f"try    export TOCSIN_DATA_DIR={directory}; {'; '.join(f'tocsin {look}' for look in looks)}")
    _say("Ctrl-C stops everything")
    await stopped.wait()


def _say(line: str) -> None:
    typer.echo(line)
