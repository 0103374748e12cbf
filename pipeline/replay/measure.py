"""What was decided on one incident, as figures."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from pipeline.decide.incident import Decided
from pipeline.decide.state import Phase
from pipeline.replay.costs import cost_of
from pipeline.replay.course import Said, course, ends_upstream, longest_silence, worst_of
from pipeline.replay.rerun import Conditions, Rerun
from pipeline.replay.results import AsTold, Heard, Post, Prices, Promised, Result, Sent
from pipeline.replay.stated import stated_in
from schemas.base import Channel
from schemas.incident import MaintenanceScheduled, MaintenanceStarted
from schemas.journal import (
    AudiencePutOff,
    AudienceSilent,
    Decision,
    DraftVoided,
    FieldWithheld,
    GuardFound,
    NoticeDecided,
    NoticeHeld,
    NoticeKind,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    PromiseWarned,
    Reminded,
    ResolutionHeld,
    ResolutionUndone,
)
from schemas.notice import Notice
from schemas.rendering import PostContent, SmsContent, content_in
from schemas.topics import INCIDENT_EVENTS

MAX_TEXT = 320
"""Characters kept of what upstream said: enough to know which word it was."""
ENDS = frozenset({NoticeKind.RESOLVED, NoticeKind.MAINTENANCE_COMPLETED})
NO_START = frozenset({NoticeKind.MAINTENANCE_SCHEDULED, NoticeKind.MAINTENANCE_SOON, NoticeKind.REVIEW})
"""Told before it is felt, or after: silence is not counted from here."""
ASIDE = frozenset({NoticeKind.REMINDER, NoticeKind.CORRECTION, NoticeKind.RETRACTION})
"""To a few, about something else: no word on how it stands."""


def measured(run: Rerun, conditions: Conditions, prices: Prices) -> Result:
    """The figures of one incident."""
    said = course(run.past.events)
    sent = tuple(_sent(run.turns, conditions, prices))
    decisions = [decision for turn in run.turns for decision in turn.entry.decisions]
    worst, posted = worst_of(said), [one for one in said if one.posted]
    return Result(
        incident=run.past.incident,
        title=run.past.title,
        severity=worst.value if worst else "unsaid",
        large=conditions.policy.cadence.is_large(worst),
        maintenance=isinstance(said[0].event, MaintenanceScheduled | MaintenanceStarted),
        began=said[0].at,
        ended=max((one.at for one in said if one.ended), default=None) if ends_upstream(said) else None,
        cut_off=run.cut_off,
        said=tuple(_post(one) for one in said),
        facts_silence_s=longest_silence((one.at, one.open) for one in said if one.news),
        sent=sent,
        audiences=_audiences(decisions, said, sent, conditions),
        promises=tuple(_promises(run.turns)),
        warned=sum(isinstance(decision, PromiseWarned) for decision in decisions),
        reminded=sum(isinstance(decision, Reminded) for decision in decisions),
        findings=_counted(f"{d.rule}: {d.action}" for d in decisions if isinstance(d, GuardFound)),
        held=_counted(d.audience for d in decisions if isinstance(d, NoticeHeld)),
        voided=sum(isinstance(decision, DraftVoided) for decision in decisions),
        put_off=_counted(d.reason for d in decisions if isinstance(d, AudiencePutOff)),
        silent=_counted(d.reason for d in decisions if isinstance(d, AudienceSilent)),
        withheld=_counted(d.field for d in decisions if isinstance(d, FieldWithheld)),
        ends_held=sum(isinstance(decision, ResolutionHeld) for decision in decisions),
        ends_undone=sum(isinstance(decision, ResolutionUndone) for decision in decisions),
        cost=round(sum(one.cost for one in sent), 4),
        as_told=_as_told(posted) if posted else None,
    )


def _sent(turns: Iterable[Decided], conditions: Conditions, prices: Prices) -> Iterator[Sent]:
    language = conditions.policy.languages.default
    for turn in turns:
        entry = turn.entry
        told = [decision for decision in entry.decisions if isinstance(decision, NoticeDecided)]
        for decision, notice in zip(told, turn.notices, strict=True):
            cost = cost_of(notice, conditions.census.get(decision.audience), prices)
            yield Sent(
                at=entry.at,
                seq=entry.seq,
                audience=decision.audience,
                kind=decision.kind,
                channels=tuple(channel for channel in Channel if channel in decision.renderings),
                lane=decision.lane,
                reason=decision.reason,
                event=entry.input.id if entry.input.topic == INCIDENT_EVENTS.name else None,
                safe=decision.safe,
                zones=decision.zones,
                while_open=turn.after.phase is Phase.OPEN and decision.kind not in NO_START | ASIDE,
                segments=cost.segments,
                texts=cost.texts,
                posts=cost.posts,
                link=cost.link,
                cost=cost.total,
                words=_words(decision),
                text=_text(notice, language),
            )


def _words(decision: NoticeDecided) -> str:
    digests = sorted(digest for made in decision.renderings.values() for digest in made)
    return sha256("".join(digests).encode()).hexdigest()[:16]


def _text(notice: Notice, language: str) -> str:
    """What the SMS says, or else the post; in the policy's own language where there is a choice."""
    texts = [
        (content.channel is not Channel.SMS, rendering.language != language, content.text)
        for rendering in notice.renderings
        if isinstance(content := content_in(rendering, "UTC"), SmsContent | PostContent)
    ]
    return min(texts, default=(True, True, ""))[2]


