"""What an event brings is told now, put off, or not told to an audience: each rule named."""

from dataclasses import replace
from datetime import datetime

from pipeline.decide.audience import worst_of
from pipeline.decide.occasion import Telling
from pipeline.decide.state import IncidentState, PutOff
from pipeline.decide.step import Step
from pipeline.decide.turn import ENDS
from pipeline.policy import Policy
from schemas.base import Severity
from schemas.incident import IncidentEvent
from schemas.journal import AudiencePutOff, AudienceSilent, NoticeKind, ResolutionHeld

COALESCED = frozenset({NoticeKind.UPDATED, NoticeKind.MILESTONE, NoticeKind.MONITORING})
"""Kinds that may wait a little, so that a burst is told as one."""


def when(
    telling: Telling, state: IncidentState, step: Step, at: datetime, policy: Policy
) -> Telling | AudiencePutOff | AudienceSilent:
    """Whether the audience is told now, with the rule as its reason; or when; or why not."""
    reason = _due(telling, state, step, policy)
    if isinstance(reason, AudienceSilent):
        return reason
    for rule in PUT_OFF:
        if (later := rule(telling, state, at, policy)) is not None:
            return later
    return replace(telling, reason=reason)


def resolution_held(state: IncidentState, step: Step, at: datetime, policy: Policy) -> ResolutionHeld | None:
    """Whether an end must hold before it is told; None: it is told at once.

    An end told too early makes two moments of bad news. The time in which the repair was being watched counts.
    """
    if state.ending is not None and step.turn.kind in ENDS:
        return ResolutionHeld(until=state.ending.until, reason="it is held back already")
    if step.turn.kind is not NoticeKind.RESOLVED or not state.told or state.maintenance:
        return None
    hold = policy.cadence.held.get(worst_of(state, step) or Severity.NONE)
    if not hold:
        return None
    until = (state.monitored_since or at) + hold
    if until <= at:
        return None
    return ResolutionHeld(until=until, reason="told as over once it has held")


def _due(telling: Telling, state: IncidentState, step: Step, policy: Policy) -> str | AudienceSilent:
    cadence, kind = policy.cadence, telling.kind
    worst = worst_of(state, step)
    large, group = cadence.is_large(worst), policy.audiences.get(telling.audience)
    told_at = group.told_at if group and group.told_at is not None else cadence.size(worst).told_at
    said = f": {step.turn.why}" if step.turn.why else ""
    if kind in ENDS or kind in told_at:
        return f"{_rule(kind, step, large)}{said}" if telling.reason == step.turn.why else telling.reason
    if step.event is not None and step.event.good_news is not None and cadence.good_news:
        return f"good news is told at once{said}"
    promise = state.promises.get(telling.audience)
    if promise is not None and promise.by == "upstream" and cadence.promised:
        return f"an update was promised{said}"
    size = "large" if large else "small"
    told = "they are" if group and group.told_at is not None else f"{size} incidents are"
    return AudienceSilent(audience=telling.audience, reason=f"{told} told at start and end only{said}")


def _minimum_gap(telling: Telling, state: IncidentState, at: datetime, policy: Policy) -> AudiencePutOff | None:
    told, gap = state.told.get(telling.audience), policy.cadence.gap
    if told is None or telling.kind not in COALESCED or at >= told.at + gap:
        return None
    return AudiencePutOff(
        audience=telling.audience,
        kind=telling.kind,
        until=told.at + gap,
        reason="minimum gap between updates: what comes together is told together",
    )


def _cool_down(telling: Telling, state: IncidentState, at: datetime, policy: Policy) -> AudiencePutOff | None:
    review = policy.cadence.review
    if telling.kind is not NoticeKind.REVIEW or review is None or state.over_at is None:
        return None
    if at >= state.over_at + review.cool_down:
        return None
    until = state.over_at + review.cool_down
    return AudiencePutOff(
        audience=telling.audience, kind=telling.kind, until=until, reason="a review comes after the cool-down"
    )


PUT_OFF = (_minimum_gap, _cool_down)


def with_put_off(step: Step, put_off: PutOff | None) -> Step:
    """The step with the news of a moment that an earlier event brought and that was put off until now."""
    if put_off is None:
        return step
    changes = {}
    for name, texts in put_off.momentary.items():
        now = getattr(step.known, name)
        changes[name] = "\n".join(dict.fromkeys((*texts, *((now,) if now else ()))))[:10_000]
    return replace(step, known=step.known.model_copy(update=changes)) if changes else step


def momentary(event: IncidentEvent | None, kind: NoticeKind) -> dict[str, str]:
    """The texts of an event that are news of one moment, and that a notice of this kind tells."""
    names = ("review",) if kind is NoticeKind.REVIEW else ("good_news", "milestone")
    found = {name: getattr(event, name, None) for name in names}
    return {name: text for name, text in found.items() if text}


def _rule(kind: NoticeKind, step: Step, large: bool) -> str:
    if kind in ENDS:
        return "whoever was told of the start is told of the end"
    if kind is not step.turn.kind:
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
