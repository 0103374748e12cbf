"""The course of an incident as upstream told it: when it was open, and what was new; knows no policy.

Silences are measured here, in seconds, and the same way for what upstream said, for what was really posted and for
what people would be told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.recorded import RecordedEvent
from schemas.base import Severity, State
from schemas.incident import (
    IncidentEvent,
    IncidentOpened,
    IncidentReopened,
    IncidentResolved,
    MaintenanceCompleted,
    MaintenanceScheduled,
    MaintenanceStarted,
    ReviewPublished,
)

NO_NEWS = frozenset({"next_update_at", "private_to", "translations", "internal_notes"})
"""A promise alone is no news; the others say nothing to anyone, or the same in another language."""


@dataclass(frozen=True, slots=True)
class Said:
    """One event in its place: whether it said anything new, and whether the incident was open after it."""

    at: datetime
    event: IncidentEvent
    news: bool
    open: bool
    ended: bool
    """It is the end of an incident that was open, or was first told of when it was over."""
    posted: bool


def course(events: Sequence[RecordedEvent]) -> tuple[Said, ...]:
    """Every event of one incident with its meaning for the whole."""
    said: dict[str, Any] = {}
    found: list[Said] = []
    is_open, was_over = False, False
    for one in events:
        ended = _ends(one.event) and not was_over
        is_open = _open_after(one.event, is_open, was_over)
        was_over = not is_open and (was_over or ended)
        news = _news(one.event, said) or ended
        found.append(Said(one.at, one.event, news, is_open, ended, one.posted))
    return tuple(found)


def ends_upstream(said: Sequence[Said]) -> bool:
    """Whether the incident was over when upstream last spoke; one that was only ever planned is not open either."""
    return not said[-1].open


def worst_of(said: Iterable[Said]) -> Severity | None:
    """The worst severity that was ever said."""
    order = list(Severity)
    return max((one.event.severity for one in said if one.event.severity), key=order.index, default=None)


def longest_silence(moments: Iterable[tuple[datetime, bool]]) -> float | None:
    """The longest gap, in seconds, between moments while it was open; each says whether it was open after it.

    None where there is no gap: nothing was said while it was open, or only once. What follows the last moment is not
    counted: nobody can say how long that silence lasted.
    """
    longest: float | None = None
    since: datetime | None = None
    for at, is_open in moments:
        if since is not None:
            longest = max(longest or 0.0, (at - since).total_seconds())
        since = at if is_open else None
    return longest


def _ends(event: IncidentEvent) -> bool:
    return isinstance(event, IncidentResolved | MaintenanceCompleted) or event.state is State.RESOLVED


def _open_after(event: IncidentEvent, is_open: bool, was_over: bool) -> bool:
    if _ends(event):
        return False
    if isinstance(event, IncidentOpened | IncidentReopened | MaintenanceStarted):
        return True
    if isinstance(event, MaintenanceScheduled | ReviewPublished):
        return is_open
    return not was_over  # a straggler after the end does not open it again


def _news(event: IncidentEvent, said: dict[str, Any]) -> bool:
    """Whether it says anything that was not said before; what it says is noted in `said`."""
    new = {name: value for name, value in event if value is not None and name not in NO_NEWS}
    changed = {name: value for name, value in new.items() if said.get(name) != value}
    said.update(changed)
    return bool(changed)
