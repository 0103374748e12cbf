"""`tocsin schema`: the wire as files, for those who publish events from elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

import schemas

app = typer.Typer(no_args_is_help=True, help="The wire as JSON Schemas and AsyncAPI.")
HOME = Path(schemas.__file__).parent


@app.callback()
def _group() -> None:
    # With a callback typer keeps `export` a subcommand although there is no other.
    pass


@app.command()
def export(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if the files are not current.")] = False,
    to: Annotated[Path, typer.Option(help="The directory to write to.")] = HOME,
) -> None:
    """Write a JSON Schema per type (json/) and the AsyncAPI document (asyncapi.yaml)."""
    from schemas import export as wire

    files = wire.files()
    stale = sorted(
        path
        for path in files.keys() | {f"json/{found.name}" for found in (to / "json").glob("*.json")}
        if path not in files or not (to / path).is_file() or (to / path).read_text("utf-8") != files[path]
    )
    if check:
        for path in stale:
            typer.secho(f"not current: {path}", fg=typer.colors.RED, err=True)
        if stale:
            raise typer.Exit(1)
        typer.echo(f"{len(files)} files are current")
        return
    for path in stale:
        target = to / path
        if path in files:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(files[path], "utf-8")
        else:
            target.unlink()
    typer.echo(f"{len(files)} files, {len(stale)} written or removed")
