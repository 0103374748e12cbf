"""Subscribers: the fold of their events, and the records by which they come, change, leave and are forgotten.

Opting out always wins over what was chosen, and a weaker or later word never lifts a stronger one; what lifts an
opt-out is named in `fold`. An erased id stays erased: whoever comes back does so under a new one.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from pipeline.vault import ContactData, Vault
from schemas import codec, topics
from schemas.base import Channel, Message, is_id, rfc3339
from schemas.codec import Outgoing, Record, Undecodable
from schemas.ids import derived
from schemas.subscriber import (
    SIGNED_UP,
    SUBSCRIBER_EVENTS,
    Bounced,
    Choices,
    ChoicesChanged,
    Complained,
    Confirmed,
    Erased,
    Merged,
    OptOut,
    Profile,
    Restarted,
    SealedContact,
    Standing,
    Stopped,
    Subscribed,
    Subscriber,
    SubscriberEvent,
    SubscriberKey,
    SubscriberKind,
    Unsubscribed,
)

SOURCE = "/tocsin/operator"
NOTHING_CHOSEN = Choices(audiences=(), channels=())
STRENGTH = ("bounced", "stopped", "unsubscribed", "complained")
"""Of two opt-outs of one channel the stronger is kept, so that START does not undo an unsubscribe, in any order."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What someone who is to be told gave, in clear, and what is known of them besides."""

    kind: SubscriberKind
    choices: Choices
    contact: ContactData
    profile: Profile = field(default_factory=Profile)
    consent: str | None = None
    """Why they may be told without being asked first; None: nobody said."""


def fold(subscriber_id: str, subscriber: Subscriber | None, event: Message, at: datetime) -> Subscriber | None:
    """The subscriber after `event`; None where there is none to change. `at` is the record's append time.

    Restarted lifts `stopped` and nothing else. Confirmed, the proof that the address's owner wants it, lifts
    `unsubscribed` and `bounced`. A new address lifts the old one's `bounced`. Nothing lifts `complained`. Of a list one
    member cannot unsubscribe all: the link in a mail is in everyone's hands.
    """
    if subscriber is None and not is_id(subscriber_id):
        return None  # nobody can be called that, and a fold must not fail
    if subscriber is not None and _is_of_one_member(subscriber, event):
        return subscriber
    if isinstance(event, SUBSCRIBER_EVENTS) and (opt_out := _opt_out(event, at)) is not None:
        return _opted_out(subscriber or _unheard_of(subscriber_id, at), *opt_out)
    if isinstance(event, Erased) and event.because == "unconfirmed":
        return subscriber if subscriber is None or not waits(subscriber) else _unanswered(subscriber, at)
    if isinstance(event, Erased):
        return _erased(subscriber or _unheard_of(subscriber_id, at), at)
    if subscriber is not None and (subscriber.erased or subscriber.merged_into is not None):
        return subscriber
    match event:
        case Merged() if subscriber is not None:
            return _merged(subscriber, event, at)
        case Subscribed():
            return _told(subscriber or _unheard_of(subscriber_id, at), event, at, kind=event.kind)
        case ChoicesChanged() if subscriber is not None:
            return _told(subscriber, event, at, kind=subscriber.kind)
        case Confirmed() if subscriber is not None:
            return _confirmed(subscriber, event, at)
        case Restarted() if subscriber is not None:
            return _lifted(subscriber, {event.channel}, {"stopped"}, at)
        case _:
            return subscriber


def _is_of_one_member(subscriber: Subscriber, event: Message) -> bool:
    return subscriber.kind is SubscriberKind.LIST and isinstance(event, Unsubscribed) and event.via == "one-click"


def _unheard_of(subscriber_id: str, at: datetime) -> Subscriber:
    """An opt-out is kept even of someone who is not known yet: it holds once they are."""
    return Subscriber(id=subscriber_id, kind=SubscriberKind.PERSON, choices=NOTHING_CHOSEN, at=at)


