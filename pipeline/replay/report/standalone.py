"""The picture of silence as one SVG file, for a page that shows images only: with its own colours, light and dark."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from pipeline.replay.report.drawing import element, group
from pipeline.replay.report.silence import HEIGHT, WIDTH, Curve, figure, medians

MARGIN, GAP, HEAD, ROW = 24.0, 40.0, 96.0, 24.0
COLUMNS = (300.0, 410.0, 520.0)
"""Where median, 90th percentile and longest stand, from the left of a panel."""
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #5d636e; }
.page { fill: #ffffff; } .title { font-size: 22px; font-weight: 700; fill: #16181d; }
.strong { font-weight: 600; fill: #16181d; }
.middle { text-anchor: middle; } .end { text-anchor: end; } .grid { stroke: #e2e3e0; } .axis { stroke: #c9ccd1; }
.curve { fill: none; stroke-width: 2.2; } .told { stroke: #8b8f98; } .facts { stroke: #b7791f; stroke-dasharray: 5 3; }
.messages { stroke: #1f6feb; stroke-width: 3; } .before { stroke: #d9480f; }
@media (prefers-color-scheme: dark) {
text { fill: #9ba1ab; } .page { fill: #0d1117; } .title, .strong { fill: #e8e9eb; }
.grid { stroke: #2b2f35; } .axis { stroke: #42474f; }
.told { stroke: #878d97; } .facts { stroke: #e0a847; } .messages { stroke: #6ea8fe; } .before { stroke: #ff9f68; }
}
"""


def picture(panels: Sequence[tuple[str, str, Sequence[Curve]]], title: str, subtitle: str) -> str:
    """Panels side by side, each with its title, a note, and its curves."""
    rows = max((len(curves) for _, _, curves in panels), default=0)
    width = MARGIN * 2 + WIDTH * len(panels) + GAP * (len(panels) - 1)
    height = HEAD + 44 + HEIGHT + ROW * (rows + 1) + MARGIN
    parts = [
        element("title", title),
        element("style", Markup(STYLE)),  # noqa: S704 - our own words, in which `>` and quotation marks are meant
        element("rect", width=width, height=height, rx=10.0, class_="page"),
        element("text", title, x=MARGIN, y=46.0, class_="title"),
        element("text", subtitle, x=MARGIN, y=70.0),
    ]
    for place, (name, note, curves) in enumerate(panels):
        parts += _panel(name, note, curves, MARGIN + place * (WIDTH + GAP))
    svg = element(
        "svg",
        group(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
        role="img",
    )
    return f"{svg}\n"


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
