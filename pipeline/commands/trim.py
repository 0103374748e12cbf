"""`tocsin trim`: what ended long ago is closed, and what is closed goes from Kafka, since the archive has it."""

import asyncio

import typer

from pipeline.private_keys import keys_of
from pipeline.settings import Settings


def trim() -> None:
    """Have Kafka forget what the archive has and nobody needs any more. The record room does it every day."""
    from pipeline.clock import now
    from pipeline.trimming import trim as trimming

    keys_of("trim")
    settings = Settings()
    found = asyncio.run(trimming.trim(settings, now))
    for incident, why in found.judged.kept:
        typer.echo(f"{incident} stays, and all that came after it: {why}")
    if found.lacking:
        typer.echo(f"{found.lacking} records stay: the archive has them not (yet)")
    for incident, seq in found.judged.closing:
        typer.echo(f"{incident} is to be closed after entry {seq}: it goes next time")
    went = ", ".join(f"{name} {count}" for name, count in found.forgotten.items())
    typer.echo(f"Kafka forgot: {went} records")
