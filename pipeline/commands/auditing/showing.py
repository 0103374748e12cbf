"""`tocsin audit show`: the sealed entries about an incident, or one entry whole."""

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.audit.entries import understood
from pipeline.audit.places import Place, place_of
from pipeline.audit.reading import gather
from pipeline.audit.tree import leaf_hash
from pipeline.commands.auditing.asking import Export, InArchive, warn
from pipeline.commands.replay import read_history
from pipeline.commands.timelines import printable
from pipeline.errors import ConfigurationError, NotFound
from pipeline.settings import Settings
from schemas.audit import AuditEntry


def show_command(
    incident: Annotated[str | None, typer.Argument(help="The incident's id.")] = None,
    number: Annotated[int | None, typer.Option("--entry", help="One entry whole, by its number.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The entries themselves, one JSON object a line.")] = False,
    export: Export = None,
    archive: InArchive = None,
) -> None:
    """The sealed entries about an incident, in the order in which they were sealed; or one entry, whole."""
    place = place_of(Settings(), export, archive)
    if (incident is None) == (number is None):
        raise ConfigurationError("name an incident, or an entry with --entry: one of the two")
    if number is not None:
        asyncio.run(_one(place, number, as_json))
        return
    found = read_history(place, incident or "")
    if as_json:
        for entry in found.entries:
            typer.echo(entry.model_dump_json(exclude_none=True))
        return
    listed((entry, _line(entry)) for entry in found.entries)


def _line(entry: AuditEntry) -> str:
    with understood(entry.index):
        return f"{kind_of(entry)}  {entry.record_id}"


def listed(found: Iterable[tuple[AuditEntry, str]]) -> None:
    """A line for each entry with what is to be said of it; on a terminal that is narrow, folded below itself."""
    lines = [(str(entry.index), f"{entry.appended_at:%Y-%m-%d %H:%M:%S}", printable(said)) for entry, said in found]
    if not lines:
        return
    lines.insert(0, ("entry", "appended (UTC)", "what"))
    if not sys.stdout.isatty():
        for number, moment, said in lines:
            typer.echo(f"{number:<7}  {moment:<19}  {said}")
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for cells in lines:
        table.add_row(*map(Text, cells), style="bold" if cells is lines[0] else None)
    Console(highlight=False).print(table)


async def _one(place: Place, number: int, as_json: bool) -> None:
    found = await gather(place, _Numbered(number))
    warn(found.result)
    if not found.kept:
        raise NotFound(f"there is no entry {number}: the log has {found.result.entries}, from 0 on")
    value = found.kept[0].value
    if as_json:
        sys.stdout.buffer.write(value + b"\n")
        return
    signed = found.result.signed or 0
    typer.echo(f"leaf {leaf_hash(value).hex()}, {'signed for' if number < signed else 'not signed for yet'}")
    for line in json.dumps(json.loads(value), ensure_ascii=False, indent=2).splitlines():
        typer.echo(printable(line))


class _Numbered:
    def __init__(self, number: int) -> None:
        self._number = number
        self.words = (f'"index":{number},',)

    def may(self, entry: Mapping[str, Any]) -> bool:
        return bool(entry["index"] == self._number)

    def wants(self, entry: AuditEntry) -> bool:
        return True


def kind_of(entry: AuditEntry) -> str:
    """What an entry is, with what its body says in a few words; who it concerns is in the timeline."""
    body = entry.body or {}
    parts = [entry.record_type.removeprefix("io.tocsin.").rsplit(".", 1)[0]]
    parts += [f"#{body['seq']}"] if "seq" in body else []
    parts += [str(body[name]) for name in ("channel", "audience", "status") if name in body]
    if recipients := len(body.get("recipients") or body.get("outcomes") or ()):
        parts.append(f"for {recipients}")
    return " ".join(parts)
