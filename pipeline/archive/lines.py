"""A record as a line of JSON: everything that a topic holds of it, so that it can be put back byte for byte."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.errors import AuditError
from schemas.base import rfc3339
from schemas.codec import Record

Packed = str | list[str] | None
"""Bytes as text where they are UTF-8; else the base64 of them, in a list."""


def line_of(record: Record) -> bytes:
    """The line, without its end."""
    return orjson.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "at": rfc3339(record.timestamp),
            "key": _packed(record.key),
            "value": _packed(record.value),
            "headers": [[name, _packed(value)] for name, value in record.headers],
        }
    )


def record_of(line: bytes) -> Record:
    """The record of a line. Raises AuditError."""
    try:
        said = orjson.loads(line)
        return Record(
            topic=said["topic"],
            partition=said["partition"],
            offset=said["offset"],
            timestamp=datetime.fromisoformat(said["at"]).astimezone(UTC),
            key=_unpacked(said["key"]),
            value=_unpacked(said["value"]),
            headers=tuple((name, _unpacked(value) or b"") for name, value in said["headers"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise AuditError(f"this is no archived record ({error!r}): {line[:80]!r}") from None


def _packed(value: bytes | None) -> Packed:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return [b64encode(value).decode()]


def _unpacked(value: Any) -> bytes | None:
    if value is None:
        return None
    return b64decode(value[0], validate=True) if isinstance(value, list) else str(value).encode()
