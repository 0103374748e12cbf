"""`tocsin replay`: the timeline of an incident, from the sealed log alone. It holds no sender and writes nothing."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from pipeline.audit.history import History, concerns, history
from pipeline.audit.places import Place, place_of
from pipeline.audit.reading import select
from pipeline.audit.timeline import timeline_of
from pipeline.commands.timelines import show
from pipeline.errors import NotFound
from pipeline.settings import Settings

ARCHIVE = typer.Option(help="An archive (a folder, s3://bucket/prefix) in place of the topics.", metavar="URL")


def replay(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    archive: Annotated[str | None, ARCHIVE] = None,
) -> None:
    """What came in, what was decided and why, what was said to how many on which channel, what was not and why."""
    show(Console(highlight=False), incident, timeline_of(read_history(place_of(Settings(), archive=archive), incident)))


def read_history(place: Place, incident: str) -> History:
    """The sealed history of an incident; says on stderr if the log is not sound. Raises NotFound, BrokerError."""
    entries, result = asyncio.run(select(place, concerns(incident)))
    if not result.ok:
        typer.secho(
            f"warning: the log does not verify ({len(result.findings)} findings): see `tocsin audit verify`",
            fg=typer.colors.RED,
            err=True,
        )
    found = history(entries, incident)
    if not found.entries:
        raise NotFound(
            f"nothing is sealed about an incident {incident!r} ({result.entries} entries in the log); "
            "`tocsin status` lists the open ones"
        )
    return found
