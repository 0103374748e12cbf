"""A picture as an SVG file of its own, for a page that shows images only: with its own colours, light and dark."""

from collections.abc import Iterable

from markupsafe import Markup

from pipeline.replay.report.drawing import element, group

MARGIN, HEAD = 24.0, 96.0
"""What stands clear at the left, and what title and subtitle take at the top."""
LIGHT = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #5d636e; }
.page { fill: #ffffff; } .title { font-size: 22px; font-weight: 700; fill: #16181d; }
.strong { font-weight: 600; fill: #16181d; }
.middle { text-anchor: middle; } .end { text-anchor: end; } .grid { stroke: #e2e3e0; } .axis { stroke: #c9ccd1; }
"""
DARK = """
text { fill: #9ba1ab; } .page { fill: #0d1117; } .title, .strong { fill: #e8e9eb; }
.grid { stroke: #2b2f35; } .axis { stroke: #42474f; }
"""


def framed(
    title: str, subtitle: str, parts: Iterable[Markup], *, width: float, height: float, light: str, dark: str
) -> str:
    """The whole file; `light` and `dark` are the rules of its curves, on a light page and on a dark one."""
    rules = f"{LIGHT}{light.strip()}\n@media (prefers-color-scheme: dark) {{{DARK}{dark.strip()}\n}}\n"
    frame = [
        element("title", title),
        element("style", Markup(rules)),  # noqa: S704 - our own words, in which `>` and quotation marks are meant
        element("rect", width=width, height=height, rx=10.0, class_="page"),
        element("text", title, x=MARGIN, y=46.0, class_="title"),
        element("text", subtitle, x=MARGIN, y=70.0),
    ]
    svg = element(
        "svg",
        group([*frame, *parts]),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
        role="img",
    )
    return f"{svg}\n"
