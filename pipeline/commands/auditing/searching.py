"""`tocsin audit search`: the entries that answer a question."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.audit.places import place_of
from pipeline.audit.reading import Kept, gather
from pipeline.audit.search import Question, Search, approvers, provider_ids, rules
from pipeline.commands.auditing.asking import Export, InArchive, moment_of, warn
from pipeline.commands.auditing.showing import said
from pipeline.commands.timelines import printable
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from schemas.base import Channel, rfc3339

MAX_RULES = 3


def search_command(
    incident: Annotated[str | None, typer.Option(help="About this incident.")] = None,
    subscriber: Annotated[str | None, typer.Option(help="About this person, list or account, by id.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="About this channel.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Appended at this moment or later: 14:30, 2h ago, RFC 3339.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Appended at this moment or before.")] = None,
    rule: Annotated[str | None, typer.Option(help="Where this rule spoke: part of a reason, or of its name.")] = None,
    approver: Annotated[str | None, typer.Option(help="What this operator approved, or ordered.")] = None,
    provider_id: Annotated[str | None, typer.Option(help="The id that a provider gave a message.")] = None,
    export: Export = None,
    archive: InArchive = None,
    as_json: Annotated[bool, typer.Option("--json", help="The entries' exact bytes, one a line.")] = False,
) -> None:
    """The sealed entries that answer a question; all that is given must fit. Exit status 1 if there are none."""
    question = Question(
        incident=incident, subscriber=subscriber, channel=channel, since=moment_of(since, "--since"),
        until=moment_of(until, "--until"), rule=rule, approver=approver, provider_id=provider_id,
    )  # fmt: skip
    if question == Question():
        raise ConfigurationError("ask for something: --incident, --subscriber, --rule … (`tocsin audit search --help`)")
    search = Search(question)
    found = asyncio.run(gather(place_of(Settings(), export, archive), search))
    warn(found.result)
    if as_json:
        for kept in found.kept:
            sys.stdout.buffer.write(kept.value + b"\n")
    else:
        show(found.kept)
        typer.echo(f"{len(found.kept)} of {found.result.entries} entries", err=True)
    if not found.kept:
        raise typer.Exit(1)


def show(kept: list[Kept]) -> None:
    """A line for each entry."""
    table = Table(
        "entry", "appended (UTC)", "about", "what", "why, by whom", box=None, pad_edge=False, header_style="bold"
    )
    for entry in (one.entry for one in kept):
        kind = entry.record_type.removeprefix("io.tocsin.").rsplit(".", 1)[0]
        what = " ".join(filter(None, (kind, said(entry))))
        named = list(dict.fromkeys(rules(entry)))
        why = "; ".join(named[:MAX_RULES]) + (f"; and {len(named) - MAX_RULES} more" if len(named) > MAX_RULES else "")
        by = ", ".join(sorted(approvers(entry)))
        ids = ", ".join(sorted(provider_ids(entry))[:MAX_RULES])
        reasons = " | ".join(filter(None, (why, by and f"by {by}", ids)))
        cells = (str(entry.index), rfc3339(entry.appended_at), entry.subject or "", what, reasons)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)
