"""`tocsin subscribers`: who is to be told. Contact data is sealed here, before it leaves the process."""

import asyncio
import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, TypeVar

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipeline.clock import now
from pipeline.enrolment import Planned, Terms, plan_events, plan_import
from pipeline.erasure import (
    Letter,
    Place,
    Trace,
    everyone_who_is,
    in_words,
    key_of,
    letter_about,
    traces_in,
    warnings,
    whom,
)
from pipeline.errors import ConfigurationError, NotFound
from pipeline.exports import as_csv, as_json_lines, rows
from pipeline.registrations import Numbered, read_csv, read_json
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
Consent = Annotated[str | None, typer.Option(help='Why they may be told without being asked: "contract".')]
Confirm = Annotated[bool, typer.Option("--confirm", help="Ask each address first (double opt-in).")]
Plan = Callable[[Roster, Vault], Iterable[Planned]]

app = typer.Typer(no_args_is_help=True, help="Who is to be told: import, list, erase.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or JSON (.json, .jsonl), in UTF-8.")],
    consent: Consent = None,
    confirm: Confirm = False,
    report: Annotated[
        Path | None, typer.Option(help="Write what was refused, and what was made one, to this CSV file.")
    ] = None,
) -> None:
    """Import subscribers from a CSV or JSON file; the same file again changes nothing.

    Columns: name, email, phone, x_handle, audiences, channels, components, language, time_zone; lists within a field
    are separated by `;` (in JSON: arrays). Optional: id (letters and digits), kind (person, list, account); what they
    chose: level (of detail), frequency (all, start_and_end, digest), office_hours_only (yes, no); what is known of
    them: roles, contract, regions, country; and consent, why this one may be told, opted_out (email:unsubscribed) and
    unconfirmed (channels).

    Lines, and subscribers, with an address in common become one: the newer choice is taken, audiences are united.
    """
    raw = file.read_bytes()
    terms = _terms(consent, confirm)
    if file.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        lines = list(read_json(raw))
    else:
        try:
            lines = list(read_csv(raw.decode("utf-8-sig").splitlines(keepends=True)))
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{file} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    if terms is None and any(line.fields is not None and "consent" not in line.fields for line in lines):
        raise ConfigurationError(
            'say how these people agreed to be told: --consent "contract", or --confirm to ask each address first '
            "(or a column `consent`, filled in every line)"
        )
    _run(lambda roster, vault: plan_import(lines, roster, vault, now(), terms or Terms()), len(lines), report)


@app.command()
def add(
    email: Annotated[str | None, typer.Option(help="Mail address.")] = None,
    phone: Annotated[str | None, typer.Option(help="Number with its country code.")] = None,
    audience: Annotated[list[str] | None, typer.Option(help="What they are to hear; again for one more.")] = None,
    name: Annotated[str | None, typer.Option(help="Their name.")] = None,
    kind: Annotated[str | None, typer.Option(help="person, or list: one address behind which several read.")] = None,
    language: Annotated[str | None, typer.Option(help="en, de, …")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Such as Europe/Berlin.")] = None,
    consent: Consent = None,
    confirm: Confirm = False,
) -> None:
    """Add one subscriber, or change the one who has the address already."""
    if (terms := _terms(consent, confirm)) is None:
        raise ConfigurationError('say how they agreed to be told: --consent "contract", or --confirm to ask them first')
    given = {"email": email, "phone": phone, "name": name, "kind": kind, "language": language, "time_zone": time_zone}
    once_more = replace(terms, again=True)
    fields: dict[str, object] = {column: value for column, value in given.items() if value is not None}
    fields |= {"audiences": audience} if audience else {}
    _run(lambda roster, vault: plan_import([Numbered(1, fields)], roster, vault, now(), once_more))


def _terms(consent: str | None, confirm: bool) -> Terms | None:
    if consent and confirm:
        raise ConfigurationError("--consent says that they agreed already, --confirm asks them: give one of both")
    return Terms(consent, confirm) if consent or confirm else None


@app.command()
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="A new file: .csv, or .jsonl for JSON.")],
) -> None:
    """Export everyone with their addresses in clear, so that an import elsewhere comes to the same.

    The file can be read by its owner alone. Opt-outs come along; whoever was erased does not.
    """
    if file.suffix.lower() not in (".csv", ".jsonl"):
        raise ConfigurationError(f"{file.name}: the name must end in .csv or .jsonl")
    settings = Settings()
    vault, roster = Vault.open(settings), asyncio.run(read_roster(settings))
    found = list(_shown(rows(roster, vault), len(roster.subscribers), "exporting"))
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{file} is there already, and is not overwritten") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
        out.writelines(as_csv(found) if file.suffix.lower() == ".csv" else as_json_lines(found))
    typer.echo(f"{len(found)} exported")


