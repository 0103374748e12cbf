"""What time itself triggers: each rule says, from the state alone, what is due when. The clock then only has to call.

A rule never looks at the present moment: what is due is a fact of the state, so that a late call, or one too many,
changes nothing. Whatever a rule triggers changes the state so that it is not due again.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from pipeline.decide.cadence.due import NOTHING_CHANGED, Due, Remind, Tell
from pipeline.decide.cadence.office import office_closes, office_opens, working_days_after
from pipeline.decide.cadence.promises import is_updated, longest_silence
from pipeline.decide.state import Draft, IncidentState, Phase, Promise
from pipeline.decide.step import standing
from pipeline.decide.turn import ENDS
from pipeline.policy import Policy
from schemas.base import Severity
from schemas.command import WakeReason
from schemas.journal import NoticeKind

Rule = Callable[[IncidentState, Policy], Iterator[Due]]
UNAPPROVED = "its approval is still missing at the deadline: the safe text"
REPORTS = ENDS | {NoticeKind.REVIEW}
BEGINS = frozenset({NoticeKind.OPENED, NoticeKind.REOPENED, NoticeKind.MAINTENANCE_STARTED})


def first_notice_deadline(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """A first notice that nobody approved in time goes out in templated words."""
    for audience, draft in state.drafts.items():
        patience = policy.safe_after(audience, ends=False)
        begins = draft.telling.kind in BEGINS and state.phase is Phase.OPEN
        if begins and patience is not None and _still_untold(state, draft):
            act = Tell(audience, draft.telling.kind, UNAPPROVED, safe=True)
            yield Due(draft.since + patience, WakeReason.FIRST_NOTICE_DEADLINE, act)


def last_notice_deadline(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """So does the end: whoever was told of the start must hear of it, whoever is asleep that should approve it.

    Not later than the next update that was promised, since it is one.
    """
    for audience, draft in state.drafts.items():
        patience, promise = policy.safe_after(audience, ends=True), state.promises.get(audience)
        ended = draft.telling.kind in ENDS and state.phase is Phase.OVER
        if ended and audience in state.told and _still_untold(state, draft):
            times = [draft.since + patience] if patience is not None else []
            # an end that is held back at this very moment was decided on already: the clock calls right after it
            after = draft.since + timedelta(milliseconds=1)
            times += [max(promise.due - policy.cadence.heartbeat.margin, after)] if promise else []
            if times:
                act = Tell(audience, draft.telling.kind, UNAPPROVED, safe=True)
                yield Due(min(times), WakeReason.LAST_NOTICE_DEADLINE, act)


def _still_untold(state: IncidentState, draft: Draft) -> bool:
    """Whether nothing of what the draft is about was told yet, and nobody holds it back on purpose."""
    told = state.told.get(draft.telling.audience)
    words = told.words if told is not None else ()
    return draft.telling.audience not in state.held and not any(
        word.kind is draft.telling.kind and word.seq >= draft.since_seq for word in words
    )


def draft_waits(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """Whoever may approve is asked again when a draft has waited as long as a first notice may."""
    for draft in state.drafts.values():
        audience = draft.telling.audience
        yield Due(
            draft.occasion.at + policy.cadence.first_notice,
            WakeReason.REMINDER,
            Remind(f"draft {draft.id}", f"a notice to {audience} waits for approval by {', '.join(draft.needs)}"),
        )


def silence(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """Before a promised time passes, or silence grows too long, "unchanged" is told."""
    for audience, due in heartbeats(state, policy).items():
        promised = audience in state.promises
        why = "the promised update" if promised else "the longest silence is reached"
        why = f"{why}: {NOTHING_CHANGED}"
        yield Due(due, WakeReason.SILENCE, Tell(audience, NoticeKind.UNCHANGED, why))


def promise_passes(state: IncidentState, _policy: Policy) -> Iterator[Due]:
    """A promise that nobody could keep is put on record as broken, right after its time."""
    for promise in state.promises.values():
        yield Due(promise.due + timedelta(milliseconds=1), WakeReason.PROMISE_DUE, None)


def reminder(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """Those who can say something are asked before "unchanged" has to be told."""
    beat = policy.cadence.heartbeat
    if dues := heartbeats(state, policy):
        first = min(dues.values())
        yield Due(
            first - beat.reminded_before,
            WakeReason.REMINDER,
            Remind("silence", "nothing new was said, and an update is due", first),
        )


def scope(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """What is concerned, and what it means, is to be said soon after the first notice."""
    consequences = state.known.consequences
    unsaid = not state.known.components or consequences is None or consequences.now is None
    if policy.cadence.scope is not None and state.phase is Phase.OPEN and state.opened_at and unsaid:
        yield Due(
            state.opened_at + policy.cadence.scope,
            WakeReason.REMINDER,
            Remind("scope", "which parts are concerned, and what it means for those who use them, is not yet said"),
        )


def put_off(state: IncidentState, _policy: Policy) -> Iterator[Due]:
    """What was put off is told when its time has come."""
    for audience, waiting in (*state.put_off.items(), *state.reviews.items()):
        reason = WakeReason.COOL_DOWN if waiting.kind is NoticeKind.REVIEW else WakeReason.MINIMUM_GAP
        yield Due(waiting.until, reason, Tell(audience, waiting.kind, waiting.reason))


def resolution(state: IncidentState, _policy: Policy) -> Iterator[Due]:
    """An end that has held is told."""
    if state.ending is not None:
        yield Due(state.ending.until, WakeReason.RESOLUTION_HELD, None)


def review_due(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """The review is asked for a day before it is due, and once more when it is."""
    rule, worst = policy.cadence.review, state.worst or Severity.NONE
    if rule is None or state.over_at is None or state.reviewed or not state.told or state.maintenance:
        return
    if worst in rule.due_days:
        due = state.over_at + timedelta(days=rule.due_days[worst])
    elif worst in rule.due_working_days:
        due = working_days_after(state.over_at, rule.due_working_days[worst], policy)
    else:
        return
    yield Due(due - timedelta(days=1), WakeReason.REVIEW_DUE, Remind("review soon", "the review is due in a day"))
    yield Due(due, WakeReason.REVIEW_DUE, Remind("review", "the review is due, and was not published"))


def maintenance_soon(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """A planned maintenance is announced again before it begins, and asked for when it does not."""
    starts, ends = state.known.starts_at, state.known.ends_at
    if state.phase is Phase.PLANNED and starts is not None:
        for ahead in policy.cadence.maintenance_warnings:
            for audience, told in state.told.items():
                if told.at < starts - ahead:
                    why = "a planned maintenance is announced again before it begins"
                    yield Due(
                        starts - ahead, WakeReason.MAINTENANCE_SOON, Tell(audience, NoticeKind.MAINTENANCE_SOON, why)
                    )
        yield Due(starts, WakeReason.REMINDER, Remind("maintenance begins", "the maintenance was planned to begin now"))
    if state.maintenance and state.phase is Phase.OPEN and ends is not None:
        yield Due(
            ends, WakeReason.REMINDER, Remind("maintenance ends", "the maintenance was planned to be over by now")
        )


def duty(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """What an authority must be told within a span of the beginning, and those who must see to it are asked before.

    Each stage takes a word of its own; the last one, the end or the review.
    """
    if state.opened_at is None:
        return
    for name, group in policy.audiences.items():
        told = state.told.get(name)
        kinds = [word.kind for word in told.words] if told is not None else []
        stages = sorted(group.duties.items(), key=lambda item: item[1])
        for number, (stage, within) in enumerate(stages):
            last = number == len(stages) - 1 and number > 0
            due, lead = state.opened_at + within, min(within / 4, timedelta(days=1))
            at = due - policy.cadence.heartbeat.margin
            # where the clock called late, one word does for every stage that had passed by then
            if told is not None and told.at >= at:
                continue
            if len(kinds) > number and (not last or REPORTS & set(kinds)):
                continue
            text = f"the {stage} to {name} is due {_span(lead)} from now"
            yield Due(due - lead, WakeReason.REMINDER, Remind(f"{stage} to {name}", text))
            if told is not None and told.open and state.phase is Phase.OPEN:
                yield Due(at, WakeReason.SILENCE, Tell(name, NoticeKind.UNCHANGED, f"{stage}: {NOTHING_CHANGED}"))
            break


RULES: tuple[Rule, ...] = (
    first_notice_deadline,
    last_notice_deadline,
    resolution,
    put_off,
    silence,
    office_closes,
    office_opens,
    maintenance_soon,
    duty,
    reminder,
    scope,
    draft_waits,
    review_due,
    promise_passes,
)
"""In the order in which what is due at once is told."""


def all_due(state: IncidentState, policy: Policy) -> tuple[Due, ...]:
    """Everything that will be due if nothing else happens; what somebody was reminded of already is left out."""
    return tuple(due for rule in RULES for due in rule(state, policy) if not _reminded(state, due))


def heartbeats(state: IncidentState, policy: Policy) -> dict[str, datetime]:
    """For each audience that is owed a word: when "unchanged" is told if nothing else is said."""
    if state.phase is not Phase.OPEN:
        return {}
    margin, step = policy.cadence.heartbeat.margin, standing(state)
    found = {}
    for audience, told in state.told.items():
        promise = state.promises.get(audience)
        if promise is not None:
            found[audience] = max(promise.due - margin, told.at, _half_way(promise, margin))
        elif not state.maintenance and told.open and is_updated(audience, state, step, policy):
            span = longest_silence(state, state.known.severity, state.known.state, told.at, policy)
            if span is not None:
                found[audience] = told.at + span - margin
    return found


def _half_way(promise: Promise, margin: timedelta) -> datetime:
    """A time promised at such short notice that no margin is left is not kept in the same moment."""
    notice = promise.due - promise.made_at
    return promise.made_at + timedelta(seconds=notice.total_seconds() // 2) if notice <= margin else promise.made_at


def _reminded(state: IncidentState, due: Due) -> bool:
    if not isinstance(due.act, Remind):
        return False
    before = state.reminded.get(due.act.rule)
    return before is not None and before >= (due.act.of or due.at)


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    count, unit = (round(minutes / 60), "hour") if minutes >= 60 else (minutes, "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
