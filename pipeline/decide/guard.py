"""Guard: what was said but must not be told."""

from datetime import datetime

from pipeline.decide.view import MARKS, Known, approval_needed
from pipeline.policy import Policy
from schemas.incident import IncidentEvent
from schemas.journal import FieldWithheld


def withheld(event: IncidentEvent, policy: Policy, at: datetime) -> list[FieldWithheld]:
    """The fields of `event` that nobody is told, each with the reason."""
    found = []
    for name in MARKS:
        if getattr(event, name, None) is None:
            continue
        if whose := approval_needed(name, policy.approvals):
            found.append(FieldWithheld(field=name, reason=f"needs the approval of {whose}, which was not given"))
        elif name == "next_update_at" and event.next_update_at is not None and event.next_update_at <= at:
            found.append(FieldWithheld(field=name, reason="the promised time had passed before it could be told"))
    return found


def tellable(known: Known, at: datetime) -> Known:
    """`known` without the times that have passed: a crew that has gone home, a promise that cannot be kept."""
    changes: dict[str, None] = {}
    if known.next_update_at is not None and known.next_update_at <= at:
        changes["next_update_at"] = None
    if known.crew is not None and known.crew.until is not None and known.crew.until <= at:
        changes["crew"] = None
    return known.model_copy(update=changes) if changes else known
