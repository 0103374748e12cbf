"""Dead letters: input that could not be used, with the reason, and where it stood."""

from typing import ClassVar

from schemas.audit import Origin
from schemas.base import Instant, Message, Sha256
from schemas.subscriber import Base64, SealedContact

KEPT_BYTES = 256 * 1024


class DeadLetter(Message):
    """A record that is not acted on. `value` holds at most 256 KiB; the rest still stands at `origin`.

    What came in on subscriber.events may hold contact data, so its value is only kept `sealed`.
    """

    TYPE: ClassVar[str] = "io.tocsin.dead_letter.v1"
    reason: str
    detail: str
    origin: Origin
    appended_at: Instant
    room: str
    key: Base64 | None = None
    headers: tuple[tuple[str, Base64], ...]
    size: int
    sha256: Sha256
    value: Base64 | None = None
    sealed: SealedContact | None = None
