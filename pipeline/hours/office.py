"""When an office opens and closes, and how long some working days are. Gaps and folds: see `pipeline.hours.local`.

What a public holiday is depends on the release of the `holidays` package, and what a clock shows on that of the zone
data: what was decided by them belongs into the log, to be read again rather than computed again.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from pipeline.hours import public_holidays
from pipeline.hours.documents import OfficeHours
from pipeline.hours.local import DAY, first_showing, is_skipped, local_date, next_showing


def holiday_name(hours: OfficeHours, day: date) -> str | None:
    """The public holiday on that date, in English; several are joined by "; ". A date in `closed on` has no name."""
    if hours.country is None:
        return None
    return public_holidays.in_year(hours.country, hours.subdivision, day.year).get(day)


def is_working_day(hours: OfficeHours, day: date) -> bool:
    """Whether the office opens at all on that date."""
    return day.weekday() in hours.working_days and day not in hours.closed_on and holiday_name(hours, day) is None


def is_open(hours: OfficeHours, zone: ZoneInfo, at: datetime) -> bool:
    """Whether the office is open at that instant: it is when it opens, and is not any more when it closes.

    It opens and closes once a day. Where the clock is set back across a closing time, it stays closed the second time.
    """
    today = local_date(zone, at)
    # Tomorrow's too: after a clock was set back across midnight the date is yesterday's again, the office is open.
    return any(_spans(hours, zone, day, at) for day in (today, today + DAY))


def next_opening(hours: OfficeHours, zone: ZoneInfo, after: datetime) -> datetime:
    """The next instant, in UTC, strictly after `after` at which the office opens on a working day of its own."""
    return next_showing(zone, hours.opens, after, lambda day: is_working_day(hours, day))


def next_closing(hours: OfficeHours, zone: ZoneInfo, after: datetime) -> datetime:
    """The next instant, in UTC, strictly after `after` at which the office closes on a working day of its own."""
    return next_showing(zone, hours.closes, after, lambda day: is_working_day(hours, day))


def add_working_days(hours: OfficeHours, zone: ZoneInfo, start: datetime, n: int) -> datetime:
    """The instant, in UTC, at which the clock reaches the time it shows at `start`, `n` working days later.

    The date of `start` itself never counts, working day or not; 0 days later is `start`.
    """
    if n < 0:
        raise ValueError(f"{n} working days cannot be added; count from 0")
    day = local_date(zone, start)
    if n == 0:
        return start.astimezone(UTC)
    while n:
        day += DAY
        if is_working_day(hours, day) and not is_skipped(zone, day):
            n -= 1
    return first_showing(zone, day, start.astimezone(zone).time())


def _spans(hours: OfficeHours, zone: ZoneInfo, day: date, at: datetime) -> bool:
    if not is_working_day(hours, day) or is_skipped(zone, day):
        return False
    return first_showing(zone, day, hours.opens) <= at < first_showing(zone, day, hours.closes)
