"""The figures as one HTML file that asks for nothing else, from anywhere, in the dress of the back-test's report."""

from pathlib import Path

from markupsafe import Markup

from pipeline.honesty import plots
from pipeline.honesty.figures import Figures
from pipeline.replay.report import HERE as DRESS
from pipeline.replay.report import environment, policy_hash
from pipeline.replay.report.timeline import picture
from pipeline.replay.spans import percent

HERE = Path(__file__).parent
SHOWN = 200
"""Incidents that are told in full, the latest of them; the others are in the figures."""


def page(found: Figures) -> str:
    """The report as HTML."""
    style = (DRESS / "style.css").read_text("utf-8") + (HERE / "style.css").read_text("utf-8")
    drawn = plots.lines(found.periods)
    context = {
        "found": found,
        "sums": found.sums,
        "style": Markup(style),  # noqa: S704 - our own files
        "style_hash": policy_hash(style),
        "panels": plots.panels(found) if found.told else [],
        "shares": plots.shares(drawn, "promises kept and reach over time") if drawn else None,
        "lines": drawn,
        "bars": plots.bars(dict(found.sums.reach)),
        "ends": plots.ENDS,
        "shown": [(one, picture(one.story)) for one in reversed(found.told[-SHOWN:])],
        "percent": percent,
    }
    return environment(HERE).get_template("honesty.html.j2").render(context)
