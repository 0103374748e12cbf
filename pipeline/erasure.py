"""Erasure: who is meant, and what is left of them afterwards: their key in the broker's files, traces with providers.

What is left in the topics by intent are random ids, keyed hashes of addresses, and ciphertext that nothing opens.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.addresses import BadAddress
from pipeline.errors import NotFound
from pipeline.registrations import says_who
from pipeline.settings import Settings
from pipeline.subscribers import Roster
from pipeline.vault import ContactData, Unreadable, Vault
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.codec import Record, Undecodable
from schemas.deadletter import DeadLetter
from schemas.delivery import DeliveriesEnded
from schemas.subscriber import SubscriberKey

LOOKED_UP = (Channel.EMAIL, Channel.SMS)
TWILIO = "https://api.twilio.com"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter that names somebody, and the record that it is of."""

    place: Place
    origin: Place


@dataclass(frozen=True, slots=True)
class Trace:
    """A message that a provider knows by an id of its own, and so the person."""

    channel: Channel
    provider_id: str


def whom(roster: Roster, vault: Vault, said: str) -> tuple[str, ...]:
    """Everyone who is the person that is named by id or by address; that one first.

    Whoever signed up with an address of theirs and waits holds it as well, and is meant. Raises NotFound, which repeats
    no address.
    """
    names = everyone_who_is(roster, _named(roster, vault, said))
    return (*names, *_of_their_addresses(roster, names, erased=False))


def whom_was_erased(roster: Roster, subscriber_id: str) -> tuple[str, ...]:
    """Everyone who was erased with somebody."""
    names = everyone_who_is(roster, subscriber_id)
    return (*names, *_of_their_addresses(roster, names, erased=True))


def _named(roster: Roster, vault: Vault, said: str) -> str:
    if said in roster.subscribers:
        return said
    for channel in LOOKED_UP:
        try:
            found = roster.by_address.get((channel, vault.address_token(channel, said)))
        except BadAddress:
            continue
        if found is not None:
            return found
    raise NotFound("nobody is called that, or has that address: `tocsin subscribers list` names them all")


def _of_their_addresses(roster: Roster, names: Collection[str], *, erased: bool) -> list[str]:
    """Who else has an address of those among `names` that were erased, or that were not.

    Who came back after an erasure has the address of somebody erased, and was not: they are somebody else then.
    """
    theirs = [roster.subscribers[name] for name in names if name in roster.subscribers]
    addresses = {address for one in theirs if one.erased is erased for address in one.address_tokens.items()}
    return [
        one.id
        for one in sorted(roster.subscribers.values(), key=lambda one: one.id)
        if one.erased is erased and one.id not in names and not addresses.isdisjoint(one.address_tokens.items())
    ]


def everyone_who_is(roster: Roster, subscriber_id: str) -> tuple[str, ...]:
    """The subscriber that `subscriber_id` is told as, and all who were made one with it; that one first."""
    root = _told_as(roster, subscriber_id)
    others = (other for other in sorted(roster.subscribers) if other != root and _told_as(roster, other) == root)
    return (root, *others)


def _told_as(roster: Roster, subscriber_id: str) -> str:
    seen = {subscriber_id}
    while (known := roster.subscribers.get(subscriber_id)) is not None and known.merged_into not in {None, *seen}:
        subscriber_id = known.merged_into or subscriber_id
        seen.add(subscriber_id)
    return subscriber_id


def key_of(record: Record, names: Collection[str]) -> Place | None:
    """Where a record of `subscriber.keys` still holds a key of one of these; None if it holds none."""
    theirs = record.value is not None and (record.key or b"").decode(errors="replace") in names
    return Place(record.topic, record.partition, record.offset) if theirs else None


def traces_in(record: Record, names: Collection[str]) -> Iterator[Trace]:
    """What a record of `delivery.records` says of messages to them that a provider took."""
    try:
        data = codec.decode(record, Message).data
    except Undecodable:
        return
    if isinstance(data, DeliveriesEnded):
        for outcome in data.outcomes:
            if outcome.recipient in names and outcome.provider_id is not None:
                yield Trace(data.channel, outcome.provider_id)


def contact_in(record: Record, vault: Vault, keys: Mapping[str, SubscriberKey]) -> ContactData | None:
    """What a record of `subscriber.events` says of those whose `keys` are given: what they once gave, too."""
    name = (record.key or b"").decode(errors="replace")
    try:
        if name not in keys:
            return None
        sealed = getattr(codec.decode(record, Message).data, "contact", None)
        return None if sealed is None else vault.unseal(name, vault.unwrap(name, keys[name]), sealed)
    except (Undecodable, Unreadable):
        return None


def letter_about(record: Record, vault: Vault, contacts: Sequence[ContactData]) -> Letter | None:
    """A dead letter in which they are named: somebody had written them down where contact data is sealed."""
    try:
        letter = codec.decode(record, DeadLetter).data
        said = vault.unseal_blob(letter.sealed).decode(errors="replace") if letter.sealed is not None else ""
    except (Undecodable, Unreadable):
        return None
    if not any(says_who(contact, said) for contact in contacts):
        return None
    origin = Place(letter.origin.topic, letter.origin.partition, letter.origin.offset)
    return Letter(Place(record.topic, record.partition, record.offset), origin)


def warnings(letters: Sequence[Letter]) -> Iterator[str]:
    """What stands of them where it should not, a line each: said before the key goes, since nobody can tell after."""
    for letter in letters:
        yield (
            f"they were written down in clear at {letter.origin}: that record stays as long as its topic is kept; a "
            f"sealed copy is at {letter.place} for {topics.DEAD_LETTERS.retention_ms // topics.DAY_MS} days"
        )


def in_words(settings: Settings, left: Sequence[Place], traces: Sequence[Trace]) -> Iterator[str]:
    """What is still to be done, a line each."""
    if left:
        places = ", ".join(map(str, left))
        minutes = topics.KEYS_CLOSED_MS // 60_000
        yield (
            f"their key is still in the broker's files ({places}): it goes when the broker compacts, some {minutes} "
            "minutes after the erasure, while deliver runs"
        )
    else:
        yield "the broker holds no key of theirs: what was sealed under it cannot be opened"
    for trace in traces:
        if trace.channel is Channel.SMS:
            account = settings.twilio_account_sid or "ACCOUNT_SID"
            where = f"{settings.twilio_base_url or TWILIO}/2010-04-01/Accounts/{account}/Messages"
            yield f"sms: Twilio keeps number and text until you say: DELETE {where}/{trace.provider_id}.json"
        else:
            yield f"{trace.channel}: the provider knows the message {trace.provider_id}"
