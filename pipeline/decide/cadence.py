"""Cadence: when an incident is told of, how urgently, and what becomes of promised times."""

from datetime import datetime

from pipeline.decide.state import IncidentState, worse
from pipeline.decide.turn import ENDS, Turn
from pipeline.decide.view import Known
from pipeline.policy import Policy
from schemas.base import Lane
from schemas.command import Wake, WakeReason
from schemas.incident import IncidentEvent
from schemas.journal import (
    Decision,
    InputIgnored,
    NoticeKind,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    WakeScheduled,
)


def due(
    state: IncidentState, event: IncidentEvent, turn: Turn, kind: NoticeKind, known: Known, policy: Policy
) -> tuple[bool, str]:
    """Whether a notice of `kind` is told now, and why, or why not."""
    cadence = policy.cadence
    large = cadence.is_large(worse(state.worst, known.severity))
    size = cadence.sizes.large if large else cadence.sizes.small
    said = f": {turn.why}" if turn.why else ""
    if kind in size.told_at:
        return True, f"{_rule(kind, turn, large)}{said}"
    if event.good_news is not None and cadence.good_news:
        return True, f"good news is told at once{said}"
    if state.promise is not None and cadence.promised:
        return True, f"an update was promised{said}"
    return False, f"{'large' if large else 'small'} incidents are told at start and end only{said}"


def lane_of(kind: NoticeKind, state: IncidentState, known: Known, policy: Policy) -> Lane:
    """`first` for what must not wait behind a large update."""
    lanes = policy.cadence.lanes
    large = policy.cadence.is_large(worse(state.worst, known.severity))
    return Lane.FIRST if kind in lanes.first or (large and kind in lanes.first_when_large) else Lane.UPDATE


def settled(state: IncidentState, at: datetime, told: bool) -> list[Decision]:
    """What becomes of the promise that is owed: kept by whatever is told in time, else broken once it has passed."""
    if state.promise is None:
        return []
    if at > state.promise:
        return [PromiseBroken(due=state.promise)]
    return [PromiseKept(due=state.promise)] if told else []


def promised(known: Known, at: datetime, told: bool) -> list[Decision]:
    """The promise that goes out with what is told now. A time that nobody hears of is none."""
    if not told or known.next_update_at is None or known.next_update_at <= at:
        return []
    return [
        PromiseMade(due=known.next_update_at),
        WakeScheduled(due=known.next_update_at, reason=WakeReason.PROMISE_DUE),
    ]


def woken(state: IncidentState, wake: Wake) -> list[Decision]:
    """The clock calls: the promise is broken if it is still owed."""
    if state.promise != wake.due:
        return [InputIgnored(reason="promise already kept or replaced")]
    return [PromiseBroken(due=wake.due)]


def _rule(kind: NoticeKind, turn: Turn, large: bool) -> str:
    if kind in ENDS:
        return "whoever was told of the start is told of the end"
    if kind is not turn.kind:
        return "they had not heard of it yet"
    if kind in _RULES:
        return _RULES[kind]
    return f"{'large' if large else 'small'} incidents are told at every change"


_RULES = {
    NoticeKind.OPENED: "a start is told at once",
    NoticeKind.REOPENED: "that it is open again is told at once",
    NoticeKind.IMPACT_CHANGED: "a changed impact is told at once, whatever the size",
    NoticeKind.REVIEW: "a review is told to all who were told of the incident",
    NoticeKind.MAINTENANCE_SCHEDULED: "maintenance is told when it is planned",
    NoticeKind.MAINTENANCE_STARTED: "maintenance is told when it begins",
}
