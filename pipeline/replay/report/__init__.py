"""The report to look at: one HTML file that asks for nothing else, from anywhere.

Its Content-Security-Policy names its one style sheet and its one script by their hashes; what came from incidents is
escaped text and can be neither.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.replay.difference import Change, Changed, IncidentDifference, counted
from pipeline.replay.findings import Found, Report
from pipeline.replay.report.silence import curves, figure, medians
from pipeline.replay.report.standalone import picture as picture_of_silence
from pipeline.replay.report.timeline import picture
from pipeline.replay.results import Result, Sent
from pipeline.replay.spans import span
from pipeline.replay.sums import size_of
from schemas.base import Level

HERE = Path(__file__).parent
MAIN_LEVELS = (Level.CUSTOMER, Level.EXECUTIVE, Level.PUBLIC, Level.TECHNICAL, Level.INTERNAL)
"""Whose silence is drawn: the first audience of the first of these levels that the policy has."""
CHANNELS = {"email": "mail", "sms": "SMS", "x": "X"}


def page(report: Report) -> str:
    """The report as HTML."""
    style, script = (HERE / "style.css").read_text("utf-8"), (HERE / "script.js").read_text("utf-8")
    context = {
        "report": report,
        "sums": report.new.sums,
        "main": main_audience(report.new),
        "style": Markup(style),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "style_hash": policy_hash(style),
        "script_hash": policy_hash(script),
        "panels": _panels(report),
        "incidents": list(_incidents(report)),
        "counts": counted(report.difference) if report.old else None,
        "changes": [change.value for change in Change],
    }
    return environment().get_template("page.html.j2").render(context)


def silence(report: Report) -> str:
    """The picture of silence alone, as an SVG file."""
    panels = [(panel["title"], panel["note"], panel["curves"]) for panel in _panels(report)]
    what = f"{len(report.new.results)} incidents, policy {report.new.policy.name}"
    return picture_of_silence(
        panels,
        "How long people were left without a word",
        f"Which share of the incidents was ever silent for longer than that, while it was open. {what}",
    )


def main_audience(found: Found) -> str:
    """The audience whose silence stands for all: of customers, and first of all one that anyone may choose."""
    audiences = found.policy.audiences

    def place(name: str) -> tuple[int, bool]:
        return MAIN_LEVELS.index(audiences[name].level), audiences[name].group(name).selects

    return min(audiences, key=place)


@cache
def environment(*directories: Path) -> Environment:
    """Templates of `directories`, before those of this report, with its filters."""
    made = Environment(
        loader=FileSystemLoader((*directories, HERE)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["span"] = span
    made.filters["words"] = lambda value: str(value).replace("_", " ")
    made.filters["channels"] = lambda value: " + ".join(CHANNELS.get(c, c) for c in value) or "no channel"
    return made


def policy_hash(text: str) -> str:
    """How a Content-Security-Policy names a style sheet or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _panels(report: Report) -> list[dict[str, Any]]:
    """A picture of silence for the large incidents and one for the small ones."""
    audience, found = main_audience(report.new), []
    before = {result.incident: result for result in report.old.results} if report.old else {}
    under = report.old.policy.name if report.old else ""
    for size in ("large", "small"):
        results = [result for result in report.new.results if size_of(result) == size]
        if results:
            drawn = curves(results, audience, before, under)
            found.append(
                {
                    "title": f"{len(results)} {size} incidents",
                    "note": _told_at(report.new, size),
                    "curves": drawn,
                    "figure": figure(drawn, f"{size} incidents by their longest silence"),
                    "medians": medians(drawn),
                }
            )
    return found


def _told_at(found: Found, name: str) -> str:
    """Which severities these are, and how often the policy tells of them."""
    sizes = found.policy.cadence.sizes
    size = sizes.large if name == "large" else sizes.small
    often = "every change" if "updated" in size.told_at else "their start and end, and a changed impact"
    return f"{', '.join(size.severities)}: told at {often}"


def _incidents(report: Report) -> Iterable[dict[str, Any]]:
    changes: dict[str, IncidentDifference] = {one.incident: one for one in report.difference}
    main = main_audience(report.new)
    for result in report.new.results:
        difference = changes.get(result.incident)
        yield {
            "result": result,
            "silence_s": result.audiences[main].silence_s,
            "picture": picture(result, difference.changes if difference else ()),
            "rows": _rows(result),
            "changes": _changes(difference.changes) if difference else [],
            "wrong": bool(result.broken or result.unclosed),
        }


def _rows(result: Result) -> list[dict[str, Any]]:
    """What was said and told, in the order of time; what several audiences are told alike is one row."""
    rows: list[dict[str, Any]] = [
        {"at": post.at, "order": 0, "who": "the team", "what": post.kind, "text": post.text, "new": post.news}
        for post in result.said
    ]
    for _, alike in groupby(result.sent, key=_alike):
        notices = list(alike)
        rows.append(
            {
                "at": notices[0].at,
                "order": 1,
                "told": notices,
                "what": notices[0].kind,
                "reason": notices[0].reason,
                "texts": _texts(notices),
            }
        )
    return sorted(rows, key=lambda row: (row["at"], row["order"]))


def _changes(changes: Iterable[Changed]) -> list[dict[str, Any]]:
    """What differs, in order; what differs alike for several audiences is one line."""
    found: dict[tuple[object, ...], list[Changed]] = {}
    for one in changes:
        was = (one.old.at, one.old.channels) if one.old else None
        alike = (one.change, one.notice.at, one.notice.kind, one.notice.channels, one.notice.zones, was)
        found.setdefault(alike, []).append(one)
    return [{"first": alike[0], "audiences": [one.notice.audience for one in alike]} for alike in found.values()]


def _alike(one: Sent) -> tuple[object, ...]:
    return one.seq, one.kind, one.reason, one.zones, one.safe


def _texts(notices: Sequence[Sent]) -> list[str]:
    """What the SMS, or the post, says; each text once."""
    return list(dict.fromkeys(one.text for one in notices if one.text))
