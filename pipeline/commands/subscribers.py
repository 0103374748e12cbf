"""`tocsin subscribers`: who is to be told. Contact data is sealed here, before it leaves the process."""

import asyncio
import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from pipeline.clock import now
from pipeline.commands.subscribing import erasing, listing
from pipeline.commands.subscribing.writing import read_roster, write, write_all
from pipeline.enrolment import Planned, Terms, plan_events, plan_import
from pipeline.errors import ConfigurationError, NotFound
from pipeline.exports import as_csv, as_json_lines, rows
from pipeline.registrations import Numbered, read_csv, read_json
from pipeline.settings import Settings
from pipeline.subscribers import Roster
from pipeline.vault import Vault
from schemas.base import Channel
from schemas.subscriber import SubscriberEvent, Unsubscribed

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


app.command("erase")(erasing.erase_command)
app.command("erasure")(erasing.erasure_command)
app.command("list")(listing.list_command)


def _happen(subscriber_id: str, event: SubscriberEvent) -> None:
    async def run() -> None:
        settings = Settings()
        if subscriber_id not in (await read_roster(settings)).subscribers:
            raise NotFound(f"no subscriber is called {subscriber_id}: `tocsin subscribers list` names them all")
        await write_all(settings, [Planned(1, subscriber_id, event)])

    asyncio.run(run())
    typer.echo(f"{subscriber_id}: {event.TYPE.split('.')[-2]}")


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
