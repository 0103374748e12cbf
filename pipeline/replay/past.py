"""Incidents of the past, ready to be run again: what upstream said, in order, and which incidents lay nearby."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pipeline.recorded import RecordedEvent
from schemas.codec import TYPES
from schemas.incident import IncidentEvent
from schemas.journal import Earlier, JournalEntry

NEARBY = timedelta(hours=24)
"""How long before an incident another one on the same component still belongs to its surroundings."""


@dataclass(frozen=True, slots=True)
class Past:
    """One incident; `events` are in the order of their times and never empty."""

    incident: str
    events: tuple[RecordedEvent, ...]
    earlier: tuple[Earlier, ...] = ()

    @property
    def title(self) -> str:
        """As it was first called."""
        return next((event.event.title for event in self.events if event.event.title), self.incident)

    @property
    def components(self) -> tuple[str, ...]:
        """Every component that was ever named, in the order of their first mention."""
        return tuple(dict.fromkeys(name for event in self.events for name in event.event.components or ()))


def pasts_of(events: Iterable[RecordedEvent]) -> list[Past]:
    """The incidents that `events` belong to, in the order in which they began."""
    by_incident: dict[str, list[RecordedEvent]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.at):
        by_incident[event.incident].append(event)
    return with_earlier([Past(incident, tuple(found)) for incident, found in by_incident.items()])


def recorded_in(entries: Mapping[str, Sequence[JournalEntry]]) -> list[RecordedEvent]:
    """What upstream said of each incident, from its journal; what the clock and people ordered is left out.

    Orders are answers to decisions of the policy of that time: under another one they would be about other drafts.
    """
    return [
        RecordedEvent(entry.incident, entry.at, event, entry.input.id)
        for journal in entries.values()
        for entry in journal
        if issubclass(TYPES[entry.input.type], IncidentEvent)
        and isinstance(event := TYPES[entry.input.type].model_validate(entry.input.data), IncidentEvent)
    ]


def with_earlier(pasts: Sequence[Past]) -> list[Past]:
    """Each incident with those on one of its components that began within the 24 hours before it."""
    ordered = sorted(pasts, key=lambda past: past.events[0].at)
    return [
        Past(past.incident, past.events, tuple(_earlier(other) for other in _nearby(past, ordered[:place])))
        for place, past in enumerate(ordered)
    ]


def _nearby(past: Past, before: Sequence[Past]) -> list[Past]:
    concerned = {name.casefold() for name in past.components}
    found = []
    for other in reversed(before):
        if past.events[0].at - other.events[0].at > NEARBY:
            break
        if concerned & {name.casefold() for name in other.components}:
            found.append(other)
    return found[::-1]


def _earlier(past: Past) -> Earlier:
    return Earlier(
        incident=past.incident,
        title=past.title,
        severity=next((event.event.severity for event in past.events if event.event.severity), None),
        opened_at=past.events[0].at,
        components=past.components,
    )
