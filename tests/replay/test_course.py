"""When an incident was open, what was new, and how long nothing was said."""

from datetime import UTC, datetime, timedelta

from pipeline.recorded import RecordedEvent
from pipeline.replay.course import course, ends_upstream, longest_silence, worst_of
from schemas.base import Severity, State
from schemas.incident import (
    IncidentEvent,
    IncidentOpened,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceCompleted,
    MaintenanceScheduled,
    MaintenanceStarted,
    ReviewPublished,
)

BEGAN = datetime(2026, 3, 4, 9, tzinfo=UTC)
OPENED = IncidentOpened(title="Search is slow", severity=Severity.MINOR, summary="Slow.")


def at(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def events(*said: tuple[float, IncidentEvent]) -> list[RecordedEvent]:
    return [RecordedEvent("i", at(minutes), event, f"e{number}") for number, (minutes, event) in enumerate(said)]


def test_it_is_open_from_its_first_word_to_its_end_and_again_when_it_is_reopened() -> None:
    said = course(
        events(
            (0, OPENED),
            (5, IncidentUpdated(summary="Still slow.")),
            (9, IncidentResolved()),
            (12, IncidentUpdated(summary="A straggler.")),
            (20, IncidentReopened()),
            (30, IncidentUpdated(state=State.RESOLVED)),
        )
    )
    assert [one.open for one in said] == [True, True, False, False, True, False]
    assert [one.ended for one in said] == [False, False, True, False, False, True]
    assert ends_upstream(said)


def test_an_incident_whose_last_word_is_not_its_end_never_ended() -> None:
    assert not ends_upstream(course(events((0, OPENED), (5, IncidentUpdated(summary="Still slow.")))))


def test_a_first_word_that_is_the_end_leaves_nothing_open() -> None:
    said = course(events((0, IncidentResolved(title="It was slow.", summary="It is over."))))
    assert [(one.open, one.ended, one.news) for one in said] == [(False, True, True)]


def test_a_maintenance_is_open_while_the_work_goes_on_and_a_review_opens_nothing() -> None:
    said = course(
        events(
            (0, MaintenanceScheduled(title="Database")),
            (60, MaintenanceStarted()),
            (90, MaintenanceCompleted()),
            (5000, ReviewPublished(review="All went well.")),
        )
    )
    assert [one.open for one in said] == [False, True, False, False]


def test_the_same_words_again_and_a_promise_alone_are_no_news() -> None:
    said = course(
        events(
            (0, OPENED),
            (5, IncidentUpdated(summary="Slow.")),
            (10, IncidentUpdated(next_update_at=at(60))),
            (15, IncidentUpdated(summary="Slow.", state=State.IDENTIFIED)),
            (20, IncidentResolved()),
        )
    )
    assert [one.news for one in said] == [True, False, False, True, True]


def test_the_worst_severity_is_the_worst_that_was_ever_said() -> None:
    worse, better = IncidentUpdated(severity=Severity.MAJOR), IncidentUpdated(severity=Severity.NONE)
    assert worst_of(course(events((0, OPENED), (1, worse), (2, better)))) is Severity.MAJOR
    assert worst_of(course(events((0, IncidentUpdated(summary="?"))))) is None


def test_silence_is_counted_while_it_was_open_and_only_to_the_last_word() -> None:
    moments = [(at(0), True), (at(10), True), (at(40), False), (at(500), True), (at(505), True)]
    assert longest_silence(moments) == 30 * 60
    assert longest_silence([(at(0), True)]) is None
    assert longest_silence([(at(0), False), (at(9), False)]) is None
    assert longest_silence([]) is None
    assert longest_silence([(at(0), True), (at(0), False)]) == 0
