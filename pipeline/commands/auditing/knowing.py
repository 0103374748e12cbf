"""`tocsin audit who-knew`: what one person had been told by a moment, word for word."""

import asyncio
import hashlib
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pipeline.audit.places import Place, place_of
from pipeline.audit.reading import Gathered, gather
from pipeline.audit.told import About, Message, merged_into, told
from pipeline.audit.words import exact, readable, renderings, said_in
from pipeline.commands.auditing.asking import AsJson, At, Export, InArchive, Person, moment_of, warn
from pipeline.commands.timelines import printable
from pipeline.errors import NotFound
from pipeline.replay.spans import counted
from pipeline.settings import Settings
from schemas.base import rfc3339
from schemas.delivery import ReceiptRecorded, Result
from schemas.rendering import Rendering

UNBROKEN = 100_000
"""Columns for what is piped on: the words stand in the lines in which they were said."""


def who_knew_command(
    subscriber: Person,
    at: At = None,
    incident: Annotated[str | None, typer.Option(help="Only about this incident.")] = None,
    export: Export = None,
    archive: InArchive = None,
    as_json: AsJson = False,
) -> None:
    """What someone had been told by a moment: every message that a provider took by then, with its very words."""
    until = moment_of(at, "--at")
    gathered, messages, words = asyncio.run(read(place_of(Settings(), export, archive), subscriber, until, incident))
    warn(gathered.result)
    if as_json:
        said = [_for_programs(message, words.get(message.rendering)) for message in messages]
        sys.stdout.buffer.write(orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z) + b"\n")
        return
    show(Console(highlight=False, width=None if sys.stdout.isatty() else UNBROKEN), subscriber, until, messages, words)
    if (other := merged_into((kept.entry for kept in gathered.kept), until)) is not None:
        typer.echo(f"\nsince {rfc3339(other[1])} they are told as {other[0]}: ask of them as well")


async def read(
    place: Place, subscriber: str, until: datetime | None, incident: str | None
) -> tuple[Gathered, list[Message], dict[str, Rendering]]:
    """Everything sealed about the person, what they had been told, the words. Raises NotFound for a stranger."""
    gathered = await gather(place, About(subscriber))
    if not any(kept.entry.record_type != ReceiptRecorded.TYPE for kept in gathered.kept):
        raise NotFound(
            f"nothing is sealed about a subscriber {subscriber!r} ({gathered.result.entries} entries in the log)"
        )
    messages = told([kept.entry for kept in gathered.kept], subscriber, until, incident)
    return gathered, messages, await renderings(place, {message.rendering for message in messages})


def show(
    console: Console, subscriber: str, until: datetime | None, messages: list[Message], words: dict[str, Rendering]
) -> None:
    """A block for each message: when, how, about what; then the words."""
    by = f"by {rfc3339(until)}" if until else "so far"
    console.print(Text(f"{subscriber}: {counted(len(messages), 'message')} {by}, UTC", style="bold"))
    for message in messages:
        console.print()
        when = f"{message.at:%Y-%m-%d %H:%M:%S}" if message.at else "?"
        head = f"{when}  {message.channel}  {message.incident} #{message.seq}, {message.kind.replace('_', ' ')}"
        console.print(Text(printable(head), style="bold"))
        doubt = message.result is Result.UNKNOWN
        fate = "it may have arrived: nobody knows" if doubt else "taken by the provider"
        fate += f" as {message.provider_id}" if message.provider_id else ""
        fate += f", who says later: {message.status}" if message.status else ""
        console.print(Text(printable(fate), style="yellow" if doubt else "green"))
        console.print(Text(f"entries {message.intended} (what was to be told), {message.ended} (what came of it)"))
        console.print(Text(f"words {message.rendering} (SHA-256)", style="dim"))
        if (rendering := words.get(message.rendering)) is None:
            console.print(Text("the words are not here: ask the broker, or an archive", style="yellow"))
            continue
        for line in readable(said_in(rendering, message.zone)).splitlines():
            console.print(Padding(Text(printable(line)), (0, 0, 0, 4), expand=False))


def _for_programs(message: Message, rendering: Rendering | None) -> dict[str, Any]:
    found = asdict(message)
    if rendering is not None:
        found["says"] = said_in(rendering, message.zone)
        found["bytes"] = exact(rendering).decode()
        found["sha256"] = hashlib.sha256(exact(rendering)).hexdigest()
    return found
