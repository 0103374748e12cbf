"""Subscribers as people write them down, in clear: a line of a CSV file, the fields of a form. Read and checked.

A line that cannot be used is refused with its number and the reason, and the others go on; a reason names the column
and never repeats what stood in it, since it ends up in terminals and tickets.
"""

import csv
import re
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from pydantic import ValidationError

from pipeline import addresses
from pipeline.addresses import BadAddress
from pipeline.errors import TocsinError
from pipeline.subscribers import Registration
from pipeline.vault import ContactData
from schemas.base import Channel, Level, Line, Message
from schemas.codec import Undecodable, strict_json
from schemas.subscriber import Choices, Frequency, OptOut, Profile, Reason, SubscriberKind

LISTS = ("audiences", "channels", "components", "roles", "regions", "opted_out", "unconfirmed")
CHOSEN = ("audiences", "components", "level", "language", "time_zone", "frequency", "office_hours_only")
KNOWN = ("roles", "contract", "regions", "country")
"""What the operator knows of somebody; nothing that they choose."""
COLUMNS = (
    *("id", "kind", "name", "email", "phone", "x_handle", "audiences", "channels", "components"),
    *("webhook_url", "webhook_secret", "apprise_url"),
    *("language", "time_zone", "level", "frequency", "office_hours_only"),
    *KNOWN,
    *("consent", "opted_out", "unconfirmed"),
)
SEPARATOR = ";"
SAYS_WHO = "it says who they are, and what stands there is kept for ever, in clear"
_ANY = datetime(1970, 1, 1, tzinfo=UTC)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
"""RFC 5646, as far as it is used: `en`, `de-CH`, `zh-Hant`."""


class BadFile(TocsinError):
    """The file as a whole is not what it should be."""


class Refused(TocsinError):
    """One line that cannot be used, and why."""


class _Name(Message):
    name: Line | None = None


@dataclass(frozen=True, slots=True)
class Numbered:
    """A line of a file, and what it says or why it is refused."""

    line: int
    fields: Mapping[str, Any] | None = None
    refused: str | None = None


def read_csv(lines: Iterable[str]) -> Iterator[Numbered]:
    """The lines of a CSV file with a header; lists within a field are separated by `;`. Raises BadFile."""
    reader = csv.reader(lines, strict=True)
    header = [name.strip().lower() for name in next(reader, [])]
    if unknown := [name for name in header if name not in COLUMNS]:
        raise BadFile(f"unknown column {unknown[0]!r}; there are: {', '.join(COLUMNS)}")
    if len(set(header)) != len(header) or "audiences" not in header:
        raise BadFile("the first line must name the columns, each once, `audiences` among them")
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise BadFile(f"line {reader.line_num}: {error}") from None
        if row is None:
            return
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            yield Numbered(reader.line_num, refused=f"{len(row)} fields instead of {len(header)}")
            continue
        fields = {name: cell.strip() for name, cell in zip(header, row, strict=True) if cell.strip()}
        yield Numbered(reader.line_num, {n: _split(cell) if n in LISTS else cell for n, cell in fields.items()})


def read_json(raw: bytes) -> Iterator[Numbered]:
    """Subscribers as JSON: an array of objects, or one object a line, with the columns of a CSV file. Raises BadFile.

    Lists are arrays of texts. Of an array the number is the object's place in it, of lines the line's.
    """
    if raw.lstrip()[:1] == b"[":
        try:
            found = strict_json(raw)
        except Undecodable as error:
            raise BadFile(error.detail) from None
        yield from (_object(number, item) for number, item in enumerate(found, start=1))
        return
    for number, line in enumerate(raw.splitlines(), start=1):
        if line.strip():
            try:
                yield _object(number, strict_json(line))
            except Undecodable as error:
                yield Numbered(number, refused=error.detail)


def _object(number: int, item: Any) -> Numbered:
    if not isinstance(item, dict):
        return Numbered(number, refused="not an object")
    if unknown := [name for name in item if name not in COLUMNS]:
        return Numbered(number, refused=f"{unknown[0]}: no such field; there are: {', '.join(COLUMNS)}")
    for name, value in item.items():
        if name in LISTS:
            right = value is None or (isinstance(value, list) and all(isinstance(part, str) for part in value))
        else:
            right = value is None or isinstance(value, str) or (name == "office_hours_only" and isinstance(value, bool))
        if not right:
            return Numbered(number, refused=f"{name}: {'an array of texts' if name in LISTS else 'a text'} is needed")
    said = {name: value for name, value in item.items() if value not in (None, "", [])}
    return Numbered(number, said)


def _split(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(SEPARATOR) if part.strip()]


def registration(fields: Mapping[str, Any], before: Registration | None = None) -> Registration:
    """What `fields` say, checked; what they do not say stays as `before`. Raises Refused."""
    contact = contact_in(fields, before.contact if before else ContactData())
    choices = _choices(fields, contact, before.choices if before else None)
    alone_on_x = choices.channels == (Channel.X,)
    default = before.kind if before else SubscriberKind.ACCOUNT if alone_on_x else SubscriberKind.PERSON
    try:
        kind = SubscriberKind(fields.get("kind", default))
    except ValueError:
        raise Refused(f"kind: one of {', '.join(SubscriberKind)}") from None
    profile = _profile(fields, before.profile if before else Profile())
    if not choices.audiences and profile == Profile():
        raise Refused("audiences: name at least one, or say by roles, contract or regions who they are")
    consent = fields.get("consent") or (before.consent if before else None)
    said = _cleaned(consent, "consent") if consent else None
    if said is not None and says_who(contact, said):
        raise Refused(f"consent: {SAYS_WHO}")
    return Registration(kind, choices, contact, profile, said)


