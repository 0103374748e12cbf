"""Moments as people write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.commands.moments import moment

NOW = datetime(2026, 3, 4, 23, 10, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")  # 00:10 on the fifth there


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", "2026-03-04T23:10"),
        ("in 30m", "2026-03-04T23:40"),
        ("30 min", "2026-03-04T23:40"),
        ("in 1h30m", "2026-03-05T00:40"),
        ("in 2 hours", "2026-03-05T01:10"),
        ("20m ago", "2026-03-04T22:50"),
        ("1 day", "2026-03-05T23:10"),
        ("2026-03-05T07:00:00Z", "2026-03-05T07:00"),
        ("2026-03-05 08:00", "2026-03-05T07:00"),
        ("07:30", "2026-03-05T06:30"),
        ("00:05", "2026-03-05T23:05"),
    ],
)
def test_what_people_write_is_understood(text: str, meant: str) -> None:
    assert moment(text, NOW, zone=BERLIN) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


def test_a_promise_is_not_due_later_than_the_minute_that_is_told() -> None:
    assert moment("in 30m", NOW.replace(second=59), zone=BERLIN) == datetime(2026, 3, 4, 23, 40, tzinfo=UTC)


def test_a_clock_time_of_the_past_is_the_last_one() -> None:
    assert moment("00:05", NOW, past=True, zone=BERLIN) == datetime(2026, 3, 4, 23, 5, tzinfo=UTC)
    assert moment("23:50", NOW, past=True, zone=BERLIN) == datetime(2026, 3, 4, 22, 50, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "in", "25:00", "30", "m", "tomorrow"])
def test_what_is_no_moment_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="write in 30m"):
        moment(text, NOW)