def _audiences(
    decisions: Sequence[Decision], said: Sequence[Said], sent: Sequence[Sent], conditions: Conditions
) -> dict[str, Heard]:
    names = dict.fromkeys((*conditions.policy.audiences, *(one.audience for one in sent)))
    over = ends_upstream(said)
    return {name: _heard(name, decisions, said[0].at, sent, conditions, over) for name in names}


def _heard(
    name: str, decisions: Sequence[Decision], began: datetime, sent: Sequence[Sent], conditions: Conditions, over: bool
) -> Heard:
    theirs = [one for one in sent if one.audience == name and one.kind not in ASIDE]
    count = conditions.census.get(name)
    zones = (
        (count.zones if count else None) or dict.fromkeys((zone for one in theirs for zone in one.zones), 1) or {"": 1}
    )
    silences = [_silence(theirs, zone) for zone in zones]
    place = max((index for index, one in enumerate(theirs) if one.while_open), default=None)
    closed = place is None or any(one.kind in ENDS for one in theirs[place + 1 :])
    return Heard(
        notices=len(theirs),
        first_s=(theirs[0].at - began).total_seconds() if theirs else None,
        silence_s=max((silence for silence in silences if silence is not None), default=None),
        unclosed=over and not closed,
        waiting=over and not closed and _end_waits(name, decisions),
    )


def _silence(theirs: Iterable[Sent], zone: str) -> float | None:
    """For those in one time zone: what is told at the closing of an office reaches no other."""
    heard = [one for one in theirs if not one.zones or zone in one.zones]
    return longest_silence((one.at, one.while_open) for one in heard if one.kind not in NO_START)


def _end_waits(name: str, decisions: Iterable[Decision]) -> bool:
    """Whether a draft of the end is held for this audience, and was not voided since."""
    drafts: dict[str, NoticeKind] = {}
    for decision in decisions:
        if isinstance(decision, NoticeHeld) and decision.audience == name:
            drafts[decision.draft] = decision.kind
        elif isinstance(decision, DraftVoided):
            drafts.pop(decision.draft, None)
    return any(kind in ENDS for kind in drafts.values())


def _promises(turns: Iterable[Decided]) -> Iterator[Promised]:
    """Each promise with what became of it; one that was replaced, or is open at the end, is neither kept nor broken."""
    owed: dict[str, Promised] = {}
    for turn in turns:
        entry = turn.entry
        for decision in entry.decisions:
            if isinstance(decision, PromiseMade):
                if (replaced := owed.pop(decision.audience, None)) is not None:
                    yield replaced
                owed[decision.audience] = Promised(decision.audience, entry.at, decision.due, decision.by, None)
            elif isinstance(decision, PromiseKept | PromiseBroken) and decision.audience in owed:
                yield replace(owed.pop(decision.audience), kept=isinstance(decision, PromiseKept))
    yield from owed.values()


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _post(one: Said) -> Post:
    event = one.event
    told = getattr(event, "milestone", None) or event.summary or getattr(event, "review", None) or ""
    text = told if len(told) <= MAX_TEXT else f"{told[: MAX_TEXT - 1].rstrip()}…"
    state = f" ({event.state})" if event.state else ""
    return Post(one.at, event.TYPE.split(".")[-2].replace("_", " ") + state, text, one.news)


def _as_told(posted: Sequence[Said]) -> AsTold:
    promises = stated_in([(one.at, one.event.summary or "") for one in posted])
    return AsTold(
        posts=len(posted),
        silence_s=longest_silence((one.at, one.open) for one in posted),
        promises=len(promises),
        kept=sum(promise.kept for promise in promises),
    )
