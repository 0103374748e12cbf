"""Promised next updates: made, kept, or broken, for each audience by itself."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from pipeline.decide.audience import worst_of
from pipeline.decide.occasion import Telling
from pipeline.decide.state import IncidentState, Phase, draft_key
from pipeline.decide.step import Step
from pipeline.policy import Policy
from schemas.base import Channel, Severity, State
from schemas.journal import NoticeKind, PromiseBroken, PromiseKept, PromiseMade

NO_PROMISE = frozenset({NoticeKind.REMINDER, NoticeKind.REVIEW, NoticeKind.RETRACTION})


def settled(state: IncidentState, at: datetime, told: Iterable[Telling]) -> Iterator[PromiseKept | PromiseBroken]:
    """What becomes of the promises that are owed: kept by whatever is told in time, else broken once it has passed."""
    heard = {telling.audience for telling in told if not telling.zones and telling.kind is not NoticeKind.REMINDER}
    for audience, promise in state.promises.items():
        if at > promise.due:
            yield PromiseBroken(audience=audience, due=promise.due)
        elif audience in heard:
            yield PromiseKept(audience=audience, due=promise.due)


def made(
    state: IncidentState, step: Step, at: datetime, told: Iterable[Telling], policy: Policy
) -> Iterator[PromiseMade]:
    """The promises that go out with what is told now.

    Upstream's own where it gave one that can still be kept; else the cadence's, where the cadence keeps it itself by
    telling that nothing changed. A time that nobody hears of is no promise.
    """
    if step.over or step.turn.phase is Phase.PLANNED:
        return
    for telling in {telling.audience: telling for telling in reversed(tuple(told))}.values():
        earlier = state.told.get(telling.audience)
        ended = telling.kind is NoticeKind.CORRECTION and earlier is not None and not earlier.open
        if telling.zones or telling.kind in NO_PROMISE or ended:
            continue
        draft = state.drafts.get(draft_key(telling.audience, telling.corrects)) if telling.draft else None
        said = (draft.occasion.known if draft else step.known).next_update_at
        # what the clock has told just before a promised time is that update: it is not promised once more
        earliest = at if step.event is not None or draft is not None else at + policy.cadence.heartbeat.margin
        unchanged = telling.kind is NoticeKind.UNCHANGED
        if said is not None and said > earliest and not unchanged and updated_channels(telling.audience, policy):
            yield PromiseMade(audience=telling.audience, due=said, by="upstream")
        elif draft is None and (due := own_promise(telling.audience, state, step, at, policy)) is not None:
            yield PromiseMade(audience=telling.audience, due=due, by="cadence")


def own_promise(audience: str, state: IncidentState, step: Step, at: datetime, policy: Policy) -> datetime | None:
    """When the cadence itself gives the next word; None where it gives none. To the minute, as it is told."""
    if step.turn.maintenance or not is_updated(audience, state, step, policy):
        return None
    silence = longest_silence(state, step.known.severity, step.known.state, at, policy)
    return None if silence is None else (at + silence).replace(second=0, microsecond=0)


def longest_silence(
    state: IncidentState, severity: Severity | None, work: State | None, at: datetime, policy: Policy
) -> timedelta | None:
    """How long people may be without a word as of now."""
    age = at - (state.opened_at or at)
    return policy.cadence.heartbeat.silence(severity, work, age)


def is_updated(audience: str, state: IncidentState, step: Step, policy: Policy) -> bool:
    """Whether an audience is told when nothing changed: it is told of updates, on some channel of theirs."""
    group = policy.audiences.get(audience)
    if group is None or not group.channels_for(NoticeKind.UNCHANGED):
        return False
    told_at = group.told_at if group.told_at is not None else policy.cadence.size(worst_of(state, step)).told_at
    return NoticeKind.UNCHANGED in told_at


def updated_channels(audience: str, policy: Policy) -> frozenset[Channel]:
    """The channels on which a promised next update may stand: those on which it is given."""
    group = policy.audiences.get(audience)
    return frozenset(group.channels_for(NoticeKind.UNCHANGED)) if group else frozenset()


def kept_up_channels(audience: str, worst: Severity | None, policy: Policy) -> frozenset[Channel]:
    """The channels on which they are told what changes in an incident of this size."""
    group = policy.audiences.get(audience)
    if group is None:
        return frozenset()
    told_at = group.told_at if group.told_at is not None else policy.cadence.size(worst).told_at
    return frozenset(group.channels_for(NoticeKind.UPDATED)) if NoticeKind.UPDATED in told_at else frozenset()
