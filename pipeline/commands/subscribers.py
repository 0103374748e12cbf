"""`tocsin subscribers`: who is to be told. Contact data is sealed here, before it leaves the process."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from rich.console import Console
from rich.table import Table

from pipeline.clock import now
from pipeline.enrolment import Planned, plan_events, plan_import
from pipeline.errors import ConfigurationError, NotFound
from pipeline.registrations import read_csv
from pipeline.settings import Settings
from pipeline.subscribers import Roster
from pipeline.vault import ContactData, Unreadable, Vault
from schemas import topics
from schemas.base import Channel
from schemas.subscriber import Choices, Erased, Frequency, Profile, Subscriber, SubscriberEvent, Unsubscribed

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

CHUNK = 500
SHOWN = 20
Plan = Callable[[Roster, Vault], Iterable[Planned]]

app = typer.Typer(no_args_is_help=True, help="Who is to be told: import, list, erase.")


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV in UTF-8, its first line the columns.")
    ],
) -> None:
    """Import subscribers from a CSV file; the same file again changes nothing.

    Columns: name, email, phone, x_handle, audiences, channels, components, language, time_zone; lists within a field
    are separated by `;`. Optional: id (letters and digits), kind (person, list, account); what they chose: level (of
    detail), frequency (all, start_and_end, digest), office_hours_only (yes, no); what is known of them: roles,
    contract, regions, country.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    _run(lambda roster, vault: plan_import(read_csv(lines), roster, vault, now()))


@app.command()
def publish(
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="JSON lines, one event each; - for standard input.")],
) -> None:
    """Publish subscriber events written in clear; they are sealed before they leave.

    {"event": "subscribed", "email": "a@example.com", "audiences": ["customers"]} with the fields of a CSV import;
    "changed" with an id and what is new; "unsubscribed", "complained", "stopped", "restarted" with id and channel;
    "bounced" with a code besides; "confirmed" with id and channels; "erased" with an id.
    """
    stream: BinaryIO = file
    _run(lambda roster, vault: plan_events(stream, roster, vault, now()))


@app.command()
def unsubscribe(
    subscriber_id: Annotated[str, typer.Argument(metavar="ID")], channel: Annotated[Channel, typer.Argument()]
) -> None:
    """Take a subscriber off a channel, at once."""
    _happen(subscriber_id, Unsubscribed(channel=channel, via="operator"))


@app.command()
def erase(
    subscriber_id: Annotated[str, typer.Argument(metavar="ID")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget a person: their key goes, so that nothing sealed under it opens again. Cannot be undone."""
    if not yes:
        typer.confirm(f"erase {subscriber_id} for good?", abort=True)
    _happen(subscriber_id, Erased())


@app.command("list")
def list_(
    reveal: Annotated[bool, typer.Option("--reveal", help="Show names and addresses in clear.")] = False,
) -> None:
    """List subscribers: ids, channels, audiences, state. Never an address, unless --reveal."""
    settings = Settings()
    roster = asyncio.run(read_roster(settings))
    vault = Vault.open(settings) if reveal else None
    columns = ("id", "kind", "audiences", "channels", "language", "time zone", "chose", "known as", "state")
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
    opted_out = [f"{channel}: {opt_out.reason}" for channel, opt_out in sorted(subscriber.opted_out.items())]
    return ", ".join(opted_out) or "active"


def _revealed(roster: Roster, vault: Vault, subscriber_id: str) -> tuple[str, ...]:
    try:
        contact = roster.contact(vault, subscriber_id) or ContactData()
    except Unreadable:
        return ("(sealed under another secret)", "", "", "")
    return tuple(text or "" for text in (contact.name, contact.email, contact.phone, contact.handle))


async def read_roster(settings: Settings) -> Roster:
    """Everyone, read from the broker. Raises BrokerError."""
    from pipeline.broker import connect

    roster = Roster()
    for topic in (topics.SUBSCRIBER_KEYS, topics.SUBSCRIBER_EVENTS_TOPIC):
        async for record in connect.read_all(settings, topic.name):
            roster.read(record)
    return roster


def _happen(subscriber_id: str, event: SubscriberEvent) -> None:
    async def run() -> None:
        from pipeline.broker import connect

        settings = Settings()
        if subscriber_id not in (await read_roster(settings)).subscribers:
            raise NotFound(f"no subscriber is called {subscriber_id}: `tocsin subscribers list` names them all")
        async with connect.open_producer(settings) as producer:
            await write(producer, [Planned(1, subscriber_id, event)])

    asyncio.run(run())
    typer.echo(f"{subscriber_id}: {event.TYPE.split('.')[-2]}")


def _run(plan: Plan) -> None:
    """Reads who is there, writes what the plan comes to, and reports; exit status 1 if any line was refused."""

    async def run() -> tuple[Counter[str], list[Planned]]:
        from pipeline.broker import connect

        settings = Settings()
        vault, roster = Vault.open(settings), await read_roster(settings)
        count: Counter[str] = Counter()
        refused: list[Planned] = []
        async with connect.open_producer(settings) as producer:
            for chunk in _chunks(plan(roster, vault)):
                await write(producer, chunk)
                count.update(_came_to(planned) for planned in chunk)
                refused += [planned for planned in chunk if planned.refused is not None]
        return count, refused

    count, refused = asyncio.run(run())
    for planned in refused[:SHOWN]:
        typer.secho(f"line {planned.line}: {planned.refused}", fg=typer.colors.RED, err=True)
    if len(refused) > SHOWN:
        typer.secho(f"… and {len(refused) - SHOWN} more lines", fg=typer.colors.RED, err=True)
    typer.echo(", ".join(f"{number} {what}" for what, number in sorted(count.items())) or "nothing in it")
    if refused:
        raise typer.Exit(1)


def _came_to(planned: Planned) -> str:
    if planned.refused is not None:
        return "refused"
    return "unchanged" if planned.event is None else planned.event.TYPE.split(".")[-2]


def _chunks(planned: Iterable[Planned]) -> Iterator[list[Planned]]:
    """Chunks that name nobody twice: within one the order in which records arrive is left to chance."""
    chunk: dict[str, Planned] = {}
    for number, entry in enumerate(planned):
        if entry.subscriber_id in chunk or len(chunk) == CHUNK:
            yield list(chunk.values())
            chunk = {}
        chunk[entry.subscriber_id or f"refused {number}"] = entry
    yield list(chunk.values())


async def write(producer: "AIOKafkaProducer", planned: Iterable[Planned]) -> None:
    """Writes in the order that matters: all keys are acknowledged before any event, events before any tombstone.

    Raises BrokerError; what was acknowledged until then stands, and the same file again completes the rest.
    """
    from pipeline.broker import connect

    at = now()
    for stage in zip(*(entry.records(at) for entry in planned), strict=True):
        await asyncio.gather(*(connect.send(producer, outgoing) for records in stage for outgoing in records))
