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


class CheckpointSigned(Message):
    """The appender has signed for a log of `size` entries, which the broker and its own disk have: sealing goes on.

    `root`: of the tree over these entries, as the checkpoint on its disk has it. `read`: for each sealed topic, how far
    it has read each partition, as the offset that comes next; what came twice it has read, and not sealed again.
    """

    TYPE: ClassVar[str] = "io.tocsin.audit.checkpoint_signed.v1"
    holder: Id
    size: Annotated[int, Field(ge=0)]
    root: Sha256
    read: dict[str, tuple[int, ...]]
    at: Instant


class Origin(Message):
    """Where a record stood."""

    topic: str
    partition: int
    offset: int


class KeyIntroduced(Message):
    """The log's key changes: a note that the old key and the new one signed. Sealed in the log, of its own accord."""

    TYPE: ClassVar[str] = "io.tocsin.audit.key_introduced.v1"
    note: str


class RecipientsCommitted(Message):
    """What entry `of` says of each of its `people` is under one root, so that it can be shown of one alone.

    `record`, of that type, is what the entry says of all of them. Sealed right after it, of the log's own accord.
    """

    TYPE: ClassVar[str] = "io.tocsin.audit.recipients_committed.v1"
    of: int
    record_type: str
    record: dict[str, Any]
    people: int
    root: Sha256


class AuditEntry(Message):
    """One sealed record. Its leaf is SHA-256(0x00 || the exact stored bytes); `prev` is the leaf before it.

    `seed`: what is said of each of several recipients is committed to under it; whoever has one person's part of that
    cannot guess another's.
    """

    TYPE: ClassVar[str] = "io.tocsin.audit.entry.v1"
    index: Annotated[int, Field(ge=0)]
    prev: Sha256
    record_id: str
    record_type: str
    subject: str | None = None
    origin: Origin
    appended_at: Instant
    body: dict[str, Any] | None = None
    seed: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