def _opt_out(event: Message, at: datetime) -> tuple[Channel, OptOut] | None:
    match event:
        case Unsubscribed():
            return event.channel, OptOut(reason="unsubscribed", since=at)
        case Bounced():
            return event.channel, OptOut(reason="bounced", since=at)
        case Complained():
            return event.channel, OptOut(reason="complained", since=at)
        case Stopped():
            return event.channel, OptOut(reason="stopped", since=at)
        case _:
            return None


def _opted_out(subscriber: Subscriber, channel: Channel, opt_out: OptOut) -> Subscriber:
    held = subscriber.opted_out.get(channel)
    # The strongest word, and of equal ones the first.
    kept = (
        opt_out if held is None else max(held, opt_out, key=lambda o: (STRENGTH.index(o.reason), -o.since.timestamp()))
    )
    return subscriber.model_copy(
        update={"opted_out": {**subscriber.opted_out, channel: kept}, "at": max(subscriber.at, opt_out.since)}
    )


def _lifted(subscriber: Subscriber, channels: set[Channel], reasons: set[str], at: datetime) -> Subscriber:
    kept = {
        channel: opt_out
        for channel, opt_out in subscriber.opted_out.items()
        if channel not in channels or opt_out.reason not in reasons
    }
    return subscriber.model_copy(update={"opted_out": kept, "at": max(subscriber.at, at)})


def _confirmed(subscriber: Subscriber, event: Confirmed, at: datetime) -> Subscriber:
    """Of an address that is no longer theirs, or was never, a confirmation says nothing."""
    named = event.address_tokens
    meant = {c for c in event.channels if named is None or named.get(c) == subscriber.address_tokens.get(c)}
    lifted = _lifted(subscriber, meant, {"unsubscribed", "bounced"}, at)
    return _standing(lifted, lifted.standing.consent, tuple(c for c in lifted.unconfirmed if c not in meant))


def _told(subscriber: Subscriber, said: Subscribed | ChoicesChanged, at: datetime, kind: SubscriberKind) -> Subscriber:
    tokens = subscriber.address_tokens if said.address_tokens is None else said.address_tokens
    moved = {c for c, token in tokens.items() if subscriber.address_tokens.get(c, token) != token}
    mended = _lifted(subscriber, moved, {"bounced"}, at)
    waiting = {*said.unconfirmed, *(() if said.consent else subscriber.unconfirmed)}
    told = mended.model_copy(
        update={
            "kind": kind,
            "choices": said.choices,
            "profile": said.profile or subscriber.profile,
            "contact": said.contact or subscriber.contact,
            "address_tokens": tokens,
        }
    )
    consent = said.consent or subscriber.standing.consent
    return _standing(told, consent, tuple(c for c in Channel if c in tokens and c in waiting))


def _standing(subscriber: Subscriber, consent: str | None, unconfirmed: tuple[Channel, ...]) -> Subscriber:
    standing = _shared(consent, unconfirmed)
    return subscriber if standing == subscriber.standing else subscriber.model_copy(update={"standing": standing})


@lru_cache(maxsize=1024)
def _shared(consent: str | None, unconfirmed: tuple[Channel, ...]) -> Standing:
    return Standing(consent=consent, unconfirmed=unconfirmed)


def _erased(subscriber: Subscriber, at: datetime) -> Subscriber:
    """What is left: that there was someone, and the keyed hashes by which they are not told again by accident."""
    return Subscriber(
        id=subscriber.id,
        kind=subscriber.kind,
        choices=NOTHING_CHOSEN,
        address_tokens=subscriber.address_tokens,
        opted_out=subscriber.opted_out,
        standing=Standing(merged_into=subscriber.merged_into, merged_on=subscriber.standing.merged_on),
        erased=True,
        at=max(subscriber.at, at),
    )


def waits(subscriber: Subscriber) -> bool:
    """Whether they signed up by themselves and have confirmed nothing yet."""
    gone = subscriber.erased or subscriber.merged_into is not None
    return (
        subscriber.id.startswith(SIGNED_UP) and not gone and {*subscriber.address_tokens} <= {*subscriber.unconfirmed}
    )


