"""The figures, of each incident and over time. Pure. Spans are in seconds, shares between 0 and 1, moments UTC."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from pipeline.replay.results import Story
from pipeline.replay.sums import Kept, Spread, added, kept_of, spread

DAY, WEEK = timedelta(days=1), timedelta(days=7)
FEW = timedelta(days=15)
"""Up to so long a time is looked at day by day."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Messages of one channel, one to each person and notice, by how they ended.

    `unknowns` counts the attempts of which nobody knew how they had ended; most were settled later. `arrived` and
    `came_back` are what providers said of it afterwards.
    """

    intended: int = 0
    accepted: int = 0
    permanent: int = 0
    suppressed: int = 0
    parked: int = 0
    unknown: int = 0
    waiting: int = 0
    unknowns: int = 0
    arrived: int = 0
    came_back: int = 0

    @property
    def share(self) -> float | None:
        """Of those who were to be told and may be, how many messages a provider took."""
        wanted = self.intended - self.suppressed
        return self.accepted / wanted if wanted > 0 else None


@dataclass(frozen=True, slots=True)
class Told:
    """One incident: its story and whom it reached; `heard_at`, by the broker's clock, says to which time it belongs.

    `taken_s`: by audience, from the first word of upstream until a provider took the first message. What was decided
    at once, and waited for hours to be sent, was not told at once.
    """

    heard_at: datetime
    story: Story
    reach: Mapping[str, Reach]
    taken_s: Mapping[str, float]

    @property
    def first_s(self) -> float | None:
        """From the first word of upstream until the first message to anybody was taken."""
        return min(self.taken_s.values(), default=None)

    @property
    def silence_s(self) -> float | None:
        """The longest that any audience was left without a word while they had to think it open."""
        return max((one.silence_s for one in self.story.audiences.values() if one.silence_s is not None), default=None)


@dataclass(frozen=True, slots=True)
class ByAudience:
    """One audience's view of all incidents: until the first notice was decided, until its first message was taken."""

    notices: int
    decided_s: Spread
    first_s: Spread
    silence_s: Spread


@dataclass(frozen=True, slots=True)
class Sum:
    """Many incidents in sum."""

    incidents: int
    first_s: Spread
    silence_s: Spread
    promises: Mapping[str, Kept]
    """By who made them: "cadence" is Tocsin itself, "upstream" the team."""
    reach: Mapping[str, Reach]
    unknowns: int
    findings: Mapping[str, int]

    @property
    def promises_kept(self) -> float | None:
        """The share of the promises that were kept, of those that were kept or broken."""
        kept = sum(one.kept for one in self.promises.values())
        broken = sum(one.broken for one in self.promises.values())
        return kept / (kept + broken) if kept + broken else None


@dataclass(frozen=True, slots=True)
class Period:
    """A day, or a week from Monday on."""

    begins: datetime
    sums: Sum


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that a report says. `entries`: how far the log was known."""

    since: datetime | None
    until: datetime
    entries: int
    sums: Sum
    audiences: Mapping[str, ByAudience]
    periods: Sequence[Period]
    told: Sequence[Told]


def figures(told: Sequence[Told], since: datetime | None, until: datetime, entries: int) -> Figures:
    """The figures of these incidents, the oldest first."""
    ordered = sorted(told, key=lambda one: (one.heard_at, one.story.incident))
    names = dict.fromkeys(name for one in ordered for name in one.story.audiences)
    return Figures(
        since=since,
        until=until,
        entries=entries,
        sums=sum_of(ordered),
        audiences={name: _audience(name, ordered) for name in names},
        periods=list(_periods(ordered, since, until)),
        told=ordered,
    )


def sum_of(told: Sequence[Told]) -> Sum:
    """Incidents in sum."""
    stories = [one.story for one in told]
    reach = reached(one.reach for one in told)
    return Sum(
        incidents=len(told),
        first_s=spread(one.first_s for one in told),
        silence_s=spread(one.silence_s for one in told),
        promises={by: kept_of(stories, by) for by in ("cadence", "upstream")},
        reach=reach,
        unknowns=sum(one.unknowns for one in reach.values()),
        findings=added(story.findings for story in stories),
    )


def reached(by_channel: Iterable[Mapping[str, Reach]]) -> dict[str, Reach]:
    """The sum for each channel."""
    found: dict[str, Reach] = {}
    for one in by_channel:
        for channel, reach in one.items():
            found[channel] = _both(found.get(channel, Reach()), reach)
    return dict(sorted(found.items()))


def _both(one: Reach, other: Reach) -> Reach:
    return Reach(**{f.name: getattr(one, f.name) + getattr(other, f.name) for f in fields(Reach)})


def _audience(name: str, told: Sequence[Told]) -> ByAudience:
    heard = [one.story.audiences[name] for one in told if name in one.story.audiences]
    return ByAudience(
        notices=sum(one.notices for one in heard),
        decided_s=spread(one.first_s for one in heard),
        first_s=spread(one.taken_s.get(name) for one in told),
        silence_s=spread(one.silence_s for one in heard),
    )


def _periods(told: Sequence[Told], since: datetime | None, until: datetime) -> Iterator[Period]:
    """The days or weeks in which there was anything, in order."""
    begun = since or (told[0].heard_at if told else until)
    length = DAY if until - begun <= FEW else WEEK
    by_period: dict[datetime, list[Told]] = {}
    for one in told:
        by_period.setdefault(_begin(one.heard_at, length), []).append(one)
    for begins, within in by_period.items():
        yield Period(begins, sum_of(within))


def _begin(moment: datetime, length: timedelta) -> datetime:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday()) if length == WEEK else day
