"""`tocsin replay --check`: the whole log, or one incident of it, decided again."""

import asyncio
import time

import typer
from rich.console import Console
from rich.progress import Progress

from pipeline.audit.places import Place
from pipeline.commands.timelines import printable
from pipeline.errors import NotFound
from pipeline.replay.checking import Checked, check

SHOWN = 20


def check_again(place: Place, incident: str | None) -> None:
    """Says what came out otherwise, by incident and entry. Raises NotFound, and typer.Exit with status 1."""
    began = time.perf_counter()
    found = asyncio.run(_checked(place, incident))
    if not found.entries:
        raise NotFound(f"the log holds no decision{f' on an incident {incident!r}' if incident else ''}")
    for difference in found.differences[:SHOWN]:
        typer.secho(printable(str(difference)), fg=typer.colors.RED, err=True)
    if len(found.differences) > SHOWN:
        typer.secho(f"and {len(found.differences) - SHOWN} differences more", fg=typer.colors.RED, err=True)
    took = time.perf_counter() - began
    said = (
        f"{found.entries} entries of {found.incidents} incidents decided again, {found.messages} windows that went out "
        f"and {found.renderings} stored renderings compared, in {took:.1f} s ({found.entries / took:.0f} entries/s)"
    )
    typer.echo(said)
    typer.echo(f"what is decided and worded now: sha256 {found.sha256}")
    if found.differences:
        typer.secho(f"NOT as it was: {len(found.differences)} differences", fg=typer.colors.RED, bold=True, err=True)
        raise typer.Exit(1)
    typer.echo("byte for byte as it was")


async def _checked(place: Place, incident: str | None) -> Checked:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def went(what: str, done: int, of: int | None) -> None:
            progress.update(task, description=what, completed=done, total=of)

        return await check(place, incident, went)
