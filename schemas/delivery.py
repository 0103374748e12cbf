"""Deliveries: batches of recipients with the one rendering they need, and the records of what came of them.

The order of records is intent, attempt, outcome; an attempt is durable before the call, and the attempt's result
and its terminal outcome are one record.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.base import Channel, Id, Instant, Lane, Line, Message, Severity, Sha256
from schemas.census import Group
from schemas.journal import NoticeKind
from schemas.notice import Manners, PlayedClock
from schemas.operator import Signature
from schemas.rendering import UTC, Rendering


class Request(StrEnum):
    """What is asked of a subscriber, and belongs to no incident."""

    CONFIRMATION = "confirmation"


Kind = NoticeKind | Request
"""What a message is: it tells something, or asks something."""

MAX_BATCH = 500
MAX_WINDOW = 64


class DeliveryBatch(Message):
    """Up to 500 recipients of one notice on one channel. `attempt` above 1 is work that a wake brought back.

    So `attempt` counts turns: one that only put the message off counts, too, though nothing was tried in it.
    """

    TYPE: ClassVar[str] = "io.tocsin.delivery.batch.v1"
    batch_id: Id
    notice_id: Id
    incident: Id
    seq: int
    kind: Kind
    audience: Id
    channel: Channel
    lane: Lane
    closing: bool
    urgent: bool = False
    severity: Severity | None = None
    corrects: int | None = None
    at: Instant
    rendering: Rendering
    zone: str = UTC
    manners: Manners = Manners()
    never: tuple[Group, ...] = ()
    clock: PlayedClock | None = None
    recipients: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_BATCH)]
    attempt: Annotated[int, Field(ge=1)] = 1
    ordered: Id | None = Field(default=None, description="the order by which a person lets it pass the spending cap")


class Result(StrEnum):
    """How an attempt, or an intent, ended."""

    ACCEPTED = "accepted"
    RETRYABLE = "retryable"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    PARKED = "parked"
    DEFERRED = "deferred"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will be tried."""
        return self in {Result.ACCEPTED, Result.PERMANENT, Result.SUPPRESSED, Result.PARKED}


class Outcome(Message):
    """What became of one recipient's intent. `reason` is ours and named; `code` and `detail` are the provider's."""

    recipient: Id
    result: Result
    reason: str
    code: str | None = None
    detail: str | None = None
    provider_id: str | None = None
    due: Instant | None = Field(default=None, description="when it is tried again, for results that are not terminal")


class _OfOneNotice(Message):
    """What every delivery record names: intent_id = hash(incident, seq, recipient, channel)."""

    batch_id: Id
    notice_id: Id
    incident: Id
    seq: int
    channel: Channel
    at: Instant


class DeliveriesIntended(_OfOneNotice):
    """These recipients are to get this rendering."""

    TYPE: ClassVar[str] = "io.tocsin.delivery.intended.v1"
    kind: Kind
    audience: Id
    rendering: Sha256
    zone: str = UTC
    closing: bool = False
    corrects: int | None = None
    recipients: tuple[Id, ...]


class DeliveryAttempted(_OfOneNotice):
    """A window of at most 64 mails, or one SMS or post, is about to go to the provider."""

    TYPE: ClassVar[str] = "io.tocsin.delivery.attempted.v1"
    attempt_id: Id
    attempt: int
    kind: Kind
    rendering: Sha256
    recipients: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_WINDOW)]
    units: int = Field(default=0, ge=0, description="SMS segments, or posts, that it costs at most")


class DeliveriesEnded(_OfOneNotice):
    """What came of it. Without `attempt_id`: decided before any attempt (suppressed, deferred)."""

    TYPE: ClassVar[str] = "io.tocsin.delivery.ended.v1"
    attempt_id: Id | None = None
    attempt: int
    outcomes: tuple[Outcome, ...]


class ParkedOrder(Message):
    """What a person orders for messages that were parked for one reason, up to the moment they looked.

    `incident` and `channel`: only those; none named: of every one. Signed as an incident's commands are, one copy for
    each partition.
    """

    TYPE: ClassVar[str] = "io.tocsin.delivery.parked_order.v1"
    order: Literal["retry", "give_up"]
    reason: str
    incident: Id | None = None
    channel: Channel | None = None
    parked_until: Instant
    because: Line | None = None


class ParkedOrdered(_OfOneNotice):
    """These were parked in turn `attempt`, and a person ordered them tried again, or given up: who stands in `signed`.

    The signature is over `order` and its id, for the incident that the order names ("deliveries" if it names none).
    """

    TYPE: ClassVar[str] = "io.tocsin.delivery.parked_ordered.v1"
    order_id: Id
    order: ParkedOrder
    signed: Signature
    attempt: int
    recipients: tuple[Id, ...]


class ReceiptRecorded(Message):
    """What the provider said later about an intent it had accepted."""

    TYPE: ClassVar[str] = "io.tocsin.delivery.receipt_recorded.v1"
    intent_id: Id
    channel: Channel
    status: str
    code: str | None = None
    provider_id: str | None = None
    at: Instant


class NoticeSuperseded(Message):
    """What still waits of this audience's notice of that journal entry must not be told any more: `by_notice` does.

    It was corrected or taken back; or the end is told, which supersedes `and_earlier` ones with it.
    """

    TYPE: ClassVar[str] = "io.tocsin.delivery.notice_superseded.v1"
    incident: Id
    seq: int
    audience: Id
    and_earlier: bool = False
    by_notice: Id
    by_seq: int
    at: Instant


class NoticeWalked(Message):
    """How far a notice was fanned out in this partition: whoever is to be told up to this subscriber is in a batch.

    Written now and then of large partitions only, so that whoever takes over need not begin anew.
    """

    TYPE: ClassVar[str] = "io.tocsin.delivery.notice_walked.v1"
    notice_id: Id
    up_to: Id
    at: Instant


DELIVERY_RECORDS: tuple[type[Message], ...] = (
    DeliveriesIntended,
    DeliveryAttempted,
    DeliveriesEnded,
    ParkedOrdered,
    ReceiptRecorded,
    NoticeSuperseded,
    NoticeWalked,
)


class SpentOn(Message):
    """What was spent on one channel: for an incident, or on a day (UTC)."""

    channel: Channel
    incident: Id | None = None
    day: date | None = None
    units: int


class SpendingCounted(Message):
    """What one partition's deliveries have cost so far, in SMS segments and posts: for the workers of the others."""

    TYPE: ClassVar[str] = "io.tocsin.delivery.spending_counted.v1"
    spent: tuple[SpentOn, ...]


class DeliveryWake(Message):
    """Work that waits: at `due` its batch goes back to the deliveries."""

    TYPE: ClassVar[str] = "io.tocsin.delivery.wake.v1"
    wake_id: Id
    due: Instant
    reason: str
    batch: DeliveryBatch
