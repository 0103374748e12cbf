"""Subscribers as people write them down: what an import takes, and comes to the same again. Contact data in clear."""

import csv
import io
import json
from collections.abc import Iterable, Iterator

from pipeline.registrations import COLUMNS, LISTS, SEPARATOR
from pipeline.subscribers import Roster
from pipeline.vault import Unreadable, Vault

Row = dict[str, str | bool | list[str]]


def rows(roster: Roster, vault: Vault) -> Iterator[Row]:
    """Everyone who can be told, in the order of ids; whoever was erased or is told as another is left out.

    Raises Unreadable: an export that lacks somebody would look like one that has everyone.
    """
    for id_, subscriber in sorted(roster.subscribers.items()):
        if subscriber.erased or subscriber.merged_into is not None:
            continue
        registration = roster.registration(vault, id_)
        if registration is None:
            if subscriber.contact is not None:
                raise Unreadable(f"the key of {id_} is not there")
            continue  # an opt-out of somebody who never subscribed
        contact, choices, profile = registration.contact, registration.choices, registration.profile
        row: dict[str, str | bool | list[str] | None] = {
            "id": id_,
            "kind": registration.kind.value,
            "name": contact.name,
            "email": contact.email,
            "phone": contact.phone,
            "x_handle": contact.handle,
            "webhook_url": contact.webhook,
            "webhook_secret": contact.webhook_secret,
            "apprise_url": contact.apprise,
            "audiences": list(choices.audiences),
            "channels": [channel.value for channel in choices.channels],
            "components": list(choices.components),
            "language": choices.language,
            "time_zone": choices.time_zone,
            "level": choices.level.value if choices.level else None,
            "frequency": choices.frequency.value,
            "office_hours_only": choices.office_hours_only,
            "roles": list(profile.roles),
            "contract": profile.contract,
            "regions": list(profile.regions),
            "country": profile.country,
            "consent": registration.consent,
            "unconfirmed": [channel.value for channel in subscriber.unconfirmed],
            "opted_out": [f"{channel}:{out.reason}" for channel, out in sorted(subscriber.opted_out.items())],
        }
        yield {name: value for name, value in row.items() if value is not None and value != []}


def as_csv(found: Iterable[Row]) -> Iterator[str]:
    """A CSV file, its first line the columns."""
    yield _line(COLUMNS)
    for row in found:
        yield _line([_cell(name, row.get(name, "")) for name in COLUMNS])


def as_json_lines(found: Iterable[Row]) -> Iterator[str]:
    """One JSON object a line."""
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in found)


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _cell(name: str, value: str | bool | list[str]) -> str:
    if name in LISTS and isinstance(value, list):
        return SEPARATOR.join(value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
