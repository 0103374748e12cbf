"""Incidents of the past: grouped, ordered, each with those that lay nearby."""

from datetime import UTC, datetime, timedelta

from pipeline.recorded import RecordedEvent
from pipeline.replay.past import pasts_of, recorded_in
from schemas.base import Severity
from schemas.command import Wake, WakeReason
from schemas.incident import IncidentEvent, IncidentOpened, IncidentResolved, IncidentUpdated
from schemas.journal import JournaledInput, JournalEntry

BEGAN = datetime(2026, 3, 4, 9, tzinfo=UTC)


def opened(incident: str, hours: float, *components: str) -> RecordedEvent:
    event = IncidentOpened(title=f"{incident} is slow", severity=Severity.MINOR, components=components)
    return RecordedEvent(incident, BEGAN + timedelta(hours=hours), event, incident)


def test_events_are_grouped_by_incident_and_incidents_begin_in_order() -> None:
    late = RecordedEvent("a", BEGAN + timedelta(hours=9), IncidentResolved(), "a-2")
    pasts = pasts_of([late, opened("b", 5), opened("a", 1)])
    assert [(past.incident, len(past.events)) for past in pasts] == [("a", 2), ("b", 1)]
    assert pasts[0].title == "a is slow"


def test_other_incidents_on_a_component_within_the_day_before_are_its_surroundings() -> None:
    pasts = pasts_of(
        [
            opened("too-early", 0, "Git"),
            opened("other-part", 10, "Pages"),
            opened("nearby", 12, "git", "API"),
            opened("this", 25, "Git"),
            opened("later", 26, "Git"),
        ]
    )
    found = {past.incident: [earlier.incident for earlier in past.earlier] for past in pasts}
    assert found["this"] == ["nearby"]
    assert found["later"] == ["nearby", "this"]
    assert found["other-part"] == []
    (earlier,) = next(past for past in pasts if past.incident == "this").earlier
    assert (earlier.title, earlier.severity, earlier.components) == ("nearby is slow", Severity.MINOR, ("git", "API"))


def test_of_a_journal_only_what_upstream_said_is_taken() -> None:
    def entry(seq: int, data: IncidentEvent | Wake) -> JournalEntry:
        at = BEGAN + timedelta(minutes=seq)
        given = JournaledInput(
            id=f"e{seq}", source="s", type=data.TYPE, topic="t", partition=0, offset=seq, appended_at=at,
            data=data.model_dump(mode="json", exclude_none=True),
        )  # fmt: skip
        return JournalEntry(incident="i", seq=seq, at=at, policy="0" * 64, input=given, decisions=())

    said = [IncidentOpened(title="T", severity=Severity.MINOR), IncidentUpdated(summary="S")]
    wake = Wake(due=BEGAN, reason=WakeReason.SILENCE)
    found = recorded_in({"i": [entry(1, said[0]), entry(2, wake), entry(3, said[1])]})
    assert [(one.id, one.event, one.posted) for one in found] == [("e1", said[0], False), ("e3", said[1], False)]
