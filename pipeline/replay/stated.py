"""Promised next updates in the words of a post, found conservatively: rather one too few than one that is none.

"Next update in 30m", "we will provide another update by 18:00 UTC". Not: "we will keep you updated", "an update
shortly", an estimate of the repair ("recovery in 15 minutes"), or a promise with an "if".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

PRECISION = timedelta(minutes=1)
"""Posts are dated to the minute: a promise counts as kept within the minute it was due in."""

_NUMBERS = {
    "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "ten": 10.0,
    "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0, "forty-five": 45.0, "sixty": 60.0, "half an": 0.5,
}  # fmt: skip
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60}
_NUMBER = r"\d{1,3}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True))
_SPAN = rf"(?P<number>{_NUMBER})[ -]?(?P<unit>m|mins?|minutes?|h|hrs?|hours?|days?)\b"
_CLOCK = r"(?P<hour>[01]?\d|2[0-3]):?(?P<minute>[0-5]\d) ?(?:UTC|GMT)\b"
_UPDATE = (
    r"\bnext (?:\w+ )?update\b"
    r"|\b(?:another|further) (?:\w+ )?updates? (?:will|to|is|are)\b"
    r"|\b(?:provide|post|share|send|give|publish|issue|have|follow up with) (?:you )?"
    r"(?:an|another|a further|a more|more|further|the next|our next) (?:\w+ ){0,3}updates?\b"
)
_PROMISE = re.compile(
    rf"(?:{_UPDATE})[^.!?;\n]{{0,40}}?\b(?:"
    rf"(?:in|within|every) (?:the next |about |approximately |around )?{_SPAN}|(?:by|at|before|around) {_CLOCK})"
    r"(?P<rest>[^.!?;\n]{0,60})",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|unless|when|once|as soon as)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Stated:
    """A promise that a post states; `kept` where the next post came in time."""

    made_at: datetime
    due: datetime
    kept: bool


def due_in(text: str, at: datetime) -> datetime | None:
    """The moment for which `text`, posted at `at`, promises the next update; None where it promises none."""
    found = _PROMISE.search(text)
    if found is None or _CONDITION.search(found["rest"]):
        return None
    if found["unit"]:
        number = _NUMBERS.get(found["number"].lower()) or float(found["number"])
        return at + timedelta(minutes=number * _MINUTES[found["unit"][0].lower()])
    due = at.replace(hour=int(found["hour"]), minute=int(found["minute"]), second=0, microsecond=0)
    return due if due > at else due + timedelta(days=1)


def stated_in(posts: Sequence[tuple[datetime, str]]) -> tuple[Stated, ...]:
    """The promises of one incident's posts, in order; what the last one promises is broken, since nothing followed."""
    found = []
    for place, (at, text) in enumerate(posts):
        due = due_in(text, at)
        if due is not None:
            following = next((later for later, _ in posts[place + 1 :]), None)
            found.append(Stated(at, due, following is not None and following < due + PRECISION))
    return tuple(found)
