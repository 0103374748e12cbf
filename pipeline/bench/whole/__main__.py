"""The command of the whole corpus."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.bench.whole.recording import Course, record
from pipeline.bench.whole.replaying import replayed
from pipeline.errors import ConfigurationError
from pipeline.recorded import read
from pipeline.replay.past import pasts_of
from pipeline.settings import REPOSITORY


def main(
    files: Annotated[list[Path] | None, typer.Argument(help="recorded incidents; unset: those that ship")] = None,
    subscribers: Annotated[int, typer.Option(help="how many are told", min=1)] = 10_000,
    incidents: Annotated[int | None, typer.Option(help="the first so many; unset: all", min=1)] = None,
    speed: Annotated[float, typer.Option(help="how many times as fast as it happened", min=1.0)] = 3600.0,
    seed: Annotated[int, typer.Option(help="of what the subscribers chose")] = 1,
    results: Annotated[Path, typer.Option(help="where the archive and whole.json are put", file_okay=False)] = Path(
        "build/whole"
    ),
) -> None:
    """Record every incident, with each room killed on the way; replay it twice. Status 1 if anything is not alike."""
    archive = results.absolute() / "archive"
    if archive.exists():
        raise ConfigurationError(f"{archive} holds the log of an earlier recording: move it away first")
    pasts = pasts_of(read(files or sorted((REPOSITORY / "deploy" / "incidents").glob("*.json"))))[:incidents]
    course = Course(subscribers, speed, seed)
    recorded = asyncio.run(record(pasts, course, archive, lambda line: typer.echo(line, err=True)))
    found = {"recorded": recorded | {"speed": speed, "seed": seed}, **replayed(str(archive))}
    (results / "whole.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    typer.echo(json.dumps(found, indent=1))
    typer.echo(f"kept in {results / 'whole.json'}; the archive: {archive}")
    as_it_was = found["sound"] and found["as_recorded"] and found["alike"]
    if not as_it_was or recorded["lost"] or sum(recorded["twice"].values()) > recorded["unknown"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
