"""The figures as plots: SVG that the page's one style sheet colours, light and dark."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from pipeline.honesty.figures import Figures, Period, Reach, Told
from pipeline.replay.report.drawing import element, group
from pipeline.replay.spans import span

WIDTH, HEIGHT = 560.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 84.0, 18.0, 14.0, 30.0
TICKS_S = (60, 300, 900, 3600, 4 * 3600, 86400, 7 * 86400)
SHORTEST_S = 15.0
DATES = 5
BAR = 26.0
ENDS = {"accepted": "accepted", "unknown": "unknown", "waiting": "waiting", "parked": "parked", "permanent": "refused"}
"""The parts of a bar, in order, with their words."""


@dataclass(frozen=True, slots=True)
class Line:
    """One share over time; `style` is a CSS class."""

    name: str
    style: str
    points: tuple[tuple[datetime, float], ...]


def dots(told: Sequence[Told], value: Callable[[Told], float | None], label: str) -> Markup:
    """A dot for each incident: when it was, and a span of seconds on a logarithmic axis."""
    found = [(one, seconds) for one in told if (seconds := value(one)) is not None]
    x = _dates([one.heard_at for one in told])
    longest = max([3600.0, *(seconds for _, seconds in found)]) * 1.2

    def y(seconds: float) -> float:
        share = math.log(max(seconds, SHORTEST_S) / SHORTEST_S) / math.log(longest / SHORTEST_S)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    parts = [*_rules((y(tick), span(tick)) for tick in TICKS_S if tick < longest), *x.axis()]
    for one, seconds in found:
        said = f"{one.story.title}: {span(seconds)}, {one.heard_at:%Y-%m-%d %H:%M} UTC"
        dot = element("title", said)
        parts.append(
            element("circle", dot, cx=x(one.heard_at), cy=y(seconds), r=4.5, class_=f"dot {one.story.severity}")
        )
    return _figure(parts, label, HEIGHT)


def shares(drawn: Sequence[Line], label: str) -> Markup:
    """Shares over time, each a line with its points."""
    x = _dates([at for line in drawn for at, _ in line.points])

    def y(share: float) -> float:
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    parts = [*_rules((y(percent / 100), f"{percent}%") for percent in (0, 25, 50, 75, 100)), *x.axis()]
    for line in drawn:
        places = [(x(at), y(share)) for at, share in line.points]
        moves = "L".join(f"{left:.1f} {top:.1f}" for left, top in places)
        parts.append(element("path", d=f"M{moves}", class_=f"curve {line.style}"))
        parts += [element("circle", cx=left, cy=top, r=3.5, class_=f"point {line.style}") for left, top in places]
    return _figure(parts, label, HEIGHT)


def lines(periods: Iterable[Period]) -> list[Line]:
    """Promises kept, and each channel's reach, period by period."""
    found: dict[str, list[tuple[datetime, float]]] = {"promises kept": []}
    for period in periods:
        if (kept := period.sums.promises_kept) is not None:
            found["promises kept"].append((period.begins, kept))
        for channel, reach in period.sums.reach.items():
            if (share := reach.share) is not None:
                found.setdefault(f"reached by {channel}", []).append((period.begins, share))
    styles = {name: f"line-{place}" for place, name in enumerate(found)}
    return [Line(name, styles[name], tuple(points)) for name, points in found.items() if points]


def bars(reach: dict[str, Reach]) -> Markup:
    """How the messages of each channel ended, as parts of one bar; who was suppressed is left out."""
    parts: list[Markup] = []
    for place, (channel, one) in enumerate(reach.items()):
        top, wanted = TOP + place * (BAR + 12), one.intended - one.suppressed
        parts.append(element("text", channel, x=LEFT - 8, y=top + BAR * 0.65, class_="row end"))
        left = LEFT
        for end in ENDS:
            width = getattr(one, end) / wanted * (WIDTH - LEFT - RIGHT) if wanted else 0.0
            if width:
                said = element("title", f"{channel}: {getattr(one, end):,} {ENDS[end]}")
                parts.append(element("rect", said, x=left, y=top, width=width, height=BAR, class_=f"end-{end}"))
            left += width
    return _figure(parts, "how the messages of each channel ended", TOP + len(reach) * (BAR + 12))


def panels(found: Figures) -> list[dict[str, object]]:
    """The two plots of spans, with their title."""
    return [
        {
            "title": "Time to the first notice",
            "note": "from the first word of the team until the first message to anybody was taken",
            "figure": dots(found.told, lambda one: one.first_s, "time to the first notice of each incident"),
        },
        {
            "title": "Longest silence",
            "note": "that any audience was left without a word while they had to think it open",
            "figure": dots(found.told, lambda one: one.silence_s, "the longest silence of each incident"),
        },
    ]


@dataclass(frozen=True, slots=True)
class _Dates:
    first: datetime
    last: datetime

    def __call__(self, at: datetime) -> float:
        return LEFT + (at - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def axis(self) -> Iterable[Markup]:
        step = (self.last - self.first) / (DATES - 1)
        form = "%d %b" if step >= timedelta(days=1) else "%H:%M"
        for number in range(DATES):
            at = self.first + step * number
            place = "end" if number == DATES - 1 else "middle" if number else "start"
            yield element("text", f"{at:{form}}", x=self(at), y=HEIGHT - 8, class_=f"tick {place}")


def _dates(moments: Sequence[datetime]) -> _Dates:
    first, last = min(moments), max(moments)
    room = max((last - first) * 0.03, timedelta(hours=2))
    return _Dates(first - room, last + room)


def _rules(ticks: Iterable[tuple[float, str]]) -> Iterable[Markup]:
    for y, words in ticks:
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
        yield element("text", words, x=LEFT - 8, y=y + 4, class_="tick end")


def _figure(parts: Iterable[Markup], label: str, height: float) -> Markup:
    return element(
        "svg",
        element("title", label) + group(parts),
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        class_="figure",
        aria_label=label,
    )
