"""The one codec: CloudEvents 1.0 over Kafka, binary mode on our own topics, structured or binary on the inputs.

Sources: CloudEvents 1.0.2, Kafka Protocol Binding 1.0.2, JSON Event Format 1.0.2, W3C Trace Context.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, from_structured_event
from cloudevents.core.exceptions import CloudEventValidationError
from pydantic import TypeAdapter, ValidationError

from schemas import topics
from schemas.base import Line, Message, is_id, rfc3339
from schemas.strict_json import Undecodable as Undecodable  # part of the codec's own interface
from schemas.strict_json import strict_json as strict_json

M = TypeVar("M", bound=Message, covariant=True)
Headers = tuple[tuple[str, bytes], ...]

TYPES: dict[str, type[Message]] = {
    model.TYPE: model  # type: ignore[attr-defined]  # every model of a topic names its type; a test sees to it
    for topic in topics.ALL
    for model in topic.holds
}
STRUCTURED = "application/cloudevents+json"
ATTRIBUTES = frozenset(
    {"id", "source", "type", "subject", "time", "specversion", "datacontenttype", "dataschema", "partitionkey"}
)

_LINE: TypeAdapter[str] = TypeAdapter(Line)
_TRACEPARENT = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it stands in a topic; `timestamp` is the broker's append time."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written. Without `partition` the key decides (murmur2, as every Kafka client does)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Event(Generic[M]):
    """A decoded CloudEvent: its attributes, its data, and the extensions that we know."""

    id: str
    source: str
    type: str
    subject: str | None
    time: datetime | None
    data: M
    extensions: Mapping[str, str] = field(default_factory=dict)


def encode(
    topic: topics.Topic,
    data: Message,
    *,
    id: str,
    source: str,
    subject: str | None = None,
    key: str | None = None,
    time: datetime | None = None,
    partition: int | None = None,
    extensions: Mapping[str, str] | None = None,
) -> Outgoing:
    """`data` as a CloudEvent in binary mode, ready for `topic`. The key is the subject unless given."""
    if not isinstance(data, topic.holds):
        raise TypeError(f"{type(data).__name__} does not belong on {topic.name}")
    attributes: dict[str, str] = {
        "ce_specversion": "1.0",
        "ce_id": id,
        "ce_type": data.TYPE,  # type: ignore[attr-defined]
        "ce_source": source,
        "content-type": "application/json",
    }
    if subject is not None:
        attributes["ce_subject"] = subject
    if time is not None:
        attributes["ce_time"] = rfc3339(time)
    for name, value in (extensions or {}).items():
        attributes[f"ce_{name}"] = value
    key = subject if key is None else key
    return Outgoing(
        topic=topic.name,
        key=None if key is None else key.encode(),
        value=data.model_dump_json(exclude_none=True).encode(),
        headers=tuple([(name, value.encode()) for name, value in attributes.items()]),
        partition=partition,
    )


def id_of(record: Record) -> bytes:
    """The id in the headers of a record of one of our own topics, without decoding it; empty if there is none."""
    return next((value for name, value in record.headers if name == "ce_id"), b"")


def subject_of(record: Record) -> bytes:
    """The subject, likewise."""
    return next((value for name, value in record.headers if name == "ce_subject"), b"")


def decode(record: Record, expect: type[M] | None = None) -> Event[M]:
    """What stands in `record` of one of our own topics (binary mode). Raises `Undecodable`."""
    try:
        attributes = {name[3:]: value.decode() for name, value in record.headers if name.startswith("ce_")}
    except UnicodeDecodeError as error:
        raise Undecodable("bad_utf8", f"a header is not UTF-8: {error}") from None
    if missing := {"id", "source", "type"} - attributes.keys():
        raise Undecodable("not_a_cloudevent", f"required attributes are missing: {', '.join(sorted(missing))}")
    model = _model(attributes["type"], record.topic)
    if expect is not None and not issubclass(model, expect):
        raise Undecodable("unknown_type", f"{attributes['type']} is not a {expect.__name__}")
    return Event(
        id=attributes.pop("id"),
        source=attributes.pop("source"),
        type=attributes.pop("type"),
        subject=attributes.pop("subject", None),
        time=_time(attributes.pop("time", None)),
        data=_validated(model, record.value or b""),  # type: ignore[arg-type]
        extensions=_extensions(attributes),
    )


def decode_input(record: Record) -> Event[Message]:
    """What someone outside wrote: structured or binary mode, checked in every way. Raises `Undecodable`.

    The record's key, where there is one, must be the subject: the partition is chosen by it, and order hangs on that.
    """
    attributes, data = parse_cloudevent(record)
    model = _model(attributes["type"], record.topic)
    subject = attributes.get("subject")
    if subject is None:
        raise Undecodable("missing_field", "the attribute `subject` must name what the event is about")
    if not is_id(subject):
        raise Undecodable("invalid_field", "subject: letters, digits and . _ : - only, at most 100, no space")
    if record.key is not None and record.key != subject.encode():
        raise Undecodable("wrong_key", f"the record's key is {record.key!r}, its subject is {subject!r}")
    return Event(
        id=_line("id", attributes),
        source=_line("source", attributes),
        type=attributes["type"],
        subject=subject,
        time=_utc(attributes.get("time")),
        data=_validated(model, json.dumps(data).encode()),
        extensions=_extensions(attributes),
    )


def parse_cloudevent(record: Record) -> tuple[dict[str, Any], Any]:
    """The attributes and the data of a CloudEvent of any type, `time` as a datetime. Raises `Undecodable`.

    Structured mode is what says so in `content-type`, or has no attribute in its headers (Kafka binding, 3.1).
    """
    if record.value is None:
        raise Undecodable("empty", "the record has no value")
    if len(record.value) > topics.MAX_INPUT_BYTES:
        raise Undecodable("too_large", f"{len(record.value)} bytes; at most {topics.MAX_INPUT_BYTES} are taken")
    headers = _headers(record)
    parsed = strict_json(record.value)
    content_type = headers.get("content-type", "").lower()
    structured = content_type.startswith("application/cloudevents") or not any(n.startswith("ce_") for n in headers)
    if structured and not (isinstance(parsed, dict) and content_type.split(";")[0].strip() in ("", STRUCTURED)):
        raise Undecodable("not_a_cloudevent", f"neither one event as {STRUCTURED} nor ce_ headers")
    said = parsed if structured else {name[3:]: text for name, text in headers.items() if name.startswith("ce_")}
    # The SDK would make up a missing id, and the same record read twice would be two events; a missing time it sets to
    # the present moment, but a decision must not hang on when it was read.
    if missing := {"id", "source", "type", "specversion"} - said.keys():
        raise Undecodable("not_a_cloudevent", f"required attributes are missing: {', '.join(sorted(missing))}")
    if said["specversion"] != "1.0":
        raise Undecodable("not_a_cloudevent", "specversion: only 1.0 is read")
    raw = KafkaMessage(headers={name: text.encode() for name, text in headers.items()}, key=None, value=record.value)
    try:
        event = from_structured_event(raw) if structured else from_binary_event(raw)
    except (CloudEventValidationError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Undecodable("not_a_cloudevent", _sentence(error)) from None
    attributes = {name: value for name, value in event.get_attributes().items() if name != "time" or "time" in said}
    if not structured:
        return attributes, parsed
    in_base64 = event.get_data() if "data_base64" in said else None
    return attributes, strict_json(in_base64) if isinstance(in_base64, bytes) else said.get("data")


def _headers(record: Record) -> dict[str, str]:
    try:
        headers = [(name.lower(), value.decode()) for name, value in record.headers]
    except UnicodeDecodeError as error:
        raise Undecodable("bad_utf8", f"a header is not UTF-8: {error}") from None
    found = dict(headers)
    if len(found) != len(headers):
        names = [name for name, _ in headers]
        if twice := [name for name in found if names.count(name) > 1 and name.startswith(("ce_", "content-type"))]:
            raise Undecodable("not_a_cloudevent", f"the header {twice[0]} stands twice")
    return found


def _model(type_name: str, topic: str) -> type[Message]:
    model = TYPES.get(type_name)
    if model is None:
        raise Undecodable("unknown_type", f"no message has the type {type_name!r}")
    if topic in topics.BY_NAME and model not in topics.BY_NAME[topic].holds:
        raise Undecodable("unknown_type", f"{type_name} does not belong on {topic}")
    return model


def _validated(model: type[Message], raw: bytes) -> Message:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'data'}: {e['msg']}" for e in error.errors()[:5]]
        missing = any(e["type"] == "missing" for e in error.errors())
        raise Undecodable("missing_field" if missing else "invalid_field", "; ".join(problems)) from None


def _sentence(error: Exception) -> str:
    if isinstance(error, CloudEventValidationError):
        return "; ".join(f"{name}: {', '.join(map(str, found))}" for name, found in error.errors.items())
    return f"{type(error).__name__}: {error}"


def _line(name: str, attributes: Mapping[str, Any]) -> str:
    """An attribute that goes into the journal."""
    try:
        return _LINE.validate_python(attributes[name])
    except ValidationError:
        raise Undecodable("invalid_field", f"{name}: 1 to 300 characters, controls apart") from None


def _extensions(attributes: Mapping[str, Any]) -> dict[str, str]:
    found = {name: _text(value) for name, value in attributes.items() if name not in ATTRIBUTES}
    if not _TRACEPARENT.fullmatch(found.get("traceparent", "")):
        found.pop("traceparent", None)  # W3C: who gets an invalid one begins a trace of their own
    return found


def _text(value: Any) -> str:
    """An extension's value as CloudEvents spells it (1.0.2, section 3.1)."""
    if isinstance(value, dict | list) or value is None:
        raise Undecodable("not_a_cloudevent", "an extension attribute is no text, number or boolean")
    return value if isinstance(value, str) else json.dumps(value)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return _utc(datetime.fromisoformat(text))
    except ValueError:
        raise Undecodable("invalid_field", f"time: {text!r} is not RFC 3339") from None


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise Undecodable("invalid_field", "time: outside the years 1 to 9999 in UTC") from None
