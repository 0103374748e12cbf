"""The commands of the whole corpus: `record`, and `replay` of what it left. `make whole` runs one after the other."""

import asyncio
import json
import math
from pathlib import Path
from typing import Annotated

import typer

from pipeline.bench.whole.recording import Course, record
from pipeline.bench.whole.replaying import replayed
from pipeline.errors import ConfigurationError
from pipeline.recorded import read
from pipeline.replay.past import pasts_of
from pipeline.settings import REPOSITORY

app = typer.Typer(no_args_is_help=True, help="Every incident of a file, told to people who chose differently.")
RESULTS = typer.Option(help="where archive, recorded.json and replayed.json are put", file_okay=False)


@app.command("record")
def record_command(
    files: Annotated[list[Path] | None, typer.Argument(help="recorded incidents; unset: those that ship")] = None,
    subscribers: Annotated[int, typer.Option(help="how many are told", min=1)] = 10_000,
    incidents: Annotated[int | None, typer.Option(help="the first so many; unset: all", min=1)] = None,
    speed: Annotated[float, typer.Option(help="how many times as fast as it happened", min=1.0)] = 3600.0,
    seed: Annotated[int, typer.Option(help="of what the subscribers chose")] = 1,
    within: Annotated[float, typer.Option(help="minutes after which no further incident begins")] = math.inf,
    results: Annotated[Path, RESULTS] = Path("build/whole"),
) -> None:
    """Tell it all, killing each room once on the way. Status 1 if anybody was lost, or told twice without a reason."""
    archive = results.absolute() / "archive"
    if archive.exists():
        raise ConfigurationError(f"{archive} holds the log of an earlier recording: move it away first")
    pasts = pasts_of(read(files or sorted((REPOSITORY / "deploy" / "incidents").glob("*.json"))))[:incidents]
    course = Course(subscribers, speed, seed, within)
    found = asyncio.run(record(pasts, course, archive, lambda line: typer.echo(line, err=True)))
    _keep(results / "recorded.json", found)
    if found["lost"] or sum(found["twice"].values()) > found["unknown"]:
        raise typer.Exit(1)


@app.command("replay")
def replay_command(results: Annotated[Path, RESULTS] = Path("build/whole")) -> None:
    """Verify the archive, decide everything again, make the tables anew, the last two twice. Status 1 if unlike."""
    found = replayed(str(results.absolute() / "archive"))
    _keep(results / "replayed.json", found)
    if not (found["sound"] and found["as_recorded"] and found["alike"]):
        raise typer.Exit(1)


def _keep(path: Path, found: dict[str, object]) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    typer.echo(json.dumps(found, indent=1))
    typer.echo(f"kept in {path}")


if __name__ == "__main__":
    app()
