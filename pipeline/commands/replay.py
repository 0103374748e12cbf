"""`tocsin replay`: what happened, once more, from the sealed log alone. It holds no sender and no provider's secret.

As a timeline, an incident or all of a span; decided again, byte for byte; said again, into a sandbox; under another
policy.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.audit.history import History, concerns, history
from pipeline.audit.places import Place, place_of
from pipeline.audit.reading import select
from pipeline.audit.timeline import Line, timeline_of
from pipeline.clock import now
from pipeline.commands.moments import moment
from pipeline.commands.timelines import show
from pipeline.errors import ConfigurationError, NotFound
from pipeline.replay.sealed_off import sealed_off, sealed_settings
from schemas.audit import AuditEntry
from schemas.delivery import ReceiptRecorded
from schemas.topics import SUBSCRIBER_EVENTS_TOPIC

ARCHIVE = typer.Option(help="An archive (a folder, s3://bucket/prefix) in place of the topics.", metavar="URL")
BEGINNING, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def replay(
    incident: Annotated[str | None, typer.Argument(help="The incident's id; none: all of the span.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this moment on, by the incident's own clock.")] = None,
    until: Annotated[str | None, typer.Option(help="Only up to this moment.")] = None,
    archive: Annotated[str | None, ARCHIVE] = None,
    export: Annotated[Path | None, typer.Option(help="An export in place of the topics.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Decide everything again and name what differs.")] = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Say it again, into a sandbox of its own.")] = False,
    speed: Annotated[str, typer.Option(help="How many times as fast, with --sandbox; max: without waiting.")] = "max",
    keep: Annotated[Path | None, typer.Option(help="With --sandbox: keep what it took in DIR/truth.jsonl.")] = None,
    policy: Annotated[str | None, typer.Option(help="Under another policy: what it would have told.")] = None,
) -> None:
    """What came in, what was decided and why, what was said to how many on which channel, what was not and why."""
    span = _moment(since, "--since") or BEGINNING, _moment(until, "--until") or END
    if check + sandbox + (policy is not None) > 1:
        raise ConfigurationError("--check, --sandbox and --policy are three replays: give one of them")
    if sandbox:
        from pipeline.commands.replaying import say_again

        say_again(place_of(sealed_settings(), export, archive), incident, span, speed, keep)
        return
    with sealed_off():
        place = place_of(sealed_settings(), export, archive)
        if check:
            from pipeline.commands.checked import check_again

            check_again(place, incident)
        elif policy is not None:
            from pipeline.commands.backtest import backtest

            backtest(policy, from_log=archive is None, archive=archive, incident=incident)
        else:
            show_timelines(place, incident, span)


def show_timelines(place: Place, incident: str | None, span: tuple[datetime, datetime]) -> None:
    """Prints the timelines of what happened within the span."""
    if incident is None and span == (BEGINNING, END):
        raise ConfigurationError("name an incident (`tocsin status` lists them), or a span with --since and --until")
    console, shown = Console(highlight=False), False
    for found in [read_history(place, incident)] if incident is not None else read_histories(place):
        lines = [line for line in timeline_of(found) if span[0] <= (line.virtual or line.at) <= span[1]]
        if lines or incident is not None:
            show(console, found.incident, _of_whole_entries(timeline_of(found), lines))
            shown = True
    if not shown:
        raise NotFound("nothing is sealed of that span")


def read_history(place: Place, incident: str) -> History:
    """The sealed history of an incident; says on stderr if the log is not sound. Raises NotFound, BrokerError."""
    found = history(_read(place, concerns(incident)), incident)
    if not found.entries:
        raise NotFound(f"nothing is sealed about an incident {incident!r}; `tocsin status` lists the open ones")
    return found


def read_histories(place: Place) -> list[History]:
    """The sealed histories of all incidents, in the order of their first entries."""
    entries = _read(place, lambda entry: entry.origin.topic != SUBSCRIBER_EVENTS_TOPIC.name)
    receipts = [entry for entry in entries if entry.record_type == ReceiptRecorded.TYPE]
    by_incident: dict[str, list[AuditEntry]] = {}
    for entry in entries:
        if entry.subject is not None and entry.record_type != ReceiptRecorded.TYPE:
            by_incident.setdefault(entry.subject, []).append(entry)
    found = (history([*theirs, *receipts], incident) for incident, theirs in by_incident.items())
    return [one for one in found if one.journal]


def _read(place: Place, wanted: Callable[[AuditEntry], bool]) -> list[AuditEntry]:
    entries, result = asyncio.run(select(place, wanted))
    if not result.ok:
        typer.secho(
            f"warning: the log does not verify ({len(result.findings)} findings): see `tocsin audit verify`",
            fg=typer.colors.RED,
            err=True,
        )
    return entries


def _of_whole_entries(lines: Iterable[Line], wanted: Iterable[Line]) -> list[Line]:
    """All lines of the entries of which any is wanted: an ending without its beginning explains nothing."""
    numbers = {line.seq for line in wanted}
    return [line for line in lines if line.seq in numbers]


def _moment(text: str | None, option: str) -> datetime | None:
    try:
        return moment(text, now(), past=True) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
