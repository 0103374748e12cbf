"""What is found of one incident: plain values that can cross processes and become JSON as they are.

A `Story` is what was decided, in a back-test as in the real course; a `Result` is the story under a policy in a
back-test, with what it would have cost.

Times are UTC; spans are in seconds; money is in the currency of the prices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.base import Channel, Lane
from schemas.journal import NoticeKind


@dataclass(frozen=True, slots=True)
class Prices:
    """What a message costs: an SMS by segment and recipient, a post on X with and without a link. USD."""

    sms: float = 0.0079
    x: float = 0.015
    x_url: float = 0.20


@dataclass(frozen=True, slots=True)
class Word:
    """One notice to one audience, as it was decided.

    `event`: the id of the event that it answers; None where the clock or a person called for it. `while_open`: it left
    people with "open".
    """

    at: datetime
    seq: int
    audience: str
    kind: NoticeKind
    channels: tuple[Channel, ...]
    lane: Lane
    reason: str
    event: str | None
    safe: bool
    zones: tuple[str, ...]
    while_open: bool


@dataclass(frozen=True, slots=True)
class Sent(Word):
    """One notice with what it would cost.

    `segments`: of the SMS, on average over the languages and levels of its readers. `texts`: how many segments go out
    in all. `words`: a hash of what SMS and X say. `text`: what the SMS says, or else the post; empty where there is
    neither.
    """

    segments: float
    texts: float
    posts: int
    link: bool
    cost: float
    words: str
    text: str


@dataclass(frozen=True, slots=True)
class Promised:
    """A next update that was promised to an audience, and what became of it: kept, broken, or open at the end."""

    audience: str
    made_at: datetime
    due: datetime
    by: str
    kept: bool | None


@dataclass(frozen=True, slots=True)
class Post:
    """What the team said: one event, when, and in short."""

    at: datetime
    kind: str
    text: str
    news: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """One audience's view. `first_s`: from the first event to the first notice. `silence_s`: the longest gap while
    they had to think it open, heartbeats counted. `unclosed`: they were told "open" and never "resolved", though it
    was over; `waiting`: so, but the end waits for somebody's approval, which is on record.
    """

    notices: int
    first_s: float | None
    silence_s: float | None
    unclosed: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class AsTold:
    """What really happened, where the events are a status page's posts.

    When people first heard is unknown: a post's time is not that of the failure, nor of a mail's arrival.
    """

    posts: int
    silence_s: float | None
    promises: int
    kept: int


@dataclass(frozen=True, slots=True)
class Story:
    """One incident as it was told."""

    incident: str
    title: str
    severity: str
    maintenance: bool
    began: datetime
    ended: datetime | None
    """When upstream last said that it is over; None: it never did."""
    said: tuple[Post, ...]
    facts_silence_s: float | None
    """The longest gap between events that said something new, while it was open."""
    sent: tuple[Word, ...]
    audiences: Mapping[str, Heard]
    promises: tuple[Promised, ...]
    warned: int
    reminded: int
    findings: Mapping[str, int]
    """By rule and action ("blame: mend"), a finding counted once for each field that it is in."""
    held: Mapping[str, int]
    """Drafts by audience."""
    voided: int
    put_off: Mapping[str, int]
    silent: Mapping[str, int]
    """By the reason why an audience was not told."""
    withheld: Mapping[str, int]
    ends_held: int
    ends_undone: int

    @property
    def broken(self) -> tuple[Promised, ...]:
        """Promises of Tocsin's own that were not kept."""
        return tuple(promise for promise in self.promises if promise.by == "cadence" and promise.kept is False)

    @property
    def unclosed(self) -> tuple[str, ...]:
        """The audiences left with "open", though it was over and nothing on record says why."""
        return tuple(name for name, heard in self.audiences.items() if heard.unclosed and not heard.waiting)


@dataclass(frozen=True, slots=True)
class Result(Story):
    """One incident under one policy."""

    sent: tuple[Sent, ...]
    large: bool
    cut_off: bool
    """The clock was stopped 45 days after upstream's last word, with wakes left."""
    cost: float
    as_told: AsTold | None = None
