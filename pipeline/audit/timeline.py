"""The timeline: what came in, what was decided and why, what was said to how many, what was not and why. Pure.

One block for each journal entry, in order, so that a message stands under the decision that sent it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.audit.history import Fate, History, history
from pipeline.audit.sentences import Sort, clock, sentences, words
from schemas.audit import AuditEntry
from schemas.base import Channel, rfc3339
from schemas.command import OPERATOR_COMMANDS, Close, Wake
from schemas.delivery import NoticeSuperseded, ParkedOrdered, ReceiptRecorded, Result
from schemas.journal import InputIgnored, JournalEntry


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `at` is UTC; `virtual` is the incident's own time, where it was played; `people` those it concerns."""

    at: datetime
    virtual: datetime | None
    seq: int
    sort: Sort
    text: str
    people: int = 0


def timeline(entries: Iterable[AuditEntry], incident: str) -> list[Line]:
    """The timeline of `incident` from sealed entries in the log's order."""
    return timeline_of(history(entries, incident))


def timeline_of(found: History) -> list[Line]:
    """The timeline of a history."""
    lines: list[Line] = []
    title = None
    for seq, entry in sorted(found.journal.items()):
        lines += _decided(entry, title)
        title = entry.input.data.get("title", title)
        lines += _superseded(entry, found.superseded)
        lines += _ordered(entry, [r for r in found.records if isinstance(r, ParkedOrdered) and r.seq == seq])
        for channel in Channel:
            lines += _delivered(entry, channel, found.fates.get((seq, channel), {}))
            lines += _received(entry, channel, found.receipts.get((seq, channel), {}).values())
    for sealed in found.by_hash:
        text = f"entry {sealed.index}, a {sealed.record_type}, was too large and is sealed by its hash only"
        lines.append(Line(sealed.appended_at, None, 0, Sort.BROKEN, text))
    return lines


def _line(entry: JournalEntry, at: datetime, sort: Sort, text: str, people: int = 0) -> Line:
    """The incident's clock stands still while its messages go out: they go at the pace of the real one."""
    return Line(at, entry.at if entry.input.virtual else None, entry.seq, sort, text, people)


def _decided(entry: JournalEntry, title: str | None) -> Iterator[Line]:
    at, decisions = entry.input.appended_at, list(entry.decisions)
    ignored = [decision.reason for decision in decisions if isinstance(decision, InputIgnored)]
    if ignored and entry.input.type == Wake.TYPE:
        yield _line(entry, at, Sort.CAME_IN, f"{input_of(entry, title)}; nothing follows: {words(ignored[0])}")
        return
    yield _line(entry, at, Sort.CAME_IN, input_of(entry, title))
    for sort, text in sentences(decisions):
        yield _line(entry, at, sort, text)


def input_of(entry: JournalEntry, title: str | None) -> str:
    """What came in, in words; a title that was said before is not said again."""
    given, data = entry.input, entry.input.data
    if given.type == Wake.TYPE:
        return f"the clock: {words(data['reason'])}, {clock(data['due'])}"
    if given.type == Close.TYPE:
        return f"it is to be closed: nothing came since #{data['seq']}"
    who = given.signed.operator if given.signed else given.source
    if (order := _ORDERS.get(given.type)) is not None:
        because = f": {data['because']}" if data.get("because") else ""
        return f"{who} orders: {order}{_about(data)}{because}"
    name = given.type.removeprefix("io.tocsin.").rsplit(".", 1)[0]
    what = words(name.replace(".", " "))
    if data.get("title") not in (None, title):
        what += f": {data['title']}"
    facts = [f"{key} {data[key]}" for key in ("severity", "state") if data.get(key)]
    if facts:
        what += f" ({', '.join(facts)})"
    told = data.get("milestone") or data.get("summary")
    return f"{what}, from {who}" + (f". {told}" if told else "")


_ORDERS = {model.TYPE: words(model.TYPE.split(".")[-2]) for model in OPERATOR_COMMANDS}


def _about(data: Mapping[str, Any]) -> str:
    """What an order is about: a draft, the notices of an entry, audiences."""
    if draft := data.get("draft"):
        return f" draft {draft}"
    if seq := data.get("seq"):
        return f" what #{seq} said"
    return f" {', '.join(data['audiences'])}" if data.get("audiences") else ""


