"""`tocsin report`: how soon people were told, how long left alone, which promises were kept, whom it reached."""

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from pipeline.clock import now as real_now
from pipeline.commands.timelines import printable
from pipeline.errors import ConfigurationError, NotFound, ProjectionError
from pipeline.honesty.figures import Figures, Reach, Sum, Told
from pipeline.replay.spans import counted, percent, span
from pipeline.settings import Settings

DEFAULT = "30d"
_SPAN = re.compile(r"(\d{1,4})\s*([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
SHOWN = 12
TITLE = 24


def report(
    since: Annotated[str, typer.Option(help="30d, 12w, 48h, a date like 2026-03-04, or `ever`.")] = DEFAULT,
    incident: Annotated[str | None, typer.Option(help="Only this incident.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a report to look at, one file.", dir_okay=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every incident.")] = False,
) -> None:
    """Time to the first notice, longest silence, promises kept, reach by channel, unknowns, findings of the guard.

    Of each incident and over time, from the SQL projection of the sealed log.
    """
    now = real_now()
    begins = None if incident is not None else beginning(since, now)
    found = asyncio.run(_gathered(Settings(), begins, now, incident))
    if html is not None:
        from pipeline.honesty.page import page  # its templates are not compiled where nobody looks

        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{html} cannot be written: {error.strerror}") from None
    if as_json:
        sys.stdout.buffer.write(to_json(found))
        return
    for line in lines(found, everything):
        typer.echo(line)
    if html is not None:
        typer.echo(f"\nthe report is {html}")


def beginning(text: str, now: datetime) -> datetime | None:
    """The moment from which on incidents count; None: ever. Raises typer.BadParameter."""
    if text == "ever":
        return None
    if (length := _SPAN.fullmatch(text)) is not None:
        return now - timedelta(**{_UNITS[length[2]]: int(length[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is none of: 30d, 12w, 48h, 2026-03-04, ever", param_hint="--since"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)


async def _gathered(settings: Settings, since: datetime | None, now: datetime, incident: str | None) -> Figures:
    from pipeline.honesty.gathering import gather  # SQLAlchemy is not imported for --help
    from pipeline.projection.reader import reader

    async with reader(settings) as store:
        if store is None:
            raise ProjectionError("there is no projection yet: `tocsin up` keeps one, `tocsin rebuild` makes one")
        found = await gather(store, since, now, incident)
    if incident is not None and not found.told:
        raise NotFound(f"no incident {incident!r} among the {found.entries} entries of the log that are projected")
    return found


def lines(found: Figures, everything: bool) -> Iterator[str]:
    """The figures as text, 80 columns wide."""
    began = f" since {found.since:%Y-%m-%d %H:%M} UTC" if found.since else ""
    yield f"{counted(found.sums.incidents, 'incident')}{began}, up to entry {found.entries} of the log"
    if not found.told:
        return
    yield ""
    yield f"{'audience':<16}{'notices':>8}{'decided after':>16}{'first taken after':>20}{'longest silence':>20}"
    yield f"{'':<24}" + "".join(f"{head:>8}" for head in ("median", "max")) + 2 * f"{'median':>12}{'max':>8}"
    for name, one in found.audiences.items():
        spreads = (one.decided_s, one.first_s, one.silence_s)
        cells = [(8 if place == 0 else 12, spread) for place, spread in enumerate(spreads)]
        yield f"{printable(name)[:15]:<16}{one.notices:>8}" + "".join(
            f"{span(spread.p50):>{width}}{span(spread.max):>8}" for width, spread in cells
        )
    yield ""
    yield from _promises(found.sums)
    yield ""
    yield from _reach(found.sums)
    yield ""
    yield from _findings(found.sums)
    yield ""
    yield from _periods(found)
    yield ""
    yield from _incidents(found, everything)


def _promises(sums: Sum) -> Iterator[str]:
    yield f"{'promises':<28}{'made':>8}{'kept':>8}{'broken':>8}{'open':>8}"
    for by, words in (("cadence", "kept by Tocsin itself"), ("upstream", "made by the team")):
        kept = sums.promises[by]
        yield f"{words:<28}{kept.made:>8}{kept.kept:>8}{kept.broken:>8}{kept.open:>8}"


def _reach(sums: Sum) -> Iterator[str]:
    if not sums.reach:
        yield "reach               no message was to be sent"
        return
    heads = ("to send", "accepted", "refused", "parked", "unknown", "waiting", "reach")
    yield f"{'channel':<12}" + "".join(f"{head:>9}" for head in heads)
    for channel, one in sums.reach.items():
        counts = (one.intended - one.suppressed, one.accepted, one.permanent, one.parked, one.unknown, one.waiting)
        yield f"{channel:<12}" + "".join(f"{count:>9}" for count in counts) + f"{percent(one.share):>9}"
    ever = f"{counted(sums.unknowns, 'attempt')} ended without anyone knowing how"
    yield f"{ever}; {counted(sum(one.suppressed for one in sums.reach.values()), 'message')} suppressed by a named rule"


def _findings(sums: Sum) -> Iterator[str]:
    if not sums.findings:
        yield f"{'guard':<12}found nothing"
    for place, (name, count) in enumerate(sums.findings.items()):
        yield f"{'' if place else 'guard':<12}{count:>7}  {printable(name)}"


def _periods(found: Figures) -> Iterator[str]:
    yield f"{'from':<12}{'incidents':>10}{'first':>9}{'silence':>9}{'kept':>9}{'unknowns':>10}{'findings':>10}"
    for period in found.periods:
        sums = period.sums
        yield (
            f"{period.begins:%Y-%m-%d}  {sums.incidents:>10}{span(sums.first_s.p50):>9}{span(sums.silence_s.max):>9}"
            f"{percent(sums.promises_kept):>9}{sums.unknowns:>10}{sum(sums.findings.values()):>10}"
        )


def _incidents(found: Figures, everything: bool) -> Iterator[str]:
    """Those with something wrong first, then those that were silent longest."""
    ordered = sorted(found.told, key=lambda one: (not _is_wrong(one), -(one.silence_s or 0), one.heard_at))
    yield f"{'incident':<22}{'began':<17}{'told':>5}{'first':>8}{'silent':>8}{'kept':>8}  title"
    for one in ordered if everything else ordered[:SHOWN]:
        story = one.story
        fates = [promise.kept for promise in story.promises if promise.kept is not None]
        yield (
            f"{printable(story.incident)[:21]:<22}{story.began:%Y-%m-%d %H:%M} {len(story.sent):>5}"
            f"{span(one.first_s):>8}{span(one.silence_s):>8}{f'{sum(fates)}/{len(fates)}':>8}"
            f"  {printable(story.title)[:TITLE]}"
        )
    if not everything and len(ordered) > SHOWN:
        yield f"and {len(ordered) - SHOWN} more (--all)"


def _is_wrong(one: Told) -> bool:
    return bool(one.story.broken or one.story.unclosed)


def to_json(found: Figures) -> bytes:
    """The figures for programs; of each incident without its words."""
    said: dict[str, Any] = {
        "since": found.since,
        "until": found.until,
        "entries": found.entries,
        "sums": _sum(found.sums),
        "audiences": found.audiences,
        "periods": [{"begins": period.begins, "sums": _sum(period.sums)} for period in found.periods],
        "incidents": [_incident(one) for one in found.told],
    }
    return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _sum(sums: Sum) -> dict[str, Any]:
    return {
        "incidents": sums.incidents,
        "first_s": sums.first_s,
        "silence_s": sums.silence_s,
        "promises": sums.promises,
        "promises_kept": sums.promises_kept,
        "reach": _shares(sums.reach),
        "unknowns": sums.unknowns,
        "findings": sums.findings,
    }


def _shares(reach: Mapping[str, Reach]) -> dict[str, Any]:
    return {channel: {**asdict(one), "share": one.share} for channel, one in reach.items()}


def _incident(one: Told) -> dict[str, Any]:
    story = one.story
    return {
        "incident": story.incident,
        "title": story.title,
        "severity": story.severity,
        "maintenance": story.maintenance,
        "began": story.began,
        "ended": story.ended,
        "heard_at": one.heard_at,
        "first_s": one.first_s,
        "silence_s": one.silence_s,
        "taken_s": one.taken_s,
        "facts_silence_s": story.facts_silence_s,
        "notices": len(story.sent),
        "audiences": story.audiences,
        "promises": story.promises,
        "reach": _shares(one.reach),
        "findings": story.findings,
        "unclosed": story.unclosed,
    }
