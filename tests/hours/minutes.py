"""The naive twin: it watches a clock minute by minute. It asks zoneinfo what a clock shows, never the way back.

Independent of `pipeline.hours` but for the models; every offset since 2000 is one of whole minutes.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

from pipeline.hours.documents import OfficeHours, QuietHours

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@cache
def _public_holidays(country: str, subdivision: str | None) -> set[date]:
    return set(holidays.country_holidays(country, subdiv=subdivision, years=range(1999, 2043)))


def works(hours: OfficeHours, day: date) -> bool:
    if day in hours.closed_on or day.weekday() not in list(hours.working_days):
        return False
    return hours.country is None or day not in _public_holidays(hours.country, hours.subdivision)


def shown(zone: ZoneInfo, at: datetime) -> datetime:
    """What the clock shows."""
    return at.astimezone(zone).replace(tzinfo=None)


def watched(zone: ZoneInfo, after: datetime) -> Iterator[tuple[datetime, datetime, datetime]]:
    """Minutes from a day before `after` on: the latest time shown before, the time shown now, the instant."""
    at = after.replace(second=0, microsecond=0) - DAY
    latest = shown(zone, at)
    while True:
        at += MINUTE
        now = shown(zone, at)
        yield latest, now, at
        latest = max(latest, now)


def next_showing(zone: ZoneInfo, clock: time, after: datetime, suits: Callable[[date], bool]) -> datetime:
    for latest, now, at in watched(zone, after):
        if at <= after or now <= latest:
            continue
        dates = {latest.date(), now.date()}  # those between were never shown
        if any(latest < datetime.combine(day, clock) <= now and suits(day) for day in dates):
            return at
    raise AssertionError


def open_at(hours: OfficeHours, zone: ZoneInfo, at: datetime) -> bool:
    """Follows the office for two days: it opens, it closes."""
    is_open = False
    for latest, now, minute in watched(zone, at - DAY):
        if minute > at:
            return is_open
        for day in sorted({latest.date(), now.date()}):
            if works(hours, day):
                if latest < datetime.combine(day, hours.opens) <= now:
                    is_open = True
                if latest < datetime.combine(day, hours.closes) <= now:
                    is_open = False
    raise AssertionError


def clock_is_quiet(quiet: QuietHours, zone: ZoneInfo, at: datetime) -> bool:
    clock = shown(zone, at).time()
    if quiet.starts < quiet.ends:
        return quiet.starts <= clock < quiet.ends
    return clock >= quiet.starts or clock < quiet.ends


def days_later(hours: OfficeHours, zone: ZoneInfo, start: datetime, n: int) -> date:
    """The date on the calendar after `n` working days, counting the dates that some hour of the zone shows."""
    seen = shown(zone, start).date()
    at = start
    while n:
        at += timedelta(hours=1)
        day = shown(zone, at).date()
        if day > seen:
            seen = day
            n -= works(hours, day)
    return seen


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The hours, 2000 to 2040, within which the clock was set."""
    zone = ZoneInfo(name)
    found = []
    at = datetime(2000, 1, 1, tzinfo=UTC)
    while at.year < 2041:
        later = at + 7 * DAY
        if at.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            hour = at
            while hour < later:
                if hour.astimezone(zone).utcoffset() != (hour + 60 * MINUTE).astimezone(zone).utcoffset():
                    found.append(hour)
                hour += 60 * MINUTE
        at = later
    return tuple(found)
