"""A desk: one partition's incidents, as a fold of its journal, and an input as it goes in there."""

import asyncio
import json
from dataclasses import dataclass, field

from pipeline.decide.incident import evolve
from pipeline.decide.state import IncidentState
from schemas.base import Message
from schemas.codec import Event, Record, Undecodable
from schemas.journal import JournaledInput, JournalEntry, VirtualClock

Told = tuple[IncidentState, JournalEntry, str | None]
"""An entry with the state before it, and the traceparent that it carries."""


@dataclass
class Desk:
    """One partition's incidents, and its last journal entry with the state before it."""

    partition: int
    reading: bool = False
    """Whether the fold has begun: what an earlier group's still brings does not begin at the beginning."""
    incidents: dict[str, IncidentState] = field(default_factory=dict)
    last: Told | None = None
    others: dict[tuple[str, int], Told] = field(default_factory=dict)
    """What somebody else wrote since it was opened: whoever did may have lost the partition before it was emitted."""
    next_offset: int = 0
    void: set[int] = field(default_factory=set)
    """Offsets of entries that do not count: another worker's was the first of its number, or the incident is closed."""
    closed: set[str] = field(default_factory=set)
    """Incidents that were closed in this journal, as far as it was read."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    def state(self, incident: str) -> IncidentState:
        """Where an incident stands; a fresh state for one that nobody has heard of."""
        return self.incidents.get(incident) or IncidentState(incident)

    def apply(self, entry: JournalEntry, offset: int, parent: str | None, after: IncidentState | None = None) -> bool:
        """Folds an entry; False if the incident has moved on already (the first of a number counts).

        `after`: the state that it leads to, for whoever has decided it and so has folded it once.
        """
        before = self.state(entry.incident)
        self.next_offset = max(self.next_offset, offset + 1)
        if entry.incident in self.closed or entry.seq != before.seq + 1:
            self.void.add(offset)
            return False
        after = self.incidents[entry.incident] = after or evolve(before, entry)
        self.last = (before, entry, parent)
        if after.closed:
            del self.incidents[entry.incident]
            self.closed.add(entry.incident)
        return True


def journaled_input(event: Event[Message], record: Record, sandbox: bool) -> JournaledInput:
    """The input as it goes into the journal. Raises Undecodable for a virtual clock outside sandbox mode."""
    virtual = None
    if "virtualtime" in event.extensions:
        if not sandbox:
            raise Undecodable(
                "virtual_clock_refused", "virtualtime is accepted in sandbox mode only (TOCSIN_SANDBOX=1)"
            )
        try:
            virtual = VirtualClock.model_validate(
                {"time": event.extensions["virtualtime"], "speed": event.extensions.get("virtualspeed", "1")}
            )
        except ValueError as error:
            raise Undecodable("invalid_field", f"virtualtime, virtualspeed: {error}") from None
    return JournaledInput(
        id=event.id,
        source=event.source,
        type=event.type,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        appended_at=record.timestamp,
        occurred_at=event.time,
        virtual=virtual,
        data=json.loads(event.data.model_dump_json(exclude_none=True)),
    )
