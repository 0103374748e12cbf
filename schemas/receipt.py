"""Provider receipts: what providers and recipients say afterwards, reduced to ids on arrival."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.base import Channel, Id, Instant, Message
from schemas.subscriber import Base64Url, Choices


class DeliveryReported(Message):
    """A status callback about one intent."""

    TYPE: ClassVar[str] = "io.tocsin.receipt.delivery_reported.v1"
    channel: Channel
    intent_id: Id
    provider_id: str
    status: str
    code: str | None = None
    at: Instant


class KeywordReceived(Message):
    """An inbound message that opts out or in. Copied to every partition: the owner of the address acts on it."""

    TYPE: ClassVar[str] = "io.tocsin.receipt.keyword_received.v1"
    channel: Channel
    address_token: str
    keyword: Literal["STOP", "START", "HELP"]
    provider_id: str
    at: Instant


class BounceReceived(Message):
    """A mail came back, or is late (RFC 3464). `blocked`: refused for something that is not about the address.

    `address_token`: the keyed hash of the address that failed, where the report names one: behind a list, or behind a
    forwarding, it is another than the one that was written to.
    """

    TYPE: ClassVar[str] = "io.tocsin.receipt.bounce_received.v1"
    channel: Channel
    intent_id: Id
    kind: Literal["hard", "soft", "blocked"]
    code: Annotated[str, Field(pattern=r"^[245]\.\d{1,3}\.\d{1,3}$")] | None = None
    address_token: Base64Url | None = None
    provider_id: Id
    at: Instant


class ComplaintReceived(Message):
    """A mailbox provider says that its user called a mail spam, or wants no more of them (ARF, RFC 5965)."""

    TYPE: ClassVar[str] = "io.tocsin.receipt.complaint_received.v1"
    channel: Channel
    intent_id: Id
    feedback: Literal["abuse", "opt-out"]
    provider_id: Id
    at: Instant


class AddressConfirmed(Message):
    """Somebody who signed up by themselves has confirmed their address. Copied to every partition: whoever had that
    address before is the same, and only the owner of their partition knows them.
    """

    TYPE: ClassVar[str] = "io.tocsin.receipt.address_confirmed.v1"
    channel: Channel
    address_token: Base64Url
    subscriber: Id
    choices: Choices
    at: Instant


RECEIPTS: tuple[type[Message], ...] = (
    DeliveryReported,
    KeywordReceived,
    BounceReceived,
    ComplaintReceived,
    AddressConfirmed,
)
