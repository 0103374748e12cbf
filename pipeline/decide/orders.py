"""What people order: verified, allowed or refused by name, and what follows from it.

`order_step` says what a carried-out order changes in what is known, from the state and the order alone; `ordered`
decides whether it is carried out, and whom it tells.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pipeline import authority
from pipeline.authority import text_content
from pipeline.decide.approval import Requirement, may_approve, missing
from pipeline.decide.audience import channels_of, kept_out, kind_for, lane_of
from pipeline.decide.occasion import Telling
from pipeline.decide.state import Draft, IncidentState, Phase, Told, Withheld, Word, draft_key
from pipeline.decide.step import Step, confirmed_step, standing
from pipeline.decide.turn import Turn
from pipeline.decide.view import MARKS, Known, approval_needed
from pipeline.decide.withholding import withheld, withheld_with
from pipeline.policy import Policy
from schemas import command as commands
from schemas.base import Level
from schemas.codec import TYPES
from schemas.incident import Facts
from schemas.journal import (
    AudienceHeld,
    CommandRefused,
    Decision,
    DraftApproved,
    DraftVoided,
    FieldReleased,
    JournaledInput,
    NoticeKind,
    ResolutionConfirmed,
)
from schemas.operator import Signature


@dataclass(frozen=True, slots=True)
class Ordered:
    """What follows from an order: whom it tells, what is on record, and what must be approved in any case."""

    step: Step
    tellings: tuple[Telling, ...] = ()
    decisions: tuple[Decision, ...] = ()
    forced: Mapping[str, Requirement] | None = None
    """By `draft_key`."""


def order_step(state: IncidentState, type: str, data: Mapping[str, Any]) -> Step:
    """What is known once an order was carried out; `standing` where it changes nothing."""
    order = TYPES[type].model_validate(data)
    if isinstance(order, commands.Correct):
        known = _corrected(state.known, order.facts).model_copy(update={"explanation": order.explanation})
        return Step(Turn(NoticeKind.CORRECTION, state.phase, maintenance=state.maintenance), known)
    if isinstance(order, commands.Retract):
        known = _without(state, order.seq).model_copy(update={"explanation": order.explanation})
        return Step(Turn(NoticeKind.RETRACTION, state.phase, maintenance=state.maintenance), known)
    if isinstance(order, commands.Edit) and (draft := _draft(state, order.draft)) is not None:
        known = _corrected(draft.occasion.known, order.facts)
        phase = Phase.OVER if draft.occasion.over else state.phase
        return Step(Turn(draft.telling.kind, phase, maintenance=draft.occasion.maintenance), known, keeps=False)
    if isinstance(order, commands.PublishNow) and state.ending is not None:
        return confirmed_step(state, state.ending)
    return standing(state)


def signer_of(given: JournaledInput, incident: str) -> Signature | None:
    """Who signed an input, if the signature is theirs."""
    signed = given.signed
    if signed is None or not authority.verified(signed, incident, given.id, given.source, given.type, given.data):
        return None
    return signed


def ordered(state: IncidentState, given: JournaledInput, at: datetime, policy: Policy) -> Ordered:
    """What follows from a person's order; a refusal names its reason."""
    signer = signer_of(given, state.incident)
    if signer is None:
        name = given.signed.operator if given.signed else None
        return _refused(state, name, "it is not signed by a known operator's key")
    order = TYPES[given.type].model_validate(given.data)
    match order:
        case commands.Approve():
            return _approve(state, order, signer, policy)
        case commands.Reject():
            return _reject(state, order, signer, policy)
        case commands.Edit():
            return _edit(state, order, given, signer, policy)
    if not _commands(signer, policy):
        wanted = ", ".join(policy.audience.commanders)
        return _refused(state, signer.operator, f"holds none of the roles that may order this: {wanted}")
    match order:
        case commands.PublishNow():
            return _publish_now(state, given, at, signer, policy)
        case commands.Hold() | commands.Release():
            return _hold(state, order, signer, policy)
        case commands.Correct() | commands.Retract():
            return _correct(state, order, given, at, signer, policy)
    return _refused(state, signer.operator, f"{given.type} is no order")


def _approve(state: IncidentState, order: commands.Approve, signer: Signature, policy: Policy) -> Ordered:
    if (field := _withheld(state, order.draft)) is not None:
        return _release_field(state, field, order, signer, policy)
    if (draft := _draft(state, order.draft)) is None:
        return _refused(state, signer.operator, "there is no such draft (any more)")
    if order.content != draft.content:
        return _refused(state, signer.operator, "the words of this draft are others than those that were approved")
    why = may_approve(draft, signer) or kept_out(draft.telling.audience, state, standing(state), policy)
    if why:
        return _refused(state, signer.operator, why)
    approved = (*draft.approved, (signer.operator, signer.roles))
    left = missing(draft, approved)
    if not left and draft.telling.audience in state.held:
        left = "the end of an operator's hold"
    record = DraftApproved(draft=draft.id, audience=draft.telling.audience, by=signer.operator, missing=left)
    if left:
        return Ordered(standing(state), decisions=(record,))
    names = ", ".join(name for name, _ in approved)
    telling = replace(draft.telling, draft=draft.id, reason=f"approved by {names}: {draft.telling.reason}")
    return Ordered(standing(state), (telling,), (record,))


