"""An input in its place: what an event means at this point of the incident's life, and what is known after it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from pipeline.decide.enrich import known_after
from pipeline.decide.state import Ending, IncidentState, Phase
from pipeline.decide.turn import ENDS, Turn, turn_of
from pipeline.decide.view import Known
from schemas.base import State
from schemas.codec import TYPES
from schemas.incident import ImpactChanged, IncidentEvent, IncidentOpened, IncidentReopened, MonitoringStarted
from schemas.journal import Decision, FactAdded, NoticeKind, ResolutionConfirmed, ResolutionHeld

_FIELDS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter[Any](field.annotation) for name, field in Known.model_fields.items() if field.annotation
}


@dataclass(frozen=True, slots=True)
class Step:
    """Where the incident stands after an input: what happened, what it is told as, what is known."""

    turn: Turn
    known: Known
    event: IncidentEvent | None = None
    keeps: bool = True
    """Whether what is known is so from now on: the words of one draft are not."""

    @property
    def over(self) -> bool:
        """Whether it is over."""
        return self.turn.phase is Phase.OVER


def standing(state: IncidentState) -> Step:
    """Nothing happened: the clock called, or somebody ordered something."""
    return Step(Turn(NoticeKind.UNCHANGED, state.phase, maintenance=state.maintenance), state.known)


def event_of(type: str, data: Mapping[str, Any]) -> IncidentEvent:
    """The event of an input. Raises TypeError for one that is about no incident."""
    event = TYPES[type].model_validate(data)
    if not isinstance(event, IncidentEvent):
        raise TypeError(f"{type} is no event about an incident")
    return event


def step_of(state: IncidentState, event: IncidentEvent) -> Step:
    """What an event means, before anything is added from the catalogue, or held back."""
    turn = turn_of(state, event)
    return Step(turn, known_after(state, event, turn), event)


def held_step(state: IncidentState, event: IncidentEvent) -> Step:
    """An end that is held back: told as a repair whose holding is being watched, in none of the words of the end."""
    monitoring = MonitoringStarted(severity=event.severity)
    turn = Turn(NoticeKind.MONITORING, Phase.OPEN, "it is reported over; told as over once it has held")
    return Step(turn, known_after(state, monitoring, turn), event)


def confirmed_step(state: IncidentState, ending: Ending) -> Step:
    """The end that has held."""
    event = event_of(ending.type, ending.data)
    turn = Turn(NoticeKind.RESOLVED, Phase.OVER, "it has held")
    since = state.monitored_since or ending.at
    known = known_after(state, event, turn).model_copy(update={"held_since": since})
    return Step(turn, known, event)


def undoes(state: IncidentState, event: IncidentEvent, turn: Turn) -> bool:
    """Whether an event says that an end which is being held back was none."""
    if state.ending is None or turn.kind in ENDS:
        return False
    again = isinstance(event, IncidentOpened | IncidentReopened | ImpactChanged)
    return again or turn.kind is NoticeKind.IMPACT_CHANGED or event.state in {State.INVESTIGATING, State.IDENTIFIED}


def with_added(known: Known, decisions: Iterable[Decision]) -> Known:
    """`known` with what was added to it, as the entry says."""
    changes = {
        decision.field: _FIELDS[decision.field].validate_python(decision.value)
        for decision in decisions
        if isinstance(decision, FactAdded)
    }
    return known.model_copy(update=changes) if changes else known


def recorded_step(state: IncidentState, type: str, data: Mapping[str, Any], decisions: tuple[Decision, ...]) -> Step:
    """The step that a journal entry records: from the input and the decisions alone, whatever the policy is now."""
    confirmed = any(isinstance(decision, ResolutionConfirmed) for decision in decisions)
    if confirmed and state.ending is not None:
        step = confirmed_step(state, state.ending)
    elif not issubclass(TYPES[type], IncidentEvent):
        return standing(state)
    else:
        event = event_of(type, data)
        held = next((d for d in decisions if isinstance(d, ResolutionHeld)), None)
        step = held_step(state, event) if held else step_of(state, event)
    return Step(step.turn, with_added(step.known, decisions), step.event)
