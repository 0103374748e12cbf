"""Enrolment: what a file of subscribers comes to, given who is there already. Pure; a command writes the records.

Two kinds of file: CSV, where each line is somebody as they should be, and JSON lines, where each line is an event.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from pipeline import subscribers
from pipeline.addresses import BadAddress
from pipeline.erasure import whom
from pipeline.merging import SameLine, carried, lines_made_one, made_one
from pipeline.registrations import (
    SAYS_WHO,
    Numbered,
    Refused,
    contact_in,
    opted_out,
    registration,
    says_who,
    unconfirmed,
)
from pipeline.subscribers import Registration, Roster
from pipeline.vault import ContactData, Vault
from schemas.base import Channel, Message, is_id
from schemas.codec import Outgoing, Undecodable, strict_json
from schemas.subscriber import (
    Bounced,
    Complained,
    Confirmed,
    Erased,
    Merged,
    OptOut,
    Restarted,
    Stopped,
    SubscriberEvent,
    SubscriberKey,
    Unsubscribed,
)

UNKNOWN = "id: nobody known is called that"
ASKED = frozenset({Channel.EMAIL, Channel.SMS})
"""An account on X is the operator's own: nobody is asked there."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How those in a file come to be told: with a reason why they may, or by being asked first."""

    consent: str | None = None
    confirm: bool = False
    again: bool = False
    """Whoever waits to confirm is asked once more; a file that is imported again asks nobody twice."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a line comes to: an event, with the key it is sealed under where that is new; or why it is refused.

    `carried`: opt-outs that hold for them from the beginning. `absorbed`: subscribers who are the same and are told as
    this one from now on. `merged`: the earlier line that this one was made one with.
    """

    line: int
    subscriber_id: str = ""
    event: SubscriberEvent | None = None
    key: SubscriberKey | None = None
    refused: str | None = None
    carried: tuple[SubscriberEvent, ...] = ()
    absorbed: Mapping[str, Merged] = field(default_factory=dict)
    merged: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Everyone of whom this writes records."""
        return (self.subscriber_id, *self.absorbed) if self.subscriber_id else ()

    def records(self, at: datetime) -> tuple[list[Outgoing], ...]:
        """What is to be acknowledged one after the other: keys, opt-outs, the event, who is absorbed, tombstones.

        A key goes before its event, a tombstone after it; an opt-out is there before anybody could be told in spite of
        it, and nobody is taken away before the other is there.
        """
        who = self.subscriber_id
        gone = [*self.absorbed, *([who] if isinstance(self.event, Erased) else [])]
        return (
            [subscribers.key_record(who, self.key, at)] if self.key else [],
            [subscribers.event_record(who, event, at) for event in self.carried],
            [subscribers.event_record(who, self.event, at)] if self.event else [],
            [subscribers.event_record(other, event, at) for other, event in self.absorbed.items()],
            [subscribers.key_record(other, None, at) for other in gone],
        )


class _Enrolling:
    """The roster as it will be once the lines before have been written."""

    def __init__(self, roster: Roster, vault: Vault, at: datetime) -> None:
        self._roster = roster
        self._vault = vault
        self._at = at

    def take(self, planned: Planned) -> Planned:
        """Holds what is planned as if it had happened."""
        who = planned.subscriber_id
        if planned.key is not None:
            self._roster.keys[who] = planned.key
        for event in (*planned.carried, *([planned.event] if planned.event else [])):
            self._roster.apply(who, event, self._at)
        for other, merged in planned.absorbed.items():
            self._roster.apply(other, merged, self._at)
            self._roster.keys.pop(other, None)
            self._roster.hold(who)
        return planned

    def enrol(self, number: int, given: str | None, fields: dict[str, Any], terms: Terms) -> Planned:
        """A subscriber as they should be; found again by id, else by address. Raises Refused, BadAddress."""
        if given is not None and not is_id(given):
            raise Refused("id: letters, digits and . _ : - only, at most 100")
        found = given or self._holder(fields)
        self._refuse_gone(found)
        before = self._roster.registration(self._vault, found) if found else None
        row = registration({"consent": terms.consent, **fields} if terms.consent else fields, before)
        if given is not None and before is None and says_who(row.contact, given):
            raise Refused(f"id: {SAYS_WHO}; leave it empty for a random one")
        subscriber_id = found or subscribers.new_id()
        others = self._others(subscriber_id, row)
        row = made_one(row, [r for other in others if (r := self._roster.registration(self._vault, other))])
        waiting = self._unconfirmed(subscriber_id, row, others, terms, unconfirmed(fields))
        carried = self._carried(subscriber_id, fields, row, others)
        absorbed = {other: self._merged(other, subscriber_id, row) for other in others}
        if before is not None:
            consent = fields.get("consent") or terms.consent
            event = subscribers.changed(self._vault, self._roster, subscriber_id, row, waiting, consent, terms.again)
            return Planned(number, subscriber_id, event, carried=carried, absorbed=absorbed)
        key, subscribed = subscribers.subscribed(self._vault, row, subscriber_id, waiting)
        return Planned(number, subscriber_id, subscribed, key, carried=carried, absorbed=absorbed)

    def _holder(self, fields: dict[str, Any]) -> str | None:
        tokens = subscribers.address_tokens(self._vault, contact_in(fields, ContactData()))
        holders = (self._roster.by_address.get(address) for address in tokens.items())
        return next((holder for holder in holders if holder is not None), None)

    def _refuse_gone(self, found: str | None) -> None:
        known = self._roster.subscribers.get(found) if found else None
        if known is not None and known.erased:
            raise Refused("was erased at their wish: no file brings them back, only they themselves, by the web form")
        if known is not None and known.merged_into is not None:
            raise Refused(f"id: is told as the subscriber {known.merged_into} since they were found to be the same")

    def _others(self, subscriber_id: str, row: Registration) -> tuple[str, ...]:
        """Who else has an address of theirs, and so is the same."""
        tokens = subscribers.address_tokens(self._vault, row.contact)
        holders = (self._roster.by_address.get(address) for address in tokens.items())
        others = tuple(dict.fromkeys(h for h in holders if h is not None and h != subscriber_id))
        for other in others:
            self._refuse_gone(other)
        return others

    def _merged(self, other: str, into: str, row: Registration) -> Merged:
        tokens, theirs = subscribers.address_tokens(self._vault, row.contact), self._roster.subscribers[other]
        same = tuple(c for c, token in theirs.address_tokens.items() if tokens.get(c) == token)
        return Merged(into=into, channels=same)

    def _unconfirmed(
        self,
        subscriber_id: str,
        row: Registration,
        others: tuple[str, ...],
        terms: Terms,
        named: frozenset[Channel],
    ) -> tuple[Channel, ...]:
        """On which channels they must confirm first: what is new to us, what they had left, and what the line names.

        Whose address is known and open needs not confirm it again: else anybody could silence them by asking for it.
        """
        them = [s for name in (subscriber_id, *others) if (s := self._roster.subscribers.get(name)) is not None]
        waiting = {channel for one in them for channel in one.unconfirmed}
        tokens = subscribers.address_tokens(self._vault, row.contact)
        open_ones = {
            c
            for one in them
            for c, token in one.address_tokens.items()
            if token == tokens.get(c) and c not in one.opted_out and c not in one.unconfirmed
        }
        asked = ASKED if terms.confirm else named
        inherited = waiting if terms.confirm or (others and row.consent is None) else set()
        return tuple(c for c in row.choices.channels if c in inherited or (c in asked and c not in open_ones))

    def _carried(
        self, subscriber_id: str, fields: dict[str, Any], row: Registration, others: tuple[str, ...]
    ) -> tuple[SubscriberEvent, ...]:
        """The opt-outs that the line names, and those of the same addresses elsewhere."""
        held = {c: OptOut(reason=reason, since=self._at) for c, reason in opted_out(fields).items()}
        tokens = subscribers.address_tokens(self._vault, row.contact)
        for other in others:
            theirs = self._roster.subscribers[other]
            held |= {c: o for c, o in theirs.opted_out.items() if theirs.address_tokens.get(c) == tokens.get(c)}
        known = self._roster.subscribers.get(subscriber_id)
        return carried(held, known.opted_out if known else {})

    def happen(self, number: int, said: "_Said") -> Planned:
        """An event. Raises Refused, BadAddress."""
        if isinstance(said, _Enrol):
            if said.event == "changed" and self._roster.registration(self._vault, said.id or "") is None:
                raise Refused(UNKNOWN)
            fields = said.model_dump(exclude_unset=True, exclude={"event", "id", "confirm"})
            return self.enrol(number, said.id, fields, Terms(confirm=said.confirm))
        if said.id not in self._roster.subscribers:
            raise Refused(UNKNOWN)
        return Planned(number, said.id, said.as_event())


def plan_import(
    lines: Iterable[Numbered], roster: Roster, vault: Vault, at: datetime, terms: Terms = Terms()
) -> Iterator[Planned]:
    """What importing a file comes to. `roster` is taken along and holds the result.

    Importing a file twice changes nothing: who is known by id or by address is changed where the line differs, and
    what the line leaves empty stays as it was. An opt-out is never undone by a file. Lines, and subscribers, that have
    an address in common become one. Whose line names a reason of its own is not asked, whatever the `terms`.
    """
    enrolling = _Enrolling(roster, vault, at)
    for line in lines_made_one(lines, vault):
        if isinstance(line, SameLine):
            yield Planned(line.line, merged=line.with_line)
            continue
        if line.fields is None:
            yield Planned(line.line, refused=line.refused)
            continue
        fields = dict(line.fields)
        given = fields.pop("id", None)
        try:
            yield enrolling.take(enrolling.enrol(line.line, given, fields, Terms() if "consent" in fields else terms))
        except (Refused, BadAddress) as error:
            yield Planned(line.line, refused=str(error))


def plan_events(lines: Iterable[bytes], roster: Roster, vault: Vault, at: datetime) -> Iterator[Planned]:
    """What a file of JSON lines comes to: `{"event": "subscribed", "email": …}`, `{"event": "unsubscribed", …}`.

    Who is erased is erased with everyone who is the same, as `tocsin subscribers erase` does it.
    """
    enrolling = _Enrolling(roster, vault, at)
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            planned = enrolling.happen(number, _parsed(raw))
            if isinstance(planned.event, Erased):
                for name in whom(roster, vault, planned.subscriber_id):
                    yield enrolling.take(Planned(number, name, Erased()))
            else:
                yield enrolling.take(planned)
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
    consent: str | None = None
    confirm: bool = False
    opted_out: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()


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