def _release_field(
    state: IncidentState, field: Withheld, order: commands.Approve, signer: Signature, policy: Policy
) -> Ordered:
    if order.content != field.content:
        return _refused(state, signer.operator, "the text of this field is another than the one that was approved")
    if text_content(str(getattr(state.known, field.field))) != field.content:
        return _refused(state, signer.operator, "this text is not told yet: the end that it was said with is held back")
    if signer.operator == field.author:
        return _refused(state, signer.operator, "nobody approves their own words")
    if field.needs not in signer.roles:
        return _refused(state, signer.operator, f"does not hold the role that must approve: {field.needs}")
    step = standing(state)
    reason = f"{field.field} was approved by {signer.operator}"
    tellings = tuple(
        telling
        for name, told in state.told.items()
        for kind in (kind_for(NoticeKind.UPDATED, told, state.phase, state.maintenance),)
        if (telling := _telling(name, told.level, kind, reason, state, policy)) is not None
        and told.level in MARKS[field.field].levels
    )
    return Ordered(step, tellings, (FieldReleased(field=field.field, draft=field.draft, by=signer.operator),))


def _reject(state: IncidentState, order: commands.Reject, signer: Signature, policy: Policy) -> Ordered:
    if (draft := _draft(state, order.draft)) is None:
        return _refused(state, signer.operator, "there is no such draft (any more)")
    if not (set(signer.roles) & set(draft.needs) or _commands(signer, policy)):
        return _refused(state, signer.operator, "holds none of the roles that decide on this draft")
    reason = f"rejected by {signer.operator}" + (f": {order.because}" if order.because else "")
    return Ordered(
        standing(state), decisions=(DraftVoided(draft=draft.id, audience=draft.telling.audience, reason=reason),)
    )


def _edit(
    state: IncidentState, order: commands.Edit, given: JournaledInput, signer: Signature, policy: Policy
) -> Ordered:
    if (draft := _draft(state, order.draft)) is None:
        return _refused(state, signer.operator, "there is no such draft (any more)")
    if not (set(signer.roles) & set(draft.needs) or _commands(signer, policy)):
        return _refused(state, signer.operator, "holds none of the roles that decide on this draft")
    if out := kept_out(draft.telling.audience, state, order_step(state, given.type, given.data), policy):
        return _refused(state, signer.operator, out)
    for name, value in order.facts:
        if value is not None and (whose := approval_needed(name, policy.approvals)):
            return _refused(state, signer.operator, f"{name} needs the approval of {whose}: it is said by an event")
    reason = f"edited by {signer.operator}" + (f": {order.because}" if order.because else "")
    requirement = Requirement(draft.needs, draft.people, False, False, (f"edited by {signer.operator}",))
    return Ordered(
        order_step(state, given.type, given.data),
        (draft.telling,),
        (DraftVoided(draft=draft.id, audience=draft.telling.audience, reason=reason),),
        {draft_key(draft.telling.audience, draft.telling.corrects): requirement},
    )


def _publish_now(
    state: IncidentState, given: JournaledInput, at: datetime, signer: Signature, policy: Policy
) -> Ordered:
    because = f"ordered by {signer.operator} not to wait"
    if state.ending is not None:
        step = order_step(state, given.type, given.data)
        tellings = tuple(
            telling
            for name, told in state.told.items()
            if (telling := _telling(name, told.level, step.turn.kind, because, state, policy)) is not None
        )
        unsaid = withheld_with(state.ending, state, at, policy)
        return Ordered(step, tellings, (ResolutionConfirmed(reason=because), *unsaid))
    tellings = tuple(
        telling
        for name, waiting in {**state.reviews, **state.put_off}.items()
        if (telling := _telling(name, state.told[name].level, waiting.kind, because, state, policy)) is not None
    )
    if not tellings:
        return _refused(state, signer.operator, "nothing is put off or held back")
    return Ordered(standing(state), tellings)


def _hold(state: IncidentState, order: commands.Hold | commands.Release, signer: Signature, policy: Policy) -> Ordered:
    names = order.audiences or tuple(policy.audiences)
    hold = isinstance(order, commands.Hold)
    records = tuple(
        AudienceHeld(audience=name, held=hold, by=signer.operator) for name in names if (name in state.held) is not hold
    )
    if not records:
        return _refused(state, signer.operator, "they are held already" if hold else "nobody of them is held")
    freed = tuple(
        replace(draft.telling, draft=draft.id, reason=f"released by {signer.operator}: {draft.telling.reason}")
        for draft in state.drafts.values()
        if not hold
        and draft.telling.audience in names
        and (draft.by_operator or (draft.approved and not missing(draft, draft.approved)))
    )
    return Ordered(standing(state), freed, records)


