"""`tocsin subscribers list`: who is there, and how they stand."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pipeline.commands.subscribing.writing import read_roster
from pipeline.settings import Settings
from pipeline.subscribers import Roster
from pipeline.vault import ContactData, Unreadable, Vault
from schemas.subscriber import Choices, Frequency, Profile, Subscriber

COLUMNS = ("id", "kind", "audiences", "channels", "language", "time zone", "chose", "known as", "consent", "state")
REVEALED = ("name", "email", "phone", "X")
WIDE = 400
"""Columns of text for what is piped on: a line a subscriber."""


def list_command(
    reveal: Annotated[bool, typer.Option("--reveal", help="Show names and addresses in clear.")] = False,
) -> None:
    """List subscribers: ids, channels, audiences, state. Never an address, unless --reveal."""
    settings = Settings()
    roster = asyncio.run(read_roster(settings))
    vault = Vault.open(settings) if reveal else None
    found = sorted(roster.subscribers.values(), key=lambda subscriber: subscriber.id)
    rows = [(*_row(one), *(_revealed(roster, vault, one.id) if vault else ())) for one in found]
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    console.print(listing(console, rows, COLUMNS + (REVEALED if reveal else ())))
    typer.echo(f"{len(roster.subscribers)} subscribers")


def listing(console: Console, rows: list[tuple[str, ...]], columns: tuple[str, ...]) -> Table:
    """A column for each thing, if the terminal is wide enough; else what is needed to go on, whole."""
    table = _table(rows, columns)
    needed = console.measure(table, options=console.options.update(max_width=WIDE)).maximum
    return table if needed <= console.width else _folded(rows)


def _table(rows: list[tuple[str, ...]], columns: tuple[str, ...]) -> Table:
    """Without the columns that are empty for everyone."""
    shown = [place for place in range(len(columns)) if place == 0 or any(row[place] for row in rows)]
    table = Table(*(Column(columns[place], no_wrap=True) for place in shown))
    for row in rows:
        table.add_row(*(Text(row[place]) for place in shown))
    return table


def _folded(rows: list[tuple[str, ...]]) -> Table:
    """For a terminal that is too narrow: the id, which is what other commands ask for, and all the rest beside it."""
    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for row in rows:
        table.add_row(Text(row[0]), Text("; ".join(filter(None, row[1:]))))
    return table


def _row(subscriber: Subscriber) -> tuple[str, ...]:
    choices = subscriber.choices
    return (
        subscriber.id,
        subscriber.kind,
        " ".join(choices.audiences),
        " ".join(choices.channels),
        choices.language,
        choices.time_zone,
        chosen(choices),
        known(subscriber.profile),
        subscriber.standing.consent or "",
        state_of(subscriber),
    )


def chosen(choices: Choices) -> str:
    """What they chose beside audiences, channels, language and time zone; nothing where it is as for everyone."""
    said = [f"only {', '.join(choices.components)}"] if choices.components else []
    said += [f"{choices.level} detail"] if choices.level else []
    said += [choices.frequency.replace("_", " ")] if choices.frequency is not Frequency.ALL else []
    said += ["in office hours"] if choices.office_hours_only else []
    return ", ".join(said)


def known(profile: Profile) -> str:
    """What audiences may select them by."""
    said = [*profile.roles, *([f"contract {profile.contract}"] if profile.contract else []), *profile.regions]
    return ", ".join([*said, *([profile.country] if profile.country else [])])


def state_of(subscriber: Subscriber) -> str:
    """What an operator wants to know in a word or two."""
    if subscriber.erased:
        return "erased"
    if subscriber.merged_into is not None:
        return f"told as {subscriber.merged_into}"
    closed = [f"{channel}: {opt_out.reason}" for channel, opt_out in sorted(subscriber.opted_out.items())]
    closed += [f"{channel}: unconfirmed" for channel in subscriber.unconfirmed if channel not in subscriber.opted_out]
    return ", ".join(closed) or "active"


def _revealed(roster: Roster, vault: Vault, subscriber_id: str) -> tuple[str, ...]:
    try:
        contact = roster.contact(vault, subscriber_id) or ContactData()
    except Unreadable:
        return ("(sealed under another secret)", "", "", "")
    return tuple(text or "" for text in (contact.name, contact.email, contact.phone, contact.handle))