def _superseded(entry: JournalEntry, among: Iterable[NoticeSuperseded]) -> Iterator[Line]:
    """What its notices make old: each partition says so for itself, which is one thing to a reader."""
    old = sorted({(one.audience, one.seq, one.and_earlier) for one in among if one.by_seq == entry.seq})
    for audience, seq, and_earlier in old:
        which = f"what #{seq} and earlier ones" if and_earlier else f"what #{seq}"
        text = f"{which} said to {audience} is told no more where it still waits"
        yield _line(entry, entry.input.appended_at, Sort.NOT_SAID, text)


def _ordered(entry: JournalEntry, records: Iterable[ParkedOrdered]) -> Iterator[Line]:
    """What a person ordered for messages that were parked: each partition says so for itself."""
    orders: dict[tuple[str, Channel], list[ParkedOrdered]] = {}
    for record in records:
        orders.setdefault((record.order_id, record.channel), []).append(record)
    for (_, channel), parts in orders.items():
        first, count = parts[0], sum(len(part.recipients) for part in parts)
        what = "given up" if first.order.order == "give_up" else "tried again"
        because = f': "{first.order.because}"' if first.order.because else ""
        why = f"parked for {words(first.order.reason)}{because}"
        text = f"{channel}: {first.signed.operator} ordered {count} {what}, {why}"
        yield _line(entry, first.at, Sort.CAME_IN, text, count)


Ending = tuple[Result | None, str]
"""What a message came to, in words; those with the same words are counted together."""


def _delivered(entry: JournalEntry, channel: Channel, fates: Mapping[str, Fate]) -> Iterator[Line]:
    groups: dict[Ending, list[Fate]] = {}
    for fate in fates.values():
        groups.setdefault(ending_of(fate), []).append(fate)
    for (result, text), members in sorted(groups.items(), key=lambda item: (_ORDER[item[0][0]], item[0][1])):
        audiences = Counter(fate.audience or "nobody on record" for fate in members)
        whom = ", ".join(f"{n} {audience}" for audience, n in sorted(audiences.items()))
        moments = [moment for fate in members if (moment := fate.ended_at or fate.intended_at) is not None]
        at = max(moments, default=entry.input.appended_at)
        told = f"{channel} to {whom}: {text}{_in_between(members)}"
        if result is Result.ACCEPTED:
            told += f", within {_span((at - entry.input.appended_at).total_seconds())}"
        elif dues := [f.outcome.due for f in members if f.outcome and f.outcome.due]:
            told += f", again from {clock(rfc3339(min(dues)))}"
        yield _line(entry, at, SORTS.get(result, Sort.WAITING), told, len(members))


_ORDER: dict[Result | None, int] = {**{result: place for place, result in enumerate(Result)}, None: len(Result)}
SORTS: dict[Result | None, Sort] = {
    Result.ACCEPTED: Sort.SAID,
    Result.SUPPRESSED: Sort.NOT_SAID,
    Result.PERMANENT: Sort.NOT_SAID,
    Result.PARKED: Sort.NOT_SAID,
}
_CAME_TO = {
    Result.SUPPRESSED: "not told",
    Result.PERMANENT: "refused for good",
    Result.PARKED: "given up",
    Result.UNKNOWN: "nobody knows yet whether it arrived",
    Result.RETRYABLE: "did not get through",
    Result.DEFERRED: "put off",
}


def ending_of(fate: Fate) -> Ending:
    """How one recipient's message stands, in words."""
    outcome = fate.outcome
    if outcome is None:
        return None, "with the provider" if fate.attempts else "not yet tried"
    if outcome.result is Result.ACCEPTED:
        # How it succeeded makes no difference to whoever was told.
        return outcome.result, "taken by the provider"
    code = f" ({outcome.code})" if outcome.code else ""
    return outcome.result, f"{_CAME_TO[outcome.result]}: {words(outcome.reason)}{code}"


def _in_between(members: list[Fate]) -> str:
    again = sum(fate.attempts > 1 for fate in members)
    unknown = sum(fate.unknowns > 0 and fate.outcome is not None and fate.outcome.result.terminal for fate in members)
    notes = [f"{again} at a later attempt"] if again else []
    notes += [f"{unknown} after an attempt whose end was unknown"] if unknown else []
    return f" ({', '.join(notes)})" if notes else ""


def _received(entry: JournalEntry, channel: Channel, receipts: Collection[ReceiptRecorded]) -> Iterator[Line]:
    if receipts:
        counted = Counter(f"{r.status} ({r.code})" if r.code else r.status for r in receipts)
        text = ", ".join(f"{n} {status}" for status, n in sorted(counted.items()))
        last = max(receipt.at for receipt in receipts)
        yield _line(entry, last, Sort.RECEIPT, f"{channel}: the provider says {text}", len(receipts))


def _span(seconds: float) -> str:
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
