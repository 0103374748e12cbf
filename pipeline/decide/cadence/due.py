"""What may come due: somebody is to be told, or reminded, at a moment."""

from dataclasses import dataclass
from datetime import datetime

from schemas.command import WakeReason
from schemas.journal import NoticeKind

NOTHING_CHANGED = "nothing changed"


@dataclass(frozen=True, slots=True)
class Tell:
    """An audience is told, by the rule named; those in certain time zones only, where some are named."""

    audience: str
    kind: NoticeKind
    why: str
    safe: bool = False
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remind:
    """Those who can do something are reminded of what `rule` names; once for the moment `of`."""

    rule: str
    text: str
    of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What is due when, and why the clock calls. Without an act, the call itself is what matters."""

    at: datetime
    reason: WakeReason
    act: Tell | Remind | None
