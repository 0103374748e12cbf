"""Closing: what ended long ago is closed when nothing waits of it, and never before; nothing follows from it then."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from agents.desk import Desk
from pipeline.decide.closing import why_not_closed
from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.surroundings import REMEMBERED, Neighbourhood
from schemas.base import Severity
from schemas.census import AudienceCount
from schemas.command import Close, Hold
from schemas.incident import IncidentReopened, IncidentResolved, IncidentUpdated, ReviewPublished
from schemas.journal import Closed, IncidentClosed, InputIgnored, Opening, Surroundings, WakeScheduled
from tests.decide.stories import START, Decided, Operator, Story
from tests.decide.test_story import opened

DAYS = 24 * 60


def told_to_its_end(story: Story) -> Story:
    story.take(opened(Severity.MINOR))
    story.ends(IncidentResolved(summary="A full disk was emptied."))
    story.take(ReviewPublished(review="The disk was too small."), after=3 * DAYS)
    story.passes(200 * DAYS)
    return story


def close(story: Story, seq: int | None = None) -> Decided:
    return story.take(Close(seq=story.state.seq if seq is None else seq), after=0)


def decisions(decided: Decided, kind: type) -> list:
    return [decision for decision in decided.entry.decisions if isinstance(decision, kind)]


def test_what_ended_and_waits_for_nothing_is_closed_and_asks_the_clock_for_nothing_more() -> None:
    story = told_to_its_end(Story())
    closed = close(story)
    assert decisions(closed, IncidentClosed) == [IncidentClosed(reason="it ended long ago")]
    assert not closed.notices
    assert not decisions(closed, WakeScheduled)
    assert story.state.closed


def test_an_incident_that_goes_on_is_not_closed_however_long_nothing_came() -> None:
    story = Story()
    story.take(opened())
    story.passes(2 * DAYS)
    assert [ignored.reason for ignored in decisions(close(story), InputIgnored)] == ["not over"]
    assert not story.state.closed


def test_an_order_to_close_that_looked_before_something_came_closes_nothing() -> None:
    story = told_to_its_end(Story())
    seen = story.state.seq
    story.take(IncidentUpdated(summary="It was two disks."))
    assert [ignored.reason for ignored in decisions(close(story, seen), InputIgnored)] == ["something came since"]
    assert not story.state.closed


def test_an_end_that_was_just_told_waits_for_its_review() -> None:
    story = Story()
    story.take(opened(Severity.CRITICAL))
    story.ends(IncidentResolved(summary="A full disk was emptied."))
    assert why_not_closed(story.state) == "a call of the clock"


def test_an_operators_hold_keeps_an_incident() -> None:
    story = told_to_its_end(Story())
    story.take(Hold(audiences=("public",)), by=Operator("anna", ("incident-manager",)))
    assert why_not_closed(story.state) == "an operator's hold"


@pytest.mark.parametrize("phase", [Phase.NEW, Phase.PLANNED, Phase.OPEN])
def test_only_what_is_over_may_be_closed(phase: Phase) -> None:
    assert why_not_closed(IncidentState("i-1", phase=phase)) == "not over"
    assert why_not_closed(IncidentState("i-1", phase=Phase.OVER)) is None


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("ending", "an end that is held back"),
        ("drafts", "a draft that waits for approval"),
        ("withheld", "a field that waits for approval"),
        ("put_off", "an audience that is told later"),
        ("reviews", "a review that waits for its cool-down"),
        ("promises", "a promised update"),
        ("held", "an operator's hold"),
        ("wakes", "a call of the clock"),
    ],
)
def test_whatever_waits_keeps_an_incident_and_is_named(field: str, named: str) -> None:
    state = IncidentState("i-1", phase=Phase.OVER)
    assert why_not_closed(replace(state, **{field: cast(Any, {"something": "waits"})})) == named


def test_a_desk_lets_a_closed_incident_go_and_counts_nothing_that_comes_after_it() -> None:
    story, desk = told_to_its_end(Story()), Desk(0)
    close(story)
    entries = [decided.entry for decided in story.decided]
    assert all(desk.apply(entry, offset, None) for offset, entry in enumerate(entries))
    assert (desk.incidents, desk.closed) == ({}, {story.incident})
    late = story.take(IncidentReopened(summary="Again.")).entry
    assert not desk.apply(late, len(entries), None)
    assert desk.void == {len(entries)}
    assert not desk.apply(entries[0], len(entries) + 1, None), "nor does it begin anew"


def test_what_is_left_of_a_journal_without_its_beginning_counts_for_nothing() -> None:
    story, desk = told_to_its_end(Story()), Desk(0)
    close(story)
    for offset, decided in list(enumerate(story.decided))[1:]:
        assert not desk.apply(decided.entry, offset, None)
    assert (desk.incidents, desk.next_offset) == ({}, len(story.decided))


def test_how_many_are_usually_told_is_known_of_closed_incidents_as_well() -> None:
    count = {"customers": AudienceCount(total=120)}
    story = Story(around=Surroundings(census=count))
    story.take(opened())
    before = Neighbourhood()
    for decided in story.decided:
        before.apply(decided.entry)
    openings = before.openings(story.incident)
    assert [(opening.audience, opening.expected) for opening in openings] == [("customers", 120)]
    after = Neighbourhood()
    after.closed(Closed(incident=story.incident, seq=9, at=story.now, openings=openings))
    one = after.around(IncidentState("another"), (), story.now, "policy")
    assert one is not None
    assert one.usual == {"customers": 120}
    for decided in story.decided:  # its journal may still be there
        after.apply(decided.entry)
    assert after.openings(story.incident) == openings


def test_of_many_openings_the_latest_are_remembered_in_whatever_order_they_are_read() -> None:
    there = Neighbourhood()
    for number in reversed(range(REMEMBERED + 10)):
        opening = Opening(audience="customers", at=START + timedelta(days=number), expected=number)
        there.closed(Closed(incident=f"i-{number}", seq=1, at=START, openings=(opening,)))
    assert not there.openings("i-9")
    assert there.openings("i-10")
