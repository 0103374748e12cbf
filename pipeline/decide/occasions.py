"""What a notice is about, read off the state: the one way by which its words are made now, and once more later."""

from datetime import datetime

from pipeline.decide.audience import worst_of
from pipeline.decide.cadence.at_once import with_put_off
from pipeline.decide.cadence.promises import kept_up_channels, updated_channels
from pipeline.decide.enrich import components_after, regions_after
from pipeline.decide.guard import tellable
from pipeline.decide.occasion import Occasion, Readers, Telling
from pipeline.decide.state import Draft, IncidentState, Word
from pipeline.decide.step import Step
from pipeline.decide.view import MARKS, Known
from pipeline.policy import Policy
from schemas.base import Severity
from schemas.census import AudienceCount
from schemas.journal import NoticeKind

REVISIONS = frozenset({NoticeKind.MAINTENANCE_SCHEDULED, NoticeKind.CORRECTION, NoticeKind.RETRACTION})
"""Kinds by which a plan is told anew, or otherwise: calendars take the highest revision (RFC 5545, SEQUENCE)."""
NEED_APPROVAL = frozenset(name for name, mark in MARKS.items() if mark.approval)


def occasion_of(
    state: IncidentState,
    step: Step,
    telling: Telling,
    seq: int,
    at: datetime,
    next_update_at: datetime | None,
    released: frozenset[str],
) -> Occasion:
    """What `telling` is about. Reads no policy: the state is folded from it."""
    if (draft := draft_of(state, telling)) is not None:
        return draft.occasion
    told = state.told.get(telling.audience)
    word = word_of(state, telling)
    known = _known(state, step, telling, at, released).model_copy(update={"next_update_at": next_update_at})
    return Occasion(
        incident=state.incident,
        seq=seq,
        at=at,
        known=known,
        before=word.known if word else told.known if told else Known(),
        over=step.over,
        maintenance=step.turn.maintenance,
        worst=worst_of(state, step),
        subject=state.subject or step.known.title or f"Incident {state.incident}",
        reported_at=state.reported_at or at,
        components_ever=components_after(state, step.known),
        regions_ever=regions_after(state, step.known),
        since=word.at if word else told.changed_at if told else None,
        revision=state.revision if telling.kind in REVISIONS else max(state.revision - 1, 0),
        released=released,
    )


def draft_of(state: IncidentState, telling: Telling) -> Draft | None:
    """The draft that is told now, in the very words that were approved."""
    if telling.draft is None:
        return None
    return next((draft for draft in state.drafts.values() if draft.id == telling.draft), None)


def word_of(state: IncidentState, telling: Telling) -> Word | None:
    """What was told before and is corrected, or retracted, now."""
    if telling.corrects is None or telling.audience not in state.told:
        return None
    return next((word for word in state.told[telling.audience].words if word.seq == telling.corrects), None)


def count_of(state: IncidentState, telling: Telling) -> AudienceCount | None:
    """How the audience is counted: as it is now, or as it was when a draft's words were made."""
    draft = draft_of(state, telling)
    return draft.count if draft is not None else state.census.get(telling.audience)


def readers_of(telling: Telling, count: AudienceCount | None, worst: Severity | None, policy: Policy) -> Readers:
    """In which languages, at which levels and in which zones they read, and what they hear of on which channels."""
    updated = updated_channels(telling.audience, policy)
    kept_up = kept_up_channels(telling.audience, worst, policy)
    if count is None:
        return Readers(updated=updated, kept_up=kept_up)
    zones = telling.zones or tuple(sorted(count.zones, key=lambda zone: (-count.zones[zone], zone)))
    return Readers(tuple(count.languages), tuple(count.levels), zones, updated, kept_up)


def safe_known(known: Known) -> Known:
    """What the templated words hang on: nothing that somebody wrote."""
    return Known(
        severity=known.severity,
        state=known.state,
        components=known.components,
        began_at=known.began_at,
        ended_at=known.ended_at,
        held_since=known.held_since,
        starts_at=known.starts_at,
        ends_at=known.ends_at,
    )


def _known(state: IncidentState, step: Step, telling: Telling, at: datetime, released: frozenset[str]) -> Known:
    told = state.told.get(telling.audience)
    if telling.kind is NoticeKind.UNCHANGED and told is not None:
        # only what they were told before: what was put off, or waits for approval, must not slip in
        known = told.known.model_copy(update=dict.fromkeys(("good_news", "milestone", "review", "explanation")))
    elif telling.safe:
        known = safe_known(step.known)
    else:
        known = with_put_off(step, state.waits(telling.audience, telling.kind)).known
    unreleased = {name: None for name in NEED_APPROVAL - released if getattr(known, name) is not None}
    return tellable(known.model_copy(update=unreleased) if unreleased else known, at)
