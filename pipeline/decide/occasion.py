"""What a notice is about, and who is told it how: what `compose` needs to make its words, and nothing else."""

from dataclasses import dataclass, field
from datetime import datetime

from pipeline.decide.view import Known
from schemas.base import Channel, Lane, Level, Severity
from schemas.journal import NoticeKind


@dataclass(frozen=True, slots=True)
class Telling:
    """One audience is to be told. `safe`: in templated words only, nothing of the event's own texts."""

    audience: str
    level: Level
    kind: NoticeKind
    lane: Lane
    channels: tuple[Channel, ...]
    reason: str
    zones: tuple[str, ...] = ()
    corrects: int | None = None
    safe: bool = False
    draft: str | None = None
    """The draft that is told now, in the very words that were approved."""


@dataclass(frozen=True, slots=True)
class Readers:
    """In which languages, at which levels and in which zones an audience reads, by the census; nothing known: nothing.

    `updated`: the channels on which they hear even that nothing changed, where a promised next update may stand.
    `kept_up`: those on which they are told what changes.
    """

    languages: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    zones: tuple[str, ...] = ()
    updated: frozenset[Channel] = frozenset()
    kept_up: frozenset[Channel] = frozenset()


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a notice is about: what is known now, what this audience was told last, and where the incident stands."""

    incident: str
    seq: int
    at: datetime
    known: Known
    before: Known
    over: bool
    maintenance: bool
    worst: Severity | None
    subject: str
    """The title as it was first told; a mailbox keeps one thread only while the subject stays."""
    reported_at: datetime
    components_ever: tuple[str, ...] = ()
    regions_ever: tuple[str, ...] = ()
    since: datetime | None = None
    """Of a notice that nothing changed: since when. Of a correction: when the wrong word was told."""
    revision: int = 0
    """Of a maintenance: how often its plan was told before (RFC 5545, SEQUENCE)."""
    released: frozenset[str] = frozenset()
    """Fields that need an approval, and were approved as they stand in `known`."""
    readers: Readers = field(default_factory=Readers)
