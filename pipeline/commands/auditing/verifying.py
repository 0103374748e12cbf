"""`tocsin audit verify`: whether the log is as it was sealed, and where it is not."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pipeline.audit.findings import Result
from pipeline.audit.reading import end_of_log, verified, vouchers
from pipeline.audit.segments import read_lines, segment_files
from pipeline.audit.verify import Vouchers, exported, verify
from pipeline.commands.auditing.exporting import checkpoint_of
from pipeline.settings import Settings
from schemas.base import rfc3339

SHOWN_FINDINGS = 20
AT_ONCE = 1000


def verify_command(
    export: Annotated[
        Path | None, typer.Option(help="An export, or a directory of segments, in place of the topic.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A signed checkpoint of your own keeping.")] = None,
    key: Annotated[Path | None, typer.Option(help="The log's public key (log.pub) of your own keeping.")] = None,
    witness: Annotated[Path | None, typer.Option(help="The witness's public key (witness.pub) of your own.")] = None,
) -> None:
    """Find any changed, missing, repeated or reordered entry, and say which. Exit status 1 if there is one."""
    settings = Settings()
    if export is None:
        result = asyncio.run(_of_topic(settings, vouchers(settings.data_dir, checkpoint, key, witness)))
    else:
        vouched = _beside(export, settings, checkpoint, key, witness)
        with _bar() as bar:
            result = verify(exported(_counted(export, bar)), vouched)
    report(result)


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


async def _of_topic(settings: Settings, vouched: Vouchers) -> Result:
    with _bar() as bar:
        task = bar.add_task("", total=await end_of_log(settings))
        return await verified(settings, vouched, lambda count: bar.advance(task, count))


def _counted(export: Path, bar: Progress) -> Iterator[bytes]:
    """The entries of an export; the bar follows by the bytes."""
    files: Iterable[Path] = segment_files(export) if export.is_dir() else [export]
    task = bar.add_task("", total=sum(file.stat().st_size for file in files if file.exists()))
    read = 0
    for number, line in enumerate(read_lines(export)):
        read += len(line) + 1
        if number % AT_ONCE == 0:
            bar.update(task, completed=read)
        yield line
    bar.update(task, completed=read)


def _bar() -> Progress:
    """A bar on a terminal, and nothing where the output is read by programs."""
    columns = (TextColumn("verifying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _beside(
    export: Path, settings: Settings, checkpoint: Path | None, key: Path | None, witness: Path | None
) -> Vouchers:
    """An export has its own checkpoint beside it: the log's present one vouches for entries that came later."""
    own = checkpoint_of(export)
    if checkpoint is None and own.is_file():
        checkpoint = own
    found = vouchers(settings.data_dir, checkpoint, key, witness)
    if checkpoint is None:
        return Vouchers(key=found.key)
    return found if witness is not None else Vouchers(checkpoint=found.checkpoint, key=found.key)
