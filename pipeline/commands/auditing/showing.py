"""`tocsin audit show`: the sealed entries about an incident."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.audit.places import place_of
from pipeline.commands.replay import ARCHIVE, read_history
from pipeline.commands.timelines import printable
from pipeline.settings import Settings
from schemas.audit import AuditEntry
from schemas.base import rfc3339


def show_command(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="The entries themselves, one JSON object a line.")] = False,
    archive: Annotated[str | None, ARCHIVE] = None,
) -> None:
    """The sealed entries about an incident, in the order in which they were sealed."""
    found = read_history(place_of(Settings(), archive=archive), incident)
    if as_json:
        for entry in found.entries:
            typer.echo(entry.model_dump_json(exclude_none=True))
        return
    table = Table("entry", "appended (UTC)", "what", "record", box=None, pad_edge=False, header_style="bold")
    for entry in found.entries:
        kind = entry.record_type.removeprefix("io.tocsin.").rsplit(".", 1)[0]
        what = Text(printable(" ".join(filter(None, (kind, said(entry))))))
        table.add_row(str(entry.index), rfc3339(entry.appended_at), what, Text(printable(entry.record_id)))
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)


def said(entry: AuditEntry) -> str:
    """What the body says in a few words; who it concerns is in the timeline."""
    body = entry.body or {}
    parts = [f"#{body['seq']}"] if "seq" in body else []
    parts += [str(body[name]) for name in ("channel", "audience", "status") if name in body]
    if recipients := len(body.get("recipients") or body.get("outcomes") or ()):
        parts.append(f"for {recipients}")
    return " ".join(parts)
