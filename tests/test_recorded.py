"""Recorded incidents: both forms, as they really come."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.recorded import RecordingError, read, read_file
from schemas.base import Severity, State
from schemas.incident import (
    IncidentOpened,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceCompleted,
    MaintenanceScheduled,
    MaintenanceStarted,
    MonitoringStarted,
    ReviewPublished,
)
from tests.paths import CORPUS, REPOSITORY, needs_corpus

OURS = sorted((REPOSITORY / "deploy" / "incidents").glob("*.json"))


def written(tmp_path: Path, *objects: dict[str, Any]) -> Path:
    path = tmp_path / "recording"
    path.write_text("\n".join(json.dumps(one) for one in objects))
    return path


def published(*posts: tuple[str, str], **more: Any) -> dict[str, Any]:
    updates = [{"at": f"2024-05-01T{at}:00Z", "status": status, "body": f"{status} at {at}"} for at, status in posts]
    return {
        "id": "i1", "name": "Git is slow", "impact": "minor", "kind": "incident", "created_at": updates[0]["at"],
        "resolved_at": None, "components": ["Git"], "updates": updates, "url": None, **more,
    }  # fmt: skip


@needs_corpus
@pytest.mark.parametrize(("name", "incidents", "posts"), [("github-2022-2024", 399, 2165), ("jenkins", 290, 292)])
def test_every_incident_of_the_corpus_is_mapped(name: str, incidents: int, posts: int) -> None:
    events = read([CORPUS / "incidents" / f"{name}.jsonl"])
    assert len({event.incident for event in events}) == incidents
    assert len({event.id for event in events}) == len(events)
    assert sum(event.event.summary is not None for event in events) == posts
    assert [event.at for event in events] == sorted(event.at for event in events)
    ends = Counter(e.incident for e in events if isinstance(e.event, IncidentResolved | MaintenanceCompleted))
    assert len(ends) == incidents
    assert set(ends.values()) == {1}


@needs_corpus
def test_every_post_of_the_corpus_is_told_word_for_word_and_nothing_is_added() -> None:
    path = CORPUS / "incidents" / "github-2022-2024.jsonl"
    posts = {
        (incident["id"], " ".join(post["body"].split()))
        for incident in map(json.loads, path.read_text().splitlines())
        for post in incident["updates"]
    }
    events = read([path])
    assert {(event.incident, " ".join((event.event.summary or "").split())) for event in events} == posts
    for event in events:
        said = event.event.model_dump(exclude_none=True)
        assert said.keys() <= {"title", "severity", "state", "components", "summary"}


def test_reading_twice_gives_the_same_ids(tmp_path: Path) -> None:
    path = written(tmp_path, published(("10:00", "investigating"), ("10:00", "update"), ("11:00", "resolved")))
    assert read([path]) == read([path])


def test_posts_of_the_same_minute_keep_their_order_and_differ_in_id(tmp_path: Path) -> None:
    events = read([written(tmp_path, published(("10:00", "investigating"), ("10:00", "update"), ("10:00", "update")))])
    kinds = [type(event.event).__name__ for event in events]
    assert kinds == ["IncidentOpened", "IncidentUpdated", "IncidentUpdated"]
    assert len({event.id for event in events}) == 3


def test_statuses_become_events_and_states(tmp_path: Path) -> None:
    posts = [
        ("10:00", "investigating"), ("10:10", "identified"), ("10:20", "monitoring"), ("10:30", "investigating"),
        ("10:40", "resolved"), ("10:50", "investigating"), ("11:00", "resolved"), ("12:00", "postmortem"),
    ]  # fmt: skip
    events = [recorded.event for recorded in read([written(tmp_path, published(*posts))])]
    told: list[tuple[type, State | None]] = [(type(event), event.state) for event in events]
    assert told == [
        (IncidentOpened, State.INVESTIGATING),
        (IncidentUpdated, State.IDENTIFIED),
        (MonitoringStarted, State.MONITORING),
        (IncidentUpdated, State.INVESTIGATING),  # it fell back while it was watched: it never was over
        (IncidentResolved, State.RESOLVED),
        (IncidentReopened, State.INVESTIGATING),
        (IncidentResolved, State.RESOLVED),
        (ReviewPublished, None),
    ]
    assert (events[0].title, events[0].severity, events[0].components) == ("Git is slow", Severity.MINOR, ("Git",))
    assert events[1].title is None


def test_a_first_post_that_is_resolved_stays_resolved(tmp_path: Path) -> None:
    [only] = read([written(tmp_path, published(("10:00", "resolved")))])
    assert isinstance(only.event, IncidentResolved)
    assert only.event.title == "Git is slow"


def test_an_end_that_no_post_says_is_an_event_with_its_times(tmp_path: Path) -> None:
    path = written(tmp_path, published(("10:00", "update"), impact="down", resolved_at="2024-05-01T12:00:00Z"))
    opened, resolved = read([path])
    assert opened.event.severity is Severity.MAJOR
    assert isinstance(resolved.event, IncidentResolved)
    assert resolved.event.summary is None
    assert resolved.event.ended_at == resolved.at == datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_an_end_before_the_beginning_comes_after_it_and_states_no_times(tmp_path: Path) -> None:
    path = written(tmp_path, published(("10:00", "update"), resolved_at="2024-05-01T09:00:00Z"))
    opened, resolved = read([path])
    assert isinstance(opened.event, IncidentOpened)
    assert isinstance(resolved.event, IncidentResolved)
    assert resolved.event.ended_at is None
    assert resolved.at == opened.at


def test_a_maintenance_is_scheduled_started_and_completed(tmp_path: Path) -> None:
    posts = [("10:00", "scheduled"), ("11:00", "in progress"), ("11:10", "update"), ("11:30", "completed")]
    path = written(tmp_path, published(*posts, kind="maintenance", impact="maintenance"))
    kinds = [type(recorded.event) for recorded in read([path])]
    assert kinds == [MaintenanceScheduled, MaintenanceStarted, IncidentUpdated, MaintenanceCompleted]


def test_events_of_several_files_come_in_the_order_of_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(json.dumps(published(("10:00", "investigating"), ("12:00", "resolved"))))
    two.write_text(json.dumps(published(("11:00", "investigating"), id="i2")))
    assert [event.incident for event in read([one, two])] == ["i1", "i2", "i1"]


def test_there_is_a_small_a_large_a_lossy_incident_and_a_maintenance_of_our_own() -> None:
    assert len(OURS) >= 4
    large = read_file(REPOSITORY / "deploy" / "incidents" / "large-overnight-payments.json")
    assert {type(event.event).__name__ for event in large} >= {
        "IncidentOpened", "ImpactChanged", "MilestoneReached", "MonitoringStarted", "IncidentResolved",
        "ReviewPublished",
    }  # fmt: skip


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_own_recordings_keep_their_promises_and_state_what_lasts(path: Path) -> None:
    events, promised = read_file(path), None
    for recorded in events:
        if not isinstance(recorded.event, ReviewPublished):
            assert promised is None or recorded.at <= promised
        ends = isinstance(recorded.event, IncidentResolved | MaintenanceCompleted)
        promised = None if ends else (recorded.event.next_update_at or promised)
        if ends:
            assert recorded.event.consequences is not None
            assert recorded.event.consequences.lasting is not None
            assert recorded.event.ended_at is not None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ("{", "line 1: the whole: Invalid JSON"),
        ('{"id": "i1"}', "name: Field required"),
        ('{"tocsin": "recorded-incident/2", "incident": "a", "title": "t", "events": []}', "tocsin: Input should be"),
        (
            '{"tocsin": "recorded-incident/1", "incident": "a", "title": "t", "events":'
            ' [{"at": "2026-01-01T00:00:00Z", "type": "io.tocsin.incident.closed.v1", "data": {}}]}',
            "events.1: no event has the type 'io.tocsin.incident.closed.v1'",
        ),
        (
            '{"tocsin": "recorded-incident/1", "incident": "a", "title": "t", "events":'
            ' [{"at": "2026-01-01T00:00:00Z", "type": "io.tocsin.incident.opened.v1", "data": {"title": "x"}}]}',
            "events.1: severity: Field required",
        ),
    ],
)
def test_a_recording_that_cannot_be_read_says_where_and_why(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(content)
    with pytest.raises(RecordingError) as caught:
        read([path])
    assert str(caught.value).startswith(str(path))
    assert complaint in str(caught.value)


def test_events_out_of_order_are_refused(tmp_path: Path) -> None:
    events = [
        {"at": f"2026-01-0{day}T00:00:00Z", "type": "io.tocsin.incident.updated.v1", "data": {"summary": "x"}}
        for day in (2, 1)
    ]
    path = written(tmp_path, {"tocsin": "recorded-incident/1", "incident": "a", "title": "t", "events": events})
    with pytest.raises(RecordingError, match=r"event 2 .* lies before event 1"):
        read([path])
