"""What the commands of a person on call share: whether one is there, which incident and which operator they mean."""

import asyncio
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands import facts
from pipeline.errors import NotFound
from pipeline.settings import Settings
from schemas.incident import Facts

if TYPE_CHECKING:
    from pipeline.operators import Signer

SOURCE = "/tocsin/cli"
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, and send without confirmation.")]
As = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="The operator who signs it.", show_default="TOCSIN_OPERATOR"),
]


def interactive() -> bool:
    """Whether a person sits at the terminal."""
    return sys.stdin.isatty()


def author(settings: Settings, name: str | None) -> "Signer | None":
    """Who signs what is said of an incident: whoever is named, here or in TOCSIN_OPERATOR; nobody else unasked.

    Raises ConfigurationError where the key of the one who is named cannot be used.
    """
    from pipeline.operators import signer  # cryptography is not imported where nothing is signed

    return signer(settings, name) if name or settings.operator else None


def existing(settings: Settings, incident: str | None) -> str:
    """The incident that is meant: it must have been opened; without an id, the only open one.

    A mistyped id would otherwise tell people of an incident that there is not. Raises NotFound, which lists the open
    ones, or says that it is closed.
    """
    from pipeline.commands import overview

    if incident is not None:
        not_closed(settings, incident)
    if incident is not None and asyncio.run(overview.was_announced(settings, incident)):
        return incident
    open_ones = asyncio.run(overview.open_incidents(settings))
    if incident is None and len(open_ones) == 1:
        return open_ones[0]
    listed = ", ".join(open_ones) or "none"
    if incident is not None:
        raise NotFound(f"there is no incident {incident}; open are: {listed}")
    raise NotFound(f"which incident? open are: {listed}")


def not_closed(settings: Settings, incident: str) -> None:
    """Raises NotFound for an id under which nothing would be told any more."""
    from pipeline.commands import overview

    asyncio.run(overview.must_not_be_closed(settings, incident))


def show_facts(title: str, said: Facts) -> None:
    """A table of what will be said, and of who may see it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("what", "said", "who may see it", title=escape(title), title_justify="left")
    for name, value, audience in facts.shown(said, local):
        table.add_row(name, escape(value), audience)
    Console().print(table)


def local(at: datetime) -> str:
    """A moment in UTC, and by the clock of this machine where that is another."""
    here = at.astimezone()
    return f"{at:%Y-%m-%d %H:%M} UTC" + (f" ({here:%H:%M %Z})" if here.utcoffset() else "")
