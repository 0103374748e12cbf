"""What is known of an incident, and the part of it that a level of detail may see."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel

from schemas.base import Instant, Level, Line, Text
from schemas.incident import EVERYONE, READERS, TECHNICIANS, Facts, For

UNSUBSCRIBE = "{{unsubscribe}}"
"""Stands in a rendered mail for the recipient's own link (see `schemas.rendering`)."""
_DEFUSED = "{{ unsubscribe }}"


class Known(Facts):
    """Everything said of one incident so far, by whatever kind of event."""

    milestone: Annotated[Text | None, EVERYONE] = None
    review: Annotated[Text | None, READERS] = None
    starts_at: Annotated[Instant | None, EVERYONE] = None
    ends_at: Annotated[Instant | None, EVERYONE] = None
    explanation: Annotated[Text | None, EVERYONE] = None
    """Of a correction or retraction: what was wrong."""
    held_since: Annotated[Instant | None, EVERYONE] = None
    """Of a resolution: since when the repair has held."""
    earlier: Annotated[tuple[Line, ...] | None, TECHNICIANS] = None
    """Other incidents on the same components, not long before."""


@cache
def marks_of(model: type[BaseModel]) -> dict[str, For]:
    """Who each marked field of `model` is for. An unmarked field is for nobody."""
    return {
        name: mark for name, field in model.model_fields.items() for mark in field.metadata if isinstance(mark, For)
    }


MARKS: Mapping[str, For] = marks_of(Known)


def approval_needed(name: str, approvals: Mapping[str, str]) -> str | None:
    """Whose approval the field called `name` needs before it is told, if anybody's: the wire's mark or the policy's."""
    mark = MARKS.get(name)
    return (mark.approval if mark else None) or approvals.get(name)


def visible_fields(
    level: Level, approvals: Mapping[str, str], released: frozenset[str] = frozenset()
) -> frozenset[str]:
    """The fields that `level` may see. What needs an approval is seen by nobody, unless it was released."""
    return frozenset(
        name
        for name, mark in MARKS.items()
        if level in mark.levels and (name in released or approval_needed(name, approvals) is None)
    )


def view(
    known: Known, level: Level, approvals: Mapping[str, str], released: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """What a template for `level` may see of `known`: other fields are not there at all, not even as empty."""
    return {name: plain(getattr(known, name), level) for name in sorted(visible_fields(level, approvals, released))}


def plain(value: Any, level: Level | None) -> Any:
    """Data only: no models, no enums; a text can never stand for the recipient's own link."""
    if isinstance(value, BaseModel):
        marks = marks_of(type(value))
        return {
            name: plain(getattr(value, name), level)
            for name in type(value).model_fields
            if not marks or (level is not None and name in marks and level in marks[name].levels)
        }
    if isinstance(value, str):
        text = value.value if isinstance(value, StrEnum) else value
        return text.replace(UNSUBSCRIBE, _DEFUSED)
    if isinstance(value, datetime) or value is None:
        return value
    if isinstance(value, Iterable):
        return [plain(item, level) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be shown")
