"""What stands in the incidents' topics, read from their beginning: for the commands, which hold no state."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pipeline.broker import connect
from pipeline.decide.incident import evolve
from pipeline.decide.state import IncidentState, Phase
from pipeline.errors import NotFound
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.journal import JournalEntry

T = TypeVar("T")


@dataclass(slots=True)
class Journal:
    """The fold of journal records: every incident's state, and its entries. Mutable, since it is large."""

    states: dict[str, IncidentState] = field(default_factory=dict)
    entries: dict[str, list[JournalEntry]] = field(default_factory=dict)

    def apply(self, record: codec.Record) -> None:
        """Takes in one record; a number that stands there already is a repetition after a crash."""
        entry = codec.decode(record, JournalEntry).data
        before = self.states.get(entry.incident) or IncidentState(entry.incident)
        if entry.seq == before.seq + 1:
            self.states[entry.incident] = evolve(before, entry)
            self.entries.setdefault(entry.incident, []).append(entry)

    def under_way(self) -> list[IncidentState]:
        """What is planned or open, the most urgent first."""
        found = [state for state in self.states.values() if state.phase in {Phase.PLANNED, Phase.OPEN}]
        return sorted(found, key=_urgency)


def owed(state: IncidentState) -> datetime | None:
    """The first next update that is still owed to anyone."""
    return min((promise.due for promise in state.promises.values()), default=None)


def _urgency(state: IncidentState) -> tuple[bool, float, str]:
    due = owed(state)
    return state.phase is not Phase.OPEN, due.timestamp() if due else float("inf"), state.incident


async def read_journal(settings: Settings, partitions: Iterable[int] | None = None) -> Journal:
    """Every incident of these partitions (or of all). Raises BrokerError."""
    journal = Journal()
    async for record in connect.read_all(settings, topics.INCIDENT_JOURNAL.name, partitions=partitions):
        journal.apply(record)
    return journal


async def open_incidents(settings: Settings) -> list[str]:
    """The ids of what is planned or open, the most urgent first. Raises BrokerError."""
    return [state.incident for state in (await read_journal(settings)).under_way()]


async def was_announced(settings: Settings, incident: str) -> bool:
    """Whether anything was ever said of `incident`: journaled, or still on its way into the journal."""
    key, home = incident.encode(), [connect.partition_for(incident, settings.partitions)]
    for topic in (topics.INCIDENT_JOURNAL, topics.INCIDENT_EVENTS):
        if await first(connect.read_all(settings, topic.name, partitions=home), lambda record: record.key == key):
            return True
    return False


async def must_not_be_closed(settings: Settings, incident: str) -> None:
    """Raises NotFound for an incident that was closed: nothing that is said of it would be told."""
    key = incident.encode()
    if await first(connect.read_all(settings, topics.INCIDENTS_CLOSED.name), lambda record: record.key == key):
        raise NotFound(f"{incident} ended long ago and is closed: say it under a new id, as an incident of its own")


async def first(found: AsyncIterator[T], wanted: Callable[[T], bool]) -> T | None:
    """The first that is wanted; what it was read from is closed before, so that no connection is left to chance."""
    try:
        async for one in found:
            if wanted(one):
                return one
        return None
    finally:
        if isinstance(found, AsyncGenerator):
            await found.aclose()
