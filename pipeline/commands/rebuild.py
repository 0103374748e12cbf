"""`tocsin rebuild`: the SQL projection anew from the log, while the old one goes on serving."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.audit.places import place_of
from pipeline.commands.replay import ARCHIVE
from pipeline.errors import ProjectionError
from pipeline.settings import Settings


def rebuild(
    export: Annotated[
        Path | None, typer.Option(help="An export, or a directory of segments, in place of the topic.")
    ] = None,
    archive: Annotated[str | None, ARCHIVE] = None,
) -> None:
    """Make the SQL projection anew from the log; the old one serves until the new one takes its place."""
    began = time.perf_counter()
    entries = asyncio.run(_rebuild(Settings(), export, archive))
    took = time.perf_counter() - began
    typer.echo(f"the projection was made anew of {entries:,} entries in {took:.1f} s ({entries / took:,.0f} a second)")


async def _rebuild(settings: Settings, export: Path | None, archive: str | None) -> int:
    from pipeline.projection import rebuilding
    from pipeline.projection.homes import home
    from pipeline.projection.reader import DATABASE_ERRORS, said

    where, place = home(settings), place_of(settings, export, archive)
    in_topic = export is None and archive is None
    log = rebuilding.from_topic(settings) if in_topic else rebuilding.from_place(place)
    total = await place.extent()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("entries", total=total)
        try:
            return await rebuilding.rebuild(settings, where, log, lambda taken: progress.advance(task, taken))
        except DATABASE_ERRORS as error:
            raise ProjectionError(
                f"the projection cannot be made anew: {said(error)}; the old one serves on"
            ) from error
