"""The figures of many incidents in sum. Spans are in seconds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.replay.results import Prices, Result, Story
from schemas.base import Channel
from schemas.journal import NoticeKind

SIZES = ("large", "small", "maintenance")
"""A maintenance is by itself: its work goes on as announced, and no severity was said of it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie: how many, the median, the 90th percentile, the largest. None where there are none."""

    count: int
    p50: float | None
    p90: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Silences:
    """The longest silence of each incident: of facts, of messages by audience, and as it was really told."""

    facts: Spread
    messages: Mapping[str, Spread]
    as_told: Spread


@dataclass(frozen=True, slots=True)
class Kept:
    """Promises of one origin; `open`: replaced, or not yet due when all was over."""

    made: int
    kept: int
    broken: int
    open: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What it would have cost at most, by the census; segments are those of all readers."""

    sms_segments: float
    sms: float
    posts: int
    posts_with_link: int
    x: float
    total: float


@dataclass(frozen=True, slots=True)
class ReallyTold:
    """What the posts of the status page amount to, for the incidents that are made of posts."""

    incidents: int
    posts: int
    promises: int
    kept: int


@dataclass(frozen=True, slots=True)
class Sums:
    """Everything in sum; the lists name incidents, with the audience where it is about one."""

    sizes: Mapping[str, int]
    events: int
    notices: int
    by_audience: Mapping[str, Mapping[str, int]]
    by_kind: Mapping[str, int]
    first_s: Mapping[str, Spread]
    silence_s: Mapping[str, Silences]
    promises: Mapping[str, Kept]
    reminders: int
    safe: int
    """Notices in templated words only, in place of what nobody approved in time."""
    findings: Mapping[str, int]
    held: Mapping[str, int]
    voided: int
    put_off: Mapping[str, int]
    silent: Mapping[str, int]
    withheld: Mapping[str, int]
    ends_held: int
    ends_undone: int
    never_ended: Sequence[str]
    cut_off: Sequence[str]
    waiting: Sequence[str]
    broken: Sequence[str]
    unclosed: Sequence[str]
    costs: Costs
    really_told: ReallyTold | None

    @property
    def sound(self) -> bool:
        """Whether every promise of Tocsin's own was kept and every open closed, or its end waits on record."""
        return not self.broken and not self.unclosed


def summed(results: Sequence[Result], prices: Prices) -> Sums:
    """The sums of `results`."""
    sent = [one for result in results for one in result.sent]
    audiences = tuple(dict.fromkeys(name for result in results for name in result.audiences))
    return Sums(
        sizes={size: sum(size_of(result) == size for result in results) for size in SIZES},
        events=sum(len(result.said) for result in results),
        notices=len(sent),
        by_audience={
            name: _ordered(Counter(c.value for one in sent if one.audience == name for c in one.channels))
            for name in audiences
        },
        by_kind={kind.value: n for kind in NoticeKind if (n := sum(one.kind is kind for one in sent))},
        first_s={name: spread(r.audiences[name].first_s for r in results if name in r.audiences) for name in audiences},
        silence_s={size: _silences([r for r in results if size_of(r) == size], audiences) for size in SIZES},
        promises={by: kept_of(results, by) for by in ("upstream", "cadence")},
        reminders=sum(one.kind is NoticeKind.REMINDER for one in sent),
        safe=sum(one.safe for one in sent),
        findings=added(result.findings for result in results),
        held=added(result.held for result in results),
        voided=sum(result.voided for result in results),
        put_off=added(result.put_off for result in results),
        silent=added(result.silent for result in results),
        withheld=added(result.withheld for result in results),
        ends_held=sum(result.ends_held for result in results),
        ends_undone=sum(result.ends_undone for result in results),
        never_ended=[result.incident for result in results if result.ended is None],
        cut_off=[result.incident for result in results if result.cut_off],
        waiting=[f"{r.incident}: {name}" for r in results for name, heard in r.audiences.items() if heard.waiting],
        broken=[f"{result.incident}: {promise.audience}" for result in results for promise in result.broken],
        unclosed=[f"{result.incident}: {name}" for result in results for name in result.unclosed],
        costs=_costs(results, prices),
        really_told=_really_told(results),
    )


def spread(values: Iterable[float | None]) -> Spread:
    """How `values` lie; percentiles by the nearest rank, so that each is a value that occurred."""
    found = sorted(value for value in values if value is not None)
    if not found:
        return Spread(0, None, None, None)
    return Spread(len(found), _rank(found, 50), _rank(found, 90), found[-1])


def _rank(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def size_of(result: Result) -> str:
    """What an incident is measured among."""
    return "maintenance" if result.maintenance else "large" if result.large else "small"


def _silences(results: Sequence[Result], audiences: Iterable[str]) -> Silences:
    return Silences(
        facts=spread(result.facts_silence_s for result in results),
        messages={
            name: spread(r.audiences[name].silence_s for r in results if name in r.audiences) for name in audiences
        },
        as_told=spread(result.as_told.silence_s for result in results if result.as_told),
    )


def kept_of(stories: Iterable[Story], by: str) -> Kept:
    """The promises of one origin: "upstream" or "cadence"."""
    ends = [promise.kept for story in stories for promise in story.promises if promise.by == by]
    return Kept(len(ends), ends.count(True), ends.count(False), ends.count(None))


def _costs(results: Iterable[Result], prices: Prices) -> Costs:
    sent = [one for result in results for one in result.sent]
    segments = sum(one.texts for one in sent)
    plain = sum(one.posts for one in sent if not one.link)
    links = sum(one.posts for one in sent if one.link)
    sms, x = segments * prices.sms, plain * prices.x + links * prices.x_url
    return Costs(round(segments, 1), round(sms, 2), plain + links, links, round(x, 2), round(sms + x, 2))


def _really_told(results: Iterable[Result]) -> ReallyTold | None:
    told = [result.as_told for result in results if result.as_told]
    if not told:
        return None
    return ReallyTold(
        len(told), sum(one.posts for one in told), sum(one.promises for one in told), sum(one.kept for one in told)
    )


def added(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of tables, the most frequent first."""
    found: Counter[str] = Counter()
    for table in tables:
        found.update(table)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {channel.value: counts[channel.value] for channel in Channel if channel.value in counts}
