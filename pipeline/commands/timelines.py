"""How a timeline looks on a terminal: readable at three in the morning, by eyes and by `grep`."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.audit.sentences import Sort
from pipeline.audit.timeline import Line

STYLES = {
    Sort.CAME_IN: "bold",
    Sort.DECIDED: "",
    Sort.HELD: "magenta",
    Sort.SILENT: "yellow",
    Sort.SAID: "green",
    Sort.NOT_SAID: "yellow",
    Sort.WAITING: "cyan",
    Sort.RECEIPT: "green",
    Sort.BROKEN: "red",
}
"""Colour only repeats what the second column says in words."""


def show(console: Console, incident: str, lines: Iterable[Line]) -> None:
    """Prints a timeline: a block for each input, under the day it came in; its own time first where it was played."""
    lines = list(lines)
    played = any(line.virtual is not None for line in lines)
    head = f"{incident}, times in UTC"
    if played:
        head += f": the incident's own, then when it was played ({lines[0].at:%Y-%m-%d})"
    console.print(Text(head, style="bold"))
    day = None
    for _, group in groupby(lines, key=lambda line: line.seq):
        block = list(group)
        console.print()
        if (today := f"{block[0].virtual or block[0].at:%Y-%m-%d}") != day:
            console.print(Text(today, style="bold underline"))
            day = today
        console.print(_block(block, played))
    said, unsaid, waiting = (_people(lines, sort) for sort in (Sort.SAID, Sort.NOT_SAID, Sort.WAITING))
    console.print()
    console.print(Text(f"{said} messages taken by providers, {unsaid} not said, {waiting} waiting", style="bold"))


def _block(lines: list[Line], played: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    for style in ("", "dim") if played else ("",):
        table.add_column(no_wrap=True, style=style)
    table.add_column(no_wrap=True, min_width=8)
    table.add_column(overflow="fold", ratio=1)
    first = lines[0]
    for line in lines:
        times = [_clock(line.virtual, first.virtual)] if line.virtual and first.virtual else []
        times.append(_clock(line.at, first.at))
        mark = f"#{line.seq} in" if line.sort is Sort.CAME_IN else str(line.sort)
        style = STYLES[line.sort]
        cells = [Text(mark, style=style), Text(printable(line.text), style=style)]
        table.add_row(*times, *cells)
    return table


def _clock(moment: datetime, began: datetime) -> str:
    """The time of day; with the day where a message went out on a later one."""
    return f"{moment:%H:%M:%S}" if moment - began < timedelta(days=1) else f"{moment:%m-%d %H:%M:%S}"


def printable(text: str) -> str:
    """Without what a terminal would obey: what came from outside is shown, never executed."""
    return "".join(char if char.isprintable() else " " for char in text)


def _people(lines: Iterable[Line], sort: Sort) -> int:
    return sum(line.people for line in lines if line.sort is sort)
