"""`tocsin subscribers erase` and `erasure`: a person is forgotten, and what is left of them is said."""

import asyncio
from typing import Annotated

import typer

from pipeline.commands.subscribing.writing import read_roster, write_all
from pipeline.enrolment import Planned
from pipeline.erasure import (
    Letter,
    Place,
    Trace,
    contact_in,
    in_words,
    key_of,
    letter_about,
    traces_in,
    warnings,
    whom,
    whom_was_erased,
)
from pipeline.errors import NotFound
from pipeline.settings import Settings
from pipeline.subscribers import Roster
from pipeline.vault import Vault
from schemas import topics
from schemas.subscriber import Erased


def erase_command(
    who: Annotated[str, typer.Argument(metavar="ID|ADDRESS", help="An id, a mail address, or a number (+49…).")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a person: their key goes, so that nothing sealed under it opens again. Cannot be undone.

    Whoever was found to be the same is forgotten with them. No file brings them back: only they themselves.
    """
    settings = Settings()
    roster = asyncio.run(read_roster(settings))
    vault = Vault.open(settings)
    names = whom(roster, vault, who)
    for line in warnings(asyncio.run(_letters_about(settings, vault, roster, names))):
        typer.secho(line, fg=typer.colors.YELLOW, err=True)
    if not yes:
        typer.confirm(f"erase {' and '.join(names)} for good?", abort=True)
    asyncio.run(write_all(settings, [Planned(1, name, Erased()) for name in names]))
    for name in names:
        typer.echo(f"{name}: erased")
    typer.echo(f"`tocsin subscribers erasure {names[0]}` says what is still to be done, and where", err=True)


async def _letters_about(settings: Settings, vault: Vault, roster: Roster, names: tuple[str, ...]) -> list[Letter]:
    """Of every address that they have, or had: of whoever was made one with another the roster knows none."""
    from pipeline.broker import connect

    keys = {name: roster.keys[name] for name in names if name in roster.keys}
    events = connect.read_all(settings, topics.SUBSCRIBER_EVENTS_TOPIC.name)
    contacts = [contact async for record in events if (contact := contact_in(record, vault, keys)) is not None]
    letters = connect.read_all(settings, topics.DEAD_LETTERS.name)
    return [letter async for record in letters if (letter := letter_about(record, vault, contacts)) is not None]


def erasure_command(subscriber_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """What is left of an erased subscriber: in the broker's files, and with providers. Exit status 1 while a key is."""
    settings = Settings()
    roster = asyncio.run(read_roster(settings))
    if subscriber_id not in roster.subscribers or not roster.subscribers[subscriber_id].erased:
        raise NotFound(f"{subscriber_id} was not erased: `tocsin subscribers list` says how everyone stands")
    names = whom_was_erased(roster, subscriber_id)
    left, traces = asyncio.run(_what_is_left(settings, names))
    for line in in_words(settings, left, traces):
        typer.echo(line)
    if left:
        raise typer.Exit(1)


async def _what_is_left(settings: Settings, names: tuple[str, ...]) -> tuple[list[Place], list[Trace]]:
    from pipeline.audit.in_topics import InTopics
    from pipeline.broker import connect

    keys = connect.read_all(settings, topics.SUBSCRIBER_KEYS.name)
    left = [place async for record in keys if (place := key_of(record, names)) is not None]
    records = InTopics(settings).records(topics.DELIVERY_RECORDS_TOPIC)
    traces = [trace async for record in records for trace in traces_in(record, names)]
    return left, list(dict.fromkeys(traces))
