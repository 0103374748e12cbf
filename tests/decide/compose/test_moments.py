"""Moments in the words of whoever reads them: their own clock, their language, summer time, the night."""

import html
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest

from pipeline.decide.compose.moments import MAX_ZONES, Style, lasted, valid_zones, written
from pipeline.decide.compose.templates import tongue_of
from pipeline.text.sms import is_gsm7
from schemas.base import Channel
from schemas.journal import NoticeKind
from tests.decide.compose.notices import AT, HOUR, OPENED, occasion, shipped, telling, told, words

NOON = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


def write(moment, style, zone, language="en", today=NOON, plain=False):
    return written(tongue_of(language, shipped()), moment, style, zone, today, plain)


@pytest.mark.parametrize(
    ("style", "zone", "language", "expected"),
    [
        (Style.FULL, "UTC", "en", "12:30 UTC on 4 March 2026 (07:30 in New York, 13:30 in Berlin)"),
        (Style.FULL, "UTC", "de", "4. März 2026 um 12:30 Uhr UTC (07:30 Uhr in New York, 13:30 Uhr in Berlin)"),
        (Style.FULL, "Europe/Berlin", "en", "13:30 Berlin time on 4 March 2026 (12:30 UTC)"),
        (Style.FULL, "Europe/Berlin", "de", "4. März 2026 um 13:30 Uhr (Ortszeit Berlin; 12:30 Uhr UTC)"),
        (Style.FULL, "Asia/Tokyo", "de", "4. März 2026 um 21:30 Uhr (Ortszeit Tokio; 12:30 Uhr UTC)"),
        (Style.FULL, "Asia/Kolkata", "en", "18:00 Kolkata time on 4 March 2026 (12:30 UTC)"),
        (Style.FULL, "Etc/GMT+5", "en", "07:30 UTC-5 on 4 March 2026 (12:30 UTC)"),
        (Style.FULL, "US/Eastern", "en", "07:30 New York time on 4 March 2026 (12:30 UTC)"),
        (Style.DATED, "Europe/Warsaw", "de", "4. März 2026 um 13:30 Uhr (Ortszeit Warschau)"),
        (Style.SOON, "Europe/Berlin", "en", "13:30 Berlin time"),
        (Style.SOON, "Europe/Berlin", "de", "13:30 Uhr (Berlin)"),
        (Style.SOON, "UTC", "en", "12:30 UTC"),
        (Style.CLOCKS, "UTC", "en", "12:30 UTC (07:30 in New York, 13:30 in Berlin)"),
        (Style.CLOCKS, "Europe/Berlin", "en", "13:30 Berlin time"),
    ],
)
def test_a_moment_is_written_as_its_readers_expect(style, zone, language, expected):
    assert write(NOON, style, zone, language) == expected


def test_the_day_stands_where_it_is_another_one():
    late = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)
    assert write(late, Style.SOON, "UTC") == "23:30 UTC"
    assert write(late, Style.SOON, "Europe/Berlin") == "00:30 Berlin time, 5 March"
    assert write(late, Style.SOON, "Europe/Berlin", "de") == "5. März, 00:30 Uhr (Berlin)"
    assert write(late, Style.FULL, "Europe/Berlin") == "00:30 Berlin time on 5 March 2026 (23:30 UTC, 4 March)"
    assert "00:30 on 5 March in Berlin" in write(late, Style.FULL, "UTC")


def test_summer_time_is_kept_and_the_hour_that_comes_twice_is_told_apart():
    before, after = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert write(before, Style.SOON, "Europe/Berlin", today=before) == "02:30 Berlin time, UTC+2"
    assert write(after, Style.SOON, "Europe/Berlin", today=before) == "02:30 Berlin time, UTC+1"
    assert write(datetime(2026, 3, 29, 1, 0, tzinfo=UTC), Style.SOON, "Europe/Berlin", today=NOON).startswith("03:00 ")
    assert write(datetime(2026, 7, 1, 12, 0, tzinfo=UTC), Style.DATED, "Europe/Berlin").startswith("14:00 ")


def test_work_through_the_night_is_the_readers_own_night():
    evening, morning = datetime(2026, 3, 4, 17, 0, tzinfo=UTC), datetime(2026, 3, 5, 6, 0, tzinfo=UTC)
    assert write(morning, Style.UNTIL, "Europe/Berlin", today=evening).startswith(
        "through the night, until 07:00 Berlin"
    )
    assert write(morning, Style.UNTIL, "Europe/Berlin", "de", evening).startswith("die Nacht hindurch bis zum 5. März")
    assert write(morning, Style.UNTIL, "America/New_York", today=evening).startswith("until 01:00 New York time")
    assert write(morning, Style.UNTIL, "UTC", today=evening).startswith("until 06:00 UTC")
    assert write(morning, Style.UNTIL, "Europe/Berlin", today=morning - HOUR).startswith("until 07:00")


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_zone_has_words_that_would_break_a_page_or_a_text_message(language):
    for zone in sorted(available_timezones()):
        for style in Style:
            rich, plain = (write(NOON, style, zone, language, plain=one) for one in (False, True))
            assert html.escape(rich) == rich
            assert html.escape(plain) == plain
            assert is_gsm7(plain)
            assert rich == " ".join(rich.split())


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_can_be_written(moment):
    for style in Style:
        assert write(moment, style, "Asia/Tokyo", today=moment)
        assert write(moment, style, "America/New_York", today=moment)


def test_zones_that_there_are_have_rows_and_all_others_read_utc():
    assert valid_zones(["Europe/Berlin", "Mars/Base", "../etc/passwd", "UTC", "Europe/Berlin", ""]) == (
        "UTC",
        "Europe/Berlin",
    )
    assert len(valid_zones(sorted(available_timezones()))) == MAX_ZONES + 1


def test_a_reader_gets_their_own_clock_and_utc_beside_it_in_a_mail_alone():
    one, about = telling(NoticeKind.OPENED), occasion(OPENED)
    about = replace(about, readers=replace(about.readers, updated=frozenset(Channel)))
    assert "17:34 Berlin time on 11 February 2026 (16:34 UTC)" in words(one, about, zone="Europe/Berlin").text
    assert "by 17:34 Berlin time." in words(one, about, Channel.SMS, zone="Europe/Berlin").text
    assert "by 16:34 UTC (11:34 in New York, 17:34 in Berlin)." in words(one, about, Channel.SMS).text
    assert set(told(one, about, Channel.X).moments) == {"UTC"}
    assert "by 16:34 UTC. [" in words(one, about, Channel.X).text


def test_a_span_of_time_has_its_two_largest_units():
    assert lasted(AT, AT + timedelta(minutes=5), "en") == "5 minutes"
    assert lasted(AT, AT + timedelta(hours=2, minutes=5), "de") == "2 Stunden, 5 Minuten"
    assert lasted(AT, AT + timedelta(days=1, hours=1, minutes=5), "de") == "1 Tag, 1 Stunde"
    assert lasted(AT, AT + timedelta(seconds=5), "en") == "0 minutes"
