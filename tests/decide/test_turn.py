"""What an event means hangs on where the incident stands: the same word opens, goes on, ends, or comes after it."""

from datetime import timedelta

import pytest

from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.turn import turn_of
from pipeline.decide.view import Known
from schemas.base import Severity, State
from schemas.incident import (
    NONE,
    Consequences,
    ImpactChanged,
    IncidentEvent,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceCompleted,
    MaintenanceScheduled,
    MaintenanceStarted,
    MilestoneReached,
    MonitoringStarted,
    ReviewPublished,
)
from schemas.journal import NoticeKind
from tests.decide.saying import opened
from tests.decide.stories import START

NEW, PLANNED, OPEN, OVER = Phase.NEW, Phase.PLANNED, Phase.OPEN, Phase.OVER
PLAN = MaintenanceScheduled(title="Upgrade", starts_at=START, ends_at=START + timedelta(hours=1))
OPENED = opened()
CHANGED = ImpactChanged(severity=Severity.MAJOR)
MILESTONE = MilestoneReached(milestone="Half done.")
REVIEW = ReviewPublished(review="What happened.")


def at(phase: Phase, **known: object) -> IncidentState:
    return IncidentState("payments-1", phase=phase, known=Known.model_validate(known))


@pytest.mark.parametrize(
    ("before", "event", "kind", "after"),
    [
        (NEW, OPENED, NoticeKind.OPENED, OPEN),
        (NEW, MonitoringStarted(), NoticeKind.OPENED, OPEN),
        (NEW, IncidentResolved(), NoticeKind.RESOLVED, OVER),
        (NEW, MaintenanceCompleted(), NoticeKind.MAINTENANCE_COMPLETED, OVER),
        (NEW, REVIEW, NoticeKind.REVIEW, OVER),
        (NEW, PLAN, NoticeKind.MAINTENANCE_SCHEDULED, PLANNED),
        (PLANNED, PLAN, NoticeKind.MAINTENANCE_SCHEDULED, PLANNED),
        (PLANNED, IncidentUpdated(), NoticeKind.UPDATED, PLANNED),
        (PLANNED, MaintenanceStarted(), NoticeKind.MAINTENANCE_STARTED, OPEN),
        (PLANNED, OPENED, NoticeKind.OPENED, OPEN),
        (PLANNED, IncidentReopened(), NoticeKind.OPENED, OPEN),
        (OPEN, OPENED, NoticeKind.IMPACT_CHANGED, OPEN),
        (OPEN, IncidentReopened(), NoticeKind.UPDATED, OPEN),
        (OPEN, MaintenanceStarted(), NoticeKind.UPDATED, OPEN),
        (OPEN, PLAN, NoticeKind.MAINTENANCE_SCHEDULED, OPEN),
        (OPEN, CHANGED, NoticeKind.IMPACT_CHANGED, OPEN),
        (OPEN, REVIEW, NoticeKind.REVIEW, OPEN),
        (OPEN, MaintenanceCompleted(), NoticeKind.MAINTENANCE_COMPLETED, OVER),
        (OVER, OPENED, NoticeKind.REOPENED, OPEN),
        (OVER, MaintenanceStarted(), NoticeKind.MAINTENANCE_STARTED, OPEN),
        (OVER, PLAN, NoticeKind.MAINTENANCE_SCHEDULED, PLANNED),
        (OVER, IncidentResolved(), NoticeKind.UPDATED, OVER),
        (OVER, MILESTONE, NoticeKind.UPDATED, OVER),
        (OVER, CHANGED, NoticeKind.IMPACT_CHANGED, OVER),
    ],
)
def test_an_event_is_told_as_what_it_is_at_this_point(
    before: Phase, event: IncidentEvent, kind: NoticeKind, after: Phase
) -> None:
    turn = turn_of(at(before), event)
    assert (turn.kind, turn.phase) == (kind, after)


@pytest.mark.parametrize("event", [OPENED, IncidentUpdated(), CHANGED, MILESTONE])
def test_a_state_of_resolved_ends_it_by_whatever_event_it_is_said(event: IncidentEvent) -> None:
    turn = turn_of(at(OPEN), event.model_copy(update={"state": State.RESOLVED}))
    assert (turn.kind, turn.phase, turn.why) == (NoticeKind.RESOLVED, OVER, "its state says resolved")


