"""Clocks that are set forward and back, by an hour, by half of one, by a day."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from pipeline.hours.documents import OfficeHours, QuietHours, Weekday
from pipeline.hours.local import at_local_time, at_weekly_time, first_showing, is_skipped, last_showing, zone_named
from pipeline.hours.office import add_working_days, is_open, next_closing, next_opening
from pipeline.hours.quiet import quiet_until

BERLIN, NEW_YORK, LORD_HOWE, KATHMANDU, APIA, CASABLANCA = map(
    ZoneInfo,
    ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca"),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def office(opens: str, closes: str, days: str = "Mon to Sun") -> OfficeHours:
    return OfficeHours.model_validate({"opens": opens, "closes": closes, "working days": days})


def quiet(starts: str, ends: str) -> QuietHours:
    return QuietHours.model_validate({"from": starts, "until": ends})


GAPS = [
    (BERLIN, "2024-03-31", "02:30", "2024-03-31 01:00"),
    (BERLIN, "2024-03-31", "02:00", "2024-03-31 01:00"),
    (BERLIN, "2024-03-31", "02:59:59.999999", "2024-03-31 01:00"),
    (BERLIN, "2024-03-31", "03:00", "2024-03-31 01:00"),
    (NEW_YORK, "2024-03-10", "02:15", "2024-03-10 07:00"),
    (LORD_HOWE, "2024-10-06", "02:15", "2024-10-05 15:30"),  # half an hour: 02:00 becomes 02:30
    (LORD_HOWE, "2024-10-06", "02:30", "2024-10-05 15:30"),
    (CASABLANCA, "2024-04-14", "02:30", "2024-04-14 02:00"),  # after Ramadan
    (APIA, "2011-12-30", "09:00", "2011-12-30 10:00"),  # the whole date: 31 December began
    (ZoneInfo("America/Sao_Paulo"), "2018-11-04", "00:00", "2018-11-04 03:00"),  # at midnight
    (ZoneInfo("America/Scoresbysund"), "2025-03-29", "23:30", "2025-03-30 01:00"),  # the hour before midnight
]


@pytest.mark.parametrize(("zone", "day", "clock", "instant"), GAPS)
def test_a_time_that_the_clock_jumps_over_is_the_first_instant_after_the_jump(zone, day, clock, instant):
    shows = date.fromisoformat(day), time.fromisoformat(clock)
    assert first_showing(zone, *shows) == last_showing(zone, *shows) == utc(instant)


FOLDS = [
    (BERLIN, "2024-10-27", "02:30", "2024-10-27 00:30", 60),
    (BERLIN, "2024-10-27", "02:00", "2024-10-27 00:00", 60),
    (BERLIN, "2024-10-27", "03:00", "2024-10-27 02:00", 0),
    (NEW_YORK, "2024-11-03", "01:15", "2024-11-03 05:15", 60),
    (LORD_HOWE, "2024-04-07", "01:45", "2024-04-06 14:45", 30),
    (CASABLANCA, "2024-03-10", "02:30", "2024-03-10 01:30", 60),  # before Ramadan
    (KATHMANDU, "2024-03-31", "02:30", "2024-03-30 20:45", 0),  # 5:45 ahead of UTC, all year
    (ZoneInfo("America/St_Johns"), "2010-11-06", "23:30", "2010-11-07 02:00", 60),  # set back across midnight
]


@pytest.mark.parametrize(("zone", "day", "clock", "first", "minutes_apart"), FOLDS)
def test_a_time_that_the_clock_shows_twice_is_the_first_one(zone, day, clock, first, minutes_apart):
    shows = date.fromisoformat(day), time.fromisoformat(clock)
    assert first_showing(zone, *shows) == utc(first)
    assert last_showing(zone, *shows) == utc(first) + timedelta(minutes=minutes_apart)


@pytest.mark.parametrize(
    ("zone", "after", "opening"),
    [
        (BERLIN, "2024-03-29 12:00", "2024-04-01 07:00"),  # summer time began on the Sunday between
        (NEW_YORK, "2024-11-01 20:00", "2024-11-04 14:00"),
        (LORD_HOWE, "2024-04-05 00:00", "2024-04-07 22:30"),
        (KATHMANDU, "2024-03-29 12:00", "2024-04-01 03:15"),
        (APIA, "2011-12-29 20:00", "2012-01-01 19:00"),  # Friday the 30th never came
        (CASABLANCA, "2024-03-08 12:00", "2024-03-11 09:00"),
    ],
)
def test_the_office_opens_on_monday_by_the_local_clock(zone, after, opening):
    hours = office("09:00", "17:00", "Mon to Fri")
    assert next_opening(hours, zone, utc(after)) == utc(opening)
    assert next_closing(hours, zone, utc(opening)) == utc(opening) + timedelta(hours=8)


def test_an_opening_is_strictly_later():
    hours = office("09:00", "17:00")
    opening = utc("2024-05-06 07:00")
    assert next_opening(hours, BERLIN, opening - timedelta(microseconds=1)) == opening
    assert next_opening(hours, BERLIN, opening) == utc("2024-05-07 07:00")


def test_the_office_is_open_from_its_opening_until_just_before_its_closing():
    hours = office("09:00", "17:00", "Mon to Fri")
    assert not is_open(hours, BERLIN, utc("2024-05-06 06:59:59.999"))
    assert is_open(hours, BERLIN, utc("2024-05-06 07:00"))
    assert is_open(hours, BERLIN, utc("2024-05-06 14:59:59.999"))
    assert not is_open(hours, BERLIN, utc("2024-05-06 15:00"))
    assert not is_open(hours, BERLIN, utc("2024-05-05 10:00"))  # a Sunday


def test_an_office_that_closed_stays_closed_when_the_clock_is_set_back():
    hours = office("00:30", "02:30")
    assert is_open(hours, BERLIN, utc("2024-10-27 00:15"))  # 02:15, the first time
    assert not is_open(hours, BERLIN, utc("2024-10-27 01:15"))  # 02:15 again


def test_an_office_that_opened_stays_open_when_the_clock_goes_back_to_the_day_before():
    hours = office("00:00", "08:00", "Sun")
    assert is_open(hours, ZoneInfo("America/St_Johns"), utc("2010-11-07 03:00"))  # Saturday, 23:30 again


def test_a_date_that_a_zone_skipped_is_no_day_of_anything():
    assert is_skipped(APIA, date(2011, 12, 30))
    assert not is_skipped(APIA, date(2011, 12, 29))
    assert not is_skipped(APIA, date(2011, 12, 31))
    assert not is_skipped(ZoneInfo("America/Sao_Paulo"), date(2018, 11, 4))  # only its first hour
    thursday = utc("2011-12-29 19:00")  # 09:00 there
    assert at_local_time(time(9), APIA, thursday) == utc("2011-12-30 19:00")  # Saturday the 31st
    assert at_weekly_time(Weekday.FRI, time(9), APIA, thursday) == utc("2012-01-05 19:00")
    hours = office("09:00", "17:00", "Mon to Fri")
    assert add_working_days(hours, APIA, thursday, 1) == utc("2012-01-01 19:00")  # Monday, 2 January
    assert not is_open(hours, APIA, utc("2011-12-30 10:00"))


def test_a_daily_digest_comes_at_the_same_local_time_in_summer_and_winter():
    assert at_local_time(time(17), BERLIN, utc("2024-03-30 12:00")) == utc("2024-03-30 16:00")
    assert at_local_time(time(17), BERLIN, utc("2024-03-30 16:00")) == utc("2024-03-31 15:00")


def test_a_weekly_digest_comes_on_its_weekday():
    assert at_weekly_time(Weekday.MON, time(9), NEW_YORK, utc("2024-03-08 00:00")) == utc("2024-03-11 13:00")
    with pytest.raises(ValueError, match="7 is no weekday"):
        at_weekly_time(7, time(9), NEW_YORK, utc("2024-03-08 00:00"))


def test_five_business_days_after_a_friday_are_the_next_friday_at_the_same_time():
    hours = office("09:00", "17:00", "Mon to Fri")
    assert add_working_days(hours, BERLIN, utc("2024-03-29 22:30"), 5) == utc("2024-04-05 21:30")
    assert add_working_days(hours, BERLIN, utc("2024-03-30 10:00"), 5) == utc("2024-04-05 09:00")  # from a Saturday
    assert add_working_days(hours, BERLIN, utc("2024-03-30 10:00"), 0) == utc("2024-03-30 10:00")
    with pytest.raises(ValueError, match="-1 working days"):
        add_working_days(hours, BERLIN, utc("2024-03-29 22:30"), -1)


@pytest.mark.parametrize(
    ("zone", "starts", "ends", "at", "until"),
    [
        (BERLIN, "22:00", "07:00", "2024-05-06 19:59", None),
        (BERLIN, "22:00", "07:00", "2024-05-06 20:00", "2024-05-07 05:00"),
        (BERLIN, "22:00", "07:00", "2024-05-07 04:59", "2024-05-07 05:00"),
        (BERLIN, "22:00", "07:00", "2024-05-07 05:00", None),
        (BERLIN, "13:00", "15:00", "2024-05-06 11:30", "2024-05-06 13:00"),
        (BERLIN, "22:00", "07:00", "2024-03-30 22:00", "2024-03-31 05:00"),  # an hour less of quiet
        (BERLIN, "22:00", "02:30", "2024-03-30 22:00", "2024-03-31 01:00"),  # until a time that is jumped over
        (BERLIN, "22:00", "02:30", "2024-10-27 00:45", "2024-10-27 01:30"),  # until the last 02:30
        (BERLIN, "02:30", "06:00", "2024-10-27 01:15", "2024-10-27 05:00"),  # since the first 02:30
        (BERLIN, "03:00", "02:00", "2024-03-30 12:00", "2024-04-01 00:00"),  # the waking hour is jumped over
        (LORD_HOWE, "22:00", "01:45", "2024-04-06 14:50", "2024-04-06 15:15"),
        (NEW_YORK, "21:00", "08:00", "2024-11-03 04:00", "2024-11-03 13:00"),
        (KATHMANDU, "22:00", "06:00", "2024-05-06 16:15", "2024-05-07 00:15"),
        (CASABLANCA, "22:00", "07:00", "2024-03-10 01:00", "2024-03-10 07:00"),
        (APIA, "22:00", "07:00", "2011-12-30 09:00", "2011-12-30 17:00"),  # Thursday night ends on Saturday
    ],
)
def test_quiet_ends_by_the_local_clock(zone, starts, ends, at, until):
    assert quiet_until(quiet(starts, ends), zone, utc(at)) == (until and utc(until))


def test_moments_may_come_in_any_zone_but_need_one():
    tokyo = datetime(2024, 5, 6, 16, 0, tzinfo=timezone(timedelta(hours=9)))
    assert next_opening(office("09:00", "17:00"), BERLIN, tokyo) == utc("2024-05-07 07:00")
    with pytest.raises(ValueError, match="has no time zone"):
        next_opening(office("09:00", "17:00"), BERLIN, datetime(2024, 5, 6))  # noqa: DTZ001 - the error is the test


@pytest.mark.parametrize("name", ["Berlin", "", "../etc/passwd", "Europe", "localtime", "zone1970.tab", "\0"])
def test_a_name_that_is_no_zone_is_refused_with_the_fix(name):
    with pytest.raises(ValueError, match="is no time zone; write one like Europe/Berlin"):
        zone_named(name)


def test_a_zone_is_read_once():
    assert zone_named("Europe/Berlin") is zone_named("Europe/Berlin")