def _unanswered(subscriber: Subscriber, at: datetime) -> Subscriber:
    """What is left: that an id is used up."""
    at = max(subscriber.at, at)
    return Subscriber(id=subscriber.id, kind=subscriber.kind, choices=NOTHING_CHOSEN, erased=True, at=at)


def _merged(subscriber: Subscriber, event: Merged, at: datetime) -> Subscriber:
    """What is left: that they are somebody else now, and the opt-outs, which were given to the other as well."""
    return Subscriber(
        id=subscriber.id,
        kind=subscriber.kind,
        choices=NOTHING_CHOSEN,
        opted_out=subscriber.opted_out,
        standing=Standing(merged_into=event.into, merged_on=event.channels),
        at=max(subscriber.at, at),
    )


@dataclass(slots=True)
class Roster:
    """Everyone, as the fold of `subscriber.events` and `subscriber.keys`. Mutable, since it is large."""

    subscribers: dict[str, Subscriber] = field(default_factory=dict)
    keys: dict[str, SubscriberKey] = field(default_factory=dict)
    by_address: dict[tuple[Channel, str], str] = field(default_factory=dict)

    def read(self, record: Record) -> None:
        """Takes in one record; what cannot be decoded is the workers' to report."""
        subscriber_id = (record.key or b"").decode(errors="replace")
        if record.topic == topics.SUBSCRIBER_KEYS.name and record.value is None:
            self.keys.pop(subscriber_id, None)
            return
        try:
            event: codec.Event[Message] = codec.decode(record)
        except Undecodable:
            return
        if isinstance(event.data, SubscriberKey):
            self.keys[subscriber_id] = event.data
        else:
            self.apply(subscriber_id, event.data, record.timestamp)

    def apply(self, subscriber_id: str, event: Message, at: datetime) -> None:
        """Takes in one event."""
        before = self.subscribers.get(subscriber_id)
        after = fold(subscriber_id, before, event, at)
        if after is None:
            return
        for address in (before.address_tokens if before else {}).items():
            if self.by_address.get(address) == subscriber_id:
                del self.by_address[address]
        self.by_address |= dict.fromkeys(after.address_tokens.items(), subscriber_id)
        self.subscribers[subscriber_id] = after

    def settle(self) -> None:
        """Finds addresses anew, after reading: partitions are read one after the other, and who was merged into whom
        does not stand in one. Of several holders one who can be told is found, before one who signed up and waits, and
        before one who was erased.
        """
        everyone = sorted(self.subscribers.values(), key=lambda one: (not one.erased, not waits(one)))
        self.by_address = {address: one.id for one in everyone for address in one.address_tokens.items()}

    def hold(self, subscriber_id: str) -> None:
        """Whoever their addresses were found under before, it is them now."""
        self.by_address |= dict.fromkeys(self.subscribers[subscriber_id].address_tokens.items(), subscriber_id)

    def registration(self, vault: Vault, subscriber_id: str) -> Registration | None:
        """What they gave, in clear; None for someone unknown or erased. Raises vault.Unreadable."""
        subscriber, contact = self.subscribers.get(subscriber_id), self.contact(vault, subscriber_id)
        if subscriber is None or contact is None:
            return None
        return Registration(
            subscriber.kind, subscriber.choices, contact, subscriber.profile, subscriber.standing.consent
        )

    def contact(self, vault: Vault, subscriber_id: str) -> ContactData | None:
        """Their contact data in clear; None once they are erased. Raises vault.Unreadable."""
        subscriber, key = self.subscribers.get(subscriber_id), self.keys.get(subscriber_id)
        if subscriber is None or subscriber.contact is None or key is None:
            return None
        return vault.unseal(subscriber_id, vault.unwrap(subscriber_id, key), subscriber.contact)


def new_id() -> str:
    """A random id of 128 bits: it says nothing about anyone."""
    return secrets.token_hex(16)


