"""Incident commands: what a person or the clock orders. Imperative.

A person's command is signed with their ed25519 key (see `Signature`); the signature is verified where it is decided on,
and stands in the journal beside it.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from schemas.base import Id, Instant, Line, Message, Sha256, Text
from schemas.incident import Facts


class WakeReason(StrEnum):
    """Why the clock was asked to call: the rule whose moment it is."""

    PROMISE_DUE = "promise_due"
    FIRST_NOTICE_DEADLINE = "first_notice_deadline"
    LAST_NOTICE_DEADLINE = "last_notice_deadline"
    SILENCE = "silence"
    REMINDER = "reminder"
    MINIMUM_GAP = "minimum_gap"
    RESOLUTION_HELD = "resolution_held"
    OFFICE_CLOSES = "office_closes"
    OFFICE_OPENS = "office_opens"
    COOL_DOWN = "cool_down"
    REVIEW_DUE = "review_due"
    MAINTENANCE_SOON = "maintenance_soon"


class Wake(Message):
    """The clock's command: a moment that a decision asked for has come."""

    TYPE: ClassVar[str] = "io.tocsin.command.wake.v1"
    due: Instant
    reason: WakeReason


class Close(Message):
    """The incident ended long ago and nothing came since entry `seq`: nothing more shall follow from it.

    Ordered by whoever lets Kafka forget (`tocsin trim`), and decided on from the state of the incident alone.
    """

    TYPE: ClassVar[str] = "io.tocsin.command.close.v1"
    seq: Annotated[int, Field(ge=1)]


class OperatorCommand(Message):
    """What a person orders. `because` is theirs, for the record."""

    TYPE: ClassVar[str]
    because: Line | None = None


class Approve(OperatorCommand):
    """Let this draft go out, exactly as it was shown: `content` is the hash of all its renderings."""

    TYPE: ClassVar[str] = "io.tocsin.command.approve.v1"
    draft: Id
    content: Sha256


class Reject(OperatorCommand):
    """This draft must not go out."""

    TYPE: ClassVar[str] = "io.tocsin.command.reject.v1"
    draft: Id


class Edit(OperatorCommand):
    """Say it otherwise: a new draft takes the place of this one, and every approval given so far is void."""

    TYPE: ClassVar[str] = "io.tocsin.command.edit.v1"
    draft: Id
    facts: Facts


class PublishNow(OperatorCommand):
    """Do not wait for the clock: what is put off, or a resolution held back, goes out now. Lifts no approval."""

    TYPE: ClassVar[str] = "io.tocsin.command.publish_now.v1"


class Hold(OperatorCommand):
    """Nothing more goes out to these audiences (none named: to any) until it is released, the safe text included."""

    TYPE: ClassVar[str] = "io.tocsin.command.hold.v1"
    audiences: tuple[Id, ...] = ()


class Release(OperatorCommand):
    """Ends a hold. What had been held back goes the usual way."""

    TYPE: ClassVar[str] = "io.tocsin.command.release.v1"
    audiences: tuple[Id, ...] = ()


class Correct(OperatorCommand):
    """What the notices of journal entry `seq` said was wrong: this is right. Reaches exactly those who got it."""

    TYPE: ClassVar[str] = "io.tocsin.command.correct.v1"
    seq: Annotated[int, Field(ge=1)]
    facts: Facts
    explanation: Text


class Retract(OperatorCommand):
    """What the notices of journal entry `seq` said does not hold at all. Reaches exactly those who got it."""

    TYPE: ClassVar[str] = "io.tocsin.command.retract.v1"
    seq: Annotated[int, Field(ge=1)]
    explanation: Text


OPERATOR_COMMANDS: tuple[type[OperatorCommand], ...] = (
    Approve,
    Reject,
    Edit,
    PublishNow,
    Hold,
    Release,
    Correct,
    Retract,
)
COMMANDS: tuple[type[Message], ...] = (Wake, Close, *OPERATOR_COMMANDS)
