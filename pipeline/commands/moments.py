"""Moments as people write them: "in 30m", "14:30", "2h ago", RFC 3339."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

_SPAN = re.compile(
    r"(?:in\s+)?"
    r"(?=\d)(?:(?P<days>\d{1,3})\s*d(?:ays?)?\s*)?"
    r"(?:(?P<hours>\d{1,3})\s*h(?:ours?|rs?)?\s*)?"
    r"(?:(?P<minutes>\d{1,4})\s*m(?:in(?:ute)?s?)?)?"
    r"(?P<ago>\s*ago)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)")
FORMS = "in 30m, in 2h, 14:30 (local time), 20m ago, now, or 2026-03-04T09:12:00Z"


def moment(text: str, now: datetime, *, past: bool = False, zone: tzinfo | None = None) -> datetime:
    """The moment that `text` means at `now`, in UTC.

    A clock time is the next one, or the last one where `past`; without a zone it is read in `zone` (None: this
    machine's). Seconds are dropped, since messages tell minutes: a promise must not be due later than it was told.
    Raises ValueError that names the forms.
    """
    text = text.strip()
    if text.lower() == "now":
        return now
    if (span := _SPAN.fullmatch(text)) is not None:
        length = timedelta(**{unit: int(span[unit] or 0) for unit in ("days", "hours", "minutes")})
        return (now - length if span["ago"] else now + length).replace(second=0, microsecond=0)
    if (clock := _CLOCK.fullmatch(text)) is not None:
        here = now.astimezone(zone)
        there = here.replace(hour=int(clock["hour"]), minute=int(clock["minute"]), second=0, microsecond=0)
        if past and there > here:
            there -= timedelta(days=1)
        elif not past and there <= here:
            there += timedelta(days=1)
        return there.astimezone(UTC)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; write {FORMS}") from None
    if parsed.tzinfo is None:
        parsed = parsed.astimezone() if zone is None else parsed.replace(tzinfo=zone)
    return parsed.astimezone(UTC)
