"""The audit log: sealed entries, one appender."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from schemas.base import Id, Instant, Message, Sha256


class TurnTaken(Message):
    """A process became the one appender, holding a log of `size` entries."""

    TYPE: ClassVar[str] = "io.tocsin.audit.turn_taken.v1"
    holder: Id
    size: int
    at: Instant


class Origin(Message):
    """Where a record stood."""

    topic: str
    partition: int
    offset: int


class AuditEntry(Message):
    """One sealed record. Its leaf is SHA-256(0x00 || the exact stored bytes); `prev` is the leaf before it."""

    TYPE: ClassVar[str] = "io.tocsin.audit.entry.v1"
    index: Annotated[int, Field(ge=0)]
    prev: Sha256
    record_id: str
    record_type: str
    subject: str | None = None
    origin: Origin
    appended_at: Instant
    body: dict[str, Any] | None = None