@app.command()
def publish(
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="JSON lines, one event each; - for standard input.")],
) -> None:
    """Publish subscriber events written in clear; they are sealed before they leave.

    {"event": "subscribed", "email": "a@example.com", "audiences": ["customers"]} with the fields of a CSV import
    and, to ask them first, "confirm": true;
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
    for line in warnings(asyncio.run(_letters_about(settings, vault, roster, names[0]))):
        typer.secho(line, fg=typer.colors.YELLOW, err=True)
    if not yes:
        typer.confirm(f"erase {' and '.join(names)} for good?", abort=True)
    asyncio.run(_write_all(settings, [Planned(1, name, Erased()) for name in names]))
    for name in names:
        typer.echo(f"{name}: erased")
    typer.echo(f"`tocsin subscribers erasure {names[0]}` says what is still to be done, and where", err=True)


async def _letters_about(settings: Settings, vault: Vault, roster: Roster, name: str) -> list[Letter]:
    from pipeline.broker import connect

    try:
        contact = roster.contact(vault, name)
    except Unreadable:
        contact = None
    if contact is None:
        return []
    records = connect.read_all(settings, topics.DEAD_LETTERS.name)
    return [letter async for record in records if (letter := letter_about(record, vault, contact)) is not None]


@app.command()
def erasure(subscriber_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """What is left of an erased subscriber: in the broker's files, and with providers. Exit status 1 while a key is."""
    settings = Settings()
    roster = asyncio.run(read_roster(settings))
    if subscriber_id not in roster.subscribers or not roster.subscribers[subscriber_id].erased:
        raise NotFound(f"{subscriber_id} was not erased: `tocsin subscribers list` says how everyone stands")
    names = everyone_who_is(roster, subscriber_id)
    left, traces = asyncio.run(_what_is_left(settings, names))
    for line in in_words(settings, left, traces):
        typer.echo(line)
    if left:
        raise typer.Exit(1)


async def _what_is_left(settings: Settings, names: tuple[str, ...]) -> tuple[list[Place], list[Trace]]:
    from pipeline.broker import connect

    keys = connect.read_all(settings, topics.SUBSCRIBER_KEYS.name)
    left = [place async for record in keys if (place := key_of(record, names)) is not None]
    records = connect.read_all(settings, topics.DELIVERY_RECORDS_TOPIC.name)
    traces = [trace async for record in records for trace in traces_in(record, names)]
    return left, list(dict.fromkeys(traces))


