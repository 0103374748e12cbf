"""How a back-test reads on a terminal, 80 columns wide."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from textwrap import wrap

from pipeline.commands.timelines import printable
from pipeline.replay.difference import Change, Changed, IncidentDifference
from pipeline.replay.difference import counted as count_changes
from pipeline.replay.results import Result, Sent
from pipeline.replay.spans import counted, span
from pipeline.replay.sums import Kept, Spread, Sums

SHOWN = 12
"""Incidents, reasons or changes that are listed without --all."""
TITLE = 18


def summary(sums: Sums, everything: bool) -> Iterator[str]:
    """The sums."""
    yield from _told(sums)
    yield ""
    yield from _silence(sums)
    yield ""
    yield from _promises(sums)
    yield ""
    yield from _closure(sums)
    yield ""
    limit = None if everything else SHOWN
    yield from _table("guard", sums.findings, "found nothing", limit)
    yield from _table("held for approval", sums.held, "nothing", limit)
    yield from _table("put off", sums.put_off, "nothing", limit)
    yield from _table("not told", sums.silent, "nobody", limit)
    yield ""
    costs = sums.costs
    yield (
        f"cost at most      {costs.total:,.2f} USD: {costs.sms_segments:,.0f} SMS segments {costs.sms:,.2f}, "
        f"{costs.posts} posts on X {costs.x:,.2f}"
    )
    if costs.posts_with_link:
        yield f"                  {costs.posts_with_link} of the posts bear a link"


def _told(sums: Sums) -> Iterator[str]:
    yield f"{'notices':<18}{'email':>7}{'sms':>7}{'x':>7}   {'first notice after':>18}"
    yield f"{'':<42}{'median':>8}{'90%':>8}{'max':>8}"
    for name, channels in sums.by_audience.items():
        first = sums.first_s[name]
        counts = "".join(f"{channels.get(channel, 0) or '-':>7}" for channel in ("email", "sms", "x"))
        yield f"{name[:17]:<18}{counts}   {_spread(first)}"


def _silence(sums: Sums) -> Iterator[str]:
    large, small = sums.silence_s["large"], sums.silence_s["small"]
    n_large, n_small = sums.sizes.get("large", 0), sums.sizes.get("small", 0)
    yield f"{'longest silence':<26}{f'{n_large} large incidents':>24}   {f'{n_small} small incidents':>24}"
    yield f"{'':<26}{'median':>8}{'90%':>8}{'max':>8}   {'median':>8}{'90%':>8}{'max':>8}"
    if sums.really_told is not None:
        yield f"{'as it was really told':<26}{_spread(large.as_told)}   {_spread(small.as_told)}"
    yield f"{'facts: what the team said':<26}{_spread(large.facts)}   {_spread(small.facts)}"
    for name in large.messages:
        yield f"{f'messages to {name}'[:25]:<26}{_spread(large.messages[name])}   {_spread(small.messages[name])}"


def _spread(found: Spread) -> str:
    return "".join(f"{span(value):>8}" for value in (found.p50, found.p90, found.max))


def _promises(sums: Sums) -> Iterator[str]:
    yield f"{'promises':<26}{'made':>8}{'kept':>8}{'broken':>8}{'open':>8}"
    yield f"{'kept by Tocsin itself':<26}{_kept(sums.promises['cadence'])}"
    yield f"{'made by the team':<26}{_kept(sums.promises['upstream'])}"
    if (told := sums.really_told) is not None:
        yield f"{'as they were really made':<26}{told.promises:>8}{told.kept:>8}{told.promises - told.kept:>8}{'-':>8}"


def _kept(kept: Kept) -> str:
    return f"{kept.made:>8}{kept.kept:>8}{kept.broken:>8}{kept.open:>8}"


def _closure(sums: Sums) -> Iterator[str]:
    if sums.unclosed:
        yield f"{len(sums.unclosed)} audiences were told of a start and not of the end: {_named(sums.unclosed)}"
    else:
        yield 'whoever was told "open" was told "resolved"' + (", or waits for an approval" if sums.waiting else "")
    if sums.waiting:
        yield f"{len(sums.waiting)} ends wait for somebody's approval: {_named(sums.waiting)}"
    if sums.never_ended:
        yield f"{len(sums.never_ended)} incidents were never ended by the team: {_named(sums.never_ended)}"
    if sums.cut_off:
        yield f"{len(sums.cut_off)} were cut off 45 days after the team's last word: {_named(sums.cut_off)}"
    if sums.safe:
        yield f"{sums.safe} notices went out in templated words, in place of what nobody had approved"
    if sums.ends_held:
        yield f"{sums.ends_held} ends were held back until they had held; {sums.ends_undone} of them had not"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return printable(", ".join(names[:5])) + more


def _table(head: str, counts: Mapping[str, int], nothing: str, limit: int | None) -> Iterator[str]:
    if not counts:
        yield f"{head:<18}{nothing}"
    for place, (name, count) in enumerate(islice(counts.items(), limit)):
        for number, line in enumerate(wrapped(printable(name), 53)):
            yield f"{head if place + number == 0 else '':<18}{count if number == 0 else '':>7}  {line}"
    if limit is not None and len(counts) > limit:
        yield f"{'':<18}{'':>7}  and {len(counts) - limit} more (--all)"


def wrapped(text: str, width: int = 80) -> list[str]:
    """`text` in lines of at most `width` characters; at least one."""
    return wrap(text, width) or [""]


def incident_lines(results: Sequence[Result], everything: bool) -> Iterator[str]:
    """A line for each incident, those with something wrong first, then those that were silent longest."""
    ordered = sorted(results, key=lambda r: (not (r.broken or r.unclosed), -_worst(r), r.began))
    yield f"{'incident':<13}{'began':<17}{'severity':<9}{'told':>5}{'facts':>8}{'silent':>8}  title"
    for result in ordered if everything else ordered[:SHOWN]:
        yield (
            f"{result.incident[:12]:<13}{result.began:%Y-%m-%d %H:%M} {result.severity:<9}{len(result.sent):>5}"
            f"{span(result.facts_silence_s):>8}{span(_worst(result) or None):>8}  {printable(result.title)[:TITLE]}"
        )
    if not everything and len(results) > SHOWN:
        yield f"and {len(results) - SHOWN} more (--all, or --incident ID for one in full)"


def _worst(result: Result) -> float:
    """The longest silence that any audience met."""
    return max((heard.silence_s or 0.0 for heard in result.audiences.values()), default=0.0)


def in_full(result: Result) -> Iterator[str]:
    """One incident: what the team said and what everyone was told, in the order of time."""
    yield f"{result.incident}: {printable(result.title)} ({result.severity}, {'large' if result.large else 'small'})"
    said = [(post.at, 0, f"the team {post.kind}: {printable(post.text)}") for post in result.said]
    told = [(alike[0].at, 1, _told_alike(alike)) for alike in _alike(result.sent)]
    day = ""
    for at, _, text in sorted(said + told, key=lambda line: line[:2]):
        if (today := f"{at:%Y-%m-%d}") != day:
            yield today
            day = today
        first, *rest = wrapped(text, 71)
        yield f"  {at:%H:%M}  {first}"
        yield from (f"{'':<9}{line}" for line in rest)
    for name, heard in result.audiences.items():
        if heard.notices:
            yield f"{name}: {counted(heard.notices, 'notice')}, the longest silence {span(heard.silence_s)}"
    yield f"facts: the longest silence {span(result.facts_silence_s)}"


def _alike(sent: Iterable[Sent]) -> list[list[Sent]]:
    """Notices of one entry that say the same, together."""
    found: dict[tuple[object, ...], list[Sent]] = {}
    for one in sent:
        found.setdefault((one.seq, one.kind, one.reason, one.zones), []).append(one)
    return list(found.values())


def _told_alike(alike: Sequence[Sent]) -> str:
    by: dict[str, list[str]] = {}
    for one in alike:
        by.setdefault(" and ".join(one.channels) or "no channel", []).append(one.audience)
    whom = "; ".join(f"{', '.join(names)} by {how}" for how, names in by.items())
    where = f" in {', '.join(alike[0].zones)}" if alike[0].zones else ""
    return f"tell {whom}{where} ({alike[0].kind.replace('_', ' ')}): {alike[0].reason}"


def _sent(one: Sent) -> str:
    how = " and ".join(one.channels) or "no channel"
    where = f" in {', '.join(one.zones)}" if one.zones else ""
    return f"{one.audience}{where} by {how} ({one.kind.replace('_', ' ')})"


def difference_lines(found: Sequence[IncidentDifference], everything: bool) -> Iterator[str]:
    """How two policies differ: the counts, then notice by notice."""
    counts = count_changes(found)
    changed = [one for one in found if one.changes]
    yield f"difference of the notices, in {len(changed)} of {counted(len(found), 'incident')}"
    yield from (f"{count:>25}  {name}" for name, count in counts.items())
    for one in changed if everything else changed[:SHOWN]:
        yield f"{one.incident}: {printable(one.title)[:60]}"
        yield from (f"  {line}" for changed_one in one.changes for line in wrapped(_change(changed_one), 76))
    if not everything and len(changed) > SHOWN:
        yield f"and {len(changed) - SHOWN} more incidents (--all, or --incident ID for one)"


def _change(changed: Changed) -> str:
    at, what = f"{changed.notice.at:%m-%d %H:%M}", _sent(changed.notice)
    match changed.change, changed.old, changed.new:
        case Change.MOVED, Sent() as old, Sent() as new:
            later = (new.at - old.at).total_seconds()
            return f"{at} {what}: {span(abs(later))} {'later' if later > 0 else 'sooner'} than {old.at:%m-%d %H:%M}"
        case Change.OTHER_CHANNELS, Sent() as old, _:
            return f"{at} {what}: before, by {' and '.join(old.channels) or 'no channel'}"
        case Change.OTHER_WORDS, _, _:
            return f"{at} {what}: in other words"
        case change, _, _:
            return f"{at} {what}: {change.value}: {changed.notice.reason}"


def problems(sums: Sums) -> Iterable[str]:
    """What must not be: promises of Tocsin's own that were broken, and opens without an end; each with its incident."""
    yield from (f"a promise of Tocsin's own was broken: {name}" for name in sums.broken)
    yield from (f'told "open" and never "resolved": {name}' for name in sums.unclosed)
