"""The picture of silence as one SVG file."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from pipeline.replay.report.drawing import element
from pipeline.replay.report.frame import HEAD, MARGIN, framed
from pipeline.replay.report.silence import HEIGHT, WIDTH, Curve, figure, medians

GAP, ROW = 40.0, 24.0
COLUMNS = (300.0, 410.0, 520.0)
"""Where median, 90th percentile and longest stand, from the left of a panel."""
LIGHT = """
.curve { fill: none; stroke-width: 2.2; } .told { stroke: #8b8f98; } .facts { stroke: #b7791f; stroke-dasharray: 5 3; }
.messages { stroke: #1f6feb; stroke-width: 3; } .before { stroke: #d9480f; }
"""
DARK = (
    ".told { stroke: #878d97; } .facts { stroke: #e0a847; } .messages { stroke: #6ea8fe; } .before { stroke: #ff9f68; }"
)


def picture(panels: Sequence[tuple[str, str, Sequence[Curve]]], title: str, subtitle: str) -> str:
    """Panels side by side, each with its title, a note, and its curves."""
    rows = max((len(curves) for _, _, curves in panels), default=0)
    width = MARGIN * 2 + WIDTH * len(panels) + GAP * (len(panels) - 1)
    height = HEAD + 44 + HEIGHT + ROW * (rows + 1) + MARGIN
    drawn = [
        part
        for place, (name, note, curves) in enumerate(panels)
        for part in _panel(name, note, curves, MARGIN + place * (WIDTH + GAP))
    ]
    return framed(title, subtitle, drawn, width=width, height=height, light=LIGHT, dark=DARK)


def _panel(name: str, note: str, curves: Sequence[Curve], left: float) -> Iterable[Markup]:
    top = HEAD + 44
    yield element("text", name, x=left, y=HEAD + 14, class_="strong")
    yield element("text", note, x=left, y=HEAD + 32)
    yield element("svg", figure(curves, name), x=left, y=top, width=WIDTH, height=HEIGHT)
    top += HEIGHT + 8
    for x, word in zip(COLUMNS, ("median", "90%", "longest"), strict=True):
        yield element("text", word, x=left + x, y=top, class_="end")
    yield element("text", "longest silence", x=left, y=top)
    for row, (curve, *values) in enumerate(medians(curves), start=1):
        y = top + row * ROW
        yield element("path", d=f"M{left:.1f} {y - 4:.1f}h26", class_=f"curve {curve.style}")
        yield element("text", curve.name, x=left + 36, y=y, class_="strong" if curve.style == "messages" else None)
        for x, value in zip(COLUMNS, values, strict=True):
            yield element("text", value, x=left + x, y=y, class_="end")
