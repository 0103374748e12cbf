"""What is not told any more because its time has passed."""

from datetime import datetime

from pipeline.decide.view import Known


def tellable(known: Known, at: datetime) -> Known:
    """`known` without the times that have passed: a crew that has gone home, a promise that cannot be kept."""
    changes: dict[str, None] = {}
    if known.next_update_at is not None and known.next_update_at <= at:
        changes["next_update_at"] = None
    if known.crew is not None and known.crew.until is not None and known.crew.until <= at:
        changes["crew"] = None
    return known.model_copy(update=changes) if changes else known
