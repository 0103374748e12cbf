"""What every model of the wire shares: frozen, strict about names, UTC, free of control characters."""

import re
import unicodedata
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)


class Message(BaseModel):
    """A value of the wire. Unknown fields are refused: a mistyped name must not vanish silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")


def rfc3339(moment: datetime) -> str:
    """`moment` in UTC, with milliseconds only where there are any: one instant, one spelling."""
    moment = moment.astimezone(UTC)
    # strftime's %Y does not pad years below 1000; what is cut off is the +00:00
    return f"{moment.isoformat(timespec='milliseconds' if moment.microsecond >= 1000 else 'seconds')[:-6]}Z"


def _to_utc_ms(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999 in UTC") from None
    beyond = moment.microsecond % 1000
    return moment.replace(microsecond=moment.microsecond - beyond) if beyond else moment


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc_ms), PlainSerializer(rfc3339, when_used="json")]
"""A moment: time zone required, kept in UTC at millisecond precision (Kafka's own)."""

# C0 and C1 controls, and the format characters that reorder text (Unicode TR 9): never meant, often an attack.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def _clean_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return unicodedata.normalize("NFC", _CONTROL.sub("", value)).strip()


def _clean_line(value: object) -> object:
    """Mended rather than refused: an outage must not stay untold over a line break in its title."""
    text = _clean_text(value)
    return " ".join(text.split()) if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(_clean_text), Field(min_length=1, max_length=10_000)]
"""Prose of one or several lines, in characters; controls are removed, NFC."""
Line = Annotated[str, BeforeValidator(_clean_line), Field(min_length=1, max_length=300)]
"""One line; line breaks become spaces, so that it can stand in a header."""
_ID = "[A-Za-z0-9][A-Za-z0-9._:-]{0,99}"
Id = Annotated[str, Field(pattern=f"^{_ID}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def is_id(text: str) -> bool:
    """Whether `text` may stand where an `Id` is asked for."""
    return re.fullmatch(_ID, text) is not None


class Severity(StrEnum):
    """How bad it is for those who use the service."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class State(StrEnum):
    """Where the work on it stands."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class Level(StrEnum):
    """A level of detail: what a reader may see. Every field of an event names the levels it is for."""

    PUBLIC = "public"
    CUSTOMER = "customer"
    EXECUTIVE = "executive"
    TECHNICAL = "technical"
    INTERNAL = "internal"


class Channel(StrEnum):
    """A way to reach someone."""

    EMAIL = "email"
    SMS = "sms"
    X = "x"
    WEBHOOK = "webhook"
    APPRISE = "apprise"


CHANNELS = tuple(Channel)
"""In their order; an enum looks each of its members up for whoever goes through it."""


class Lane(StrEnum):
    """Urgency; a lane never waits for the other."""

    FIRST = "first"
    UPDATE = "update"
