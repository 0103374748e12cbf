"""Recorded incidents: what once happened, as files that can be played again.

Two forms are read. Our own is one JSON object per incident:

    {"tocsin": "recorded-incident/1", "incident": "search-slow", "title": "Search is slow",
     "events": [{"at": "2026-03-04T09:12:00Z", "type": "io.tocsin.incident.opened.v1", "data": {...}}, ...]}

The other is what status pages publish, one JSON object per line: `{id, name, impact, kind, created_at, resolved_at,
components, updates: [{at, status, body}]}`. Only what stands there is mapped: a post's body is its summary, a status
is a state, and consequences, contact and promises stay unsaid because nobody said them.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from pipeline.errors import TocsinError
from schemas.base import Id, Instant, Line, Severity, State, Text, rfc3339
from schemas.ids import derived
from schemas.incident import (
    EVENTS,
    IncidentEvent,
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

M = TypeVar("M", bound=BaseModel)

FORM: Literal["recorded-incident/1"] = "recorded-incident/1"
BY_TYPE: dict[str, type[IncidentEvent]] = {model.TYPE: model for model in EVENTS}

SEVERITIES = {
    "none": Severity.NONE,
    "minor": Severity.MINOR,
    "major": Severity.MAJOR,
    "critical": Severity.CRITICAL,
    # cState's words, placed as Statuspage places a component's: informational, degraded, a service is out.
    "notice": Severity.NONE,
    "disrupted": Severity.MINOR,
    "down": Severity.MAJOR,
}
"""An impact as published. `maintenance` is no severity: how bad it will be was not said."""


class RecordingError(TocsinError):
    """A file of recorded incidents cannot be read; names the file, the place in it and what is wrong."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event of a recording; `id` is the same at every reading, `at` is when it was said, in UTC.

    `posted`: it is a post of a status page, and so really was told the public in these words.
    """

    incident: str
    at: datetime
    event: IncidentEvent
    id: str
    posted: bool = False


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OwnEvent(_Strict):
    """One event of our own form; `data` is checked against the model that `type` names."""

    at: Instant
    type: str
    data: SerializeAsAny[IncidentEvent]

    @model_validator(mode="before")
    @classmethod
    def _of_its_type(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("data"), dict):
            return value
        if (model := BY_TYPE.get(value.get("type", ""))) is None:
            raise ValueError(f"no event has the type {value.get('type')!r}; there are {', '.join(sorted(BY_TYPE))}")
        try:
            return value | {"data": model.model_validate_json(json.dumps(value["data"]))}
        except ValidationError as error:
            raise ValueError(_problems(error)) from None


class OwnRecording(_Strict):
    """A file of our own form."""

    tocsin: Literal["recorded-incident/1"] = FORM
    incident: Id
    title: Line
    events: Annotated[tuple[OwnEvent, ...], Field(min_length=1)]

    @field_validator("events")
    @classmethod
    def _in_order(cls, events: tuple[OwnEvent, ...]) -> tuple[OwnEvent, ...]:
        for number, (earlier, later) in enumerate(pairwise(events), start=2):
            if later.at < earlier.at:
                raise ValueError(f"event {number} ({rfc3339(later.at)}) lies before event {number - 1}")
        return events


class Post(BaseModel):
    """One public post; the status words are Statuspage's."""

    at: Instant
    status: Literal[
        "investigating", "identified", "monitoring", "resolved", "update", "postmortem",
        "scheduled", "in progress", "in_progress", "verifying", "completed",
    ]  # fmt: skip
    body: Text | None = None

    @field_validator("body", mode="before")
    @classmethod
    def _nothing_said(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value


class Published(BaseModel):
    """One incident or maintenance of a status page. Fields that are not needed (url, vendor) may stand there."""

    id: Id
    name: Line
    impact: Literal["none", "minor", "major", "critical", "maintenance", "notice", "disrupted", "down"]
    kind: Literal["incident", "maintenance"]
    created_at: Instant
    resolved_at: Instant | None = None
    components: tuple[Line, ...] = ()
    updates: Annotated[tuple[Post, ...], Field(min_length=1)]


def read(paths: Iterable[Path]) -> list[RecordedEvent]:
    """All events of `paths`, both forms mixed as they come, ordered by time; equal times keep the order of the file.

    Raises RecordingError.
    """
    found = [event for path in paths for event in read_file(path)]
    return sorted(found, key=lambda event: event.at)


def read_file(path: Path) -> list[RecordedEvent]:
    """The events of one file, in the order in which they stand. Raises RecordingError."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from None
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None  # several lines, each an object of its own; or nothing that we know
    if isinstance(whole, dict) and "tocsin" in whole:
        return of_own(_checked(OwnRecording, text, str(path)))
    if isinstance(whole, dict):
        return of_published(_checked(Published, text, str(path)))
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise RecordingError(f"{path}: is empty")
    return [
        event for number, line in lines for event in of_published(_checked(Published, line, f"{path}, line {number}"))
    ]


def of_own(recording: OwnRecording) -> list[RecordedEvent]:
    """The events of our own form."""
    return _numbered(recording.incident, [(event.at, event.data) for event in recording.events])


def of_published(incident: Published) -> list[RecordedEvent]:
    """The events that the posts of a status page amount to.

    Where no post says the end, but the page does (`resolved_at`), the end is an event of its own. An end before the
    beginning (a page's slip of the pen) comes right after the posts of the beginning and states no times.
    """
    maintenance = incident.kind == "maintenance"
    mapped = list(_of_maintenance(incident) if maintenance else _of_incident(incident))
    if incident.resolved_at and not any(post.status in {"resolved", "completed"} for post in incident.updates):
        believable = incident.resolved_at >= incident.created_at
        times = {"began_at": incident.created_at, "ended_at": incident.resolved_at} if believable else {}
        end = MaintenanceCompleted(**times) if maintenance else IncidentResolved(state=State.RESOLVED, **times)
        mapped.append((max(incident.resolved_at, mapped[0][0]), end))
    return _numbered(incident.id, sorted(mapped, key=lambda pair: pair[0]), posted=True)


def _numbered(
    incident: str, events: Sequence[tuple[datetime, IncidentEvent]], posted: bool = False
) -> list[RecordedEvent]:
    """A third of the real incidents have posts that share a minute: only the number tells them apart."""
    return [
        RecordedEvent(
            incident,
            at,
            event,
            derived("recorded", incident, number, rfc3339(at), event.TYPE),
            posted and event.summary is not None,  # an end that only the page's own times tell was no post
        )
        for number, (at, event) in enumerate(events)
    ]


def _opening(incident: Published) -> dict[str, Any]:
    """What the page says of an incident as a whole; it goes with its first event."""
    said: dict[str, Any] = {"title": incident.name}
    if incident.impact in SEVERITIES:
        said["severity"] = SEVERITIES[incident.impact]
    if incident.components:
        said["components"] = incident.components
    return said


def _of_incident(incident: Published) -> Iterator[tuple[datetime, IncidentEvent]]:
    over = False
    for number, post in enumerate(incident.updates):
        said: dict[str, Any] = {"summary": post.body} | (_opening(incident) if number == 0 else {})
        if post.status in set(State):
            said["state"] = State(post.status)
        if number == 0 and post.status not in {"resolved", "postmortem"}:
            yield post.at, IncidentOpened(**{"severity": Severity.NONE} | said)
        elif post.status == "resolved":  # a backfilled first post stays what it is: over when it was first told
            yield post.at, IncidentResolved(**said)
        elif post.status == "postmortem":
            yield post.at, ReviewPublished(**said, review=post.body or incident.name)
        elif over and post.status in {"investigating", "identified"}:
            yield post.at, IncidentReopened(**said)
        elif post.status == "monitoring":
            yield post.at, MonitoringStarted(**said)
        else:
            yield post.at, IncidentUpdated(**said)
        over = post.status == "resolved" or (over and post.status in {"update", "postmortem"})


def _of_maintenance(incident: Published) -> Iterator[tuple[datetime, IncidentEvent]]:
    for number, post in enumerate(incident.updates):
        said: dict[str, Any] = {"summary": post.body} | (_opening(incident) if number == 0 else {})
        if post.status == "scheduled":
            yield post.at, MaintenanceScheduled(**{"title": incident.name} | said)
        elif post.status in {"completed", "resolved"}:
            yield post.at, MaintenanceCompleted(**said)
        elif post.status in {"in progress", "in_progress"} or number == 0:
            yield post.at, MaintenanceStarted(**said)  # a page without a schedule is dated by when the work began
        else:
            yield post.at, IncidentUpdated(**said)


def _checked(model: type[M], text: str, where: str) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise RecordingError(f"{where}: {_problems(error)}") from None


def _problems(error: ValidationError) -> str:
    return "; ".join(f"{_place(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()[:3])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in location) or "the whole"
