"""`tocsin bench`: how fast it is, beside other people's tools in the same run."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.bench.figures import FIGURES, RESULTS, Figure, measured, merge


def _known(names: list[str] | None) -> list[str]:
    for name in names or []:
        if name not in FIGURES:
            raise typer.BadParameter(f"{name} is none of {', '.join(FIGURES)}")
    return names or list(FIGURES)


def bench(
    figures: Annotated[
        list[str] | None, typer.Argument(help=f"of {', '.join(FIGURES)}; all if none is named", callback=_known)
    ] = None,
    runs: Annotated[int, typer.Option(help="the median of so many", min=1)] = 3,
    results: Annotated[Path, typer.Option(help="where the figures are kept", dir_okay=False)] = RESULTS,
) -> None:
    """Measure figures and merge them into build/bench.json; ratios are ours divided by the other's."""
    console, table = Console(), _table()
    for figure in figures or FIGURES:
        console.print(f"{figure}: {FIGURES[figure]}")
        for found in measured(figure, runs):
            merge(results, found)
            _add(table, found)
    console.print(table)
    console.print(f"kept in {results}")


def _table() -> Table:
    table = Table("figure", "unit", "who", box=None, header_style="bold")
    table.add_column("value", justify="right")
    table.add_column("ours is", justify="right")
    return table


def _add(table: Table, found: Figure) -> None:
    for row in found.rows():
        table.add_row(*row)
    table.add_section()
