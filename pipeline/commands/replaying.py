"""`tocsin replay --sandbox`: what was said, said once more, into a sandbox that this command starts on free ports."""

import asyncio
import time
from datetime import datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from pipeline.audit.history import History
from pipeline.audit.places import Place
from pipeline.commands.play import parse_speed
from pipeline.commands.replay import read_histories, read_history
from pipeline.errors import NotFound, TocsinError
from pipeline.replay.into_sandbox import Replayed, Said, into_sandbox, said_in
from pipeline.replay.sources import compiled, journals, words_of
from pipeline.sandbox import Sandbox
from schemas.rendering import Rendering

NO_LIMIT = 1_000_000
"""X's own would have a large replay wait for hours."""


def say_again(
    place: Place, incident: str | None, span: tuple[datetime, datetime], speed: str, keep: Path | None
) -> None:
    """Says it again and shows what the sandbox took. Raises TocsinError where that is not all."""
    factor = parse_speed(speed)
    histories = [read_history(place, incident)] if incident is not None else read_histories(place)
    said = [one for found in histories for one in said_in(found) if span[0] <= _shown(found, one) <= span[1]]
    if not said:
        raise NotFound("nothing that a provider took is sealed of that incident, or span")
    found, taken = asyncio.run(_say(place, incident, said, factor, keep))
    table = Table("channel", "took", "in the sandbox", "no words", "no stand-in", box=None, pad_edge=False)
    for channel in sorted(found.said):
        counts = (found.said, found.taken, found.without_words, found.without_double)
        table.add_row(channel, *(str(count[channel]) for count in counts))
    Console(highlight=False).print(table)
    if keep is not None:
        typer.echo(f"what it took: {keep / 'truth.jsonl'}")
    expected = found.said - found.without_words - found.without_double
    if found.taken != expected or taken != found.taken.total():
        raise TocsinError(f"of {expected.total()} messages the sandbox took {taken}: not what the log says")


async def _say(
    place: Place, incident: str | None, said: list[Said], speed: float | None, keep: Path | None
) -> tuple[Replayed, int]:
    policies, words = await compiled(place), dict[str, Rendering]()
    for entries in (await journals(place, incident)).values():
        words |= words_of(entries, policies)
    async with Sandbox(keep, x_posts_per_window=NO_LIMIT) as sandbox:
        typer.echo(f"the sandbox shows what it takes on {sandbox.inbox_url}")
        found = await into_sandbox(said, words, sandbox, speed, asyncio.sleep, time.monotonic)
        return found, len(sandbox.mails) + len(sandbox.texts) + len(sandbox.posts)


def _shown(found: History, one: Said) -> datetime:
    """When it was said by the incident's own clock."""
    entry = found.journal.get(one.attempt.seq)
    return entry.at if entry is not None and entry.input.virtual else one.at
