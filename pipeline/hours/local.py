"""From the clock on the wall to the instant, and when a clock shows a given time next.

One rule throughout, so that every time of day happens on every day, and in order: a time that the clock jumps over
(a gap) is taken to happen at the first instant after the jump; a time that it shows twice happens the first time
(fold=0 in PEP 495). A date that a zone skipped as a whole (Apia, 2011-12-30) has no times at all.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@cache  # zoneinfo itself keeps eight; subscribers may live in all of the six hundred
def zone_named(name: str) -> ZoneInfo:
    """The IANA zone of that name, kept for good. Raises `ValueError` with the fix where there is none."""
    try:
        if name != "localtime":  # of this machine: elsewhere the same log would give other decisions
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    raise ValueError(f"{name!r} is no time zone; write one like Europe/Berlin")


def first_showing(zone: ZoneInfo, day: date, clock: time) -> datetime:
    """The first instant, in UTC, at which the clock in `zone` has reached `clock` on `day`."""
    wall = datetime.combine(day, clock)
    before, after = _offsets(zone, wall)
    return _end_of_gap(zone, wall, before, after) if before < after else _instant(wall, before)


def last_showing(zone: ZoneInfo, day: date, clock: time) -> datetime:
    """The last instant, in UTC, at which it does so: differs from the first where the clock is set back."""
    wall = datetime.combine(day, clock)
    before, after = _offsets(zone, wall)
    return _end_of_gap(zone, wall, before, after) if before < after else _instant(wall, after)


def local_date(zone: ZoneInfo, at: datetime) -> date:
    """The date on the calendar in `zone` at that instant."""
    if at.tzinfo is None:  # astimezone would silently read it in this machine's own zone
        raise ValueError(f"{at.isoformat()} has no time zone")
    return at.astimezone(zone).date()


def is_skipped(zone: ZoneInfo, day: date) -> bool:
    """Whether the calendar in `zone` went past that date: the zone moved across the date line."""
    wall = datetime.combine(day, time())
    before, after = _offsets(zone, wall)
    return before < after and local_date(zone, _end_of_gap(zone, wall, before, after)) > day


def next_showing(zone: ZoneInfo, clock: time, after: datetime, suits: Callable[[date], bool]) -> datetime:
    """The first instant strictly after `after` at which the clock reaches `clock` on a date that `suits`.

    Near the year 9999 there may be none: `OverflowError`, as from all arithmetic of dates.
    """
    day = local_date(zone, after)
    while True:
        if suits(day) and not is_skipped(zone, day):
            shown = first_showing(zone, day, clock)
            if shown > after:  # not a matter of the first date only: clocks were set back across midnight, too
                return shown
        day += DAY


def at_local_time(clock: time, zone: ZoneInfo, after: datetime) -> datetime:
    """The next instant strictly after `after` at which the clock in `zone` reaches `clock`: for what is said daily."""
    return next_showing(zone, clock, after, lambda day: True)


def at_weekly_time(weekday: int, clock: time, zone: ZoneInfo, after: datetime) -> datetime:
    """The same for what is said weekly. `weekday`: a `Weekday`, or 0 (Monday) to 6, as `date.weekday` counts."""
    if weekday not in range(7):
        raise ValueError(f"{weekday} is no weekday; 0 is Monday, 6 is Sunday")
    return next_showing(zone, clock, after, lambda day: day.weekday() == weekday)


def _offsets(zone: ZoneInfo, wall: datetime) -> tuple[timedelta, timedelta]:
    """The offsets from UTC before and after a change of the clock around `wall`; twice the same where none is near."""
    before = zone.utcoffset(wall)
    after = zone.utcoffset(wall.replace(fold=1))
    if before is None or after is None:  # only for no datetime at all; mypy cannot know
        raise ValueError(f"{zone.key} has no offset at {wall.isoformat()}")
    return before, after


def _instant(wall: datetime, offset: timedelta) -> datetime:
    return (wall - offset).replace(tzinfo=UTC)


def _end_of_gap(zone: ZoneInfo, wall: datetime, before: timedelta, after: timedelta) -> datetime:
    """The instant of the jump over `wall`, by bisection: zoneinfo does not tell it. Jumps happen on full seconds."""
    low = _instant(wall.replace(microsecond=0), after)  # the clock has not jumped yet
    high = _instant(wall.replace(microsecond=0), before)  # the clock has jumped
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return high
