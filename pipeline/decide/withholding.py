"""Fields that are not told at all: for want of an approval, or because their time has passed."""

from datetime import datetime

from pipeline.authority import text_content
from pipeline.decide.state import Ending, IncidentState
from pipeline.decide.step import event_of
from pipeline.decide.view import MARKS, approval_needed
from pipeline.policy import Policy
from schemas import ids
from schemas.incident import Facts
from schemas.journal import FieldWithheld


def withheld(
    state: IncidentState, facts: Facts, author: str | None, at: datetime, policy: Policy
) -> tuple[FieldWithheld, ...]:
    """The fields of `facts` that nobody is told yet, each with the reason, and as what it can be approved."""
    found, said = [], dict(facts)
    for name in MARKS:
        if (value := said.get(name)) is None:
            continue
        if whose := approval_needed(name, policy.approvals):
            found.append(
                FieldWithheld(
                    field=name,
                    reason=f"needs the approval of {whose}",
                    draft=ids.derived("field", state.incident, state.seq + 1, name),
                    content=text_content(str(value)),
                    needs=whose,
                    author=author,
                )
            )
        elif name == "next_update_at" and facts.next_update_at is not None and facts.next_update_at <= at:
            found.append(FieldWithheld(field=name, reason="the promised time had passed before it could be told"))
    return tuple(found)


def withheld_with(ending: Ending, state: IncidentState, at: datetime, policy: Policy) -> tuple[FieldWithheld, ...]:
    """What an end that has held brings with it and nobody is told yet: others may have been approved meanwhile."""
    return tuple(
        field
        for field in withheld(state, event_of(ending.type, ending.data), ending.author, at, policy)
        if field.content is not None and not _is_known(state, field.field, field.content)
    )


def _is_known(state: IncidentState, name: str, content: str) -> bool:
    waiting = state.withheld.get(name)
    if waiting is not None:
        return waiting.content == content
    return name in state.released and text_content(str(getattr(state.known, name))) == content
