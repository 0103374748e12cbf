"""The picture of silence: which share of the incidents was ever silent for longer than so long.

A line for how it was really told, one for what the team said, one for what an audience would have been told. The
further left a line falls, the shorter people were left alone. The time axis is logarithmic.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from pipeline.replay.report.drawing import element, group
from pipeline.replay.results import Result
from pipeline.replay.spans import span
from pipeline.replay.sums import spread

MINUTE = 60.0
TICKS = (5, 15, 30, 60, 120, 240, 480, 1440, 4320, 10080)
"""Minutes at which the axis is labelled, where there is room."""
TICK_ROOM = 44.0
FIRST_S = 5 * MINUTE
"""Where the axis begins: what is shorter than this is no silence to speak of."""
WIDTH, HEIGHT = 560.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 18.0, 16.0, 40.0


@dataclass(frozen=True, slots=True)
class Curve:
    """The longest silences of many incidents, in seconds, one way of telling them; `style` is a CSS class."""

    name: str
    style: str
    values: tuple[float, ...]

    def share_above(self, seconds: float) -> float:
        """Which share was silent for longer."""
        return (len(self.values) - bisect_right(self.values, seconds)) / len(self.values)


def curves(results: Sequence[Result], audience: str, before: Mapping[str, Result], under: str) -> list[Curve]:
    """How long people were left alone: really, by the team, and by the messages to `audience`.

    `before`: the same incidents under another policy, called `under`. An incident that was told in a single word counts
    as 0; one that was not told does not count.
    """
    told = [result.as_told.silence_s for result in results if result.as_told]
    old = [before[result.incident] for result in results if result.incident in before]
    found = [
        _curve("as it was really told", "told", told),
        _curve("facts: what the team said", "facts", (result.facts_silence_s for result in results)),
        _curve(f"messages to {audience}, {under}", "before", _messages(old, audience)),
        _curve(f"messages to {audience}", "messages", _messages(results, audience)),
    ]
    return [curve for curve in found if curve.values]


def _messages(results: Iterable[Result], audience: str) -> Iterable[float | None]:
    heard = [result.audiences[audience] for result in results if audience in result.audiences]
    return [one.silence_s for one in heard if one.notices]


def figure(drawn: Sequence[Curve], label: str) -> Markup:
    """The curves as SVG, with an axis of time and one of shares."""
    longest = max((curve.values[-1] for curve in drawn), default=MINUTE)
    last_s = max(60 * MINUTE, longest) * 1.05
    parts = [*_grid(last_s), *(_line(curve, last_s) for curve in drawn)]
    return element(
        "svg",
        element("title", label) + group(parts),
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        role="img",
        class_="figure",
        aria_label=label,
    )


def medians(drawn: Iterable[Curve]) -> list[tuple[Curve, str, str, str]]:
    """Each curve with its median, its 90th percentile and its longest, in words."""
    found = []
    for curve in drawn:
        lie = spread(curve.values)
        found.append((curve, span(lie.p50), span(lie.p90), span(lie.max)))
    return found


def x_of(seconds: float, last_s: float) -> float:
    """Where a length of time stands on the logarithmic axis."""
    share = math.log(max(seconds, FIRST_S) / FIRST_S) / math.log(last_s / FIRST_S)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def y_of(share: float) -> float:
    """Where a share of the incidents stands."""
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _curve(name: str, style: str, values: Iterable[float | None]) -> Curve:
    return Curve(name, style, tuple(sorted(value or 0.0 for value in values)))


def _grid(last_s: float) -> Iterable[Markup]:
    for percent in (0, 25, 50, 75, 100):
        y = y_of(percent / 100)
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid" if percent else "axis")
        yield element("text", f"{percent}%", x=LEFT - 8, y=y + 4, class_="tick end")
    drawn = -TICK_ROOM
    for minutes in TICKS:
        x = x_of(minutes * MINUTE, last_s)
        if minutes * MINUTE <= last_s and x - drawn >= TICK_ROOM:
            drawn = x
            yield element("line", x1=x, x2=x, y1=y_of(0), y2=y_of(0) + 5, class_="axis")
            yield element("text", _tick(minutes), x=x, y=y_of(0) + 19, class_="tick middle")


def _tick(minutes: int) -> str:
    if minutes < 60:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 1440 else f"{minutes // 1440}d"


def _line(curve: Curve, last_s: float) -> Markup:
    """Steps: at each value that occurred the share falls."""
    points = [(FIRST_S, 1.0)]
    for value in dict.fromkeys(max(value, FIRST_S) for value in curve.values):
        points.append((value, curve.share_above(value)))
    moves = [f"M{x_of(points[0][0], last_s):.1f} {y_of(points[0][1]):.1f}"]
    for (_, _), (value, share) in pairwise(points):
        moves.append(f"H{x_of(value, last_s):.1f}V{y_of(share):.1f}")
    return element("path", d="".join(moves), class_=f"curve {curve.style}")
