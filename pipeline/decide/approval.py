"""Approval: whether a notice must wait for people, for whom, and whether those who approved are enough."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.decide.audience import worst_of
from pipeline.decide.occasion import Telling
from pipeline.decide.state import Draft, IncidentState, worse
from pipeline.decide.step import Step
from pipeline.policy import Policy
from schemas.base import Level, Severity
from schemas.journal import GuardFound, NoticeKind
from schemas.operator import Signature

REPEATED = frozenset({NoticeKind.UNCHANGED, NoticeKind.REMINDER, NoticeKind.MAINTENANCE_SOON})
"""Kinds that say only what was told, and so approved, before; or what stays in the house."""


CONTRACTED = frozenset({Level.CUSTOMER, Level.PUBLIC})
"""Readers to whom a contract may forbid or prescribe words."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """Which roles must each have approved, how many people at least, and why."""

    needs: tuple[str, ...]
    people: int
    refused: bool
    by_operator: bool
    reasons: tuple[str, ...]


def required(
    telling: Telling, state: IncidentState, step: Step, found: Iterable[GuardFound], expected: int, policy: Policy
) -> Requirement | None:
    """What must be approved before the audience is told; None: nothing."""
    if telling.kind is NoticeKind.REMINDER:
        return None
    needs: dict[str, None] = {}
    reasons: list[str] = []
    people, refused = 1, False
    if telling.audience in state.held:
        reasons.append("an operator holds what goes out to them")
        needs |= dict.fromkeys(policy.audience.commanders[:1])
    if telling.kind not in REPEATED and not telling.safe:
        group = policy.audiences.get(telling.audience)
        worst = worst_of(state, step)
        if group is not None and group.consent is not None and group.consent.needed_for(telling.kind, worst):
            needs |= dict.fromkeys(group.consent.by)
            reasons.append(f"notices to {telling.audience} need the approval of {', '.join(group.consent.by)}")
        for name, role in _lawyers(step, policy) if telling.level in CONTRACTED else ():
            needs[role] = None
            reasons.append(f"contract {name} is concerned: {role} approves")
        for one in found:
            if one.action != "mend":
                needs[policy.guard.approver] = None
                refused = refused or one.action == "refuse"
                reasons.append(f"guard: {one.rule} in {one.field or 'the message'}")
        usual = state.usual.get(telling.audience)
        if why := policy.audience.two_people_for(_severity(state, step), expected, usual, telling.audience):
            people = 2
            needs |= dict.fromkeys(policy.audience.two_people.by if policy.audience.two_people else ())
            reasons.append(why)
    by_operator = telling.audience in state.held and len(reasons) == 1
    return Requirement(tuple(needs), people, refused, by_operator, tuple(reasons)) if reasons else None


def _severity(state: IncidentState, step: Step) -> Severity | None:
    """How bad it is, at this step; other words of an older draft count as the worse of what they say and what is."""
    return step.known.severity if step.keeps else worse(step.known.severity, state.known.severity)


def missing(draft: Draft, approved: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    """What approval is still missing, in words; empty: none."""
    held = {role for _, roles in approved for role in roles}
    wanting = [role for role in draft.needs if role not in held]
    more = draft.people - len({name for name, _ in approved})
    parts = [f"the approval of {', '.join(wanting)}"] if wanting else []
    if more > 0:
        parts.append(f"{more} more {'person' if more == 1 else 'people'}")
    return " and ".join(parts)


def may_approve(draft: Draft, signer: Signature) -> str:
    """Why this operator's approval does not count; empty: it does."""
    if draft.refused:
        return "the guard refuses these words: edit the draft"
    if signer.operator == draft.author:
        return "nobody approves their own words"
    if any(name == signer.operator for name, _ in draft.approved):
        return "has approved it already"
    if draft.needs and not set(signer.roles) & set(draft.needs):
        return f"holds none of the roles that must approve: {', '.join(draft.needs)}"
    return ""


def _lawyers(step: Step, policy: Policy) -> list[tuple[str, str]]:
    """The contracts that this incident concerns and whose terms ask for somebody's approval."""
    components, regions = step.known.components, step.known.regions
    return [
        (name, terms.approval)
        for name, terms in policy.catalogue.contracts.items()
        if terms.approval is not None and _touches(terms.components, components) and _touches(terms.regions, regions)
    ]


def _touches(named: tuple[str, ...], said: tuple[str, ...] | None) -> bool:
    return not named or bool({word.casefold() for word in named} & {word.casefold() for word in said or ()})
