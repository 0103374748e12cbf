"""Enrolment: what a file of subscribers comes to, given who is there already. Pure; a command writes the records.

Two kinds of file: CSV, where each line is somebody as they should be, and JSON lines, where each line is an event.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from pipeline import subscribers
from pipeline.addresses import BadAddress
from pipeline.registrations import Numbered, Refused, registration
from pipeline.subscribers import Roster
from pipeline.vault import Vault
from schemas.base import Channel, Message, is_id
from schemas.codec import Outgoing, Undecodable, strict_json
from schemas.subscriber import (
    Bounced,
    Complained,
    Confirmed,
    Erased,
    Restarted,
    Stopped,
    SubscriberEvent,
    SubscriberKey,
    Unsubscribed,
)

UNKNOWN = "id: nobody known is called that"


@dataclass(frozen=True, slots=True)
class Planned:
    """What a line comes to: an event, with the key it is sealed under where that is new; or why it is refused."""

    line: int
    subscriber_id: str = ""
    event: SubscriberEvent | None = None
    key: SubscriberKey | None = None
    refused: str | None = None

    def records(self, at: datetime) -> tuple[list[Outgoing], list[Outgoing], list[Outgoing]]:
        """What is to be acknowledged first, then, and last: a key before its event, a tombstone after it."""
        if self.event is None:
            return [], [], []
        first = [subscribers.key_record(self.subscriber_id, self.key, at)] if self.key else []
        last = [subscribers.key_record(self.subscriber_id, None, at)] if isinstance(self.event, Erased) else []
        return first, [subscribers.event_record(self.subscriber_id, self.event, at)], last


class _Enrolling:
    """The roster as it will be once the lines before have been written."""

    def __init__(self, roster: Roster, vault: Vault, at: datetime) -> None:
        self._roster = roster
        self._vault = vault
        self._at = at
        self._lines: dict[tuple[Channel, str], int] = {}

    def take(self, planned: Planned) -> Planned:
        """Holds what is planned as if it had happened."""
        if planned.key is not None:
            self._roster.keys[planned.subscriber_id] = planned.key
        if planned.event is not None:
            self._roster.apply(planned.subscriber_id, planned.event, self._at)
        return planned

    def enrol(self, number: int, given: str | None, fields: dict[str, Any]) -> Planned:
        """A subscriber as they should be; found again by id, else by address. Raises Refused, BadAddress."""
        if given is not None and not is_id(given):
            raise Refused("id: letters, digits and . _ : - only, at most 100")
        found = given or self._holder(fields)
        if found and (known := self._roster.subscribers.get(found)) is not None and known.erased:
            raise Refused("was erased: who comes back does so of their own will, under a new id")
        before = self._roster.registration(self._vault, found) if found else None
        row = registration(fields, before)
        self._nobody_elses(number, found, subscribers.address_tokens(self._vault, row.contact))
        if found is not None and before is not None:
            return Planned(number, found, subscribers.changed(self._vault, self._roster, found, row))
        subscriber_id = found or subscribers.new_id()
        key, event = subscribers.subscribed(self._vault, row, subscriber_id)
        return Planned(number, subscriber_id, event, key)

    def _holder(self, fields: dict[str, Any]) -> str | None:
        tokens = subscribers.address_tokens(self._vault, registration(fields).contact)
        holders = sorted({holder for t in tokens.items() if (holder := self._roster.by_address.get(t)) is not None})
        return holders[0] if holders else None

    def _nobody_elses(self, number: int, subscriber_id: str | None, tokens: dict[Channel, str]) -> None:
        """Nobody is told the same twice because they stand in the file twice. Raises Refused."""
        for channel, token in tokens.items():
            if (line := self._lines.get((channel, token))) is not None:
                raise Refused(f"{channel}: the same address stands in line {line}")
            holder = self._roster.by_address.get((channel, token))
            if holder is not None and holder != subscriber_id:
                raise Refused(f"{channel}: this address belongs to the subscriber {holder}")
        self._lines |= dict.fromkeys(tokens.items(), number)

    def happen(self, number: int, said: "_Said") -> Planned:
        """An event. Raises Refused, BadAddress."""
        if isinstance(said, _Enrol):
            if said.event == "changed" and self._roster.registration(self._vault, said.id or "") is None:
                raise Refused(UNKNOWN)
            self._lines.clear()  # here the lines are a history: the same address may well come again
            return self.enrol(number, said.id, said.model_dump(exclude_unset=True, exclude={"event", "id"}))
        if said.id not in self._roster.subscribers:
            raise Refused(UNKNOWN)
        return Planned(number, said.id, said.as_event())


def plan_import(lines: Iterable[Numbered], roster: Roster, vault: Vault, at: datetime) -> Iterator[Planned]:
    """What importing a CSV file comes to. `roster` is taken along and holds the result.

    Importing a file twice changes nothing: who is known by id or by address is changed where the line differs, and
    what the line leaves empty stays as it was. An opt-out is never undone by a file.
    """
    enrolling = _Enrolling(roster, vault, at)
    for line in lines:
        if line.fields is None:
            yield Planned(line.line, refused=line.refused)
            continue
        fields = dict(line.fields)
        given = fields.pop("id", None)
        try:
            yield enrolling.take(enrolling.enrol(line.line, given, fields))
        except (Refused, BadAddress) as error:
            yield Planned(line.line, refused=str(error))


def plan_events(lines: Iterable[bytes], roster: Roster, vault: Vault, at: datetime) -> Iterator[Planned]:
    """What a file of JSON lines comes to: `{"event": "subscribed", "email": …}`, `{"event": "unsubscribed", …}`."""
    enrolling = _Enrolling(roster, vault, at)
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            yield enrolling.take(enrolling.happen(number, _parsed(raw)))
        except (Refused, BadAddress) as error:
            yield Planned(number, refused=str(error))


class _Enrol(Message):
    """Somebody as they should be; null takes an address away, or what was known of them."""

    event: Literal["subscribed", "changed"]
    id: str | None = None
    kind: str = ""
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    x_handle: str | None = None
    audiences: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    language: str = ""
    time_zone: str = ""
    level: str | None = None
    frequency: str = ""
    office_hours_only: bool | str = False
    roles: tuple[str, ...] | None = None
    contract: str | None = None
    regions: tuple[str, ...] | None = None
    country: str | None = None


class _Happened(Message):
    """Something else that happened to somebody known."""

    event: Literal["unsubscribed", "confirmed", "bounced", "complained", "stopped", "restarted", "erased"]
    id: str
    channel: Channel | None = None
    channels: tuple[Channel, ...] | None = None
    code: str | None = None

    def as_event(self) -> SubscriberEvent:
        """The event of the wire. Raises Refused where the line says too little or too much."""
        said = self.model_dump(exclude_unset=True, exclude={"event", "id"})
        model, how = HAPPENINGS[self.event]
        try:
            return model.model_validate({**how, **said})
        except ValidationError as error:
            raise Refused(_reason(error)) from None


HAPPENINGS: dict[str, tuple[type[SubscriberEvent], dict[str, str]]] = {
    "unsubscribed": (Unsubscribed, {"via": "operator"}),
    "confirmed": (Confirmed, {}),
    "bounced": (Bounced, {}),
    "complained": (Complained, {}),
    "stopped": (Stopped, {"via": "provider"}),
    "restarted": (Restarted, {}),
    "erased": (Erased, {}),
}
_Said = _Enrol | _Happened
_SAID: TypeAdapter[_Said] = TypeAdapter(Annotated[_Said, Field(discriminator="event")])


def _parsed(raw: bytes) -> _Said:
    try:
        return _SAID.validate_python(strict_json(raw))
    except Undecodable as error:
        raise Refused(error.detail) from None
    except ValidationError as error:
        raise Refused(_reason(error)) from None


def _reason(error: ValidationError) -> str:
    """What is wrong, without pydantic's quoting of the inputs: these are contact data."""
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in error.errors()[:3])
