"""Subscribers: persons, lists and accounts that can be told something. Their contact data is only ever sealed."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.base import Channel, Id, Instant, Level, Line, Message

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
Base64Url = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


SIGNED_UP = "signup."
"""How the ids of those begin who signed up by themselves; the rest is random to whoever has not the secret."""


class SubscriberKind(StrEnum):
    """What stands behind a subscription."""

    PERSON = "person"
    LIST = "list"
    ACCOUNT = "account"


class SealedContact(Message):
    """Contact data under the subscriber's own key (AES-256-GCM, the subscriber's id as associated data)."""

    algorithm: Literal["A256GCM"] = "A256GCM"
    nonce: Base64
    ciphertext: Base64


class Frequency(StrEnum):
    """How often someone wants to hear of an incident."""

    ALL = "all"
    START_AND_END = "start_and_end"
    DIGEST = "digest"


class Choices(Message):
    """What a subscriber chose. Channels in order of preference; no components means all of them.

    `level`: less detail than their audience may see, if they want less. `office_hours_only`: what is not urgent waits
    for their office to open.
    """

    audiences: tuple[Id, ...]
    channels: tuple[Channel, ...]
    components: tuple[Line, ...] = ()
    level: Level | None = None
    language: str = "en"
    time_zone: str = "UTC"
    frequency: Frequency = Frequency.ALL
    office_hours_only: bool = False


class Profile(Message):
    """What we know of a subscriber and they did not choose: by this, audiences may select them."""

    roles: tuple[Id, ...] = ()
    contract: Id | None = None
    regions: tuple[Line, ...] = ()
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None


class Subscribed(Message):
    """Someone, or something, is to be told. `address_tokens` are keyed hashes, to find them by address again.

    `consent`: in words, why they may be told without being asked first ("contract"). On the channels in `unconfirmed`
    they hear nothing until their address's owner has confirmed it (double opt-in).
    """

    TYPE: ClassVar[str] = "io.tocsin.subscriber.subscribed.v1"
    kind: SubscriberKind = SubscriberKind.PERSON
    choices: Choices
    profile: Profile = Profile()
    contact: SealedContact
    address_tokens: dict[Channel, Base64Url]
    consent: Line | None = None
    unconfirmed: tuple[Channel, ...] = ()


class Confirmed(Message):
    """The address was shown to be theirs (double opt-in): these addresses, where any are named, and no later ones."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.confirmed.v1"
    channels: tuple[Channel, ...]
    address_tokens: dict[Channel, Base64Url] | None = None


class ChoicesChanged(Message):
    """They chose otherwise; contact data only where it changed."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.changed.v1"
    choices: Choices
    profile: Profile | None = None
    contact: SealedContact | None = None
    address_tokens: dict[Channel, Base64Url] | None = None
    consent: Line | None = None
    unconfirmed: tuple[Channel, ...] = ()


class Merged(Message):
    """They are the same as another subscriber, who is told in their place; their key goes.

    On `channels` the address is the other's as well: an opt-out there, whenever it comes, is the other's too.
    """

    TYPE: ClassVar[str] = "io.tocsin.subscriber.merged.v1"
    into: Id
    channels: tuple[Channel, ...] = ()


class Unsubscribed(Message):
    """They left a channel, at once."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.unsubscribed.v1"
    channel: Channel
    via: Literal["one-click", "operator", "preferences"]


class Bounced(Message):
    """An address did not take our message for good."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.bounced.v1"
    channel: Channel
    code: str


class Complained(Message):
    """They called our message spam."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.complained.v1"
    channel: Channel


class Stopped(Message):
    """They answered STOP, or the provider says that they have."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.stopped.v1"
    channel: Channel
    via: Literal["keyword", "provider"]


class Restarted(Message):
    """They answered START: the channel is open again."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.restarted.v1"
    channel: Channel


class Erased(Message):
    """The person is to be forgotten; their key goes, suppression tokens stay.

    `because` says what it was, if not their wish. `unconfirmed`: nobody answered the request for so long that its
    link is too old. Nothing at all is kept then; whoever has confirmed meanwhile is not meant.
    """

    TYPE: ClassVar[str] = "io.tocsin.subscriber.erased.v1"
    because: Literal["unconfirmed"] | None = None


SubscriberEvent = (
    Subscribed
    | Confirmed
    | ChoicesChanged
    | Unsubscribed
    | Bounced
    | Complained
    | Stopped
    | Restarted
    | Merged
    | Erased
)
SUBSCRIBER_EVENTS: tuple[type[Message], ...] = (
    Subscribed,
    Confirmed,
    ChoicesChanged,
    Unsubscribed,
    Bounced,
    Complained,
    Stopped,
    Restarted,
    Merged,
    Erased,
)


Reason = Literal["unsubscribed", "bounced", "complained", "stopped"]


class OptOut(Message):
    """A channel that must not be used for this subscriber, since when and why."""

    reason: Reason
    since: Instant


class Standing(Message):
    """Whether a subscriber may be told at all: why, on which channels not before they confirm, or as whom instead.

    One object for all who stand alike: a field more in each of a million subscribers would be hundreds of bytes.
    """

    consent: Line | None = None
    unconfirmed: tuple[Channel, ...] = ()
    merged_into: Id | None = None
    merged_on: tuple[Channel, ...] = ()


class Subscriber(Message):
    """The current state of one subscriber: the fold of its events."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.v1"
    id: Id
    kind: SubscriberKind
    choices: Choices
    profile: Profile = Profile()
    contact: SealedContact | None = None
    address_tokens: dict[Channel, Base64Url] = Field(default_factory=dict)
    opted_out: dict[Channel, OptOut] = Field(default_factory=dict)
    standing: Standing = Standing()
    erased: bool = False
    at: Instant

    @property
    def reachable(self) -> bool:
        """Whether there is contact data of theirs."""
        return self.contact is not None

    @property
    def unconfirmed(self) -> tuple[Channel, ...]:
        """The channels on which they hear nothing until they have confirmed."""
        return self.standing.unconfirmed

    @property
    def merged_into(self) -> str | None:
        """As whom they are told instead."""
        return self.standing.merged_into


class SubscriberKey(Message):
    """A subscriber's own key, wrapped under the deployment's secret. Its tombstone is the erasure."""

    TYPE: ClassVar[str] = "io.tocsin.subscriber.key.v1"
    nonce: Base64
    wrapped: Base64
