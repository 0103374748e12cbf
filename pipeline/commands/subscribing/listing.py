"""`tocsin subscribers list`: who is there, and how they stand."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands.subscribing.writing import read_roster
from pipeline.settings import Settings
from pipeline.subscribers import Roster
from pipeline.vault import ContactData, Unreadable, Vault
from schemas.subscriber import Choices, Frequency, Profile, Subscriber


def list_command(
    reveal: Annotated[bool, typer.Option("--reveal", help="Show names and addresses in clear.")] = False,
) -> None:
    """List subscribers: ids, channels, audiences, state. Never an address, unless --reveal."""
    settings = Settings()
    roster = asyncio.run(read_roster(settings))
    vault = Vault.open(settings) if reveal else None
    columns = ("id", "kind", "audiences", "channels", "language", "time zone", "chose", "known as", "consent", "state")
    table = Table(*columns, *_revealed_columns(reveal))
    for subscriber in sorted(roster.subscribers.values(), key=lambda s: s.id):
        table.add_row(*_row(subscriber), *(_revealed(roster, vault, subscriber.id) if vault else ()))
    Console(soft_wrap=not sys.stdout.isatty()).print(table)
    typer.echo(f"{len(roster.subscribers)} subscribers")


def _revealed_columns(reveal: bool) -> tuple[str, ...]:
    return ("name", "email", "phone", "X") if reveal else ()


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
