"""The wire for those who do not read Python: a JSON Schema (2020-12) per type, and an AsyncAPI 3.0 document.

Fields that an audience may see or not carry `x-audience`, and `x-approval` where telling them needs one.
"""

import json
from collections.abc import Iterator
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from schemas import codec, topics
from schemas.base import Level, Message
from schemas.incident import For
from schemas.topics import Topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VERSION = "1.0.0"
KAFKA_BINDING = "0.5.0"
"""https://github.com/asyncapi/bindings/tree/master/kafka"""
INPUTS = (topics.INCIDENT_EVENTS, topics.INCIDENT_COMMANDS)
"""Topics that others write to: structured mode is taken there as well."""

_ATTRIBUTE: dict[str, Any] = {"type": "string", "minLength": 1}
_HEADERS: dict[str, dict[str, Any]] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {**_ATTRIBUTE, "description": "unique with ce_source; the same record again has the same id"},
    "ce_source": {**_ATTRIBUTE, "format": "uri-reference"},
    "ce_subject": {**_ATTRIBUTE, "description": "what it is about; the record's key unless stated otherwise"},
    "ce_time": {"type": "string", "format": "date-time", "description": "when it occurred, RFC 3339"},
    "ce_traceparent": {"type": "string", "description": "W3C Trace Context"},
    "content-type": {"const": "application/json"},
}
_CLOCK: dict[str, dict[str, Any]] = {
    "ce_virtualtime": {"type": "string", "format": "date-time", "description": "the sandbox's clock at this record"},
    "ce_virtualspeed": {"type": "string", "description": "how many times as fast it runs, a decimal number"},
}
_SIGNED: dict[str, dict[str, Any]] = {
    "ce_operator": {**_ATTRIBUTE, "description": "the name of the operator who ordered, or said, it"},
    "ce_signature": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]{86}$",
        "description": (
            "their ed25519 signature, base64url, over `tocsin/1 input`, a line feed, and the canonical JSON (RFC 8785) "
            "of an object with data, id, incident, source, type; data as journaled, without what was not said"
        ),
    },
}


def files() -> dict[str, str]:
    """Every exported file: its path below `schemas/`, and its text. The same models give the same bytes."""
    exported = {
        f"json/{name}.json": json.dumps(schema_of(model), indent=2, ensure_ascii=False) + "\n"
        for name, model in codec.TYPES.items()
    }
    document = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)
    return {**exported, "asyncapi.yaml": f"# Made by `tocsin schema export`; do not edit.\n{document}"}


def schema_of(model: type[Message]) -> dict[str, Any]:
    """The JSON Schema of a type's data."""
    schema = _without_discriminators(model.model_json_schema())
    definitions = schema.get("$defs", {})
    for nested in _models(model):
        _mark(definitions.get(nested.__name__, schema if nested is model else {}), nested)
    name: str = model.TYPE  # type: ignore[attr-defined]  # every model of a topic names its type
    return {"$schema": DIALECT, "$id": f"urn:tocsin:{name}", **schema}


def _without_discriminators(schema: Any) -> Any:
    """`discriminator` is OpenAPI's, unknown to JSON Schema and of another shape in AsyncAPI; `const` says the same."""
    if isinstance(schema, dict):
        return {
            name: _without_discriminators(part)
            for name, part in schema.items()
            if not (name == "discriminator" and "mapping" in part)
        }
    return [_without_discriminators(part) for part in schema] if isinstance(schema, list) else schema


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """`model` and every model within it."""
    seen: list[type[BaseModel]] = []
    waiting: list[Any] = [model]
    while waiting:
        found = waiting.pop()
        if isinstance(found, type) and issubclass(found, BaseModel):
            if found not in seen:
                seen.append(found)
                waiting += [field.annotation for field in found.model_fields.values()]
        else:
            waiting += get_args(found)
    return iter(seen)


def _mark(schema: dict[str, Any], model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, For):
                marked = schema["properties"][name]
                marked["x-audience"] = [level.value for level in Level if level in mark.levels]
                if mark.approval is not None:
                    marked["x-approval"] = mark.approval


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: topics as channels, types as messages, and what each room sends and receives."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tocsin",
            "version": VERSION,
            "description": (
                "Incident events in, messages to people out, and a sealed log of both.\n"
                "Values are JSON; CloudEvents 1.0 attributes stand in the headers (binary mode). On the inputs "
                f"({' and '.join(topic.name for topic in INPUTS)}) structured mode is taken as well."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{broker}",
                "protocol": "kafka",
                "description": "Any Kafka: TOCSIN_BROKER.",
                "variables": {"broker": {"default": "127.0.0.1:9092"}},
            }
        },
        "channels": {_key(topic.name): _channel(topic) for topic in topics.ALL},
        "operations": {name: operation for topic in topics.ALL for name, operation in _operations(topic)},
        "components": {
            "messages": {_key(name): _message(name, model) for name, model in codec.TYPES.items()},
            "schemas": {"headers": _headers(_HEADERS), "inputHeaders": _headers(_HEADERS | _CLOCK | _SIGNED)},
        },
    }


def _key(name: str) -> str:
    return name.replace(".", "_")


def _headers(properties: dict[str, dict[str, Any]]) -> dict[str, Any]:
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type", "content-type"]
    every = {**properties, "ce_type": {**_ATTRIBUTE, "description": "the message's name"}}
    return {"type": "object", "required": required, "properties": every}


def _channel(topic: Topic) -> dict[str, Any]:
    kept = "compacted" if topic.cleanup == "compact" else _retention(topic.retention_ms)
    config: dict[str, Any] = {"cleanup.policy": [topic.cleanup], "max.message.bytes": topic.max_message_bytes}
    if topic.cleanup == "delete":
        config["retention.ms"] = topic.retention_ms
    if topic.closed_ms is not None:
        kept += ", and nothing that was deleted stays"
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"{topic.description}\nPartitioned by: {topic.key}. Kept: {kept}.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in map(_key, _types(topic))},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions or topics.DEFAULT_PARTITIONS,
                "topicConfiguration": config,
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _retention(milliseconds: int) -> str:
    return "for ever" if milliseconds == topics.FOR_EVER_MS else f"{milliseconds // topics.DAY_MS} days"


def _types(topic: Topic) -> list[str]:
    return [model.TYPE for model in topic.holds]  # type: ignore[attr-defined]


def _message(name: str, model: type[Message]) -> dict[str, Any]:
    held_by = [topic for topic in topics.ALL if model in topic.holds]
    headers = "inputHeaders" if held_by[0] in INPUTS else "headers"
    return {
        "name": name,
        "title": model.__name__,
        "summary": " ".join((model.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": {"$ref": f"#/components/schemas/{headers}"},
        "payload": {"$ref": f"./json/{name}.json"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": held_by[0].key},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _operations(topic: Topic) -> Iterator[tuple[str, dict[str, Any]]]:
    for action, verb, rooms in (("send", "writes", topic.written_by), ("receive", "reads", topic.read_by)):
        for room in rooms:
            yield (
                f"{room}_{verb}_{_key(topic.name)}",
                {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{_key(topic.name)}"},
                    "title": f"{room} {verb} {topic.name}",
                    "tags": [{"name": room}],
                },
            )
