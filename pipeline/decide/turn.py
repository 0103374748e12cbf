"""What an event means at this point of an incident's life: a pure table with reasons."""

from dataclasses import dataclass

from pipeline.decide.state import IncidentState, Phase
from schemas import incident as events
from schemas.base import State
from schemas.incident import NONE, IncidentEvent
from schemas.journal import NoticeKind as Kind

ENDS = frozenset({Kind.RESOLVED, Kind.MAINTENANCE_COMPLETED})
MAINTENANCE = frozenset({Kind.MAINTENANCE_SCHEDULED, Kind.MAINTENANCE_STARTED, Kind.MAINTENANCE_COMPLETED})

_KINDS: dict[type[IncidentEvent], Kind] = {
    events.IncidentOpened: Kind.OPENED,
    events.IncidentUpdated: Kind.UPDATED,
    events.ImpactChanged: Kind.IMPACT_CHANGED,
    events.MilestoneReached: Kind.MILESTONE,
    events.MonitoringStarted: Kind.MONITORING,
    events.IncidentResolved: Kind.RESOLVED,
    events.IncidentReopened: Kind.REOPENED,
    events.ReviewPublished: Kind.REVIEW,
    events.MaintenanceScheduled: Kind.MAINTENANCE_SCHEDULED,
    events.MaintenanceStarted: Kind.MAINTENANCE_STARTED,
    events.MaintenanceCompleted: Kind.MAINTENANCE_COMPLETED,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be told, the phase after it, and why it is told as this where that is not plain."""

    kind: Kind
    phase: Phase
    why: str = ""
    maintenance: bool = False


def turn_of(state: IncidentState, event: IncidentEvent) -> Turn:
    """What `event` means for an incident in `state`."""
    kind, why = _taken_as(_KINDS[type(event)], event)
    turn = _in_its_place(state, event, kind, why)
    begins = turn.kind in {Kind.OPENED, Kind.REOPENED, Kind.RESOLVED}
    return Turn(turn.kind, turn.phase, turn.why, kind in MAINTENANCE or (state.maintenance and not begins))


def _in_its_place(state: IncidentState, event: IncidentEvent, kind: Kind, why: str) -> Turn:
    match kind:
        case Kind.MAINTENANCE_SCHEDULED:
            return Turn(kind, Phase.OPEN if state.phase is Phase.OPEN else Phase.PLANNED)
        case Kind.MAINTENANCE_STARTED:
            return _started(state, event)
        case Kind.REVIEW:
            return Turn(kind, Phase.OVER if state.phase is Phase.NEW else state.phase)
        case Kind.RESOLVED | Kind.MAINTENANCE_COMPLETED:
            return _ended(state, kind, why)
        case Kind.OPENED | Kind.REOPENED:
            return _opened(state, event, kind)
        case _:
            return _went_on(state, event, kind)


def _taken_as(kind: Kind, event: IncidentEvent) -> tuple[Kind, str]:
    """A state of "resolved" ends the incident, by whatever event it is said."""
    if event.state is State.RESOLVED and kind in {Kind.OPENED, Kind.UPDATED, Kind.IMPACT_CHANGED, Kind.MILESTONE}:
        return Kind.RESOLVED, "its state says resolved"
    return kind, ""


def _started(state: IncidentState, event: IncidentEvent) -> Turn:
    if state.phase is Phase.OPEN:
        return _once_more(state, event, "it was under way already")
    return Turn(Kind.MAINTENANCE_STARTED, Phase.OPEN)


def _ended(state: IncidentState, kind: Kind, why: str) -> Turn:
    if state.phase is Phase.OVER:
        return Turn(Kind.UPDATED, Phase.OVER, "it was over already")
    if state.phase is Phase.NEW:
        return Turn(kind, Phase.OVER, "the first word of it is its end")
    return Turn(kind, Phase.OVER, why)


def _once_more(state: IncidentState, event: IncidentEvent, why: str) -> Turn:
    """A beginning of what is open: news, and at once if it is worse than was said."""
    if impact := _changed_impact(state, event):
        return Turn(Kind.IMPACT_CHANGED, Phase.OPEN, f"{why}; {impact}")
    return Turn(Kind.UPDATED, Phase.OPEN, why)


def _opened(state: IncidentState, event: IncidentEvent, kind: Kind) -> Turn:
    match state.phase:
        case Phase.NEW | Phase.PLANNED:
            return Turn(Kind.OPENED, Phase.OPEN, "" if kind is Kind.OPENED else "the first word of it")
        case Phase.OVER:
            return Turn(Kind.REOPENED, Phase.OPEN, "" if kind is Kind.REOPENED else "opened again after its end")
        case Phase.OPEN:
            return _once_more(state, event, "it was open already")


def _went_on(state: IncidentState, event: IncidentEvent, kind: Kind) -> Turn:
    if state.phase is Phase.NEW:
        return Turn(Kind.OPENED, Phase.OPEN, "the first word of it")
    if kind is not Kind.IMPACT_CHANGED and (why := _changed_impact(state, event)):
        return Turn(Kind.IMPACT_CHANGED, state.phase, why)
    if state.phase is Phase.OVER:
        # A straggler does not open it again: that is upstream's to say, by a reopening.
        return Turn(Kind.IMPACT_CHANGED if kind is Kind.IMPACT_CHANGED else Kind.UPDATED, Phase.OVER, "after its end")
    return Turn(kind, state.phase)


def _changed_impact(state: IncidentState, event: IncidentEvent) -> str:
    """A changed impact is one whatever the event calls itself: it must be told at once."""
    before = state.known
    if state.phase is not Phase.OVER and event.severity is not None and event.severity is not before.severity:
        return f"the severity went from {before.severity or 'unsaid'} to {event.severity}"
    lasting = event.consequences.lasting if event.consequences else None
    earlier = before.consequences.lasting if before.consequences else None
    if lasting is not None and lasting != earlier and {lasting, earlier} - {NONE, None}:
        return "the lasting consequences are others than said before"
    return ""