def says_who(contact: ContactData, text: str) -> bool:
    """Whether an address of theirs stands in a text, or their number's digits do, or their whole name."""
    plain, digits = text.casefold(), re.sub(r"\D", "", text)
    whole_name = contact.name if contact.name is not None and " " in contact.name else None
    given = (contact.email, whole_name, contact.webhook, contact.apprise)
    return any(one.casefold() in plain for one in given if one) or (
        contact.phone is not None and contact.phone.lstrip("+") in digits
    )


def opted_out(fields: Mapping[str, Any]) -> dict[Channel, Reason]:
    """The channels that they have left, and why: `email:unsubscribed`. Raises Refused."""
    try:
        pairs = [one.partition(":") for one in fields.get("opted_out", ())]
        return {
            Channel(channel.strip()): OptOut(reason=reason.strip(), since=_ANY).reason for channel, _, reason in pairs
        }
    except ValueError:
        raise Refused(
            "opted_out: such as email:unsubscribed, with bounced, stopped, unsubscribed or complained"
        ) from None


def unconfirmed(fields: Mapping[str, Any]) -> frozenset[Channel]:
    """The channels on which they are to confirm first. Raises Refused."""
    try:
        return frozenset(Channel(name) for name in fields.get("unconfirmed", ()))
    except ValueError:
        raise Refused(f"unconfirmed: one or more of {', '.join(Channel)}") from None


def contact_in(fields: Mapping[str, Any], before: ContactData) -> ContactData:
    """The addresses that `fields` name, checked; the others as `before`. Raises Refused."""

    def checked(column: str, clean: Callable[[str], str], was: str | None) -> str | None:
        if column not in fields:
            return was
        if fields[column] is None:
            return None
        try:
            return clean(str(fields[column]))
        except BadAddress as error:
            raise Refused(f"{column}: {error}") from None

    contact = ContactData(
        name=checked("name", _clean_name, before.name),
        email=checked("email", addresses.clean_email, before.email),
        phone=checked("phone", addresses.clean_phone, before.phone),
        handle=checked("x_handle", addresses.clean_handle, before.handle),
        webhook=checked("webhook_url", addresses.clean_webhook, before.webhook),
        webhook_secret=checked("webhook_secret", addresses.clean_webhook_secret, before.webhook_secret),
        apprise=checked("apprise_url", addresses.clean_apprise, before.apprise),
    )
    if contact.webhook is not None and contact.webhook_secret is None:
        raise Refused("webhook_secret: its messages are signed with one; echo whsec_$(openssl rand -base64 32)")
    return contact


def _clean_name(name: str) -> str:
    try:
        return _Name(name=name).name or ""
    except ValidationError:
        raise BadAddress("1 to 300 characters") from None


def _cleaned(text: str, column: str) -> str:
    try:
        return _clean_name(text)
    except BadAddress as error:
        raise Refused(f"{column}: {error}") from None


def _choices(fields: Mapping[str, Any], contact: ContactData, before: Choices | None) -> Choices:
    reachable = tuple(channel for channel in Channel if contact.address(channel) is not None)
    try:
        # Named channels are an order of preference; without them, whatever there is an address for.
        channels = tuple(dict.fromkeys(Channel(name) for name in fields["channels"])) if "channels" in fields else None
    except (ValueError, TypeError):
        raise Refused(f"channels: one or more of {', '.join(Channel)}") from None
    said = {name: CHECKS.get(name, _as_it_is)(fields[name]) for name in CHOSEN if name in fields}
    said |= {"channels": channels or (before.channels if before else reachable)}
    try:
        choices = Choices.model_validate({**(before.model_dump() if before else {"audiences": ()}), **said})
    except ValidationError as error:
        raise Refused(_reason(error)) from None
    if not choices.channels:
        raise Refused("neither email, phone, x_handle, webhook_url nor apprise_url: there is no way to reach them")
    if missing := [channel for channel in choices.channels if channel not in reachable]:
        raise Refused(f"channels: {missing[0]} is chosen, but there is no address for it")
    return choices


def _profile(fields: Mapping[str, Any], before: Profile) -> Profile:
    """A field that says nothing (null) takes away what was known."""
    said = {name: fields[name] for name in KNOWN if name in fields}
    said |= {name: () for name in ("roles", "regions") if name in said and said[name] is None}
    if isinstance(country := said.get("country"), str):
        said["country"] = country.upper()
    try:
        return Profile.model_validate({**before.model_dump(), **said})
    except ValidationError as error:
        raise Refused(_reason(error)) from None


def _reason(error: ValidationError) -> str:
    return "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors()[:3])


def _as_it_is(value: Any) -> Any:
    return value


def _one_of(column: str, names: type[Level] | type[Frequency]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if value is not None and value not in list(names):
            raise Refused(f"{column}: one of {', '.join(names)}")
        return value

    return checked


def _yes_or_no(value: Any) -> bool:
    said = {"yes": True, "true": True, "no": False, "false": False}.get(str(value).lower())
    if said is None:
        raise Refused("office_hours_only: yes or no")
    return said


def _language(tag: str) -> str:
    if not _LANGUAGE.fullmatch(tag):
        raise Refused("language: a tag such as en, de or pt-BR")
    return tag


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _zone(name: str) -> str:
    if name not in _zones():
        raise Refused("time_zone: a name of the IANA database such as Europe/Berlin")
    return name


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "language": _language,
    "time_zone": _zone,
    "level": _one_of("level", Level),
    "frequency": _one_of("frequency", Frequency),
    "office_hours_only": _yes_or_no,
}
