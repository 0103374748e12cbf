"""Audience: who is told, in how much detail, on which channels; who is not, and by which rule."""

from collections.abc import Iterable

from pipeline.decide.occasion import Telling
from pipeline.decide.state import SEVERITIES, IncidentState, Phase, Told, worse
from pipeline.decide.step import Step
from pipeline.decide.turn import ENDS, MAINTENANCE
from pipeline.decide.view import MARKS, Known, approval_needed
from pipeline.policy import Policy
from pipeline.policy.audiences import Audience, Members, Never
from pipeline.policy.cadence import Cadence
from schemas.base import Channel, Lane, Level, Severity
from schemas.census import Group
from schemas.journal import AudienceSilent, NoticeKind

RANK = (Level.INTERNAL, Level.TECHNICAL, Level.EXECUTIVE, Level.CUSTOMER, Level.PUBLIC)
"""From the highest level of detail to the lowest: who belongs to two audiences is told at the higher one."""

NEWS_IN_ITSELF = ENDS | {NoticeKind.OPENED, NoticeKind.REOPENED, NoticeKind.MAINTENANCE_STARTED}
"""That it begins or ends is worth telling even in the same words."""

NOBODY = "nobody"
"""The name of a group to which nobody belongs by choice, only by what is known of them."""

LATER = frozenset({NoticeKind.UPDATED, NoticeKind.IMPACT_CHANGED, NoticeKind.MILESTONE, NoticeKind.MONITORING})
"""Kinds that go on from a beginning that was told, or from an end."""

Verdict = Telling | AudienceSilent


def audiences(state: IncidentState, step: Step, policy: Policy) -> tuple[Verdict, ...]:
    """Who may hear of `step`, and who does not: those of the policy in its order, then those that only hear the end."""
    verdicts = [_verdict(name, group, state, step, policy) for name, group in policy.audiences.items()]
    if step.turn.kind in ENDS:
        gone = sorted(state.told.keys() - policy.audiences.keys())
        verdicts += [_last_word(name, state, step, policy) for name in gone]
    return tuple(verdicts)


def outranking(tellings: Iterable[Telling], one: Telling, policy: Policy) -> tuple[Group, ...]:
    """The audiences told in the same entry at a higher level than `one`; between equals, those that stand before it."""
    all_told = [telling for telling in tellings if telling.zones == one.zones and telling.corrects == one.corrects]
    place = all_told.index(one)
    return tuple(
        group_of(other.audience, policy)
        for index, other in enumerate(all_told)
        if (RANK.index(other.level), index) < (RANK.index(one.level), place)
    )


def group_of(audience: str, policy: Policy) -> Group:
    """Who belongs to an audience; to one that the policy no longer names, whoever chose it."""
    return policy.groups.get(audience) or Group(audience=audience)


def never(audience: str, step: Step, policy: Policy) -> tuple[Group, ...]:
    """The groups of people who must not hear of this as that audience, or as any."""
    return tuple(
        Group(audience=NOBODY, **rule.members.model_dump())
        for rule in policy.audience.never_tell
        if rule.members != Members() and rule.audience in {None, audience} and _matches(rule, step.known)
    )


def lane_of(kind: NoticeKind, worst: Severity | None, cadence: Cadence) -> Lane:
    """`first` for what must not wait behind a large update."""
    first = kind in cadence.lanes.first or (cadence.is_large(worst) and kind in cadence.lanes.first_when_large)
    return Lane.FIRST if first else Lane.UPDATE


def channels_of(name: str, kind: NoticeKind, state: IncidentState, policy: Policy) -> tuple[Channel, ...]:
    """The channels that carry a notice of this kind to this audience."""
    group, told = policy.audiences.get(name), state.told.get(name)
    channels = group.channels_for(kind) if group else ()
    if told is not None and (kind in ENDS or group is None):
        # Closure: whoever heard of the start by text message alone must hear of the end there too.
        channels = tuple(channel for channel in Channel if channel in channels or channel in told.channels)
    return channels


def _verdict(name: str, group: Audience, state: IncidentState, step: Step, policy: Policy) -> Verdict:
    told = state.told.get(name)
    if told is None:
        for rule in KEPT_OUT:
            if reason := rule(name, group, state, step, policy):
                return AudienceSilent(audience=name, reason=reason)
    kind = kind_for(step.turn.kind, told, step.turn.phase, step.turn.maintenance)
    channels = channels_of(name, kind, state, policy)
    if not channels:
        return AudienceSilent(audience=name, reason=f"no channel of theirs carries a notice of kind {words(kind)!r}")
    fresh_end = kind in NEWS_IN_ITSELF
    if told is not None and not fresh_end and not news(told.known, step.known, group.level, policy):
        return AudienceSilent(audience=name, reason="same text as before")
    lane = lane_of(kind, worst_of(state, step), policy.cadence)
    return Telling(name, group.level, kind, lane, channels, step.turn.why)


