"""Office hours: who works in an office hears how it stands before they leave, and when they come."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.decide.cadence.due import Due, Tell
from pipeline.decide.cadence.promises import is_updated
from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.step import standing
from pipeline.hours.documents import OfficeHours
from pipeline.hours.local import zone_named
from pipeline.hours.office import add_working_days, next_closing, next_opening
from pipeline.policy import Policy
from pipeline.policy.cadence import Office
from schemas.command import WakeReason
from schemas.journal import NoticeKind

Moment = Callable[[OfficeHours, ZoneInfo, datetime], datetime]


def office_closes(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """Before they leave: how it stands, and that people go on working on it."""
    office = policy.cadence.office
    if office is not None and office.before_close is not None:
        why = "before their office closes"
        yield from _dues(state, policy, office, next_closing, -office.before_close, WakeReason.OFFICE_CLOSES, why)


def office_opens(state: IncidentState, policy: Policy) -> Iterator[Due]:
    """When they come: how it stands after the night."""
    office = policy.cadence.office
    if office is not None and office.at_opening:
        why = "as their office opens"
        yield from _dues(state, policy, office, next_opening, timedelta(0), WakeReason.OFFICE_OPENS, why)


def working_days_after(start: datetime, days: int, policy: Policy) -> datetime:
    """So many working days later, by the office of the policy; without one, Monday to Friday in UTC."""
    office = policy.cadence.office or Office.model_validate({"opens": "09:00", "closes": "17:00"})
    return add_working_days(office, zone_named(office.zones[0]), start, days)


def _dues(
    state: IncidentState,
    policy: Policy,
    office: Office,
    moment: Moment,
    shift: timedelta,
    reason: WakeReason,
    why: str,
) -> Iterator[Due]:
    if state.phase is not Phase.OPEN or state.maintenance:
        return
    step = standing(state)
    for audience in office.audiences:
        told = state.told.get(audience)
        if told is None or not told.open or not is_updated(audience, state, step, policy):
            continue
        known = tuple(state.census[audience].zones) if audience in state.census else ()
        for zone in known or office.zones:
            last = max(state.offices.get((audience, zone), told.since), told.at + office.unless_within)
            due = _next(office, zone, moment, shift, last)
            yield Due(due, reason, Tell(audience, NoticeKind.UNCHANGED, why, zones=(zone,) if known else ()))


def _next(office: Office, zone: str, moment: Moment, shift: timedelta, last: datetime) -> datetime:
    """The first such moment after the last one; one that comes right after a notice is passed over."""
    return moment(office, zone_named(zone), last - shift) + shift
