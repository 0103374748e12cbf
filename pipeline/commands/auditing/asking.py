"""What the questions to the log share: where it lies, moments, and a word where it is not sound."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.audit.findings import Result
from pipeline.clock import now
from pipeline.commands.moments import moment
from pipeline.commands.replay import ARCHIVE

Export = Annotated[Path | None, typer.Option(help="An export, or a directory of segments, in place of the topic.")]
InArchive = Annotated[str | None, ARCHIVE]
Person = Annotated[str, typer.Option("--subscriber", help="Their id, as `tocsin subscribers list` shows it.")]
At = Annotated[str | None, typer.Option(help="Up to this moment: 14:30, 2h ago, 2026-03-04T09:12:00Z. Default: now.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def moment_of(text: str | None, option: str) -> datetime | None:
    """The moment of an option. Raises typer.BadParameter that names it."""
    try:
        return moment(text, now(), past=True) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def warn(result: Result) -> None:
    """Says on stderr that the log is not sound, where it is not: what follows is only what stands in it."""
    if not result.ok:
        problem = f"warning: the log does not verify ({len(result.findings)} findings): see `tocsin audit verify`"
        typer.secho(problem, fg=typer.colors.RED, err=True)
