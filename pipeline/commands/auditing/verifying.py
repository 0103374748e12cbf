"""`tocsin audit verify`: whether the log is as it was sealed, and where it is not."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pipeline.audit.findings import Result
from pipeline.audit.places import Place, place_of, vouchers
from pipeline.audit.reading import verified
from pipeline.audit.verify import Vouchers
from pipeline.commands.replay import ARCHIVE
from pipeline.settings import Settings
from schemas.base import rfc3339

SHOWN_FINDINGS = 20


def verify_command(
    export: Annotated[
        Path | None, typer.Option(help="An export, or a directory of segments, in place of the topic.")
    ] = None,
    archive: Annotated[str | None, ARCHIVE] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A signed checkpoint of your own keeping.")] = None,
    key: Annotated[Path | None, typer.Option(help="The log's public key (log.pub) of your own keeping.")] = None,
    witness: Annotated[Path | None, typer.Option(help="The witness's public key (witness.pub) of your own.")] = None,
    people: Annotated[
        bool, typer.Option("--people", help="Reckon again what is committed to of each person; takes longer.")
    ] = False,
) -> None:
    """Find any changed, missing, repeated or reordered entry, and say which. Exit status 1 if there is one."""
    settings = Settings()
    place = place_of(settings, export, archive)
    given = vouchers(settings.data_dir, checkpoint, key, witness)
    own = place.vouchers()
    vouched = Vouchers(
        checkpoint=given.checkpoint if checkpoint else own.checkpoint,
        key=given.key if key else own.key,
        cosigned=given.cosigned if witness else own.cosigned,
        witness=given.witness if witness else own.witness,
        leaves=own.leaves,
    )
    report(asyncio.run(_verified(place, vouched, people)))


def report(result: Result) -> None:
    """Prints what a verification found; raises typer.Exit with status 1 if anything is wrong."""
    for finding in result.findings[:SHOWN_FINDINGS]:
        typer.secho(str(finding), fg=typer.colors.RED, err=True)
    if len(result.findings) > SHOWN_FINDINGS:
        typer.secho(f"and {len(result.findings) - SHOWN_FINDINGS} findings more", fg=typer.colors.RED, err=True)
    if result.voids:
        typer.echo(f"{result.voids} void appends were passed over: entries that do not link, of a former appender")
    if result.signed is None:
        typer.echo("no checkpoint vouches for it: a tail that was cut off cannot be seen")
    elif result.signed < result.entries:
        typer.echo(f"signed for {result.signed} entries; the last {result.entries - result.signed} are newer")
    if result.cosigned is not None and result.cosigned_at is not None:
        when = rfc3339(datetime.fromtimestamp(result.cosigned_at, UTC))
        typer.echo(f"the witness has seen {result.cosigned} entries, at {when}")
    if not result.ok:
        typer.secho(f"log NOT verified: {len(result.findings)} findings", fg=typer.colors.RED, bold=True, err=True)
        raise typer.Exit(1)
    typer.echo(f"log verified: {result.entries} entries")


async def _verified(place: Place, vouched: Vouchers, people: bool) -> Result:
    with _bar() as bar:
        task = bar.add_task("", total=await place.extent())
        return await verified(place, vouched, lambda count: bar.advance(task, count), people)


def _bar() -> Progress:
    """A bar on a terminal, and nothing where the output is read by programs."""
    columns = (TextColumn("verifying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
