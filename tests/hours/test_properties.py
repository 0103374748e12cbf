"""Any zone, any hours, any moment of forty years: the library against a twin that watches the clock by the minute."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.hours.documents import OfficeHours, QuietHours, Weekday
from pipeline.hours.local import at_local_time, at_weekly_time, first_showing, zone_named
from pipeline.hours.office import add_working_days, is_open, is_working_day, next_closing, next_opening
from pipeline.hours.quiet import quiet_until
from tests.hours import minutes
from tests.hours.minutes import DAY, MINUTE, shown, works

NAMES = sorted(available_timezones() - {"localtime"})
ODD = ["Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns", "America/Scoresbysund",
       "Antarctica/Casey", "Asia/Gaza", "America/Sao_Paulo", "Asia/Pyongyang", "Europe/Dublin"]  # fmt: skip
PLACES = [None, ("DE", None), ("DE", "BY"), ("US", "CA"), ("GB", "SCT"), ("WS", None), ("MA", None), ("CN", None)]

clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
midnights = st.sampled_from([time(0), time(0, 1), time(0, 30), time(1, 30), time(2, 30), time(23, 30), time(23, 59)])
any_clock = clocks | midnights
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2040, 12, 1, tzinfo=UTC)


@st.composite
def places_in_time(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone and a moment; most of the moments within two days of a change of the clock, where it has any."""
    name = draw(st.sampled_from(NAMES) | st.sampled_from(ODD))
    changes = minutes.changes(name)
    if changes and draw(st.integers(0, 3)):
        near = draw(st.sampled_from(changes))
        at = near + timedelta(minutes=draw(st.integers(-2880, 1440)))
    else:
        at = FIRST + timedelta(minutes=draw(st.integers(0, (LAST - FIRST) // MINUTE)))
    return zone_named(name), at + timedelta(milliseconds=draw(st.sampled_from([0, 0, 1, 59_999])))


@st.composite
def office_hours(draw: st.DrawFn) -> OfficeHours:
    opens, closes = sorted(draw(st.lists(any_clock, min_size=2, max_size=2, unique=True)))
    days = draw(st.sets(st.sampled_from(Weekday), min_size=1)) | draw(st.sampled_from([set(), set(Weekday)]))
    place = draw(st.sampled_from(PLACES)) or (None, None)
    return OfficeHours.model_validate(
        {
            "opens": opens,
            "closes": closes,
            "working days": days,
            "country": place[0],
            "subdivision": place[1],
            "closed on": draw(st.sets(st.dates(date(2011, 12, 20), date(2012, 1, 10)), max_size=3)),
        }
    )


@st.composite
def quiet_hours(draw: st.DrawFn) -> QuietHours:
    starts, ends = draw(st.lists(any_clock, min_size=2, max_size=2, unique=True))
    return QuietHours.model_validate({"from": starts, "until": ends})


@settings(max_examples=60)
@given(place=places_in_time(), hours=office_hours())
def test_an_office_opens_and_closes_when_a_watched_clock_says_so(place, hours):
    zone, after = place
    for found, clock in ((next_opening, hours.opens), (next_closing, hours.closes)):
        at = found(hours, zone, after)
        assert at.tzinfo is UTC
        assert at == minutes.next_showing(zone, clock, after, lambda day: works(hours, day))


@settings(max_examples=60)
@given(place=places_in_time(), clock=any_clock, weekday=st.sampled_from(Weekday))
def test_a_clock_shows_a_time_next_when_a_watched_clock_does(place, clock, weekday):
    zone, after = place
    assert at_local_time(clock, zone, after) == minutes.next_showing(zone, clock, after, lambda day: True)
    weekly = at_weekly_time(weekday, clock, zone, after)
    assert weekly == minutes.next_showing(zone, clock, after, lambda day: day.weekday() == weekday)


@settings(max_examples=60)
@given(place=places_in_time(), hours=office_hours())
def test_an_office_is_open_when_one_who_follows_it_finds_it_open(place, hours):
    zone, at = place
    assert is_open(hours, zone, at) == minutes.open_at(hours, zone, at)


@settings(max_examples=200)
@given(place=places_in_time(), hours=office_hours())
def test_an_opening_is_later_at_its_time_on_a_working_day(place, hours):
    zone, after = place
    for found, clock in ((next_opening, hours.opens), (next_closing, hours.closes)):
        at = found(hours, zone, after)
        assert at > after
        wall = shown(zone, at)
        if wall.time() == clock:
            assert works(hours, wall.date())
            assert is_working_day(hours, wall.date())
        else:  # the clock was set forward at this very instant, and over the time
            before = shown(zone, at - timedelta(microseconds=1))
            assert wall - before > timedelta(microseconds=1)
            assert any(before < datetime.combine(day, clock) < wall for day in (before.date(), wall.date()))


@settings(max_examples=200)
@given(place=places_in_time(), hours=office_hours(), minutes_later=st.integers(0, 5000))
def test_what_comes_next_is_never_earlier_for_one_who_asks_later(place, hours, minutes_later):
    zone, after = place
    later = after + minutes_later * MINUTE
    for found in (next_opening, next_closing):
        at = found(hours, zone, after)
        assert found(hours, zone, later) >= at
        if later < at:
            assert found(hours, zone, later) == at


@settings(max_examples=200)
@given(place=places_in_time(), clock=any_clock)
def test_a_daily_time_comes_once_for_every_date(place, clock):
    zone, at = place
    comings = [at := at_local_time(clock, zone, at) for _ in range(5)]
    for one, next_one in pairwise(comings):
        assert timedelta(hours=20) < next_one - one < timedelta(hours=28)


@settings(max_examples=200)
@given(place=places_in_time(), quiet=quiet_hours(), probes=st.lists(st.integers(0, 999), max_size=10))
def test_nothing_is_sent_while_the_clock_shows_quiet_hours(place, quiet, probes):
    zone, at = place
    end = quiet_until(quiet, zone, at)
    if end is None:
        assert not minutes.clock_is_quiet(quiet, zone, at)
        return
    assert end > at
    assert end.tzinfo is UTC
    assert not minutes.clock_is_quiet(quiet, zone, end)
    assert quiet_until(quiet, zone, end) is None
    for probe in probes:  # it is the same quiet all the way
        assert quiet_until(quiet, zone, at + (end - at) * probe / 1000) == end


@settings(max_examples=100)
@given(place=places_in_time(), quiet=quiet_hours())
def test_quiet_is_what_the_clock_shows_where_no_clock_is_set(place, quiet):
    zone, at = place
    if len({(at + hours * 60 * MINUTE).astimezone(zone).utcoffset() for hours in range(-72, 73)}) > 1:
        return
    end = quiet_until(quiet, zone, at)
    assert (end is not None) == minutes.clock_is_quiet(quiet, zone, at)
    assert end is None or end == at_local_time(quiet.ends, zone, at)


@settings(max_examples=60)
@given(place=places_in_time(), hours=office_hours(), n=st.integers(0, 6))
def test_working_days_are_counted_as_on_a_calendar_on_the_wall(place, hours, n):
    zone, start = place
    at = add_working_days(hours, zone, start, n)
    if n == 0:
        assert at == start
        return
    day = minutes.days_later(hours, zone, start, n)
    assert at == first_showing(zone, day, shown(zone, start).time())
    assert at - start > timedelta(hours=20) * n - DAY
