"""What is known outside of one incident: others on the same components, and how many are usually told.

A fold over all journals, and the census of all partitions. It is looked at when an input comes, and what was seen then
is journaled with the input: so the same journal gives the same decisions, whatever other incidents did meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any

from pipeline.decide.state import IncidentState
from schemas.base import Severity
from schemas.census import Census, total
from schemas.command import COMMANDS
from schemas.journal import Closed, Earlier, JournalEntry, NoticeDecided, NoticeKind, Opening, Surroundings

WITHIN = timedelta(hours=24)
"""An incident within a day of another on the same component: 17% of the real ones."""
REMEMBERED = 50
"""Notices to one audience of which the usual number of recipients is the median."""
NEARBY = 3
"""Earlier incidents that are named at most."""
MAX_INCIDENTS = 5_000
"""The ones that said something last are kept."""
_COMMANDS = frozenset(model.TYPE for model in COMMANDS)  # type: ignore[attr-defined]


@dataclass(slots=True)
class Neighbourhood:
    """Every incident in a few words. Mutable, since it is large; only `apply`, `count` and `closed` change it."""

    _incidents: dict[str, Earlier] = field(default_factory=dict)
    _private: set[str] = field(default_factory=set)
    """Those of them that were ever said to be private: no other incident names them."""
    _counted: dict[int, Census] = field(default_factory=dict)
    _openings: dict[str, dict[tuple[str, datetime], int]] = field(default_factory=dict)
    """By audience, the last notices that opened an incident, by it and their moment: how many were expected."""

    def apply(self, entry: JournalEntry) -> None:
        """Takes in an entry of any incident."""
        if entry.input.type not in _COMMANDS:
            self._incidents[entry.incident] = _seen(self._incidents.pop(entry.incident, None), entry)
            if entry.input.data.get("private_to") is not None:
                self._private.add(entry.incident)
            if len(self._incidents) > MAX_INCIDENTS:
                gone = next(iter(self._incidents))
                del self._incidents[gone]
                self._private.discard(gone)
        for decision in entry.decisions:
            if isinstance(decision, NoticeDecided) and decision.expected and decision.kind is NoticeKind.OPENED:
                self._opened(
                    entry.incident, Opening(audience=decision.audience, at=entry.at, expected=decision.expected)
                )

    def closed(self, closed: Closed) -> None:
        """Takes in what is still known of an incident whose journal may be gone."""
        for opening in closed.openings:
            self._opened(closed.incident, opening)

    def openings(self, incident: str) -> tuple[Opening, ...]:
        """What of an incident others are compared with: what must be known of it for longer than its journal."""
        return tuple(
            Opening(audience=audience, at=at, expected=expected)
            for audience, openings in sorted(self._openings.items())
            for (name, at), expected in openings.items()
            if name == incident
        )

    def _opened(self, incident: str, opening: Opening) -> None:
        found = self._openings.setdefault(opening.audience, {})
        found[incident, opening.at] = opening.expected
        if len(found) > REMEMBERED:
            del found[min(found, key=lambda one: (one[1], one[0]))]

    def count(self, partition: int, census: Census) -> None:
        """Takes in one partition's census."""
        self._counted[partition] = census

    def around(self, state: IncidentState, components: Iterable[str], at: datetime, policy: str) -> Surroundings | None:
        """What an input of this incident finds around it; None where it is as the last input found it."""
        counted = total(census for census in self._counted.values() if census.policy == policy)
        usual = {name: median_low(openings.values()) for name, openings in sorted(self._openings.items())}
        earlier = state.earlier if state.seq else self._earlier(state.incident, components, at)
        if (counted, usual, earlier) == (dict(state.census), dict(state.usual), state.earlier):
            return None
        return Surroundings(census=counted, usual=usual, earlier=earlier)

    def _earlier(self, incident: str, components: Iterable[str], at: datetime) -> tuple[Earlier, ...]:
        named = {name.casefold() for name in components}
        found = [
            one
            for one in self._incidents.values()
            if one.incident != incident
            and one.incident not in self._private
            and timedelta(0) <= at - one.opened_at <= WITHIN
            and named & {name.casefold() for name in one.components}
        ]
        return tuple(sorted(found, key=lambda one: (one.opened_at, one.incident))[-NEARBY:])


def _seen(before: Earlier | None, entry: JournalEntry) -> Earlier:
    said: dict[str, Any] = entry.input.data
    components = tuple(dict.fromkeys((*(before.components if before else ()), *said.get("components", ()))))
    severity = said.get("severity")
    return Earlier(
        incident=entry.incident,
        title=said.get("title") or (before.title if before else None),
        severity=Severity(severity) if severity else before.severity if before else None,
        opened_at=before.opened_at if before else entry.at,
        components=components,
    )
