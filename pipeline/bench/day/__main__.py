"""The command of the day."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.bench.day.picture import picture
from pipeline.bench.day.story import one_day
from pipeline.bench.day.telling import Size, tell
from pipeline.recorded import read
from pipeline.settings import REPOSITORY


def main(
    files: Annotated[list[Path] | None, typer.Argument(help="recorded incidents; unset: those that ship")] = None,
    subscribers: Annotated[int, typer.Option(help="readers of mail", min=1)] = 1_000,
    texts: Annotated[int | None, typer.Option(help="readers of SMS; unset: one for 100 of mail", min=0)] = None,
    incidents: Annotated[int, typer.Option(help="the first so many", min=1)] = 10,
    results: Annotated[Path, typer.Option(help="where day.json and day.svg are put", file_okay=False)] = Path("build"),
) -> None:
    """Tell a day's incidents to so many people; status 1 if anybody was lost or told twice."""
    events = one_day(read(files or sorted((REPOSITORY / "deploy" / "incidents").glob("*.json"))), incidents)
    size = Size(subscribers, subscribers // 100 if texts is None else texts)
    day = asyncio.run(tell(events, size, lambda line: typer.echo(line, err=True)))
    results.mkdir(parents=True, exist_ok=True)
    (results / "day.json").write_text(json.dumps(day, indent=1) + "\n", "utf-8")
    (results / "day.svg").write_text(picture(day), "utf-8")
    typer.echo(json.dumps({name: value for name, value in day.items() if name != "samples"}, indent=1))
    typer.echo(f"kept in {results / 'day.json'} and {results / 'day.svg'}")
    if day["lost"] or any(day["twice"].values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
