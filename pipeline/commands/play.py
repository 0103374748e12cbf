"""`tocsin play`: recorded incidents into the input topic, in compressed time."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigurationError
from pipeline.recorded import RecordedEvent, read
from pipeline.replay.pace import play
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.base import rfc3339

SOURCE = "/tocsin/play"


def outgoing(event: RecordedEvent, speed: float) -> codec.Outgoing:
    """`event` as a record of the input topic, with its virtual clock."""
    return codec.encode(
        topics.INCIDENT_EVENTS,
        event.event,
        id=event.id,
        source=SOURCE,
        subject=event.incident,
        time=event.at,
        extensions={"virtualtime": rfc3339(event.at), "virtualspeed": f"{speed:g}"},
    )


def parse_speed(text: str) -> float | None:
    """A factor, or None for `max`. Raises typer.BadParameter."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(f"{text!r} is neither a number above 0 nor `max`", param_hint="--speed")
    return speed


def main(
    files: Annotated[list[Path], typer.Argument(help="Recorded incidents, in our own form or as JSON lines.")],
    speed: Annotated[str, typer.Option(help="How many times as fast as it happened; max: without waiting.")] = "600",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many events.")] = None,
    suffix: Annotated[
        str, typer.Option(help="Appended to each incident's id: the same file again is then a new incident.")
    ] = "",
) -> None:
    """Play recorded incidents into incident.events, in compressed time."""
    settings = Settings()
    events = [renamed(event, suffix) for event in read(files)][:limit]
    factor = parse_speed(speed)
    require_sandbox(settings)
    asyncio.run(play_to_broker(settings, events, factor))


def renamed(event: RecordedEvent, suffix: str) -> RecordedEvent:
    """The same event of another incident."""
    if not suffix:
        return event
    return RecordedEvent(f"{event.incident}-{suffix}", event.at, event.event, f"{event.id}-{suffix}")


def require_sandbox(settings: Settings) -> None:
    """Played incidents bring their own clock. Raises ConfigurationError where that is not accepted.

    A sandbox that runs on this data directory is as good a sign as the setting: its rooms were started with it.
    """
    from pipeline.broker import runfile

    if not settings.sandbox and runfile.read_live(settings.data_dir / "run" / "sandbox.json") is None:
        raise ConfigurationError(
            "played incidents carry their own clock, which only a sandbox accepts: "
            "start everything with `tocsin up --sandbox`, or set TOCSIN_SANDBOX=true (never in production)"
        )


async def play_to_broker(settings: Settings, events: Sequence[RecordedEvent], speed: float | None) -> None:
    """Plays to the broker of `settings`, each event acknowledged, with a progress bar on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    from pipeline.broker import connect

    columns = (
        BarColumn(20),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
        TimeElapsedColumn(table_column=Column(min_width=7)),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    async with connect.open_producer(settings) as producer:
        with Progress(*columns) as progress:
            task = progress.add_task("", total=len(events))

            async def publish(event: RecordedEvent, factor: float) -> None:
                await connect.send(producer, outgoing(event, factor))
                what = event.event.TYPE.removesuffix(".v1").rpartition(".")[2].replace("_", " ")
                progress.update(task, advance=1, description=f"{event.at:%Y-%m-%d %H:%M} {event.incident} {what}")

            await play(events, publish, speed)
    incidents = len({event.incident for event in events})
    typer.echo(f"played {len(events)} events of {incidents} incident{'s' if incidents != 1 else ''}")


app = typer.Typer()
app.command("play")(main)
