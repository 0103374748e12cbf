"""Decide, incident by incident: enrich, audience, cadence, guard, compose. Pure: no clock, no chance, no I/O.

`decide` makes an entry of an input; `evolve` folds an entry into the state; `notices_of` makes the notices of an
entry once more, which is how they are emitted again after a crash.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.decide import cadence, guard
from pipeline.decide.audience import Telling, audiences, outranking
from pipeline.decide.compose import Occasion, compose
from pipeline.decide.enrich import components_after, known_after, regions_after
from pipeline.decide.state import IncidentState, Phase, Told, worse
from pipeline.decide.turn import ENDS, Turn, turn_of
from pipeline.decide.view import Known
from pipeline.policy import Policy
from schemas import ids
from schemas.base import Channel
from schemas.codec import TYPES
from schemas.command import Wake
from schemas.incident import IncidentEvent
from schemas.journal import (
    AudienceSilent,
    Decision,
    InputIgnored,
    JournaledInput,
    JournalEntry,
    NoticeDecided,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
)
from schemas.notice import Notice
from schemas.rendering import Rendering


@dataclass(frozen=True, slots=True)
class Decided:
    """One input, decided: what is journaled, and what is emitted once it stands there."""

    entry: JournalEntry
    notices: tuple[Notice, ...]

    @property
    def renderings(self) -> tuple[Rendering, ...]:
        """Every rendering of the notices, each once."""
        return tuple({r.sha256: r for notice in self.notices for r in notice.renderings}.values())


@dataclass(frozen=True, slots=True)
class _Step:
    """An event in its place: what it means, and what is known after it."""

    event: IncidentEvent
    turn: Turn
    known: Known


def moment(state: IncidentState, given: JournaledInput) -> datetime:
    """When the input counts as having come, in UTC; never before the entry that stands before it.

    The virtual clock of a played incident where there is one, else the broker's append time. Upstream's own time
    is when it occurred, nothing else.
    """
    times = [given.virtual.time if given.virtual else given.appended_at]
    if state.at is not None:
        times.append(state.at)
    if given.type == Wake.TYPE:
        times.append(Wake.model_validate(given.data).due)  # brokers' clocks differ by a little; what was due has come
    return max(times)


def decide(state: IncidentState, given: JournaledInput, policy: Policy) -> Decided:
    """The entry that follows `state`, with its notices. Raises `PolicyError` where a template of the policy fails.

    An input seen before (`state.entry_of`) is the caller's to recognise: it is not journaled again.
    """
    at, seq = moment(state, given), state.seq + 1
    if given.type == Wake.TYPE:
        return Decided(_entry(state, given, policy, at, cadence.woken(state, Wake.model_validate(given.data))), ())
    step = _step(state, given)
    verdicts = audiences(state, step.event, step.turn, step.known, policy)
    tellings = tuple(verdict for verdict in verdicts if isinstance(verdict, Telling))
    notices = _notices(state, step, seq, at, tellings, policy)
    decided = [
        *guard.withheld(step.event, policy, at),
        *(_noticed(telling, notice) for telling, notice in zip(tellings, notices, strict=True)),
        *(verdict for verdict in verdicts if isinstance(verdict, AudienceSilent)),
        *cadence.settled(state, at, bool(tellings)),
        *cadence.promised(step.known, at, bool(tellings)),
    ]
    return Decided(_entry(state, given, policy, at, decided), notices)


def evolve(state: IncidentState, entry: JournalEntry) -> IncidentState:
    """The state after `entry`. Reads the entry alone: no policy, so that no later policy can change the past."""
    if entry.incident != state.incident or entry.seq != state.seq + 1:
        raise ValueError(f"entry {entry.incident}/{entry.seq} does not follow {state.incident}/{state.seq}")
    given = entry.input
    state = replace(
        state,
        seq=entry.seq,
        at=entry.at,
        policy=entry.policy,
        promise=_promise(state.promise, entry.decisions),
        seen={**state.seen, (given.source, given.id): entry.seq},
    )
    if given.type == Wake.TYPE or any(isinstance(decision, InputIgnored) for decision in entry.decisions):
        return state
    step = _step(state, given)
    return replace(
        state,
        phase=step.turn.phase,
        maintenance=step.turn.maintenance,
        known=step.known,
        worst=worse(state.worst, step.known.severity),
        subject=state.subject or step.known.title or f"Incident {state.incident}",
        reported_at=state.reported_at or entry.at,
        components=components_after(state, step.known),
        regions=regions_after(state, step.known),
        told=_told(state, step.known, entry),
    )


def fold(incident: str, entries: Iterable[JournalEntry]) -> IncidentState:
    """The state that `entries`, in order, lead to."""
    state = IncidentState(incident)
    for entry in entries:
        state = evolve(state, entry)
    return state


def notices_of(before: IncidentState, entry: JournalEntry, policy: Policy) -> tuple[Notice, ...]:
    """The notices of `entry` once more, byte for byte; `before` is the state it was decided in, `policy` its own."""
    tellings = tuple(
        Telling(d.audience, d.level, d.kind, d.lane, tuple(c for c in Channel if c in d.renderings), d.reason)
        for d in entry.decisions
        if isinstance(d, NoticeDecided)
    )
    return _notices(before, _step(before, entry.input), entry.seq, entry.at, tellings, policy) if tellings else ()


def _step(state: IncidentState, given: JournaledInput) -> _Step:
    event = TYPES[given.type].model_validate(given.data)
    if not isinstance(event, IncidentEvent):
        raise TypeError(f"{given.type} is no event about an incident")
    turn = turn_of(state, event)
    return _Step(event, turn, known_after(state, event, turn))


def _notices(
    state: IncidentState, step: _Step, seq: int, at: datetime, tellings: tuple[Telling, ...], policy: Policy
) -> tuple[Notice, ...]:
    before, now = tuple(state.known.components or ()), tuple(step.known.components or ())
    ever = components_after(state, step.known)
    return tuple(
        Notice(
            notice_id=ids.notice_id(state.incident, seq, telling.audience),
            incident=state.incident,
            seq=seq,
            at=at,
            kind=telling.kind,
            audience=telling.audience,
            level=telling.level,
            lane=telling.lane,
            closing=telling.kind in ENDS,
            # Those whose component is no longer concerned hear of just that; the end is for all who ever were.
            components=ever if telling.kind in ENDS else tuple(dict.fromkeys((*now, *before))),
            outranked_by=outranking(tellings, telling),
            renderings=compose(state, telling, _occasion(state, step, seq, at, telling), policy),
        )
        for telling in tellings
    )


def _occasion(state: IncidentState, step: _Step, seq: int, at: datetime, telling: Telling) -> Occasion:
    told = state.told.get(telling.audience)
    return Occasion(
        seq=seq,
        at=at,
        known=guard.tellable(step.known, at),
        before=told.known if told else Known(),
        over=step.turn.phase is Phase.OVER,
        maintenance=step.turn.maintenance,
    )


def _noticed(telling: Telling, notice: Notice) -> NoticeDecided:
    return NoticeDecided(
        notice_id=notice.notice_id,
        audience=telling.audience,
        level=telling.level,
        kind=telling.kind,
        lane=telling.lane,
        reason=telling.reason,
        renderings={rendering.content.channel: rendering.sha256 for rendering in notice.renderings},
    )


def _entry(
    state: IncidentState, given: JournaledInput, policy: Policy, at: datetime, decisions: list[Decision]
) -> JournalEntry:
    return JournalEntry(
        incident=state.incident,
        seq=state.seq + 1,
        at=at,
        policy=policy.hash,
        input=given,
        decisions=tuple(decisions),
    )


def _promise(owed: datetime | None, decisions: Iterable[Decision]) -> datetime | None:
    for decision in decisions:
        if isinstance(decision, PromiseKept | PromiseBroken):
            owed = None
        elif isinstance(decision, PromiseMade):
            owed = decision.due
    return owed


def _told(state: IncidentState, known: Known, entry: JournalEntry) -> dict[str, Told]:
    told = dict(state.told)
    for decision in entry.decisions:
        if isinstance(decision, NoticeDecided):
            earlier = told.get(decision.audience)
            ever = {*decision.renderings, *(earlier.channels if earlier else ())}
            told[decision.audience] = Told(
                since=earlier.since if earlier else entry.at,
                at=entry.at,
                level=decision.level,
                channels=tuple(channel for channel in Channel if channel in ever),
                known=known,
            )
    return told
