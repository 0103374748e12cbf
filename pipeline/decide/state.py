"""The state of one incident: a fold over its journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pipeline.decide.occasion import Occasion, Telling
from pipeline.decide.view import Known
from schemas.base import Channel, Level, Severity
from schemas.census import AudienceCount
from schemas.journal import Earlier, NoticeKind

SEVERITIES = tuple(Severity)
"""From the mildest to the worst."""


class Phase(StrEnum):
    """Where an incident, or a maintenance, is in its life."""

    NEW = "new"
    PLANNED = "planned"
    OPEN = "open"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Word:
    """One notice that an audience was told: the journal entry, and what was known to them by it."""

    seq: int
    at: datetime
    kind: NoticeKind
    known: Known


@dataclass(frozen=True, slots=True)
class Told:
    """What one audience was told: since when, last when, on which channels ever, and what was known then.

    `changed_at`: when it was last told anything new. `safe`: it was told in templated words only so far. `open`: by
    what it was told, it goes on, which need not be where the incident stands: words may wait for approval.
    """

    since: datetime
    at: datetime
    level: Level
    channels: tuple[Channel, ...]
    known: Known
    changed_at: datetime
    safe: bool = False
    open: bool = False
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Promise:
    """A next update that was promised to one audience and is still owed."""

    due: datetime
    made_at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice that waits for approval, with everything that its words hang on; `content` names these words."""

    id: str
    telling: Telling
    occasion: Occasion
    since: datetime
    """When the audience was first to be told this: an edit does not move the deadline."""
    since_seq: int
    content: str
    needs: tuple[str, ...]
    people: int
    refused: bool
    author: str | None
    by_operator: bool
    """It waits for nothing but the end of an operator's hold."""
    count: AudienceCount | None
    """The audience as it was counted when the words were made."""
    approved: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Who approved so far, each with the roles they held."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A field that waits for the approval of one role; `content` names the text that is approved."""

    draft: str
    field: str
    content: str
    needs: str
    author: str | None


@dataclass(frozen=True, slots=True)
class PutOff:
    """One audience is told later: what of, at which moment, and what must not be lost meanwhile."""

    kind: NoticeKind
    until: datetime
    reason: str
    momentary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """An end that is not told before it has held: what was said, when, and until when it is held back."""

    type: str
    data: Mapping[str, Any]
    at: datetime
    until: datetime
    author: str | None = None
    """Who signed what was said of it last."""


@dataclass(frozen=True, slots=True)
class IncidentState:
    """Everything that the next decision hangs on, apart from the input and the policy."""

    incident: str
    seq: int = 0
    at: datetime | None = None
    phase: Phase = Phase.NEW
    maintenance: bool = False
    known: Known = field(default_factory=Known)
    added: Mapping[str, Any] = field(default_factory=dict)
    """What of it the catalogue added, by field: no longer true once the components change."""
    worst: Severity | None = None
    subject: str | None = None
    """The title as it was first told; a mailbox keeps one thread only while the subject stays."""
    reported_at: datetime | None = None
    opened_at: datetime | None = None
    over_at: datetime | None = None
    monitored_since: datetime | None = None
    components: tuple[str, ...] = ()
    """Every component ever named, in the order of their first mention."""
    regions: tuple[str, ...] = ()
    told: Mapping[str, Told] = field(default_factory=dict)
    promises: Mapping[str, Promise] = field(default_factory=dict)
    drafts: Mapping[str, Draft] = field(default_factory=dict)
    """By `draft_key`: at most one to each audience, and one for each word of theirs that is corrected."""
    withheld: Mapping[str, Withheld] = field(default_factory=dict)
    """By field: what was said and may not be told before somebody approved it."""
    released: frozenset[str] = frozenset()
    """Fields that were withheld, and may be told as they stand now."""
    put_off: Mapping[str, PutOff] = field(default_factory=dict)
    reviews: Mapping[str, PutOff] = field(default_factory=dict)
    """By audience: the review that waits for its cool-down, whatever else is told meanwhile."""
    ending: Ending | None = None
    held: frozenset[str] = frozenset()
    """Audiences to whom nothing goes out before an operator releases it."""
    offices: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """(audience, time zone): when those of the zone alone were last told, since their office closes or opens."""
    reminded: Mapping[str, datetime] = field(default_factory=dict)
    """By rule: the moment of which somebody was reminded last."""
    revision: int = 0
    """How often the plan of a maintenance was told."""
    reviewed: bool = False
    closed: bool = False
    """Nothing more follows from it, whatever comes."""
    census: Mapping[str, AudienceCount] = field(default_factory=dict)
    usual: Mapping[str, int] = field(default_factory=dict)
    earlier: tuple[Earlier, ...] = ()
    wakes: frozenset[datetime] = frozenset()
    """The moments at which the clock was asked to call and has not yet."""
    seen: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(source, id) of every input folded, and the entry that holds it."""

    def waits(self, audience: str, kind: NoticeKind) -> PutOff | None:
        """What an audience is told later that a notice of this kind takes along."""
        return (self.reviews if kind is NoticeKind.REVIEW else self.put_off).get(audience)

    def entry_of(self, source: str, id: str) -> int | None:
        """The journal entry that holds this input, if it was taken before."""
        return self.seen.get((source, id))


def draft_key(audience: str, corrects: int | None) -> str:
    """Under which a draft is kept: what corrects one word takes the place of nothing else that waits."""
    return audience if corrects is None else f"{audience} {corrects}"


def worse(one: Severity | None, other: Severity | None) -> Severity | None:
    """The worse of two severities; an unsaid one counts for nothing."""
    said = [severity for severity in (one, other) if severity is not None]
    return max(said, key=SEVERITIES.index, default=None)
