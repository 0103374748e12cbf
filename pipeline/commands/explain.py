"""`tocsin explain`: why someone heard of an incident, or did not, from the sealed log alone. It holds no sender."""

import asyncio
import sys
from datetime import datetime
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.audit.explain import Events, Explanation
from pipeline.audit.explain import explain as explained
from pipeline.audit.history import concerns, history
from pipeline.audit.places import Place, place_of
from pipeline.audit.reading import select
from pipeline.clock import now
from pipeline.commands.moments import moment
from pipeline.commands.replay import ARCHIVE
from pipeline.commands.timelines import STYLES, printable
from pipeline.errors import NotFound
from pipeline.replay.sources import compiled
from pipeline.settings import Settings
from schemas import codec
from schemas.base import Message
from schemas.topics import SUBSCRIBER_EVENTS_TOPIC


def explain(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    subscriber: Annotated[str, typer.Option(help="The subscriber's id, as `tocsin subscribers list` shows it.")],
    at: Annotated[str | None, typer.Option(help="Only up to this moment of the incident's clock.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    archive: Annotated[str | None, ARCHIVE] = None,
) -> None:
    """Why someone heard or did not hear of an incident: every rule that spoke about them, entry by entry."""
    try:
        until = moment(at, now(), past=True) if at else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--at") from None
    found = asyncio.run(read(place_of(Settings(), archive=archive), incident, subscriber, until))
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z) + b"\n")
    else:
        show(Console(highlight=False), found)


async def read(place: Place, incident: str, subscriber: str, until: datetime | None) -> Explanation:
    """The explanation from the log and the subscriber's events. Raises NotFound, BrokerError."""
    entries, result = await select(place, concerns(incident))
    if not result.ok:
        problem = f"warning: the log does not verify ({len(result.findings)} findings): see `tocsin audit verify`"
        typer.secho(problem, fg=typer.colors.RED, err=True)
    found = history(entries, incident)
    if not found.journal:
        raise NotFound(f"nothing is sealed about an incident {incident!r}; `tocsin status` lists the open ones")
    events = await events_of(place, subscriber)
    if not events and not any(subscriber in fates for fates in found.fates.values()):
        raise NotFound(f"nobody was ever called {subscriber!r}; `tocsin subscribers list` shows who there is")
    return explained(found, events, subscriber, await compiled(place), until)


async def events_of(place: Place, subscriber: str) -> Events:
    """The subscriber's events, in order, from their topic: the log holds what they chose, but no contact to fold."""
    found: list[tuple[datetime, Message]] = []
    async for record in place.records(SUBSCRIBER_EVENTS_TOPIC, subscriber):
        try:
            found.append((record.timestamp, codec.decode(record).data))
        except codec.Undecodable:
            continue  # the workers' to report
    return found


def show(console: Console, found: Explanation) -> None:
    """Prints an explanation: a block for each entry, each rule in a line."""
    console.print(Text(printable(f"{found.incident}, as far as it concerns {found.subscriber}, UTC"), style="bold"))
    day = ""
    for one in found.moments:
        console.print()
        if (today := f"{one.at:%Y-%m-%d}") != day:
            console.print(Text(today, style="bold underline"))
            day = today
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, min_width=8)
        table.add_column(overflow="fold", ratio=1)
        table.add_row(
            f"{one.at:%H:%M:%S}", Text(f"#{one.seq} in", style="bold"), Text(printable(one.came_in), style="bold")
        )
        whose = ", ".join(one.audiences) or "no audience"
        table.add_row("", "", Text(f"they belong to {whose}", style="dim"))
        for point in one.points:
            style = STYLES[point.sort]
            table.add_row("", Text(str(point.sort), style=style), Text(printable(point.text), style=style))
        console.print(table)
    console.print()
    taken = f"{found.messages} message{'s' if found.messages != 1 else ''} to them taken by providers"
    console.print(Text(taken, style="bold"))
