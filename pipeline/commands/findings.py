"""`tocsin policy findings`: what the guard's rules would have found in recorded incidents.

A rule is as good as what it does to real messages: the table says how often each one objects, and samples show where.
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline.decide.guard import RULES, Found, Said, examine
from pipeline.decide.guard.model import Scope
from pipeline.recorded import RecordedEvent, read
from schemas import incident as events
from schemas.base import Level, State, rfc3339
from schemas.incident import For, IncidentEvent
from schemas.journal import NoticeKind

LEVEL = Level.CUSTOMER
"""Whose view is examined: readers outside with the most detail."""
KINDS: Mapping[type[IncidentEvent], NoticeKind] = {
    events.IncidentOpened: NoticeKind.OPENED,
    events.IncidentUpdated: NoticeKind.UPDATED,
    events.ImpactChanged: NoticeKind.IMPACT_CHANGED,
    events.MilestoneReached: NoticeKind.MILESTONE,
    events.MonitoringStarted: NoticeKind.MONITORING,
    events.IncidentResolved: NoticeKind.RESOLVED,
    events.IncidentReopened: NoticeKind.REOPENED,
    events.ReviewPublished: NoticeKind.REVIEW,
    events.MaintenanceScheduled: NoticeKind.MAINTENANCE_SCHEDULED,
    events.MaintenanceStarted: NoticeKind.MAINTENANCE_STARTED,
    events.MaintenanceCompleted: NoticeKind.MAINTENANCE_COMPLETED,
}


@dataclass(frozen=True, slots=True)
class Post:
    """Something that was once said in words, and what the rules find in it."""

    event: RecordedEvent
    said: Said
    found: tuple[Found, ...]

    def of(self, rule: str) -> tuple[Found, ...]:
        """What `rule` finds in what this very post said, or in the message as a whole."""
        return tuple(one for one in self.found if one.rule == rule and (not one.field or one.field in self.said.fresh))


@dataclass(slots=True)
class _Story:
    """What was said of one incident so far."""

    texts: dict[str, str] = field(default_factory=dict)
    contact: bool = False


def posts(recorded: Iterable[RecordedEvent], language: str = "en") -> Iterator[Post]:
    """Each event that says something in words, examined as its readers would have got it."""
    stories: dict[str, _Story] = {}
    for one in recorded:
        story = stories.setdefault(one.incident, _Story())
        before, fresh = dict(story.texts), dict(_texts(one.event))
        story.texts |= fresh
        story.contact = story.contact or one.event.contact is not None
        if fresh:
            said = _said(one.event, story, frozenset(fresh), before, language)
            yield Post(one, said, examine(said))


def _said(event: IncidentEvent, story: _Story, fresh: frozenset[str], before: Mapping[str, str], language: str) -> Said:
    kind = KINDS[type(event)]
    if event.state is State.RESOLVED and kind in {NoticeKind.OPENED, NoticeKind.UPDATED}:
        kind = NoticeKind.RESOLVED
    return Said(
        kind=kind,
        language=language,
        outside=True,
        final=kind in {NoticeKind.RESOLVED, NoticeKind.MAINTENANCE_COMPLETED},
        texts=dict(story.texts),
        fresh=fresh,
        before=before,
        has_contact=story.contact,
        has_next_update=event.next_update_at is not None,
    )


def _texts(event: IncidentEvent) -> Iterator[tuple[str, str]]:
    """Path and text of everything that `LEVEL` may read without anybody's approval."""
    for name, info in type(event).model_fields.items():
        mark = next((entry for entry in info.metadata if isinstance(entry, For)), None)
        value = getattr(event, name)
        if value is None or mark is None or LEVEL not in mark.levels or mark.approval:
            continue
        if name == "consequences":
            yield from ((f"{name}.{part}", text) for part, text in value.model_dump().items() if text)
        elif type(value) is str:  # a severity or a state is a word of ours, not a text
            yield name, value


def summary(examined: Sequence[Post]) -> dict[str, Any]:
    """How many posts there are, and for each rule how many of them it flags and what share that is."""
    return {
        "posts": len(examined),
        "rules": {
            rule: {
                "default": RULES[rule].default,
                "flagged": (flagged := sum(bool(post.of(rule)) for post in examined)),
                "share": round(flagged / len(examined), 4) if examined else 0.0,
            }
            for rule in RULES
        },
    }


def marked(post: Post, rule: str) -> list[str]:
    """What was said, a line for each field that `rule` objects to, with its words between »« marks."""
    scope, lines = Scope(post.said.language, post.said.own_words), []
    spans = RULES[rule].spans
    for one in post.of(rule):
        for path in [one.field] if one.field else sorted(post.said.fresh):
            text, shown, position = post.said.texts[path], "", 0
            for start, end in spans(text, scope) if spans and one.field else ():
                shown += f"{text[position:start]}»{text[start:end]}«"
                position = max(position, end)
            note = f" ({one.words})" if one.words and not spans else ""
            lines.append(f"{path}{note}: {' '.join((shown + text[position:]).split())}")
    return lines


def findings(
    files: Annotated[list[Path], typer.Argument(help="Recorded incidents, in our own form or as JSON lines.")],
    rule: Annotated[str | None, typer.Option(help="The rule to show samples of.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="With --rule: so many posts that it flags.")] = 20,
    seed: Annotated[int, typer.Option(help="Another number, other samples.")] = 0,
    language: Annotated[str, typer.Option(help="In which the posts are written: en or de.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say how often each rule of the guard would have objected to what was once said; with --rule, show where."""
    if rule is not None and rule not in RULES:
        raise typer.BadParameter(f"no rule is called {rule!r}; there are {', '.join(RULES)}", param_hint="--rule")
    examined = list(posts(read(files), language))
    if rule is not None:
        _show_samples(examined, rule, samples, seed, as_json)
    elif as_json:
        typer.echo(json.dumps(summary(examined), indent=2))
    else:
        Console().print(_table(summary(examined)))


def _show_samples(examined: Sequence[Post], rule: str, samples: int, seed: int, as_json: bool) -> None:
    flagged = [post for post in examined if post.of(rule)]
    chosen = random.Random(seed).sample(flagged, min(samples, len(flagged)))
    if as_json:
        shown = [
            {"incident": post.event.incident, "at": rfc3339(post.event.at), "marked": marked(post, rule)}
            for post in chosen
        ]
        typer.echo(json.dumps({"rule": rule, "flagged": len(flagged), "samples": shown}, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{rule}: {len(flagged)} of {len(examined)} posts; {RULES[rule].guards}")
    for post in chosen:
        typer.echo(f"\n{post.event.incident}, {rfc3339(post.event.at)}, {post.said.kind.replace('_', ' ')}")
        for line in marked(post, rule):
            typer.echo(f"  {line}")


def _table(counted: dict[str, Any]) -> Table:
    table = Table("rule", "by default", "objects to", title=f"{counted['posts']} posts", title_justify="left")
    table.add_column("posts", justify="right")
    table.add_column("share", justify="right")
    for rule, figures in counted["rules"].items():
        share = f"{figures['share']:.1%}"
        table.add_row(rule, RULES[rule].default, RULES[rule].guards, str(figures["flagged"]), share)
    return table
