"""One incident as a picture: what the team said, what each audience was told, promises and their keeping.

A row for the team, a row for each audience that was told anything. What came after the end (a review's reminders, days
later) is not drawn: it stands in the list below the picture.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from markupsafe import Markup

from pipeline.replay.difference import Change, Changed
from pipeline.replay.report.drawing import element, group, number
from pipeline.replay.results import Promised, Story, Word
from pipeline.replay.spans import span
from schemas.journal import NoticeKind

WIDTH, LEFT, RIGHT, ROW, TOP = 960.0, 136.0, 18.0, 30.0, 8.0
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
"""Minutes between ticks, of which the finest that leaves at most nine is taken."""
SHAPES = {
    NoticeKind.OPENED: "start",
    NoticeKind.REOPENED: "start",
    NoticeKind.MAINTENANCE_STARTED: "start",
    NoticeKind.RESOLVED: "end",
    NoticeKind.MAINTENANCE_COMPLETED: "end",
    NoticeKind.UNCHANGED: "beat",
    NoticeKind.REMINDER: "nag",
}
"""By kind; everything else is an update."""
INITIALS = {"email": "m", "sms": "s", "x": "x"}
INITIALS_ROOM = 15.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a moment stands in the picture."""

    first: datetime
    last: datetime

    def x(self, at: datetime) -> float:
        """In the units of the view box."""
        share = (at - self.first) / (self.last - self.first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def shows(self, at: datetime) -> bool:
        """Whether it is within the picture."""
        return self.first <= at <= self.last


def picture(result: Story, changes: Sequence[Changed] = ()) -> Markup:
    """The incident as SVG; with `changes`, what another policy told otherwise is drawn behind it."""
    scale = _scale(result)
    told = [name for name in result.audiences if _concerns(name, result, changes)]
    parts = [*_axis(scale, len(told) + 1), *_row_of_the_team(result, scale)]
    for place, name in enumerate(told, start=1):
        y = TOP + (place + 0.5) * ROW
        sent = [one for one in result.sent if one.audience == name]
        parts += _row(name, y, sent, [p for p in result.promises if p.audience == name], scale)
        parts += _otherwise(y, [c for c in changes if c.notice.audience == name], scale)
    height = TOP + (len(told) + 1) * ROW + 22
    label = f"{result.incident}: what the team said and what {len(told)} audiences were told"
    return element("svg", group(parts), viewBox=f"0 0 {WIDTH:.0f} {height:.0f}", role="img", aria_label=label)


def _concerns(name: str, result: Story, changes: Iterable[Changed]) -> bool:
    return (
        result.audiences[name].notices > 0
        or any(one.audience == name for one in result.sent)
        or any(changed.notice.audience == name for changed in changes)
    )


def _scale(result: Story) -> Scale:
    """From the first word to the last one while it was open, with a little room, at least ten minutes."""
    within = [post.at for post in result.said]
    ends = [one.at for one in result.sent if one.while_open or SHAPES.get(one.kind) == "end"]
    if result.ended is not None:
        within = [at for at in within if at <= result.ended] or within[:1]
    last = max([*within, *ends])
    length = max(last - result.began, timedelta(minutes=10))
    return Scale(result.began - length * 0.02, result.began + length * 1.03)


def _axis(scale: Scale, rows: int) -> Iterable[Markup]:
    minutes = (scale.last - scale.first).total_seconds() / 60
    step = next((step for step in STEPS if minutes / step <= 9), STEPS[-1])
    bottom = TOP + rows * ROW
    day = scale.first.replace(hour=0, minute=0, second=0, microsecond=0)
    at = day + timedelta(minutes=step) * -(-(scale.first - day) // timedelta(minutes=step))
    while at <= scale.last:
        x = scale.x(at)
        yield element("line", x1=x, x2=x, y1=TOP, y2=bottom, class_="grid")
        yield element("text", _tick(at, step), x=x, y=bottom + 15, class_="tick middle")
        at += timedelta(minutes=step)


def _tick(at: datetime, step: int) -> str:
    return f"{at:%d %b}" if step >= 1440 or (at.hour, at.minute) == (0, 0) else f"{at:%H:%M}"


def _row_of_the_team(result: Story, scale: Scale) -> Iterable[Markup]:
    y = TOP + 0.5 * ROW
    yield element("text", "the team", x=LEFT - 12, y=y + 4, class_="row end strong")
    yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="thread")
    for post in result.said:
        if scale.shows(post.at):
            yield _mark("said" if post.news else "same", scale.x(post.at), y)


def _row(name: str, y: float, sent: Sequence[Word], promises: Iterable[Promised], scale: Scale) -> Iterable[Markup]:
    shown = [one for one in sent if scale.shows(one.at)]
    yield element("text", name[:17], x=LEFT - 12, y=y + 4, class_="row end")
    yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="thread")
    yield from _longest(shown, y, scale)
    yield from _promised(promises, y + 8, scale)
    written = -INITIALS_ROOM
    for one in shown:
        x = scale.x(one.at)
        yield _mark(SHAPES.get(one.kind, "update"), x, y)
        if x - written >= INITIALS_ROOM:
            written = x
            yield element("text", "".join(INITIALS[c] for c in one.channels), x=x, y=y - 8, class_="how middle")


def _promised(promises: Iterable[Promised], y: float, scale: Scale) -> Iterable[Markup]:
    """A stroke for each promise, from when it was made to when it was due; all of one fate are one path."""
    strokes: dict[str, list[str]] = {}
    for promise in promises:
        if scale.shows(promise.made_at):
            fate = {True: "kept", False: "broken", None: "owed"}[promise.kept]
            since, until = scale.x(promise.made_at), scale.x(min(promise.due, scale.last))
            strokes.setdefault(fate, []).append(f"M{number(since)} {number(y)}H{number(max(until - 1, since))}")
    for fate, moves in strokes.items():
        yield element("path", d="".join(moves), class_=f"promise {fate}")


def _longest(shown: Sequence[Word], y: float, scale: Scale) -> Iterable[Markup]:
    """The longest silence of the row, where there is room for its length."""
    heard = [one for one in shown if SHAPES.get(one.kind) != "nag"]
    gaps = [(b.at - a.at, a.at, b.at) for a, b in pairwise(heard) if a.while_open]
    if gaps and (longest := max(gaps))[0]:
        length, since, until = longest
        x1, x2 = scale.x(since), scale.x(until)
        yield element("line", x1=x1, x2=x2, y1=y, y2=y, class_="silence")
        if x2 - x1 > 60:
            yield element("text", span(length.total_seconds()), x=(x1 + x2) / 2, y=y + 4, class_="gap middle")


def _otherwise(y: float, changes: Iterable[Changed], scale: Scale) -> Iterable[Markup]:
    """Rings around what only one of two policies tells, and a line from where a notice was to where it is."""
    for changed in changes:
        old, new = changed.old, changed.new
        if changed.change is Change.MOVED and old and new and scale.shows(old.at) and scale.shows(new.at):
            yield element("line", x1=scale.x(old.at), x2=scale.x(new.at), y1=y, y2=y, class_="moved")
        for one, style in ((old, "old"), (new, "new")):
            alone = changed.change in {Change.ONLY_OLD, Change.ONLY_NEW, Change.MOVED}
            if one is not None and alone and scale.shows(one.at):
                yield _mark("ring", scale.x(one.at), y, style)


def _mark(shape: str, x: float, y: float, style: str | None = None) -> Markup:
    """One of the page's own marks, each of which is drawn around its middle."""
    return element("use", href=f"#{shape}", x=x, y=y, class_=style)
