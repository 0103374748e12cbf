"""Decisions in words: every kind of decision has a sentence, and those that say the same of several audiences share it.

Pure; what a reader of a timeline, or of an explanation, is told.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, TypeVar

from schemas.base import rfc3339
from schemas.journal import (
    AudienceHeld,
    AudiencePutOff,
    AudienceSilent,
    CommandRefused,
    Decision,
    DraftApproved,
    DraftVoided,
    FactAdded,
    FieldReleased,
    FieldWithheld,
    GuardFound,
    IncidentClosed,
    InputIgnored,
    NoticeDecided,
    NoticeHeld,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    PromiseWarned,
    Reminded,
    ResolutionConfirmed,
    ResolutionHeld,
    ResolutionUndone,
    WakeScheduled,
)

D = TypeVar("D")

MAX_VALUE = 100
"""Characters of an added fact; the whole stands in the journal."""


class Sort(StrEnum):
    """What a line is about."""

    CAME_IN = "in"
    DECIDED = "decided"
    HELD = "held"
    SILENT = "silent"
    SAID = "said"
    NOT_SAID = "not said"
    WAITING = "waiting"
    RECEIPT = "receipt"
    BROKEN = "broken"


Sentence = tuple[Sort, str]


def sentences(decisions: Iterable[Decision]) -> Iterator[Sentence]:
    """The decisions of one journal entry, each said once, in their order; calls of the clock share one sentence."""
    among = list(decisions)
    said: set[str] = set()
    for decision in among:
        sort, text = sentence(decision, among)
        if text and text not in said:
            said.add(text)
            yield sort, text


def sentence(decision: Decision, among: list[Decision]) -> Sentence:
    """One decision in words, together with those `among` that say the same of other audiences."""
    return _SENTENCES[type(decision)](decision, among)


def words(reason: Any) -> str:
    """A stable word of ours as people read it; sentences stay as they are."""
    return str(reason).replace("_", " ")


def clock(instant: str) -> str:
    """A moment (RFC 3339) to the minute."""
    return f"{instant[:10]} {instant[11:16]} UTC"


def _at(moment: Any) -> str:
    return clock(rfc3339(moment))


def _same(kind: type[D], decision: D, among: list[Decision], *alike: str) -> list[D]:
    """The decisions of `kind` that are like this one in everything named."""
    return [
        other
        for other in among
        if isinstance(other, kind) and all(getattr(other, name) == getattr(decision, name) for name in alike)
    ]


def _whom(decisions: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(decision.audience for decision in decisions))


def _told(decision: NoticeDecided, among: list[Decision]) -> Sentence:
    same = _same(NoticeDecided, decision, among, "kind", "reason", "safe", "zones", "approved_by")
    by = {channels: [d for d in same if _channels(d) == channels] for channels in map(_channels, same)}
    whom = "; ".join(f"{_whom(members)} by {channels}" for channels, members in by.items())
    return Sort.DECIDED, f"tell {whom} ({_how(decision)}): {words(decision.reason)}"


def _channels(decision: NoticeDecided | NoticeHeld) -> str:
    return " and ".join(decision.renderings) or "no channel"


def _how(decision: NoticeDecided | NoticeHeld) -> str:
    """What kind of notice, in which words, for whom in particular."""
    parts = [words(decision.kind)]
    if decision.safe:
        parts.append("in templated words only")
    if decision.zones:
        parts.append(f"in {', '.join(decision.zones)}")
    if decision.corrects is not None:
        parts.append(f"to those who got #{decision.corrects}")
    if isinstance(decision, NoticeDecided) and decision.approved_by:
        parts.append(f"approved by {', '.join(decision.approved_by)}")
    return ", ".join(parts)


def _held(decision: NoticeHeld, among: list[Decision]) -> Sentence:
    same = _same(
        NoticeHeld, decision, among, "kind", "reason", "safe", "zones", "needs", "people", "refused", "by_operator"
    )
    text = f"hold what {_whom(same)} are to be told ({_how(decision)}): {_needs(decision)}"
    return Sort.HELD, f"{text}; {words(decision.reason)}"


def _needs(decision: NoticeHeld) -> str:
    """What must happen before it goes out."""
    if decision.refused:
        return "it cannot go out as it is, and must be edited"
    if decision.by_operator:
        return "until the operator's hold ends"
    persons = f", by {decision.people} persons," if decision.people > 1 else ""
    return f"the approval of {' and '.join(decision.needs) or 'anyone'}{persons} is needed"


def _approved(decision: DraftApproved, among: list[Decision]) -> Sentence:
    missing = f"; still missing: {words(decision.missing)}" if decision.missing else ""
    return Sort.DECIDED, f"{decision.by} approves what {decision.audience} are to be told{missing}"


def _voided(decision: DraftVoided, among: list[Decision]) -> Sentence:
    same = _same(DraftVoided, decision, among, "reason")
    return Sort.NOT_SAID, f"what was held for {_whom(same)} does not go out: {words(decision.reason)}"


def _silent(decision: AudienceSilent, among: list[Decision]) -> Sentence:
    same = _same(AudienceSilent, decision, among, "reason")
    return Sort.SILENT, f"do not tell {_whom(same)}: {words(decision.reason)}"


def _put_off(decision: AudiencePutOff, among: list[Decision]) -> Sentence:
    same = _same(AudiencePutOff, decision, among, "kind", "until", "reason")
    return (
        Sort.SILENT,
        f"tell {_whom(same)} at {_at(decision.until)} ({words(decision.kind)}): {words(decision.reason)}",
    )


def _audience_held(decision: AudienceHeld, among: list[Decision]) -> Sentence:
    whom = _whom(_same(AudienceHeld, decision, among, "held", "by"))
    if decision.held:
        return Sort.HELD, f"{decision.by} holds everything to {whom} back"
    return Sort.DECIDED, f"{decision.by} lets what is for {whom} go out again"


def _end_held(decision: ResolutionHeld, among: list[Decision]) -> Sentence:
    return Sort.HELD, f"that it is over is not told before {_at(decision.until)}: {words(decision.reason)}"


def _end_undone(decision: ResolutionUndone, among: list[Decision]) -> Sentence:
    return Sort.DECIDED, f"it was not over, and nobody had been told so: {words(decision.reason)}"


def _end_confirmed(decision: ResolutionConfirmed, among: list[Decision]) -> Sentence:
    return Sort.DECIDED, f"it is over: {words(decision.reason)}"


def _ignored(decision: InputIgnored, among: list[Decision]) -> Sentence:
    return Sort.SILENT, f"nothing follows: {words(decision.reason)}"


def _closed(decision: IncidentClosed, among: list[Decision]) -> Sentence:
    return Sort.DECIDED, f"it is closed, nothing more follows from it: {words(decision.reason)}"


def _refused(decision: CommandRefused, among: list[Decision]) -> Sentence:
    whose = f"what {decision.operator} orders" if decision.operator else "an order of nobody known"
    return Sort.BROKEN, f"{whose} is not carried out: {words(decision.reason)}"


def _withheld(decision: FieldWithheld, among: list[Decision]) -> Sentence:
    return Sort.SILENT, f"do not tell `{decision.field}`: {words(decision.reason)}"


def _released(decision: FieldReleased, among: list[Decision]) -> Sentence:
    return Sort.DECIDED, f"`{decision.field}` may be told from now on: {decision.by} approved it"


def _added(decision: FactAdded, among: list[Decision]) -> Sentence:
    value = decision.value
    told = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return Sort.DECIDED, f"take `{decision.field}` to be {_short(told)}: {words(decision.reason)}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1].rstrip()}…"


def _found(decision: GuardFound, among: list[Decision]) -> Sentence:
    place = f" in `{decision.field}`" if decision.field else ""
    quoted = f" (“{decision.words}”)" if decision.words else ""
    does = {"mend": "mended", "hold": "held for a person", "refuse": "refused"}[decision.action]
    sort = Sort.DECIDED if decision.action == "mend" else Sort.HELD
    whom = ", ".join(decision.audiences)
    return sort, f"guard, {decision.rule}{place}{quoted}, {does} for {whom}: {decision.why}"


def _promised(decision: PromiseMade, among: list[Decision]) -> Sentence:
    same = _same(PromiseMade, decision, among, "due", "by")
    by = "" if decision.by == "upstream" else ", which the cadence keeps by itself"
    return Sort.DECIDED, f"the next update is promised to {_whom(same)} for {_at(decision.due)}{by}"


def _warned(decision: PromiseWarned, among: list[Decision]) -> Sentence:
    return (
        Sort.DECIDED,
        f"the update promised for {_at(decision.due)} is near, and nothing was said: remind those who can",
    )


def _reminded(decision: Reminded, among: list[Decision]) -> Sentence:
    return Sort.DECIDED, f"remind those who can do something: {words(decision.rule)}, due {_at(decision.due)}"


def _kept(decision: PromiseKept, among: list[Decision]) -> Sentence:
    same = _same(PromiseKept, decision, among, "due")
    return Sort.DECIDED, f"the update promised to {_whom(same)} for {_at(decision.due)} is given"


def _broken(decision: PromiseBroken, among: list[Decision]) -> Sentence:
    same = _same(PromiseBroken, decision, among, "due")
    return Sort.BROKEN, f"the update promised to {_whom(same)} for {_at(decision.due)} was not given in time"


def _wakes(decision: WakeScheduled, among: list[Decision]) -> Sentence:
    """That the clock watches over a promise goes without saying; all other calls are told together."""
    promised = {other.due for other in among if isinstance(other, PromiseMade)}
    calls = sorted({(d.due, d.reason) for d in among if isinstance(d, WakeScheduled) and d.due not in promised})
    told = ", ".join(f"{_at(due)} ({words(reason)})" for due, reason in calls)
    return Sort.DECIDED, f"the clock is to call at {told}" if told else ""


_SENTENCES: dict[type, Callable[[Any, list[Decision]], Sentence]] = {
    NoticeDecided: _told,
    NoticeHeld: _held,
    DraftApproved: _approved,
    DraftVoided: _voided,
    AudienceSilent: _silent,
    AudiencePutOff: _put_off,
    AudienceHeld: _audience_held,
    ResolutionHeld: _end_held,
    ResolutionUndone: _end_undone,
    ResolutionConfirmed: _end_confirmed,
    InputIgnored: _ignored,
    IncidentClosed: _closed,
    CommandRefused: _refused,
    FieldWithheld: _withheld,
    FieldReleased: _released,
    FactAdded: _added,
    GuardFound: _found,
    PromiseMade: _promised,
    PromiseWarned: _warned,
    Reminded: _reminded,
    PromiseKept: _kept,
    PromiseBroken: _broken,
    WakeScheduled: _wakes,
}