def kept_out(name: str, state: IncidentState, step: Step, policy: Policy) -> str:
    """Why an audience that was told nothing yet must not hear of it, whatever waits for it; empty: it may."""
    group = policy.audiences.get(name)
    if name in state.told:
        return ""
    if group is None:
        return "the policy does not name them (any more)"
    return _never_told(name, group, state, step, policy) or _private(name, group, state, step, policy)


# --- who was told nothing so far and stays out: one small rule each, its reason or ""


def _never_told(name: str, _group: Audience, _state: IncidentState, step: Step, policy: Policy) -> str:
    for rule in policy.audience.never_tell:
        if rule.audience == name and rule.members == Members() and _matches(rule, step.known):
            return f"never told: {rule.because}"
    return ""


def _private(name: str, _group: Audience, _state: IncidentState, step: Step, policy: Policy) -> str:
    invited = step.known.private_to
    if invited is None or name in invited or name in policy.audience.private:
        return ""
    return "a private incident, and they are not among those it is told to"


def _over(_name: str, _group: Audience, state: IncidentState, step: Step, _policy: Policy) -> str:
    return "never told of it" if step.over and state.phase is not Phase.NEW else ""


def _too_mild(_name: str, group: Audience, _state: IncidentState, step: Step, _policy: Policy) -> str:
    severity = step.known.severity
    if step.turn.kind in MAINTENANCE or severity is None:
        return ""
    if SEVERITIES.index(severity) < SEVERITIES.index(group.from_severity):
        return f"they hear of severity {group.from_severity} and worse; this is {severity}"
    return ""


KEPT_OUT = (_never_told, _private, _over, _too_mild)


def _matches(rule: Never, known: Known) -> bool:
    """Whether an incident is one that the rule is about; of what is unsaid, the careful side is taken."""
    return (
        _meets(rule.components, known.components)
        and _meets(rule.regions, known.regions)
        and (not rule.severities or known.severity is None or known.severity in rule.severities)
    )


def _meets(named: tuple[str, ...], said: tuple[str, ...] | None) -> bool:
    return not named or not said or bool({w.casefold() for w in named} & {w.casefold() for w in said})


def kind_for(kind: NoticeKind, told: Told | None, phase: Phase, maintenance: bool) -> NoticeKind:
    """To those who did not hear of a beginning, or an end, the next news is that, whatever it is to others.

    They are told of it for the first time, or what told of it was overtaken before anybody approved it.
    """
    if kind not in LATER:
        return kind
    if phase is Phase.OPEN and told is None:
        return NoticeKind.OPENED
    if phase is Phase.OPEN and told is not None and not told.open:
        return NoticeKind.MAINTENANCE_STARTED if maintenance else NoticeKind.REOPENED
    if phase is Phase.OVER and told is not None and told.open:
        return NoticeKind.MAINTENANCE_COMPLETED if maintenance else NoticeKind.RESOLVED
    return kind


def _last_word(name: str, state: IncidentState, step: Step, policy: Policy) -> Telling:
    told = state.told[name]
    lane = lane_of(step.turn.kind, worst_of(state, step), policy.cadence)
    reason = "the policy no longer names them, but who was told of the start is told of the end"
    return Telling(name, told.level, step.turn.kind, lane, told.channels, reason)


def worst_of(state: IncidentState, step: Step) -> Severity | None:
    """The worst that it ever was, this step included."""
    return worse(state.worst, step.known.severity)


def news(before: Known, now: Known, level: Level, policy: Policy) -> bool:
    """Whether anything that `level` may see was said since. A new promise alone is no news."""
    return any(
        value is not None and value != getattr(before, name)
        for name, mark in MARKS.items()
        if name not in SAID_BESIDES and level in mark.levels and approval_needed(name, policy.approvals) is None
        for value in (getattr(now, name),)
    )


SAID_BESIDES = frozenset({"next_update_at", "translations", "private_to", "earlier", "held_since"})
"""Fields that go with a notice and make none: a translation of what was told, say, is no news."""


def words(kind: NoticeKind) -> str:
    """The kind as people say it."""
    return kind.replace("_", " ")
