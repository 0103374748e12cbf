"""What is still needed of a partition, and so from where on Kafka must keep it. Pure.

A partition is forgotten from its beginning only, up to the first record that is needed: by its incident, which is not
closed; by a message, which waits; or by its age, since deliver looks back so far.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.audit.seal import UNREADABLE, identity, source_of
from pipeline.decide.closing import why_not_closed
from pipeline.decide.folding import evolve
from pipeline.decide.state import IncidentState
from pipeline.deliver.bounces import LOOKED_BACK
from pipeline.deliver.ledger import Ledger
from schemas import codec
from schemas.base import Message
from schemas.codec import Record, Undecodable
from schemas.journal import JournalEntry

KEPT_AT_LEAST = LOOKED_BACK
"""As far as deliver looks back: longer than Kafka keeps any input (30 days, and a segment's length), so that nothing
that could come once more is about what was forgotten."""


def horizon(now: datetime, days: int) -> datetime:
    """What is younger is kept, whatever it is. `days`: TOCSIN_LOG_RETENTION_DAYS."""
    return now - max(timedelta(days=days), KEPT_AT_LEAST)


@dataclass(frozen=True, slots=True)
class Old:
    """A record that may go: who it is, and whether the log must hold it whole (nobody can read the others)."""

    offset: int
    subject: str | None
    who: bytes
    readable: bool


@dataclass(slots=True)
class Front:
    """The front of a partition as it is read: what of it may go, up to the first record that must stay."""

    old: list[Old] = field(default_factory=list)
    stays: int | None = None
    """The offset of the first record that is kept."""

    def take(self, record: Record, subject: str | None, needed: bool) -> None:
        """The next record."""
        if self.stays is None and needed:
            self.stays = record.offset
        elif self.stays is None:
            said = source_of(record)
            who = identity(record.topic, said.type, said.subject, said.id)
            self.old.append(Old(record.offset, subject, who, said.type != UNREADABLE))

    def end(self) -> None:
        """All of it was read. The last record stays: by it a reader knows its place."""
        if self.stays is None and self.old:
            self.stays = self.old.pop().offset

    def stop(self, offset: int) -> None:
        """This record stays as well, and so does all that follows."""
        self.old = [old for old in self.old if old.offset < offset]
        self.stays = offset

    def but(self, subjects: Collection[str], lacking: Collection[bytes]) -> None:
        """What is about these stays, and what the archive lacks."""
        kept = (old.offset for old in self.old if old.subject in subjects or old.who in lacking)
        if (first := next(kept, None)) is not None:
            self.stop(first)


@dataclass(slots=True)
class Journals:
    """The fold of the journal: the fronts of its partitions, and where each incident stands that is not closed."""

    closed: Collection[str]
    before: datetime
    fronts: dict[int, Front] = field(default_factory=dict)
    states: dict[str, IncidentState] = field(default_factory=dict)
    last: dict[str, datetime] = field(default_factory=dict)
    """When something came of it last."""

    def apply(self, record: Record) -> None:
        """Takes in a record; partition by partition, in order."""
        try:
            entry = codec.decode(record, JournalEntry).data
        except Undecodable:
            entry = None
        needed = record.timestamp >= self.before
        if entry is not None and entry.incident not in self.closed:
            needed = True
            state = self.states.get(entry.incident) or IncidentState(entry.incident)
            if entry.seq == state.seq + 1:
                self.states[entry.incident] = evolve(state, entry)
                self.last[entry.incident] = record.timestamp
        self.fronts.setdefault(record.partition, Front()).take(record, entry.incident if entry else None, needed)


@dataclass(slots=True)
class Deliveries:
    """The fold of the delivery records, likewise. `opened`: the incidents that are not closed; a request for
    confirmation belongs to none, and is needed while it waits.
    """

    opened: Collection[str]
    before: datetime
    fronts: dict[int, Front] = field(default_factory=dict)
    last: dict[str, datetime] = field(default_factory=dict)
    _ledger: Ledger = field(default_factory=Ledger)
    """Of the partition that is being read: all of them at once would cost what all workers of deliver have."""
    _unsettled: set[str] = field(default_factory=set)

    def apply(self, record: Record) -> None:
        """Takes in a record; partition by partition, in order."""
        if record.partition not in self.fronts:
            self._settle()
            self.fronts[record.partition] = Front()
        incident: str | None = None
        try:
            data = codec.decode(record, Message).data
            self._ledger.apply(data)
            incident = getattr(data, "incident", None)
        except Undecodable:
            pass  # nobody folds it
        if incident is not None:
            self.last[incident] = record.timestamp
        needed = record.timestamp >= self.before or incident in self.opened
        self.fronts[record.partition].take(record, incident, needed)

    def unsettled(self) -> set[str]:
        """The incidents of which a message still waits, once all was read."""
        self._settle()
        return self._unsettled

    def _settle(self) -> None:
        self._unsettled |= self._ledger.unsettled()
        self._ledger = Ledger()


@dataclass(frozen=True, slots=True)
class Judged:
    """The incidents that may be closed, with their last entry; and what keeps the others, of those that are old."""

    closing: tuple[tuple[str, int], ...]
    kept: tuple[tuple[str, str], ...]


def judged(journals: Journals, deliveries: Deliveries) -> Judged:
    """What becomes of each incident that is not closed and of which nothing came for long."""
    unsettled, closing, kept = deliveries.unsettled(), list[tuple[str, int]](), list[tuple[str, str]]()
    for incident, state in sorted(journals.states.items()):
        moments: Iterable[datetime] = (journals.last[incident], deliveries.last.get(incident, journals.last[incident]))
        if max(moments) >= journals.before:
            continue
        why = why_not_closed(state)
        if why is None and incident in unsettled:
            why = "a message that waits for its time, or for a person"
        if why is None:
            closing.append((incident, state.seq))
        else:
            kept.append((incident, why))
    return Judged(tuple(closing), tuple(kept))
