"""The calendar entry of a planned maintenance: published, changed and taken back under one UID."""

from dataclasses import replace
from datetime import timedelta

import icalendar
import pytest

from schemas.base import Channel
from schemas.incident import Consequences
from schemas.journal import NoticeKind
from tests.decide.compose.notices import AT, HOUR, MAINTENANCE, STORY, occasion, telling, told

PLAN, ABOUT = STORY["maintenance"]


def entry(one=PLAN, about=ABOUT, language="en"):
    """The calendar and its only event, as a calendar reads them."""
    text = told(one, about, language=language).content.calendar
    calendar = icalendar.Calendar.from_ical(text)
    (event,) = calendar.walk("VEVENT")
    return calendar, event


def test_a_plan_is_published_with_its_times_in_utc():
    calendar, event = entry()
    assert calendar["METHOD"] == "PUBLISH"
    assert event["UID"] == "payments-overnight@service-status"
    assert event["SEQUENCE"] == 0
    assert event["DTSTAMP"].dt == AT
    assert event["DTSTART"].dt == MAINTENANCE.starts_at
    assert event["DTEND"].dt == MAINTENANCE.ends_at
    assert b"DTSTART:20260214T040400Z" in calendar.to_ical()
    assert event["SUMMARY"] == MAINTENANCE.title
    assert "Reports cannot be opened for up to two hours." in event["DESCRIPTION"]
    assert event["STATUS"] == "CONFIRMED"


def test_a_changed_plan_replaces_the_entry():
    moved = MAINTENANCE.model_copy(update={"starts_at": AT + 90 * HOUR, "ends_at": AT + 91 * HOUR})
    _, event = entry(about=replace(ABOUT, known=moved, revision=2))
    assert (event["UID"], event["SEQUENCE"]) == (entry()[1]["UID"], 2)
    assert event["DTSTART"].dt == AT + 90 * HOUR


@pytest.mark.parametrize("known", [MAINTENANCE, MAINTENANCE.model_copy(update={"starts_at": None, "ends_at": None})])
def test_a_plan_that_is_taken_back_is_cancelled(known):
    gone = occasion(known, MAINTENANCE, maintenance=True, over=True, revision=3)
    calendar, event = entry(telling(NoticeKind.RETRACTION), gone)
    assert calendar["METHOD"] == "CANCEL"
    assert event["STATUS"] == "CANCELLED"
    assert (event["UID"], event["SEQUENCE"]) == (entry()[1]["UID"], 3)


@pytest.mark.parametrize("change", [{"starts_at": None}, {"ends_at": None}])
def test_without_both_times_there_is_no_entry(change):
    known = MAINTENANCE.model_copy(update=change)
    assert told(PLAN, replace(ABOUT, known=known, before=known)).content.calendar is None


def test_what_is_no_plan_has_no_entry():
    for kind in (NoticeKind.MAINTENANCE_STARTED, NoticeKind.MAINTENANCE_COMPLETED, NoticeKind.UPDATED):
        assert told(replace(PLAN, kind=kind), ABOUT).content.calendar is None
    assert told(telling(NoticeKind.RETRACTION), occasion(MAINTENANCE)).content.calendar is None
    assert told(replace(PLAN, kind=NoticeKind.MAINTENANCE_SOON), ABOUT).content.calendar is not None


def test_the_entry_speaks_the_readers_language_and_says_what_their_level_may_see():
    known = MAINTENANCE.model_copy(update={"technical_detail": "Shard 7", "internal_notes": "Bridge 4"})
    _, event = entry(about=replace(ABOUT, known=known), language="de")
    assert event["DESCRIPTION"].params["LANGUAGE"] == "de"
    assert event["DESCRIPTION"].startswith("Geplante Wartung\n\n")
    assert "Shard" not in event["DESCRIPTION"]


def test_hostile_texts_stay_texts_and_lines_stay_short():
    title, text = "a\\;b,c\u00fc" * 20, "{{t0}}\r\nBEGIN:VALARM\nÄ{{unsubscribe}}"
    known = MAINTENANCE.model_copy(
        update={"title": title, "summary": text, "consequences": Consequences(expected=text)}
    )
    content = told(PLAN, replace(ABOUT, known=known)).content
    assert content.calendar is not None
    assert "{{t" not in content.calendar.replace("\r\n ", "")
    assert max(len(line.encode()) for line in content.calendar.split("\r\n")) <= 75
    _, event = entry(about=replace(ABOUT, known=known))
    assert event["SUMMARY"] == title
    assert "{{ t0 }}\nBEGIN:VALARM\nÄ{{ unsubscribe }}" in event["DESCRIPTION"].replace("\r", "")
    assert not event.walk("VALARM")


def test_the_same_plan_gives_the_same_bytes_and_only_mails_carry_it():
    first, second = (told(PLAN, replace(ABOUT, at=AT + timedelta(0))).content.calendar for _ in range(2))
    assert first == second
    assert not hasattr(told(replace(PLAN, channels=(Channel.SMS,)), ABOUT, Channel.SMS).content, "calendar")
