"""Office hours and quiet hours as they stand in a policy document, and what is said of those that cannot stand."""

import json
import subprocess
import sys
from datetime import date, time

import pytest
import yaml
from pydantic import ValidationError

from pipeline.hours import public_holidays
from pipeline.hours.documents import OfficeHours, QuietHours, Weekday
from pipeline.hours.office import holiday_name, is_working_day
from tests.paths import REPOSITORY

SOUND = """
opens: "09:00"
closes: "17:30"
working days: Mon to Fri
country: DE
subdivision: BE
closed on: [2026-12-24, 2026-12-31]
"""


def office(text: str = SOUND) -> OfficeHours:
    return OfficeHours.model_validate(yaml.safe_load(text))


def test_office_hours_read_like_sentences():
    hours = office()
    assert (hours.opens, hours.closes) == (time(9), time(17, 30))
    assert hours.working_days == frozenset(list(Weekday)[:5])
    assert hours.closed_on == {date(2026, 12, 24), date(2026, 12, 31)}


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("Sun to Thu", "SUN MON TUE WED THU"),
        ("monday to Friday", "MON TUE WED THU FRI"),
        ("Sat to Sat", "SAT"),
        ("Sat", "SAT"),
        ("[Tue, thursday]", "TUE THU"),
    ],
)
def test_working_days_are_a_range_or_a_list(written, days):
    assert office(SOUND.replace("Mon to Fri", written)).working_days == {Weekday[day] for day in days.split()}


@pytest.mark.parametrize(
    ("sound", "broken", "message"),
    [
        ('"17:30"', "17:30", '1050 is no time of day; if 17:30 is meant, quote it: "17:30"'),
        ('"17:30"', '"24:00"', "'24:00' is no time of day; write one from \"00:00\" to \"23:59\", in quotes"),
        ('"17:30"', "17", "17 is no time of day"),
        ('"17:30"', '"17:30Z"', "'17:30Z' is no time of day"),
        ('"17:30"', '"08:00"', "closes at 08:00, which is not after it opens (09:00); an office must close"),
        ('"17:30"', '"09:00"', "which is not after it opens"),
        ("Mon to Fri", "Mon-Fri", "'Mon-Fri' is no weekday; write days like 'Mon to Fri'"),
        ("Mon to Fri", "Mon to Fry", "'Fry' is no weekday; write days like"),
        ("Mon to Fri", "[Mon, 9]", "9 is no weekday"),
        ("Mon to Fri", "[]", "write days like 'Mon to Fri'"),
        ("DE", "XX", "'XX' is no country whose public holidays are known; write an ISO 3166-1 code such as DE"),
        ("DE", "de", "'de' is no country"),
        ("DE", "DEU", "'DEU' is no country"),
        ("DE", "UK", "'UK' is no country"),
        ("DE", "NO", 'YAML reads this as false; if NO is meant, quote it: "NO"'),
        ("BE", "ON", 'YAML reads this as true; if ON is meant, quote it: "ON"'),
        ("BE", "9", 'codes are text; quote it: "9"'),
        ("BE", "Berlin", "'Berlin' is no subdivision of DE with holidays of its own; use one of BB, BE, BW"),
        ("DE", "JP", "'BE' is no subdivision of JP with holidays of its own; leave it out"),
        ("country: DE\n", "", "a subdivision needs its country; write 'country' beside it"),
        ("2026-12-24", "20261224", "20261224 is no date; write one like 2026-12-24"),
        ("2026-12-24", "Christmas", "'Christmas' is no date"),
        ("2026-12-24", "2026-12-24 10:00:00", "is no date"),
        ("closed on", "closed", "Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_once_with_the_fix(sound, broken, message):
    with pytest.raises(ValidationError) as refused:
        office(SOUND.replace(sound, broken, 1))
    [problem] = refused.value.errors()
    assert message in problem["msg"]


def test_an_error_names_the_key_as_it_stands_in_the_document():
    with pytest.raises(ValidationError) as refused:
        office(SOUND.replace("Mon to Fri", "never"))
    assert refused.value.errors()[0]["loc"] == ("working days",)


def test_quiet_hours_read_like_a_sentence():
    quiet = QuietHours.model_validate(yaml.safe_load('{from: "22:00", until: 07:00}'))
    assert (quiet.starts, quiet.ends) == (time(22), time(7))
    with pytest.raises(ValidationError, match="the same time; write two, or leave the quiet hours out"):
        QuietHours.model_validate({"from": "22:00", "until": "22:00"})


def test_hours_come_back_from_json_and_are_written_one_way_only():
    hours = office()
    dumped = hours.model_dump_json(by_alias=True)
    assert OfficeHours.model_validate_json(dumped) == hours
    assert json.loads(dumped)["working days"] == [0, 1, 2, 3, 4]
    assert json.loads(dumped)["closed on"] == ["2026-12-24", "2026-12-31"]
    quiet = QuietHours.model_validate({"from": "22:00", "until": "07:00"})
    assert QuietHours.model_validate_json(quiet.model_dump_json(by_alias=True)) == quiet


def test_public_holidays_are_those_of_the_country_and_its_part():
    berlin, bavaria = office(), office(SOUND.replace("BE", "BY"))
    assert holiday_name(berlin, date(2026, 10, 3)) == "German Unity Day"
    assert holiday_name(berlin, date(2026, 3, 8)) == "Women's Day"
    assert holiday_name(bavaria, date(2026, 3, 8)) is None
    assert holiday_name(bavaria, date(2026, 1, 6)) == "Epiphany"
    assert holiday_name(office(SOUND.split("country")[0]), date(2026, 10, 3)) is None


def test_an_observed_holiday_that_falls_into_the_year_before_is_known():
    hours = office(SOUND.replace("DE\nsubdivision: BE", "US"))
    assert holiday_name(hours, date(2021, 12, 31)) == "New Year's Day (observed)"
    assert not is_working_day(hours, date(2021, 12, 31))


def test_a_working_day_is_no_weekend_no_holiday_and_not_closed():
    hours = office()
    assert is_working_day(hours, date(2026, 12, 23))
    assert not is_working_day(hours, date(2026, 12, 24))  # closed on
    assert not is_working_day(hours, date(2026, 12, 25))  # Christmas, a Friday
    assert not is_working_day(hours, date(2026, 12, 27))  # a Sunday


@pytest.mark.slow
def test_no_country_has_a_holiday_every_week_so_that_every_office_opens_some_time():
    """Else the search for an opening would not end."""
    for country in public_holidays.subdivisions():
        for year in (2024, 2025):
            weekdays = [day.weekday() for day in public_holidays.in_year(country, None, year)]
            assert max((weekdays.count(day) for day in range(7)), default=0) < 26, country


def test_the_holidays_are_imported_when_first_asked_for():
    script = (
        "import sys; from pipeline.hours.documents import OfficeHours; from pipeline.hours import local, office, quiet;"
        "OfficeHours.model_validate({'opens': '09:00', 'closes': '17:00', 'working days': 'Mon to Fri'});"
        "assert 'holidays' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=REPOSITORY)
