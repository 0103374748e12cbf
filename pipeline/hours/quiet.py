"""Until when it is quiet somewhere."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipeline.hours.documents import QuietHours
from pipeline.hours.local import DAY, first_showing, last_showing, local_date


def quiet_until(quiet: QuietHours, zone: ZoneInfo, at: datetime) -> datetime | None:
    """The instant, in UTC, at which the quiet that reigns at `at` ends, strictly after it; None where none reigns.

    A time that the clock shows twice counts for quiet: it begins the first time `from` is shown and ends the last time
    `until` is, so that nothing is ever sent while the reader's clock shows quiet hours. A time in a gap is the first
    instant after it. Where the next quiet begins before this one has ended, it is one.
    """
    today = local_date(zone, at)
    end = at
    # Yesterday's may wrap midnight; tomorrow's may have begun before the clock was set back across it, or begin early.
    for days in (-1, 0, 1):
        day = today + days * DAY
        if first_showing(zone, day, quiet.starts) > end:
            break
        end = max(end, last_showing(zone, day if quiet.starts < quiet.ends else day + DAY, quiet.ends))
    return None if end == at else end.astimezone(UTC)
