"""Provider receipts: what providers and recipients say afterwards, reduced to ids on arrival."""

from typing import ClassVar, Literal

from schemas.base import Channel, Id, Instant, Message


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


RECEIPTS: tuple[type[Message], ...] = (DeliveryReported, KeywordReceived)
