"""The state of one incident: a fold over its journal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pipeline.decide.view import Known
from schemas.base import Channel, Level, Severity

SEVERITIES = tuple(Severity)
"""From the mildest to the worst."""


class Phase(StrEnum):
    """Where an incident, or a maintenance, is in its life."""

    NEW = "new"
    PLANNED = "planned"
    OPEN = "open"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Told:
    """What one audience was told: since when, last when, on which channels ever, and what was known then."""

    since: datetime
    at: datetime
    level: Level
    channels: tuple[Channel, ...]
    known: Known


@dataclass(frozen=True, slots=True)
class IncidentState:
    """Everything that the next decision hangs on, apart from the input and the policy."""

    incident: str
    seq: int = 0
    at: datetime | None = None
    policy: str | None = None
    phase: Phase = Phase.NEW
    maintenance: bool = False
    known: Known = field(default_factory=Known)
    worst: Severity | None = None
    subject: str | None = None
    """The title as it was first told; a mailbox keeps one thread only while the subject stays."""
    reported_at: datetime | None = None
    components: tuple[str, ...] = ()
    """Every component ever named, in the order of their first mention."""
    regions: tuple[str, ...] = ()
    told: Mapping[str, Told] = field(default_factory=dict)
    promise: datetime | None = None
    """The next update that was promised and is still owed."""
    seen: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(source, id) of every input folded, and the entry that holds it."""

    def entry_of(self, source: str, id: str) -> int | None:
        """The journal entry that holds this input, if it was taken before."""
        return self.seen.get((source, id))


def worse(one: Severity | None, other: Severity | None) -> Severity | None:
    """The worse of two severities; an unsaid one counts for nothing."""
    said = [severity for severity in (one, other) if severity is not None]
    return max(said, key=SEVERITIES.index, default=None)
