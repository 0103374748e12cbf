"""A rehearsal: a policy speaks every kind of notice once, sparse and full, before anybody hangs on its words."""

from datetime import UTC, datetime, timedelta

from pipeline.decide.incident import decide, evolve
from pipeline.decide.state import IncidentState
from pipeline.policy import Policy
from schemas import incident as events
from schemas.base import Severity, State
from schemas.journal import JournaledInput

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_FULL = events.Facts(
    title="Rehearsal",
    components=("Component",),
    regions=("Region",),
    summary="A summary.",
    consequences=events.Consequences(now="Now.", expected=events.NONE, lasting="Lasting."),
    workaround="A workaround.",
    good_news="Good news.",
    next_update_at=BEGIN + timedelta(days=30),
    contact=events.Contact(name="Contact", reach="contact@example.com"),
    crew=events.Crew(who="Crew", until=BEGIN + timedelta(days=30)),
    technical_detail="Technical detail.",
    internal_notes="Internal notes.",
    ownership="Ownership.",
    began_at=BEGIN,
    ended_at=BEGIN + timedelta(hours=1),
    done="What was done.",
    planned="What is planned.",
    root_cause="A root cause.",
)


def rehearse(policy: Policy) -> int:
    """How many notices were spoken without fault. Raises `PolicyError`, which names the template that failed."""
    return sum(
        _played(policy, severity, said) for severity in Severity for said in ({}, _FULL.model_dump(exclude_none=True))
    )


def _played(policy: Policy, severity: Severity, said: dict[str, object]) -> int:
    state, spoken = IncidentState("rehearsal"), 0
    for number, event in enumerate(_story(severity, said)):
        given = JournaledInput(
            id=f"rehearsal-{number}",
            source="/rehearsal",
            type=event.TYPE,
            topic="incident.events",
            partition=0,
            offset=number,
            appended_at=BEGIN + timedelta(minutes=number),
            data=event.model_dump(mode="json", exclude_none=True),
        )
        decided = decide(state, given, policy)
        state, spoken = evolve(state, decided.entry), spoken + len(decided.notices)
    return spoken


def _story(severity: Severity, said: dict[str, object]) -> list[events.IncidentEvent]:
    """Every kind of event in a plausible order; `said` fills every field, or none."""
    title = {"title": "Rehearsal"} | said
    other = Severity.MAJOR if severity is not Severity.MAJOR else Severity.CRITICAL

    def make(model: type[events.IncidentEvent], **more: object) -> events.IncidentEvent:
        return model.model_validate(said | more)

    return [
        make(events.MaintenanceScheduled, **title),
        make(events.MaintenanceStarted),
        make(events.MaintenanceCompleted),
        make(events.IncidentOpened, **title, severity=severity),
        *(make(events.IncidentUpdated, state=state, good_news=f"It is {state}.") for state in list(State)[:3]),
        make(events.MilestoneReached, milestone="A milestone."),
        make(events.ImpactChanged, severity=other),
        make(events.MonitoringStarted),
        make(events.IncidentResolved),
        make(events.IncidentReopened),
        make(events.IncidentResolved),
        make(events.IncidentUpdated, done="Something more."),
        make(events.ReviewPublished, review="A review."),
    ]
