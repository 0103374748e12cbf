"""What the policy documents share: the base of every part, and the words that stand in them.

Every text of a document comes in as text (see `pipeline.policy.source`): what `10`, `17:00` or `off` means is said here
and in the models, and what is wrong with it in words that tell what to write instead.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from pipeline.hours.documents import QuietHours
from pipeline.hours.local import zone_named
from schemas.base import Channel, Id, Level, Severity
from schemas.journal import NoticeKind

E = TypeVar("E", bound=StrEnum)
Path = tuple[str | int, ...]
"""From a part of a document to one within it: keys as they are written, and places in lists from 0."""

EVERYTHING = ("every notice", "every change")
LONGEST = timedelta(days=366)
"""No rule waits longer; a moment so far away always stands in the calendar."""
OURS = "said"
"""The type of an error whose words are ours already."""


class Document(BaseModel):
    """A part of a policy document. Unknown keys are refused: a mistyped rule must not vanish silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def refuse(faults: Iterable[tuple[Path, str]]) -> None:
    """For validators: raises all that is wrong in this part, each at its place, if anything is."""
    errors = [
        InitErrorDetails(type=PydanticCustomError(OURS, "{text}", {"text": text}), loc=path, input=None)
        for path, text in faults
    ]
    if errors:
        raise ValidationError.from_exception_data("part of a policy", errors)


def nearest(word: str, known: Iterable[str]) -> str:
    """How to mend `word`: by the one of `known` that was probably meant, else by a list of them."""
    by_small = {one.casefold(): str(one) for one in known}
    if close := difflib.get_close_matches(word.casefold(), by_small, n=1):
        return f"did you mean {by_small[close[0]]!r}?"
    return f"use one of {', '.join(by_small.values())}" if by_small else "there are none"


def in_words(kind: NoticeKind) -> str:
    """A kind of notice as it stands in a document."""
    return kind.replace("_", " ")


def one_of(words: type[E], noun: str) -> Callable[[object], E]:
    """A validator that takes one of `words`, and knows what they are called."""

    def check(value: object) -> E:
        try:
            return words(str(value))
        except ValueError:
            raise ValueError(f"{shown(value)} is no {noun}; {nearest(str(value), list(words))}") from None

    return check


def shown(value: object) -> str:
    """What stands in the document, as an error repeats it."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "what stands here"
        case list():
            return "a list"
        case _:
            text = str(value)
            return repr(text if len(text) <= 60 else f"{text[:60]}…")


def _kinds(value: object) -> frozenset[NoticeKind]:
    if value in EVERYTHING:
        return frozenset(NoticeKind)
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is no list of kinds of notice; write {EVERYTHING[0]!r}, or like [opened]")
    known = {in_words(kind): kind for kind in NoticeKind}
    wrong = [(place, word) for place, word in enumerate(value) if str(word) not in known]
    refuse(((place,), f"{shown(word)} is no kind of notice; {nearest(str(word), known)}") for place, word in wrong)
    return frozenset(known[str(word)] for word in value)


_DURATION = re.compile(r"(\d{1,9}) ?(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> timedelta:
    if (found := _DURATION.fullmatch(str(value))) is None:
        raise ValueError(f"{shown(value)} is no span of time; write one like 30m, 24h or 3d")
    span = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if span > LONGEST:
        raise ValueError(f"{shown(value)} is longer than a year; write at most {LONGEST.days}d")
    return span


def _some_time(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("no time at all is no span here; write one like 30m")
    return value


def _language(value: object) -> object:
    if re.fullmatch("[a-z]{2}", str(value)) is None:
        raise ValueError(f"{shown(value)} is no language; write its two letters (ISO 639-1), like en or de")
    return value


def _quiet(value: object) -> tuple[time, time]:
    starts, to, ends = str(value).partition(" to ")
    if not to:
        raise ValueError(f"{shown(value)} are no hours; write them like 22:00 to 07:00")
    try:
        hours = QuietHours.model_validate({"from": starts.strip(), "until": ends.strip()})
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return hours.starts, hours.ends


Kinds = Annotated[frozenset[NoticeKind], BeforeValidator(_kinds)]
SeverityWord = Annotated[Severity, BeforeValidator(one_of(Severity, "severity"))]
LevelWord = Annotated[Level, BeforeValidator(one_of(Level, "level"))]
ChannelWord = Annotated[Channel, BeforeValidator(one_of(Channel, "channel"))]
LanguageWord = Annotated[str, BeforeValidator(_language)]
Zone = Annotated[str, AfterValidator(lambda name: zone_named(name) and name)]
Span = Annotated[timedelta, BeforeValidator(_duration)]
"""A span of time as people write it: 30s, 5m, 24h, 3d."""
SomeTime = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_some_time)]
"""The same, longer than nothing."""
Hours = Annotated[tuple[time, time], BeforeValidator(_quiet)]
"""Hours of a day by the clock on the wall, past midnight too: 22:00 to 07:00."""
Factor = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)]
Name = Id
"""Of an audience, a role, a contract."""


def spelled(span: timedelta) -> str:
    """A span as it stands in a document: in the largest unit that leaves nothing over, in hours up to 72."""
    seconds = round(span.total_seconds())
    for unit, size, from_ in (("d", 86_400, 4 * 86_400), ("h", 3_600, 1), ("m", 60, 1)):
        if seconds >= from_ and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