def test_a_state_of_resolved_ends_nothing_that_begins_to_be_watched_or_is_open_again() -> None:
    assert turn_of(at(OPEN), MonitoringStarted(state=State.RESOLVED)).kind is NoticeKind.MONITORING
    assert turn_of(at(OVER), IncidentReopened(state=State.RESOLVED)).kind is NoticeKind.REOPENED


@pytest.mark.parametrize("event", [IncidentUpdated(), MILESTONE, MonitoringStarted()])
def test_another_severity_is_a_changed_impact_by_whatever_event_it_is_said(event: IncidentEvent) -> None:
    said = event.model_copy(update={"severity": Severity.MAJOR})
    turn = turn_of(at(OPEN, severity=Severity.MINOR), said)
    assert (turn.kind, turn.why) == (NoticeKind.IMPACT_CHANGED, "the severity went from minor to major")
    assert "from unsaid to major" in turn_of(at(OPEN), said).why
    assert turn_of(at(OPEN, severity=Severity.MAJOR), said).kind is not NoticeKind.IMPACT_CHANGED
    assert turn_of(at(OVER, severity=Severity.MINOR), said).kind is NoticeKind.UPDATED, "it is over, however bad it was"


@pytest.mark.parametrize("phase", [OPEN, OVER])
@pytest.mark.parametrize(
    ("before", "said", "changed"),
    [
        (None, "Orders were lost.", True),
        ("Orders were lost.", NONE, True),
        (NONE, "Orders were lost.", True),
        ("Orders were lost.", "Orders were lost.", False),
        ("Orders were lost.", None, False),
        (None, NONE, False),
    ],
)
def test_other_lasting_consequences_are_a_changed_impact_and_that_there_are_none_is_none(
    phase: Phase, before: str | None, said: str | None, changed: bool
) -> None:
    state = at(phase, consequences=Consequences(lasting=before, now="Cards fail."))
    turn = turn_of(state, IncidentUpdated(consequences=Consequences(lasting=said, now="Cards fail.")))
    assert (turn.kind is NoticeKind.IMPACT_CHANGED) is changed
    assert turn.phase is phase


def test_maintenance_stays_maintenance_until_it_becomes_an_incident() -> None:
    planned = IncidentState("upgrade-1", phase=PLANNED, maintenance=True)
    under_way = IncidentState("upgrade-1", phase=OPEN, maintenance=True)
    over = IncidentState("upgrade-1", phase=OVER, maintenance=True)
    assert turn_of(at(NEW), PLAN).maintenance
    assert turn_of(at(OVER), MaintenanceStarted()).maintenance
    assert turn_of(under_way, IncidentUpdated()).maintenance
    assert turn_of(under_way, MaintenanceCompleted()).maintenance
    assert not turn_of(planned, OPENED).maintenance
    assert not turn_of(over, IncidentReopened()).maintenance
    assert not turn_of(under_way, IncidentResolved()).maintenance
    assert not turn_of(at(OPEN), IncidentUpdated()).maintenance


@pytest.mark.parametrize(
    ("phase", "event", "why"),
    [
        (NEW, OPENED, ""),
        (NEW, IncidentReopened(), "the first word of it"),
        (NEW, IncidentUpdated(), "the first word of it"),
        (NEW, IncidentResolved(), "the first word of it is its end"),
        (OPEN, OPENED, "it was open already; the severity went from unsaid to major"),
        (OPEN, IncidentReopened(), "it was open already"),
        (OPEN, MaintenanceStarted(), "it was under way already"),
        (OPEN, IncidentResolved(), ""),
        (OVER, IncidentReopened(), ""),
        (OVER, OPENED, "opened again after its end"),
        (OVER, IncidentResolved(), "it was over already"),
        (OVER, IncidentUpdated(), "after its end"),
    ],
)
def test_what_is_told_as_something_else_says_why_and_what_is_plain_does_not(
    phase: Phase, event: IncidentEvent, why: str
) -> None:
    assert turn_of(at(phase), event).why == why
