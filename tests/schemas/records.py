"""Records to decode, and the samples that stand beside the schemas."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import schemas
from schemas import codec, topics
from schemas.codec import Record

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
SAMPLES = Path(schemas.__file__).parent / "samples"
INPUTS = {model.TYPE for topic in (topics.INCIDENT_EVENTS, topics.INCIDENT_COMMANDS) for model in topic.holds}
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=utf-8"),)


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return found


def data_of(name: str) -> Any:
    return sample(name)["data"]


def topic_of(name: str) -> topics.Topic:
    return next(topic for topic in topics.ALL if codec.TYPES[name] in topic.holds)


def record(
    value: bytes | None,
    headers: tuple[tuple[str, bytes], ...] = STRUCTURED,
    key: bytes | None = None,
    topic: str = "incident.events",
) -> Record:
    return Record(topic, 0, 0, AT, key, value, headers)


def structured(**changes: Any) -> Record:
    """A good structured event with something changed; None takes an attribute away."""
    event = {**sample("io.tocsin.incident.opened.v1"), **changes}
    return record(json.dumps({name: value for name, value in event.items() if value is not None}).encode())


def binary(**changes: bytes | None) -> Record:
    """A good event in binary mode with some header changed; None takes it away."""
    event = sample("io.tocsin.incident.opened.v1")
    data = json.dumps(event.pop("data")).encode()
    headers = {f"ce_{n}": v.encode() for n, v in event.items() if n != "datacontenttype"}
    headers = {**headers, "content-type": b"application/json", **{f"ce_{n}": v for n, v in changes.items()}}
    return record(data, tuple((name, value) for name, value in headers.items() if value is not None))