@app.command("list")
def list_(
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


async def read_roster(settings: Settings) -> Roster:
    """Everyone, read from the broker. Raises BrokerError."""
    from pipeline.broker import connect

    roster = Roster()
    for topic in (topics.SUBSCRIBER_KEYS, topics.SUBSCRIBER_EVENTS_TOPIC):
        async for record in connect.read_all(settings, topic.name):
            roster.read(record)
    roster.settle()
    return roster


def _happen(subscriber_id: str, event: SubscriberEvent) -> None:
    async def run() -> None:
        settings = Settings()
        if subscriber_id not in (await read_roster(settings)).subscribers:
            raise NotFound(f"no subscriber is called {subscriber_id}: `tocsin subscribers list` names them all")
        await _write_all(settings, [Planned(1, subscriber_id, event)])

    asyncio.run(run())
    typer.echo(f"{subscriber_id}: {event.TYPE.split('.')[-2]}")


async def _write_all(settings: Settings, planned: Iterable[Planned]) -> None:
    from pipeline.broker import connect

    async with connect.open_producer(settings) as producer:
        await write(producer, planned)


def _run(plan: Plan, total: int | None = None, report: Path | None = None) -> None:
    """Reads who is there, writes what the plan comes to, and reports; exit status 1 if any line was refused."""

    async def run() -> tuple[Counter[str], list[Planned]]:
        from pipeline.broker import connect

        settings = Settings()
        vault, roster = Vault.open(settings), await read_roster(settings)
        count: Counter[str] = Counter()
        told: list[Planned] = []
        async with connect.open_producer(settings) as producer:
            for chunk in _chunks(_shown(plan(roster, vault), total, "importing")):
                await write(producer, chunk)
                for planned in chunk:
                    count.update(_came_to(planned))
                told += [planned for planned in chunk if _in_words(planned) is not None]
        return count, told

    count, told = asyncio.run(run())
    refused = [planned for planned in told if planned.refused is not None]
    for planned in refused[:SHOWN]:
        typer.secho(f"line {planned.line}: {planned.refused}", fg=typer.colors.RED, err=True)
    if len(refused) > SHOWN:
        typer.secho(f"… and {len(refused) - SHOWN} more lines", fg=typer.colors.RED, err=True)
    if report is not None:
        _write_report(report, told)
    typer.echo(", ".join(f"{number} {what}" for what, number in sorted(count.items())) or "nothing in it")
    if refused:
        raise typer.Exit(1)


def _came_to(planned: Planned) -> list[str]:
    if planned.refused is not None:
        return ["refused"]
    if planned.merged is not None:
        return ["merged"]
    absorbed = ["merged"] * len(planned.absorbed)
    if planned.event is None:
        return [*absorbed, "opted out" if planned.carried else "unchanged"]
    return [*absorbed, planned.event.TYPE.split(".")[-2]]


def _in_words(planned: Planned) -> str | None:
    """What an operator should know of a line; None where it came to just what it says."""
    if planned.merged is not None:
        return f"has an address of line {planned.merged}: made one with it"
    if planned.absorbed:
        return f"the subscriber {planned.subscriber_id} now is {', '.join(planned.absorbed)} as well"
    return planned.refused


def _write_report(path: Path, told: Iterable[Planned]) -> None:
    """Line and reason, without what stood in the line: the report may go into a ticket."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("line", "refused", "what"))
        lines.writerows((one.line, "no" if one.refused is None else "yes", _in_words(one)) for one in told)


T = TypeVar("T")


def _shown(found: Iterable[T], total: int | None, doing: str) -> Iterator[T]:
    """The same, with a progress bar where somebody is looking."""
    errors = Console(stderr=True)
    if total is None or not errors.is_terminal:
        yield from found
        return
    yield from track(found, doing, total=total, console=errors, transient=True)


def _chunks(planned: Iterable[Planned]) -> Iterator[list[Planned]]:
    """Chunks that name nobody twice: within one the order in which records arrive is left to chance."""
    chunk: list[Planned] = []
    names: set[str] = set()
    for entry in planned:
        if len(chunk) == CHUNK or not names.isdisjoint(entry.names):
            yield chunk
            chunk, names = [], set()
        chunk.append(entry)
        names.update(entry.names)
    yield chunk


async def write(producer: "AIOKafkaProducer", planned: Iterable[Planned]) -> None:
    """Writes in the order that matters: all keys are acknowledged before any event, events before any tombstone.

    Raises BrokerError; what was acknowledged until then stands, and the same file again completes the rest.
    """
    from pipeline.broker import connect

    at = now()
    for stage in zip(*(entry.records(at) for entry in planned), strict=True):
        await asyncio.gather(*(connect.send(producer, outgoing) for records in stage for outgoing in records))