def address_tokens(vault: Vault, contact: ContactData) -> dict[Channel, str]:
    """The tokens of every address that `contact` holds."""
    return {c: vault.address_token(c, address) for c in Channel if (address := contact.address(c)) is not None}


def subscribe(
    vault: Vault, row: Registration, subscriber_id: str, at: datetime, source: str = SOURCE
) -> tuple[Outgoing, Outgoing]:
    """The key record and the event of a new subscriber. The key must be acknowledged before the event is written."""
    key, event = subscribed(vault, row, subscriber_id)
    return key_record(subscriber_id, key, at, source), event_record(subscriber_id, event, at, source)


def subscribed(
    vault: Vault, row: Registration, subscriber_id: str, unconfirmed: tuple[Channel, ...] = ()
) -> tuple[SubscriberKey, Subscribed]:
    """A fresh key for a new subscriber, wrapped, and their first event, sealed under it."""
    key = vault.new_key()
    event = Subscribed(
        kind=row.kind,
        choices=row.choices,
        profile=row.profile,
        contact=vault.seal(subscriber_id, key, row.contact),
        address_tokens=address_tokens(vault, row.contact),
        consent=row.consent,
        unconfirmed=unconfirmed,
    )
    return vault.wrap(subscriber_id, key), event


def changed(
    vault: Vault,
    roster: Roster,
    subscriber_id: str,
    row: Registration,
    unconfirmed: tuple[Channel, ...] = (),
    consent: str | None = None,
    again: bool = False,
) -> ChoicesChanged | None:
    """The event that makes a known subscriber's choices, profile and contact data those of `row`; None if they are.

    `consent`: what is said of it now, which opens every channel but the `unconfirmed`; `again`: who waits to confirm is
    asked once more. The key stays the same: what was sealed before must still open. Raises KeyError for an unknown or
    erased id.
    """
    before, wrapped = roster.subscribers[subscriber_id], roster.keys[subscriber_id]
    same_contact = roster.contact(vault, subscriber_id) == row.contact
    tokens = address_tokens(vault, row.contact)
    waits = {c for c in before.unconfirmed if tokens.get(c) == before.address_tokens.get(c)}
    asks = bool(unconfirmed) and (again or not waits.issuperset(unconfirmed))
    opens = consent is not None and not waits.issubset(unconfirmed)
    new_consent = row.consent if opens or row.consent != before.standing.consent else None
    as_it_was = same_contact and (before.choices, before.profile) == (row.choices, row.profile)
    if as_it_was and not new_consent and not asks:
        return None
    sealed: SealedContact | None = None
    if not same_contact:
        sealed = vault.seal(subscriber_id, vault.unwrap(subscriber_id, wrapped), row.contact)
    return ChoicesChanged(
        choices=row.choices,
        profile=row.profile if row.profile != before.profile else None,
        contact=sealed,
        address_tokens=tokens if sealed else None,
        consent=new_consent,
        unconfirmed=unconfirmed if new_consent or asks else (),
    )


def key_record(subscriber_id: str, key: SubscriberKey | None, at: datetime, source: str = SOURCE) -> Outgoing:
    """The subscriber's wrapped key as a record; None is its tombstone, written only after the erasing event."""
    if key is None:
        return Outgoing(topics.SUBSCRIBER_KEYS.name, subscriber_id.encode(), None)
    name = derived("subscriber.key", subscriber_id, key.nonce)
    return codec.encode(topics.SUBSCRIBER_KEYS, key, id=name, source=source, subject=subscriber_id, time=at)


def event_record(subscriber_id: str, event: SubscriberEvent, at: datetime, source: str = SOURCE) -> Outgoing:
    """A subscriber's event as a record; the same event at the same moment has the same id."""
    name = derived("subscriber.event", subscriber_id, event.TYPE, rfc3339(at), event.model_dump_json())
    return codec.encode(topics.SUBSCRIBER_EVENTS_TOPIC, event, id=name, source=source, subject=subscriber_id, time=at)
