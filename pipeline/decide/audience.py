"""Audience: who is told, in how much detail, on which channels; who is not, and why."""

from dataclasses import dataclass

from pipeline.decide.cadence import due, lane_of
from pipeline.decide.state import SEVERITIES, IncidentState, Phase
from pipeline.decide.turn import ENDS, MAINTENANCE, Turn
from pipeline.decide.view import MARKS, Known, approval_needed
from pipeline.policy import Policy
from pipeline.policy_documents import Audience
from schemas.base import Channel, Lane, Level
from schemas.incident import IncidentEvent
from schemas.journal import AudienceSilent, NoticeKind

RANK = (Level.INTERNAL, Level.TECHNICAL, Level.EXECUTIVE, Level.CUSTOMER, Level.PUBLIC)
"""From the highest level of detail to the lowest: who belongs to two audiences is told at the higher one."""

NEWS_IN_ITSELF = ENDS | {NoticeKind.OPENED, NoticeKind.REOPENED, NoticeKind.MAINTENANCE_STARTED}
"""That it begins or ends is worth telling even in the same words."""


@dataclass(frozen=True, slots=True)
class Telling:
    """One audience is to be told."""

    audience: str
    level: Level
    kind: NoticeKind
    lane: Lane
    channels: tuple[Channel, ...]
    reason: str


def audiences(
    state: IncidentState, event: IncidentEvent, turn: Turn, known: Known, policy: Policy
) -> tuple[Telling | AudienceSilent, ...]:
    """What each audience hears of `event`: those of the policy in its order, then those that only hear the end."""
    verdicts = [_verdict(name, group, state, event, turn, known, policy) for name, group in policy.audiences.items()]
    if turn.kind in ENDS:
        gone = sorted(state.told.keys() - policy.audiences.keys())
        verdicts += [_last_word(name, state, turn, policy) for name in gone]
    return tuple(verdicts)


def outranking(tellings: tuple[Telling, ...], one: Telling) -> tuple[str, ...]:
    """The audiences told in the same entry at a higher level than `one`; between equals, those that stand before it."""
    place = tellings.index(one)
    return tuple(
        other.audience
        for index, other in enumerate(tellings)
        if (RANK.index(other.level), index) < (RANK.index(one.level), place)
    )


def _verdict(
    name: str, group: Audience, state: IncidentState, event: IncidentEvent, turn: Turn, known: Known, policy: Policy
) -> Telling | AudienceSilent:
    told = state.told.get(name)
    if told is None and (reason := _kept_out(group, state, turn, known)):
        return AudienceSilent(audience=name, reason=reason)
    kind = _kind_for(told is not None, turn)
    channels = group.channels_for(kind)
    if kind in ENDS and told is not None:
        # Closure: whoever heard of the start by text message alone must hear of the end there too.
        channels = tuple(channel for channel in Channel if channel in channels or channel in told.channels)
    if not channels:
        return AudienceSilent(audience=name, reason=f"no channel of theirs carries a notice of kind {_words(kind)!r}")
    if told is not None and kind not in NEWS_IN_ITSELF and not _news(told.known, known, group.level, policy):
        return AudienceSilent(audience=name, reason="same text as before")
    timely, reason = due(state, event, turn, kind, known, policy)
    if not timely:
        return AudienceSilent(audience=name, reason=reason)
    return Telling(name, group.level, kind, lane_of(kind, state, known, policy), channels, reason)


def _kept_out(group: Audience, state: IncidentState, turn: Turn, known: Known) -> str:
    """Why an audience that was told nothing so far stays out; empty: it does not."""
    if turn.phase is Phase.OVER and state.phase is not Phase.NEW:
        return "never told of it"
    if turn.kind in MAINTENANCE or known.severity is None:
        return ""
    if SEVERITIES.index(known.severity) < SEVERITIES.index(group.from_severity):
        return f"they hear of severity {group.from_severity} and worse; this is {known.severity}"
    return ""


def _kind_for(told_before: bool, turn: Turn) -> NoticeKind:
    """To those who hear of an open incident for the first time it is a beginning, whatever it is to others."""
    later = {NoticeKind.UPDATED, NoticeKind.IMPACT_CHANGED, NoticeKind.MILESTONE, NoticeKind.MONITORING}
    if not told_before and turn.phase is Phase.OPEN and turn.kind in later:
        return NoticeKind.OPENED
    return turn.kind


def _last_word(name: str, state: IncidentState, turn: Turn, policy: Policy) -> Telling:
    told = state.told[name]
    lane = lane_of(turn.kind, state, state.known, policy)
    reason = "the policy no longer names them, but who was told of the start is told of the end"
    return Telling(name, told.level, turn.kind, lane, told.channels, reason)


def _news(before: Known, now: Known, level: Level, policy: Policy) -> bool:
    """Whether anything that `level` may see was said since. A new promise alone is no news."""
    return any(
        value is not None and value != getattr(before, name)
        for name, mark in MARKS.items()
        if name != "next_update_at" and level in mark.levels and approval_needed(name, policy.approvals) is None
        for value in (getattr(now, name),)
    )


def _words(kind: NoticeKind) -> str:
    return kind.replace("_", " ")
