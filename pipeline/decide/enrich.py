"""Enrich: an event says only what is new; this adds what was said before, and takes away what no longer holds."""

from typing import Any

from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.turn import ENDS, Turn
from pipeline.decide.view import Known
from schemas.base import State
from schemas.incident import Consequences, IncidentEvent, MonitoringStarted
from schemas.journal import NoticeKind

MOMENTARY = ("next_update_at", "good_news", "milestone", "review")
"""Said of one moment: repeated later they would no longer be true, or no longer be news."""


def known_after(state: IncidentState, event: IncidentEvent, turn: Turn) -> Known:
    """Everything known once `event` has been taken in."""
    changes: dict[str, Any] = dict.fromkeys(MOMENTARY)
    for name in type(event).model_fields:
        if (value := getattr(event, name)) is not None:
            changes[name] = value
    before = state.known.consequences
    if turn.kind in ENDS or turn.kind is NoticeKind.REOPENED:
        # What was felt while it lasted is no longer so, and what was felt before says nothing of now.
        changes["summary"] = event.summary
        before = Consequences(lasting=before.lasting) if before else None
    changes["consequences"] = _merged(before, event.consequences)
    changes["state"] = _state(state, event, turn)
    if turn.phase is Phase.OVER and state.phase is Phase.OVER:
        changes["severity"] = state.known.severity
    if turn.kind is NoticeKind.REOPENED and event.ended_at is None:
        changes["ended_at"] = None
    return state.known.model_copy(update=changes)


def components_after(state: IncidentState, known: Known) -> tuple[str, ...]:
    """Every component ever named, once, in the order of their first mention."""
    return tuple(dict.fromkeys((*state.components, *(known.components or ()))))


def regions_after(state: IncidentState, known: Known) -> tuple[str, ...]:
    """Every region ever named, likewise."""
    return tuple(dict.fromkeys((*state.regions, *(known.regions or ()))))


def _merged(before: Consequences | None, said: Consequences | None) -> Consequences | None:
    if before is None or said is None:
        return said or before
    return before.model_copy(update={name: value for name, value in said if value is not None})


def _state(state: IncidentState, event: IncidentEvent, turn: Turn) -> State | None:
    if turn.phase is Phase.OVER:
        return State.RESOLVED
    if event.state is State.RESOLVED:
        return None  # said by an event that opens it again: where the work stands is not yet known
    if event.state is None and isinstance(event, MonitoringStarted):
        return State.MONITORING
    if event.state is None and turn.kind is NoticeKind.REOPENED:
        return None
    return event.state or state.known.state
