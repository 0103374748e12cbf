"""`tocsin audit`: verify, show and export the sealed log."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.audit.files import replace_file, writing
from pipeline.audit.findings import Result
from pipeline.audit.reading import Linked, Vouchers, stored, verified, vouchers
from pipeline.audit.segments import read_lines
from pipeline.audit.verify import exported, verify
from pipeline.commands.replay import read_history
from pipeline.commands.timelines import printable
from pipeline.settings import Settings
from schemas.audit import AuditEntry
from schemas.base import rfc3339

SHOWN_FINDINGS = 20

app = typer.Typer(no_args_is_help=True, help="Verify, show and export the sealed log.")


@app.command("verify")
def verify_command(
    export: Annotated[
        Path | None, typer.Option(help="An export, or a directory of segments, in place of the topic.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A signed checkpoint of your own keeping.")] = None,
    key: Annotated[Path | None, typer.Option(help="The log's public key (log.pub) of your own keeping.")] = None,
) -> None:
    """Find any changed, missing, repeated or reordered entry, and say which. Exit status 1 if there is one."""
    settings = Settings()
    if export is None:
        result = asyncio.run(verified(settings, vouchers(settings.data_dir, checkpoint, key)))
    else:
        vouched = _beside(export, settings, checkpoint, key)
        result = verify(exported(read_lines(export)), checkpoint=vouched.checkpoint, key=vouched.key)
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
    if not result.ok:
        typer.secho(f"log NOT verified: {len(result.findings)} findings", fg=typer.colors.RED, bold=True, err=True)
        raise typer.Exit(1)
    typer.echo(f"log verified: {result.entries} entries")


@app.command("show")
def show_command(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="The entries themselves, one JSON object a line.")] = False,
) -> None:
    """The sealed entries about an incident, in the order in which they were sealed."""
    found = read_history(Settings(), incident)
    if as_json:
        for entry in found.entries:
            typer.echo(entry.model_dump_json(exclude_none=True))
        return
    table = Table("entry", "appended (UTC)", "what", "record", box=None, pad_edge=False, header_style="bold")
    for entry in found.entries:
        kind = entry.record_type.removeprefix("io.tocsin.").rsplit(".", 1)[0]
        what = Text(printable(" ".join(filter(None, (kind, _said(entry))))))
        table.add_row(str(entry.index), rfc3339(entry.appended_at), what, Text(printable(entry.record_id)))
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="Where to; FILE.checkpoint is written beside it.")],
) -> None:
    """Write the log's exact bytes, an entry a line, and the checkpoint that vouches for them."""
    settings = Settings()
    vouched = vouchers(settings.data_dir)  # read before the log, which can only grow meanwhile
    count = asyncio.run(_export(settings, file))
    if vouched.checkpoint is not None:
        with writing(file):
            replace_file(_checkpoint_of(file), vouched.checkpoint)
    typer.echo(f"{count} entries in {file}")


async def _export(settings: Settings, file: Path) -> int:
    linked = Linked()
    with writing(file), file.open("wb") as out:
        async for batch in stored(settings):
            for value, _ in batch:
                if linked.held.take(value):
                    out.write((value or b"") + b"\n")
    return linked.held.chain.size


def _beside(export: Path, settings: Settings, checkpoint: Path | None, key: Path | None) -> Vouchers:
    """An export has its own checkpoint beside it: the log's present one vouches for entries that came later."""
    own = _checkpoint_of(export)
    if checkpoint is None and own.is_file():
        checkpoint = own
    found = vouchers(settings.data_dir, checkpoint, key)
    return found if checkpoint is not None else Vouchers(None, found.key)


def _checkpoint_of(export: Path) -> Path:
    return export.with_name(f"{export.name}.checkpoint")


def _said(entry: AuditEntry) -> str:
    """What the body says in a few words; who it concerns is in the timeline."""
    body = entry.body or {}
    parts = [f"#{body['seq']}"] if "seq" in body else []
    parts += [str(body[name]) for name in ("channel", "audience", "status") if name in body]
    if recipients := len(body.get("recipients") or body.get("outcomes") or ()):
        parts.append(f"for {recipients}")
    return " ".join(parts)
