"""What a notice costs, by the census: an estimate from above.

Whoever belongs to two audiences counts in both, and nobody's quiet hours or flood cap are known here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pipeline.replay.results import Prices
from schemas.base import Channel, Level
from schemas.census import AudienceCount
from schemas.notice import Notice
from schemas.rendering import PostContent, Rendering, SmsContent


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one notice: SMS segments a reader on average, segments in all, posts on X, whether they bear a link."""

    segments: float
    texts: float
    posts: int
    link: bool
    total: float


def cost_of(notice: Notice, count: AudienceCount | None, prices: Prices) -> Cost:
    """The cost of `notice` to an audience counted so; one that nobody counted costs nothing by SMS, one post on X."""
    sms = [r for r in notice.renderings if isinstance(r.content, SmsContent)]
    posts = [r for r in notice.renderings if isinstance(r.content, PostContent)]
    segments = _average(sms, count)
    texts = segments * _texted(count, notice.zones) if count and sms else Fraction(0)
    accounts = (count.channels.get(Channel.X, 0) if count else 1) if posts else 0
    link = any("://" in r.content.text for r in posts if isinstance(r.content, PostContent))
    total = float(texts) * prices.sms + accounts * (prices.x_url if link else prices.x)
    return Cost(round(float(segments), 2), round(float(texts), 1), accounts, link, round(total, 4))


def _average(renderings: Iterable[Rendering], count: AudienceCount | None) -> Fraction:
    """Segments a reader, by how many read each language at each level; by how many renderings where nobody is known."""
    weighed = [(r.content.segments, _weight(r, count)) for r in renderings if isinstance(r.content, SmsContent)]
    if weighed and not any(weight for _, weight in weighed):
        weighed = [(segments, 1) for segments, _ in weighed]
    total = sum(weight for _, weight in weighed)
    return Fraction(sum(segments * weight for segments, weight in weighed), total) if total else Fraction(0)


def _weight(rendering: Rendering, count: AudienceCount | None) -> int:
    if count is None:
        return 0
    return _share(count.languages, rendering.language) * _share(count.levels, rendering.level)


def _share(counts: Mapping[Any, int], name: str | Level) -> int:
    """How many chose this; where nobody's choice is known it makes no difference."""
    return counts.get(name, 0) if counts else 1


def _texted(count: AudienceCount, zones: tuple[str, ...]) -> Fraction:
    """How many get it by SMS: everyone who reads there, or those of them in these time zones."""
    texted = count.channels.get(Channel.SMS, 0)
    everyone = sum(count.zones.values())
    if not zones or not everyone:
        return Fraction(texted)
    return Fraction(texted * sum(count.zones.get(zone, 0) for zone in zones), everyone)
