"""Notices and drafts as decisions: what is told, what waits for approval, and what is overtaken by it."""

from collections.abc import Iterable, Iterator

from pipeline import authority
from pipeline.decide.approval import Requirement
from pipeline.decide.audience import kept_out
from pipeline.decide.occasion import Telling
from pipeline.decide.occasions import count_of, draft_of
from pipeline.decide.planning import Plan
from pipeline.decide.state import IncidentState, draft_key
from pipeline.decide.turn import ENDS
from pipeline.policy import Policy
from schemas import ids
from schemas.base import Channel, Sha256
from schemas.journal import AudienceSilent, DraftVoided, NoticeDecided, NoticeHeld, NoticeKind
from schemas.notice import Notice
from schemas.operator import Signature
from schemas.rendering import Rendering


def noticed(state: IncidentState, telling: Telling, notice: Notice, signer: Signature | None) -> NoticeDecided:
    """The decision to tell."""
    draft = draft_of(state, telling)
    approved = [name for name, _ in draft.approved] if draft is not None else []
    if draft is not None and signer is not None and signer.operator not in approved:
        approved.append(signer.operator)
    return NoticeDecided(
        notice_id=notice.notice_id,
        audience=telling.audience,
        level=telling.level,
        kind=telling.kind,
        lane=telling.lane,
        reason=telling.reason,
        renderings=by_channel(telling, notice.renderings),
        safe=telling.safe,
        zones=telling.zones,
        corrects=telling.corrects,
        expected=expected(state, telling),
        draft=telling.draft,
        approved_by=tuple(approved),
    )


def held_notice(
    state: IncidentState,
    telling: Telling,
    requirement: Requirement,
    renderings: tuple[Rendering, ...],
    seq: int,
    signer: Signature | None,
) -> NoticeHeld:
    """The decision to ask first."""
    return NoticeHeld(
        audience=telling.audience,
        level=telling.level,
        kind=telling.kind,
        lane=telling.lane,
        reason="; ".join(requirement.reasons),
        renderings=by_channel(telling, renderings),
        zones=telling.zones,
        corrects=telling.corrects,
        expected=expected(state, telling),
        draft=ids.derived("draft", state.incident, seq, telling.audience, telling.corrects or 0),
        content=content_of(telling, renderings),
        needs=requirement.needs,
        people=requirement.people,
        refused=requirement.refused,
        by_operator=requirement.by_operator,
        author=signer.operator if signer else None,
    )


def overtaken(state: IncidentState, plan: Plan, tellings: Iterable[Telling], policy: Policy) -> Iterator[DraftVoided]:
    """The drafts that newer words take the place of, or that the end makes pointless."""
    voided = {decision.draft for decision in plan.decisions if isinstance(decision, DraftVoided)}
    for telling in tellings:
        draft = state.drafts.get(draft_key(telling.audience, telling.corrects))
        if draft is None or draft.id in voided or telling.draft == draft.id or telling.safe:
            continue
        if telling.kind in {NoticeKind.UNCHANGED, NoticeKind.REMINDER}:
            continue
        voided.add(draft.id)
        yield DraftVoided(draft=draft.id, audience=telling.audience, reason="overtaken by newer words")
    if plan.step.event is not None:
        # who has heard nothing so far, and is to hear nothing, gets no older words either
        out = {silent.audience: silent.reason for silent in plan.decisions if isinstance(silent, AudienceSilent)}
        for draft in state.drafts.values():
            name = draft.telling.audience
            reason = "" if name in state.told else out.get(name) or kept_out(name, state, plan.step, policy)
            if reason and draft.id not in voided:
                voided.add(draft.id)
                yield DraftVoided(draft=draft.id, audience=name, reason=reason)
        for draft in state.drafts.values():
            if draft.id not in voided and draft.telling.kind in ENDS and not plan.step.over:
                yield DraftVoided(draft=draft.id, audience=draft.telling.audience, reason="it goes on")
    if plan.step.turn.kind in ENDS and plan.step.known is not state.known:
        for draft in state.drafts.values():
            if draft.id not in voided and draft.telling.kind not in ENDS and draft.telling.corrects is None:
                reason = "it was over before anybody approved it"
                yield DraftVoided(draft=draft.id, audience=draft.telling.audience, reason=reason)


def by_channel(telling: Telling, renderings: Iterable[Rendering]) -> dict[Channel, tuple[Sha256, ...]]:
    """The hashes of the renderings; a channel that was not composed has none."""
    found: dict[Channel, list[Sha256]] = {channel: [] for channel in telling.channels}
    for rendering in renderings:
        found[rendering.content.channel].append(rendering.sha256)
    return {channel: tuple(hashes) for channel, hashes in found.items()}


def content_of(telling: Telling, renderings: Iterable[Rendering]) -> str:
    """The hash that names all words of a draft together, and whom they are for: what is approved."""
    by = by_channel(telling, renderings)
    return authority.content_of(telling.audience, telling.level, telling.kind, by, telling.zones, telling.corrects)


def expected(state: IncidentState, telling: Telling) -> int | None:
    """How many are expected to get it, by the census; None where nobody was counted."""
    count = count_of(state, telling)
    if count is None:
        return None
    return sum(count.zones.get(zone, 0) for zone in telling.zones) if telling.zones else count.total
