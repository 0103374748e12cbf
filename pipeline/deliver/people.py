"""People: the subscribers of a partition as its worker holds them, some 670 bytes each with their key.

As models they cost 5,000. What many have in common, their choices and what is known of them, is kept once; what is
theirs alone, the sealed contact and the keyed hashes of their addresses, as one string of bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

from pipeline.deliver.index import Index
from pipeline.deliver.roll import Roll
from schemas.base import CHANNELS, Channel
from schemas.subscriber import Choices, OptOut, Profile, SealedContact, Subscriber, SubscriberKey, SubscriberKind

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NOTHING: Mapping[Channel, OptOut] = MappingProxyType({})
APART, SPLIT = "\n", b"\n"
"""Between the packed parts: base64 has no such character."""


class Someone(Protocol):
    """What the rules of delivering look at: a `Subscriber`, or a `Person` that stands for one."""

    @property
    def id(self) -> str:
        """Their random id."""

    @property
    def kind(self) -> SubscriberKind:
        """Person, list or account."""

    @property
    def choices(self) -> Choices:
        """What they chose."""

    @property
    def profile(self) -> Profile:
        """What is known of them."""

    @property
    def erased(self) -> bool:
        """Whether they are to be forgotten."""

    @property
    def merged_into(self) -> str | None:
        """Who is told in their place."""

    @property
    def unconfirmed(self) -> tuple[Channel, ...]:
        """The channels whose address nobody has confirmed yet."""

    @property
    def opted_out(self) -> Mapping[Channel, OptOut]:
        """The channels that must not be used."""

    @property
    def reachable(self) -> bool:
        """Whether there is contact data of theirs."""

    @property
    def address_tokens(self) -> Mapping[Channel, str]:
        """The keyed hashes of their addresses."""


class Sealed(NamedTuple):
    """Contact data as it stands in a topic: a `SealedContact` that is nothing but its parts."""

    nonce: str
    ciphertext: str


class Wrapped(NamedTuple):
    """The key to it: a `SubscriberKey` that is nothing but its parts."""

    nonce: str
    wrapped: str


class Person:
    """A subscriber: what is shared with others who chose alike, and the rest packed."""

    __slots__ = ("_alike", "_own", "id", "opted_out")

    def __init__(self, id_: str, alike: Subscriber, opted_out: Mapping[Channel, OptOut], own: bytes) -> None:
        self.id = id_
        self.opted_out = opted_out
        self._alike = alike
        self._own = own

    @property
    def kind(self) -> SubscriberKind:
        """Person, list or account."""
        return self._alike.kind

    @property
    def choices(self) -> Choices:
        """What they chose."""
        return self._alike.choices

    @property
    def profile(self) -> Profile:
        """What is known of them."""
        return self._alike.profile

    @property
    def erased(self) -> bool:
        """Whether they are to be forgotten."""
        return self._alike.erased

    @property
    def merged_into(self) -> str | None:
        """Who is told in their place."""
        return self._alike.merged_into

    @property
    def unconfirmed(self) -> tuple[Channel, ...]:
        """The channels whose address nobody has confirmed yet."""
        return self._alike.unconfirmed

    @property
    def reachable(self) -> bool:
        """Whether there is contact data of theirs."""
        return self._own.split(SPLIT, 3)[2] != b""

    @property
    def sealed(self) -> Sealed | None:
        """Their contact data, sealed; None once there is none."""
        _, nonce, text, _ = self._own.decode("ascii").split(APART, 3)
        return Sealed(nonce, text) if text else None

    @property
    def shared(self) -> int:
        """The same number for all who chose alike and of whom the same is known."""
        return id(self._alike)

    @property
    def alike(self) -> int | None:
        """The same number for all for whom every rule holds alike; None for whoever has something of their own."""
        return self.shared if self.opted_out is NOTHING and self.reachable else None

    @property
    def address_tokens(self) -> dict[Channel, str]:
        """The keyed hashes of their addresses."""
        tokens = self._own.decode("ascii").split(APART)[3:]
        return {channel: token for channel, token in zip(CHANNELS, tokens, strict=True) if token}

    def whole(self) -> Subscriber:
        """The subscriber as everybody else knows them."""
        sealed = self.sealed
        return self._alike.model_copy(
            update={
                "id": self.id,
                "contact": SealedContact(**sealed._asdict()) if sealed else None,
                "address_tokens": self.address_tokens,
                "opted_out": dict(self.opted_out),
                "at": EPOCH + int(self._own.split(b"\n", 1)[0]) * MICROSECOND,
            }
        )


class Kept(NamedTuple):
    """Somebody as a store keeps them: what is shared, what is theirs, their packed key. None: nothing known of it."""

    id: str
    alike: Subscriber | None
    opted_out: Mapping[Channel, OptOut]
    own: bytes | None
    key: bytes | None


class People(Mapping[str, Person]):
    """The subscribers of one partition, each under the number that the roll gave them."""

    def __init__(self, roll: Roll) -> None:
        self._roll = roll
        self._people: list[Person | None] = []
        self._keys: list[bytes | None] = []
        self._length = 0
        self._addresses = Index()
        self._alike: dict[str, Subscriber] = {}
        self._changed: set[int] = set()

    def put(self, subscriber: Subscriber) -> Person:
        """Takes in how a subscriber stands now."""
        number = self._roll.number(subscriber.id)
        before = _at(self._people, number)
        known = before.address_tokens if before else {}
        for channel, token in subscriber.address_tokens.items():
            if known.get(channel) != token:
                self._addresses.add(_half(channel, token), number)
        opted_out = MappingProxyType(subscriber.opted_out) if subscriber.opted_out else NOTHING
        person = Person(self._roll.id(number), self._shared(subscriber), opted_out, _packed(subscriber))
        _set(self._people, number, person)
        self._length += before is None
        self._changed.add(number)
        return person

    def put_key(self, id_: str, key: SubscriberKey | None) -> None:
        """Takes in somebody's wrapped key; None: it was destroyed."""
        number = self._roll.number(id_)
        _set(self._keys, number, APART.join((key.nonce, key.wrapped)).encode("ascii") if key else None)
        self._changed.add(number)

    def key(self, id_: str) -> Wrapped | None:
        """Somebody's wrapped key."""
        number = self._roll.find(id_)
        packed = _at(self._keys, number) if number is not None else None
        if packed is None:
            return None
        return Wrapped(*packed.decode("ascii").split(APART))

    def take_changed(self) -> list[Kept]:
        """Who changed since this was asked last. What is named stays as it is: another thread may read it."""
        changed, self._changed = self._changed, set()
        return [self._kept(number) for number in changed]

    def changed_after_all(self, kept: Sequence[Kept]) -> None:
        """These could not be kept: they count as changed still."""
        self._changed.update(self._roll.numbers(one.id for one in kept))

    def restore(self, kept: Kept) -> None:
        """Takes in somebody as a store kept them."""
        number = self._roll.number(kept.id)
        if kept.alike is not None and kept.own is not None:
            alike = self._alike.setdefault(kept.alike.model_dump_json(), kept.alike)
            person = Person(self._roll.id(number), alike, MappingProxyType(dict(kept.opted_out)), kept.own)
            for channel, token in person.address_tokens.items():
                self._addresses.add(_half(channel, token), number)
            _set(self._people, number, person)
            self._length += 1
        _set(self._keys, number, kept.key)

    def _kept(self, number: int) -> Kept:
        person, key = _at(self._people, number), _at(self._keys, number)
        if person is None:
            return Kept(self._roll.id(number), None, NOTHING, None, key)
        return Kept(person.id, person._alike, person.opted_out, person._own, key)

    def of_address(self, channel: Channel, token: str) -> list[str]:
        """Whose address it is now, in order."""
        found = {self._roll.id(number) for number in self._addresses.find(_half(channel, token))}
        return sorted(id_ for id_ in found if self[id_].address_tokens.get(channel) == token)

    def in_order(self) -> list[str]:
        """Every id that the roll knows, in order; not to be changed by the caller. Not all of them are people."""
        return self._roll.in_order()

    def get(self, id_: str, default: Person | None = None) -> Person | None:  # type: ignore[override]
        """Somebody; None if nobody is called that."""
        number = self._roll.find(id_)
        return (None if number is None else _at(self._people, number)) or default

    def __getitem__(self, id_: str) -> Person:
        if (person := self.get(id_)) is None:
            raise KeyError(id_)
        return person

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and self.get(id_) is not None

    def __iter__(self) -> Iterator[str]:
        return (person.id for person in list(self._people) if person is not None)

    def __len__(self) -> int:
        return self._length

    def _shared(self, subscriber: Subscriber) -> Subscriber:
        own: dict[str, Any] = {"id": "shared", "contact": None, "address_tokens": {}, "opted_out": {}, "at": EPOCH}
        alike = subscriber.model_copy(update=own)
        return self._alike.setdefault(alike.model_dump_json(), alike)


def _at(numbered: Sequence[T | None], number: int) -> T | None:
    return numbered[number] if number < len(numbered) else None


def _set(numbered: list[T | None], number: int, value: T | None) -> None:
    numbered.extend([None] * (number + 1 - len(numbered)))
    numbered[number] = value


def _packed(subscriber: Subscriber) -> bytes:
    at, sealed = (subscriber.at - EPOCH) // MICROSECOND, subscriber.contact
    contact = (sealed.nonce, sealed.ciphertext) if sealed else ("", "")
    tokens = (subscriber.address_tokens.get(channel, "") for channel in CHANNELS)
    return APART.join((str(at), *contact, *tokens)).encode("ascii")


def _half(channel: Channel, token: str) -> int:
    return hash((channel.value, token)) & 0xFFFF_FFFF_FFFF_FFFF
