"""What happens on the day: recorded incidents, each at the time of day at which it began, all on one day."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.recorded import RecordedEvent
from pipeline.replay.past import pasts_of
from schemas.incident import IncidentOpened

DAY: Final = datetime(2026, 3, 3, tzinfo=UTC)


def one_day(events: Sequence[RecordedEvent], incidents: int) -> list[RecordedEvent]:
    """The events of the first so many incidents that begin with an opening, moved to one day, in their order there."""
    opened = [past for past in pasts_of(events) if isinstance(past.events[0].event, IncidentOpened)]
    moved = [
        replace(event, at=event.at + _shift(past.events[0].at)) for past in opened[:incidents] for event in past.events
    ]
    return sorted(moved, key=lambda event: event.at)


def _shift(began: datetime) -> timedelta:
    return DAY - began.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
