"""`tocsin deadletters`: input that could not be used; why, where it stood, and how it comes in again."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from pipeline.broker import connect
from pipeline.commands.overview import first
from pipeline.errors import BrokerError, BrokerUnreachable, NotFound, TocsinError
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import rfc3339
from schemas.deadletter import DeadLetter

app = typer.Typer(no_args_is_help=True, help="Input that could not be used: list, show, replay.")
Letter = Annotated[str, typer.Argument(metavar="ID", help="As `tocsin deadletters list` shows it: partition-offset.")]

SHOWN_BYTES = 4096


class NotKept(TocsinError):
    """The original record is gone, or only a part of it was kept."""


@app.command("list")
def list_() -> None:
    """Every dead letter that is still kept (30 days)."""
    asyncio.run(_list(Settings()))


@app.command()
def show(letter: Letter) -> None:
    """One dead letter: reason, origin, headers, and what the record held."""
    asyncio.run(_show(Settings(), letter))


@app.command()
def replay(
    letter: Letter,
    value: Annotated[
        Path | None, typer.Option(help="A file whose bytes take the place of the record's value.", exists=True)
    ] = None,
) -> None:
    """Write the original record to its topic again, as it was or with another value."""
    asyncio.run(_replay(Settings(), letter, value.read_bytes() if value else None))


async def _list(settings: Settings) -> None:
    found = False
    async for record, letter in _letters(settings):
        origin = f"{letter.origin.topic}/{letter.origin.partition}@{letter.origin.offset}"
        at = f"{letter.appended_at:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"{name_of(record):<8}{at}  {letter.reason}  {origin}\n        {_short(letter.detail)}")
        found = True
    if not found:
        typer.echo("no dead letters")


async def _show(settings: Settings, name: str) -> None:
    _, letter = await find(settings, name)
    typer.echo(f"reason    {letter.reason}: {_printable(letter.detail)}")
    typer.echo(f"origin    {letter.origin.topic}, partition {letter.origin.partition}, offset {letter.origin.offset}")
    typer.echo(f"when      {rfc3339(letter.appended_at)}, refused by {letter.room}")
    typer.echo(f"size      {letter.size} bytes, SHA-256 {letter.sha256}")
    typer.echo(f"key       {_readable(_bytes(letter.key))}")
    for header, held in letter.headers:
        typer.echo(f"header    {_printable(header)}: {_readable(_bytes(held))}")
    if letter.sealed is not None:
        typer.echo("value     sealed, since it may hold contact data; `replay` reads it at its origin")
    else:
        typer.echo(f"value     {_readable(_bytes(letter.value))}")


async def _replay(settings: Settings, name: str, value: bytes | None) -> None:
    _, letter = await find(settings, name)
    outgoing = again(letter, await _at_origin(settings, letter), _kept(settings, letter), value)
    async with connect.open_producer(settings) as producer:
        written = await connect.send(producer, outgoing)
    typer.echo(f"written: {written.topic}, partition {written.partition}, offset {written.offset}")


def again(letter: DeadLetter, original: codec.Record | None, kept: bytes | None, value: bytes | None) -> codec.Outgoing:
    """The record to be written: the original where it still stands, else what was `kept`, with `value` if given.

    The partition stays: what came without a key, or with the wrong one, belongs where its order was. Raises NotKept.
    """
    if original is not None:
        key, held, headers = original.key, original.value, original.headers
    else:
        key, held = _bytes(letter.key), kept
        headers = tuple((header, _bytes(raw) or b"") for header, raw in letter.headers)
        if value is None and (held is None or len(held) != letter.size):
            raise NotKept(
                f"the record is gone from {letter.origin.topic}, and of its {letter.size} bytes "
                f"{len(held or b'')} were kept: give the whole value with --value FILE"
            )
    return codec.Outgoing(
        topic=letter.origin.topic,
        key=key,
        value=held if value is None else value,
        headers=headers,
        partition=letter.origin.partition,
    )


async def find(settings: Settings, name: str) -> tuple[codec.Record, DeadLetter]:
    """The dead letter called `name`. Raises NotFound."""
    partition, dash, offset = name.partition("-")
    if dash and partition.isdecimal() and offset.isdecimal() and int(partition) < settings.partitions:
        found = await first(_letters(settings, int(partition)), lambda pair: pair[0].offset == int(offset))
        if found is not None:
            return found
    raise NotFound(f"there is no dead letter {name!r}; `tocsin deadletters list` shows those that are kept")


def name_of(record: codec.Record) -> str:
    """What a dead letter is called: its own place, not the original's, since a replayed one may die again."""
    return f"{record.partition}-{record.offset}"


async def _letters(settings: Settings, partition: int | None = None) -> AsyncIterator[tuple[codec.Record, DeadLetter]]:
    partitions = None if partition is None else [partition]
    async for record in connect.read_all(settings, topics.DEAD_LETTERS.name, partitions=partitions):
        yield record, codec.decode(record, DeadLetter).data


async def _at_origin(settings: Settings, letter: DeadLetter) -> codec.Record | None:
    """The very record, if retention, or a new broker, has left it where it stood."""
    topic, partition, offset = letter.origin.topic, letter.origin.partition, letter.origin.offset
    reading = connect.read_all(settings, topic, partitions=[partition], start={partition: offset})
    try:
        found = await first(reading, lambda record: True)
    except BrokerUnreachable:
        raise
    except BrokerError:
        return None  # the partition ends before that offset
    same = found is not None and hashlib.sha256(found.value or b"").hexdigest() == letter.sha256
    return found if same and found is not None and found.offset == offset else None


def _kept(settings: Settings, letter: DeadLetter) -> bytes | None:
    if letter.sealed is None:
        return _bytes(letter.value)
    return Vault.open(settings).unseal_blob(letter.sealed)


def _bytes(encoded: str | None) -> bytes | None:
    return None if encoded is None else base64.b64decode(encoded)


def _readable(raw: bytes | None) -> str:
    """Bytes as text; what could move the cursor of a terminal, or is no UTF-8, is escaped."""
    if raw is None:
        return "(none)"
    shown = _printable(raw[:SHOWN_BYTES].decode("utf-8", "backslashreplace"))
    return shown if len(raw) <= SHOWN_BYTES else f"{shown}… ({len(raw)} bytes)"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _short(text: str) -> str:
    line = " ".join(_printable(text).split())
    return line if len(line) <= 80 else f"{line[:79]}…"
