"""What was decided on one incident, as figures: of a back-test, and of what really went out."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from hashlib import sha256

from pipeline.decide.incident import Decided
from pipeline.decide.state import IncidentState, Phase
from pipeline.replay.costs import cost_of
from pipeline.replay.course import Said, course, ends_upstream, longest_silence, worst_of
from pipeline.replay.past import Past
from pipeline.replay.rerun import Conditions, Rerun
from pipeline.replay.results import AsTold, Heard, Post, Prices, Promised, Result, Sent, Story, Word
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
    JournalEntry,
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
OF_AN_AUDIENCE = (NoticeDecided, NoticeHeld, AudienceSilent, AudiencePutOff)
Zones = Collection[str]
"""The time zones of an audience's members."""


def measured(run: Rerun, conditions: Conditions, prices: Prices) -> Result:
    """The figures of one incident in a back-test."""
    past, said = run.past, course(run.past.events)
    zones = {name: count.zones for name, count in conditions.census.items()}
    taken = [(turn.entry, turn.after) for turn in run.turns]
    told = _story(past, said, taken, conditions.policy.audiences, zones)
    sent = tuple(_sent(told.sent, run.turns, conditions, prices))
    posted = [one for one in said if one.posted]
    return Result(
        **{field.name: getattr(told, field.name) for field in fields(Story) if field.name != "sent"},
        sent=sent,
        large=conditions.policy.cadence.is_large(worst_of(said)),
        cut_off=run.cut_off,
        cost=round(sum(one.cost for one in sent), 4),
        as_told=_as_told(posted) if posted else None,
    )


Taken = tuple[JournalEntry, IncidentState]
"""An entry, and the state that it led to."""


def story_of(past: Past, taken: Sequence[Taken]) -> Story:
    """The figures of one incident as it really went, from its journal: whoever was told, or named, is an audience."""
    named = (d.audience for entry, _ in taken for d in entry.decisions if isinstance(d, OF_AN_AUDIENCE))
    census = taken[-1][1].census if taken else {}
    zones = {name: count.zones for name, count in census.items()}
    return _story(past, course(past.events), taken, dict.fromkeys(named), zones)


def _story(
    past: Past, said: Sequence[Said], taken: Sequence[Taken], audiences: Iterable[str], zones: Mapping[str, Zones]
) -> Story:
    decisions = [decision for entry, _ in taken for decision in entry.decisions]
    worst, sent = worst_of(said), tuple(_told(taken))
    over = ends_upstream(said)
    names = dict.fromkeys((*audiences, *(one.audience for one in sent)))
    return Story(
        incident=past.incident,
        title=past.title,
        severity=worst.value if worst else "unsaid",
        maintenance=isinstance(said[0].event, MaintenanceScheduled | MaintenanceStarted),
        began=said[0].at,
        ended=max((one.at for one in said if one.ended), default=None) if over else None,
        said=tuple(_post(one) for one in said),
        facts_silence_s=longest_silence((one.at, one.open) for one in said if one.news),
        sent=sent,
        audiences={name: _heard(name, decisions, said[0].at, sent, zones.get(name, ()), over) for name in names},
        promises=tuple(promises_in(entry for entry, _ in taken)),
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
    )


def _told(taken: Iterable[Taken]) -> Iterator[Word]:
    for entry, after in taken:
        for decision in entry.decisions:
            if isinstance(decision, NoticeDecided):
                yield Word(
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
                    while_open=after.phase is Phase.OPEN and decision.kind not in NO_START | ASIDE,
                )


def _sent(words: Sequence[Word], turns: Iterable[Decided], conditions: Conditions, prices: Prices) -> Iterator[Sent]:
    language, place = conditions.policy.languages.default, iter(words)
    for turn in turns:
        told = [decision for decision in turn.entry.decisions if isinstance(decision, NoticeDecided)]
        for decision, notice in zip(told, turn.notices, strict=True):
            word, cost = next(place), cost_of(notice, conditions.census.get(decision.audience), prices)
            yield Sent(
                **{field.name: getattr(word, field.name) for field in fields(Word)},
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


def _heard(
    name: str, decisions: Sequence[Decision], began: datetime, sent: Sequence[Word], zones: Zones, over: bool
) -> Heard:
    theirs = [one for one in sent if one.audience == name and one.kind not in ASIDE]
    in_zones = zones or dict.fromkeys(zone for one in theirs for zone in one.zones) or ("",)
    silences = [_silence(theirs, zone) for zone in in_zones]
    place = max((index for index, one in enumerate(theirs) if one.while_open), default=None)
    closed = place is None or any(one.kind in ENDS for one in theirs[place + 1 :])
    return Heard(
        notices=len(theirs),
        first_s=(theirs[0].at - began).total_seconds() if theirs else None,
        silence_s=max((silence for silence in silences if silence is not None), default=None),
        unclosed=over and not closed,
        waiting=over and not closed and _end_waits(name, decisions),
    )


def _silence(theirs: Iterable[Word], zone: str) -> float | None:
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


def promises_in(entries: Iterable[JournalEntry]) -> Iterator[Promised]:
    """Each promise with what became of it; one that was replaced, or is open at the end, is neither kept nor broken."""
    owed: dict[str, Promised] = {}
    for entry in entries:
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