def _correct(
    state: IncidentState,
    order: commands.Correct | commands.Retract,
    given: JournaledInput,
    at: datetime,
    signer: Signature,
    policy: Policy,
) -> Ordered:
    kind = NoticeKind.CORRECTION if isinstance(order, commands.Correct) else NoticeKind.RETRACTION
    step = order_step(state, given.type, given.data)
    tellings = [
        replace(telling, corrects=word.seq)
        for name, told in state.told.items()
        for word in _wrong(told, order, state)
        if (telling := _correcting(name, told, kind, signer, state, policy)) is not None
    ]
    if not tellings:
        return _refused(state, signer.operator, f"entry {order.seq} told nobody anything")
    unsaid = withheld(state, order.facts, signer.operator, at, policy) if isinstance(order, commands.Correct) else ()
    drafts = tuple(_saying_it(state, order, policy))
    anew = tuple(draft.telling for draft in drafts)
    because = (f"corrected by {signer.operator}",)
    forced = {draft.telling.audience: Requirement(draft.needs, draft.people, False, False, because) for draft in drafts}
    return Ordered(step, (*tellings, *anew), unsaid, forced)


def _wrong(told: Told, order: commands.Correct | commands.Retract, state: IncidentState) -> Iterator[Word]:
    """The word that is meant, and the later ones that said the same wrong thing again to whoever came meanwhile.

    Those who heard it later only, by a draft that had waited, say, have no word of the entry that is meant.
    """
    words = [word for one in (told, *state.told.values()) for word in one.words if word.seq == order.seq]
    for word in told.words if words else ():
        if word.seq == order.seq or (word.seq > order.seq and _repeats(word.known, words[0].known, _concerned(order))):
            yield word


def _saying_it(state: IncidentState, order: commands.Correct | commands.Retract, policy: Policy) -> Iterator[Draft]:
    """What waits for an approval and would say the same wrong thing: it is put in other words, to be approved anew."""
    words = [word for told in state.told.values() for word in told.words if word.seq == order.seq]
    for draft in state.drafts.values():
        wrong = words and _repeats(draft.occasion.known, words[0].known, _concerned(order))
        out = kept_out(draft.telling.audience, state, standing(state), policy)
        if wrong and draft.telling.corrects is None and not out:
            yield draft


def _concerned(order: commands.Correct | commands.Retract) -> list[str]:
    if isinstance(order, commands.Correct):
        return [name for name, value in order.facts if value is not None]
    return ["summary", "title", "consequences"]


def _repeats(later: Known, wrong: Known, named: Iterable[str]) -> bool:
    return any(getattr(wrong, name) is not None and getattr(later, name) == getattr(wrong, name) for name in named)


def _correcting(
    name: str, told: Told, kind: NoticeKind, signer: Signature, state: IncidentState, policy: Policy
) -> Telling | None:
    """On every channel on which they were told: whoever got the wrong text must be reached there."""
    lane = lane_of(kind, state.worst, policy.cadence)
    reason = f"ordered by {signer.operator}: it reaches those who got the wrong text"
    return Telling(name, told.level, kind, lane, told.channels, reason) if told.channels else None


def _telling(
    name: str, level: Level, kind: NoticeKind, reason: str, state: IncidentState, policy: Policy
) -> Telling | None:
    channels = channels_of(name, kind, state, policy)
    if not channels:
        return None
    return Telling(name, level, kind, lane_of(kind, state.worst, policy.cadence), channels, reason)


def _commands(signer: Signature, policy: Policy) -> bool:
    commanders = policy.audience.commanders
    return not commanders or bool(set(signer.roles) & set(commanders))


def _draft(state: IncidentState, id: str) -> Draft | None:
    return next((draft for draft in state.drafts.values() if draft.id == id), None)


def _withheld(state: IncidentState, id: str) -> Withheld | None:
    return next((field for field in state.withheld.values() if field.draft == id), None)


def _corrected(known: Known, facts: Facts) -> Known:
    changes = {name: value for name, value in facts if value is not None}
    if facts.consequences is not None and known.consequences is not None:
        said = {name: value for name, value in facts.consequences if value is not None}
        changes["consequences"] = known.consequences.model_copy(update=said)
    return known.model_copy(update=changes)


def _without(state: IncidentState, seq: int) -> Known:
    """What is known without what entry `seq` said: each field as it was told before, if it still says the same."""
    known = state.known
    for told in state.told.values():
        meant = next((word for word in told.words if word.seq == seq), None)
        if meant is None:
            continue
        before = max((word for word in told.words if word.seq < seq), key=lambda w: w.seq, default=None)
        earlier = before.known if before else Known()
        keep = {"title", "severity", "state", "components"}
        changes = {
            name: getattr(earlier, name)
            for name in Known.model_fields
            if getattr(known, name) == getattr(meant.known, name) != getattr(earlier, name)
            and not (name in keep and before is None)
        }
        known = known.model_copy(update=changes)
    return known


def _refused(state: IncidentState, operator: str | None, reason: str) -> Ordered:
    return Ordered(standing(state), decisions=(CommandRefused(operator=operator, reason=reason),))
