"""The picture of a day: messages settled, and the memory of each process, over the same minutes. One SVG file."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from pipeline.replay.report.drawing import element
from pipeline.replay.report.frame import HEAD, framed

WIDTH, LEFT, RIGHT, HEIGHT, GAP, FOOT = 940.0, 84.0, 160.0, 200.0, 64.0, 44.0
TOP: Final = HEAD + 20.0
MOST_POINTS: Final = 600
FACTORS: Final = (2.0, 2.5, 5.0, 10.0, 20.0)
LIGHT: Final = """
.curve { fill: none; stroke-width: 2; }
.a { stroke: #1f6feb; } .b { stroke: #d9480f; } .c { stroke: #2b8a3e; } .d { stroke: #8b8f98; }
"""
DARK: Final = ".a { stroke: #6ea8fe; } .b { stroke: #ff9f68; } .c { stroke: #69db7c; } .d { stroke: #878d97; }"
COLOURS: Final = {"deliver": "a", "record": "b", "decide": "c", "broker": "d"}
Points = Sequence[tuple[float, float]]


def picture(day: Mapping[str, Any]) -> str:
    """The whole file."""
    samples = _thinned(day["samples"])
    minutes = max(samples[-1]["s"] / 60, 0.1)
    settled = {"settled": ("a", [(sample["s"] / 60, float(sample["settled"])) for sample in samples])}
    memory = {
        name: (colour, [(sample["s"] / 60, sample["mb"][name]) for sample in samples if name in sample["mb"]])
        for name, colour in COLOURS.items()
    }
    height = TOP + HEIGHT * 2 + GAP + FOOT
    parts = [
        *_panel("messages settled", settled, minutes, TOP),
        *_panel("memory of each process, MB", memory, minutes, TOP + HEIGHT + GAP),
    ]
    return framed("A virtual day", _summary(day), parts, width=WIDTH, height=height, light=LIGHT, dark=DARK)


def _summary(day: Mapping[str, Any]) -> str:
    twice = sum(day["twice"].values())
    return (
        f"{day['incidents']} incidents, {day['events']} events, {day['subscribers']['email']:,} readers of mail: "
        f"{day['intents']:,} messages in {day['seconds'] / 60:.1f} min on {day['broker']}; "
        f"lost {day['lost']}, twice {twice}, unknown {day['unknown']}"
    )


def _thinned(samples: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """No more than can be seen, the last one always."""
    step = max(1, len(samples) // MOST_POINTS)
    return [*samples[:-1:step], samples[-1]]


def _panel(
    name: str, curves: Mapping[str, tuple[str, Points]], minutes: float, top: float
) -> Iterable[Markup]:  # fmt: skip
    most = max((value for _, points in curves.values() for _, value in points), default=1.0) or 1.0
    right, bottom = WIDTH - RIGHT, top + HEIGHT
    step = _step(most)
    highest = step * -(-most // step)
    yield element("text", name, x=LEFT, y=top - 10, class_="strong")
    level = 0.0
    while level <= highest:
        y = bottom - level / highest * HEIGHT
        yield element("line", x1=LEFT, x2=right, y1=y, y2=y, class_="grid")
        yield element("text", f"{level:,.0f}", x=LEFT - 8, y=y + 4, class_="end")
        level += step
    tick, at = _step(minutes), 0.0
    while at <= minutes:
        x = LEFT + at / minutes * (right - LEFT)
        yield element("text", f"{at:g} min", x=x, y=bottom + 18, class_="middle")
        at += tick
    labels = []
    for label, (colour, points) in curves.items():
        if points:
            line = " ".join(
                f"{LEFT + x / minutes * (right - LEFT):.1f},{bottom - value / highest * HEIGHT:.1f}"
                for x, value in points
            )
            yield element("polyline", points=line, class_=f"curve {colour}")
            labels.append((bottom - points[-1][1] / highest * HEIGHT, label, points[-1][1]))
    yield from _labels(labels, right)


def _labels(labels: Iterable[tuple[float, str, float]], right: float) -> Iterable[Markup]:
    """At the end of each curve, none over another."""
    lowest = float("inf")
    for y, label, value in sorted(labels, reverse=True):
        lowest = min(y + 4, lowest - 16)
        yield element("text", f"{label} {value:,.0f}", x=right + 8, y=lowest)


def _step(most: float) -> float:
    """Between lines: a round number, so that there are at most six of them."""
    size = 10.0 ** (math.floor(math.log10(most)) - 1)
    return next(size * factor for factor in FACTORS if most / (size * factor) <= 5)
