"""Decide, incident by incident. Pure: no clock, no chance, no I/O.

`decide` makes an entry of an input: enrich, audience, cadence, guard, approval, compose, as `PLANNERS` and `_concluded`
read. `evolve` folds an entry into the state; `notices_of` makes the notices of an entry once more, which is how they
are emitted again after a crash.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pipeline.decide.approval import Requirement, required
from pipeline.decide.cadence import promises
from pipeline.decide.cadence.clock import all_due, heartbeats
from pipeline.decide.cadence.due import Remind
from pipeline.decide.drafting import content_of, held_notice, noticed, overtaken
from pipeline.decide.folding import evolve, fold, promised, released_after, step_in, surrounded, telling_of, upstreams
from pipeline.decide.guarding import found, together
from pipeline.decide.notices import composed, notice_of
from pipeline.decide.occasion import Occasion, Telling
from pipeline.decide.occasions import draft_of, occasion_of
from pipeline.decide.orders import ordered, signer_of
from pipeline.decide.planning import Plan, called, closing, happened
from pipeline.decide.state import IncidentState, draft_key
from pipeline.policy import Policy
from schemas.base import Channel
from schemas.codec import TYPES
from schemas.command import Close, OperatorCommand, Wake
from schemas.journal import (
    Decision,
    GuardFound,
    JournaledInput,
    JournalEntry,
    NoticeDecided,
    NoticeHeld,
    NoticeKind,
    WakeScheduled,
)
from schemas.notice import Notice
from schemas.rendering import Rendering

__all__ = ["Decided", "decide", "drafts_of", "evolve", "fold", "moment", "notices_of"]

CHANGED_SINCE = "the words have changed since they were approved: by a newer policy, or a promised time has passed"
NEXT_MOMENT = timedelta(milliseconds=1)
"""Kafka's own precision."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One input, decided: what is journaled, and what is emitted once it stands there.

    `after` is the state that the entry leads to, as `evolve` has it. `drafts`: the renderings of what is held back, for
    whoever is to approve it.
    """

    entry: JournalEntry
    after: IncidentState
    notices: tuple[Notice, ...]
    drafts: tuple[Rendering, ...] = ()

    @property
    def renderings(self) -> tuple[Rendering, ...]:
        """Every rendering of the notices and drafts, each once."""
        made = [r for notice in self.notices for r in notice.renderings]
        return tuple({r.sha256: r for r in (*made, *self.drafts)}.values())


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


def decide(
    state: IncidentState, given: JournaledInput, policy: Policy, channels: Collection[Channel] | None = None
) -> Decided:
    """The entry that follows `state`, with its notices. Raises `PolicyError` where a template of the policy fails.

    An input seen before (`state.entry_of`) is the caller's to recognise: it is not journaled again. `channels`: only
    these are composed, for a back-test that has no use for the others.
    """
    before, at = surrounded(state, given), moment(state, given)
    plan = _planned(before, given, at, policy)
    return _concluded(state, before, given, at, plan, policy, channels)


def notices_of(before: IncidentState, entry: JournalEntry, policy: Policy) -> tuple[Notice, ...]:
    """The notices of `entry` once more, byte for byte; `before` is the state it was decided in, `policy` its own."""
    decided = [decision for decision in entry.decisions if isinstance(decision, NoticeDecided)]
    if not decided:
        return ()
    state = surrounded(before, entry.input)
    step = step_in(state, entry.input, entry.decisions)
    released = released_after(state, entry.decisions)
    tellings = tuple(telling_of(decision) for decision in decided)
    return tuple(
        notice_of(
            state,
            step,
            telling,
            tellings,
            entry.seq,
            entry.at,
            composed(
                state,
                telling,
                occasion_of(
                    state, step, telling, entry.seq, entry.at, promised(state, telling, entry.decisions), released
                ),
                policy,
                None,
            ),
            entry.input,
            policy,
        )
        for telling in tellings
    )


def drafts_of(before: IncidentState, entry: JournalEntry, policy: Policy) -> tuple[Rendering, ...]:
    """The renderings of what `entry` holds back, once more, byte for byte, for whoever approves it."""
    held = [decision for decision in entry.decisions if isinstance(decision, NoticeHeld)]
    if not held:
        return ()
    state = surrounded(before, entry.input)
    step = step_in(state, entry.input, entry.decisions)
    released, due = released_after(state, entry.decisions), upstreams(step, entry.at)
    made: list[Rendering] = []
    for telling in map(telling_of, held):
        occasion = occasion_of(state, step, telling, entry.seq, entry.at, due, released)
        made += composed(state, telling, occasion, policy, None)
    return tuple(made)


def _planned(state: IncidentState, given: JournaledInput, at: datetime, policy: Policy) -> Plan:
    """What the input asks for, before anybody has looked at the words: by an event, the clock, or a person."""
    if given.type == Wake.TYPE:
        return called(state, at, policy)
    if given.type == Close.TYPE:
        return closing(state, Close.model_validate(given.data))
    if issubclass(TYPES[given.type], OperatorCommand):
        order = ordered(state, given, at, policy)
        return Plan(order.step, order.tellings, order.decisions, order.forced or {})
    return happened(state, given, at, policy)


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A telling with what it is about, what the guard found in it, and what must be approved before it goes out."""

    telling: Telling
    occasion: Occasion
    found: tuple[GuardFound, ...]
    requirement: Requirement | None


def _concluded(
    state: IncidentState,
    before: IncidentState,
    given: JournaledInput,
    at: datetime,
    plan: Plan,
    policy: Policy,
    channels: Collection[Channel] | None,
) -> Decided:
    """Guard, approval, promises, compose: what is told, what is held back, and what is on record."""
    seq, step = state.seq + 1, plan.step
    released = released_after(before, plan.decisions)
    tellings = [_as_approved(before, telling, at, policy, channels) for telling in plan.tellings]
    weighed = [_weighed(before, plan, telling, seq, at, released, policy) for telling in tellings]
    if given.type == Wake.TYPE:
        owed = {name for name, due in heartbeats(before, policy).items() if due <= at} - before.held
        weighed += [_weighed(before, plan, other, seq, at, released, policy) for other in _in_place_of(weighed, owed)]
    goes = tuple(one.telling for one in weighed if one.requirement is None)
    records: list[Decision] = [
        *plan.decisions,
        *together(finding for one in weighed for finding in one.found),
        *overtaken(before, plan, [one.telling for one in weighed], policy),
        *promises.settled(before, at, goes),
        *promises.made(before, step, at, goes, policy),
    ]
    signer = signer_of(given, state.incident) if given.signed is not None else None
    notices: list[Notice] = []
    drafts: list[Rendering] = []
    told: list[Decision] = []
    for one in weighed:
        if one.requirement is None:
            occasion = _promising(one, promised(before, one.telling, records))
            renderings = composed(before, one.telling, occasion, policy, channels)
            notice = notice_of(before, step, one.telling, goes, seq, at, renderings, given, policy)
            notices.append(notice)
            told.append(noticed(before, one.telling, notice, signer))
        else:
            renderings = composed(before, one.telling, one.occasion, policy, channels)
            drafts += renderings
            told.append(held_notice(before, one.telling, one.requirement, renderings, seq, signer))
    entry = JournalEntry(
        incident=state.incident,
        seq=seq,
        at=at,
        policy=policy.hash,
        input=given,
        decisions=(*told, *records),
    )
    after = evolve(state, entry)
    if (wake := _next_wake(after, entry, policy)) is not None:
        entry = entry.model_copy(update={"decisions": (*entry.decisions, wake)})
        after = replace(after, wakes=after.wakes | {wake.due})
    return Decided(entry, after, tuple(notices), tuple(drafts))


def _promising(one: _Weighed, due: datetime | None) -> Occasion:
    """The occasion with the next update that is promised; what was approved is told as it stands."""
    known = one.occasion.known
    if one.telling.draft is not None or known.next_update_at == due:
        return one.occasion
    return replace(one.occasion, known=known.model_copy(update={"next_update_at": due}))


def _weighed(
    state: IncidentState,
    plan: Plan,
    telling: Telling,
    seq: int,
    at: datetime,
    released: frozenset[str],
    policy: Policy,
) -> _Weighed:
    """What the guard finds in a telling, and whether it must wait for people. An approved draft waits no more."""
    occasion = occasion_of(state, plan.step, telling, seq, at, upstreams(plan.step, at), released)
    if telling.draft is not None:
        return _Weighed(telling, occasion, (), None)
    stated = occasion.known.next_update_at is not None
    own = promises.own_promise(telling.audience, state, plan.step, at, policy) is not None
    findings = found(telling, plan.step, occasion.known, occasion.before, stated or own, policy)
    count = state.census.get(telling.audience)
    requirement = required(telling, state, plan.step, findings, count.total if count else 0, policy)
    forced = plan.forced.get(draft_key(telling.audience, telling.corrects)) or _asked_again(state, telling)
    if forced is not None:
        requirement = forced if requirement is None else _both(forced, requirement)
    return _Weighed(telling, occasion, findings, requirement)


def _both(forced: Requirement, anew: Requirement) -> Requirement:
    """Other words, or a newer policy, may ask for more than the draft did, never for less."""
    needs = tuple(dict.fromkeys((*forced.needs, *anew.needs)))
    return Requirement(needs, max(forced.people, anew.people), anew.refused, False, (*forced.reasons, *anew.reasons))


def _as_approved(
    state: IncidentState, telling: Telling, at: datetime, policy: Policy, channels: Collection[Channel] | None
) -> Telling:
    """A draft goes out in the very words that were approved, or not: they may have changed under a newer policy."""
    draft = draft_of(state, telling)
    if draft is None:
        return telling
    promise = draft.occasion.known.next_update_at
    words = composed(state, telling, draft.occasion, policy, channels)
    same = content_of(draft.telling, words) == draft.content
    return telling if same and (promise is None or promise > at) else replace(draft.telling, reason=CHANGED_SINCE)


def _asked_again(state: IncidentState, telling: Telling) -> Requirement | None:
    """What must be approved of a draft whose words are others by now."""
    draft = state.drafts.get(draft_key(telling.audience, telling.corrects))
    if draft is None or telling.reason != CHANGED_SINCE:
        return None
    return Requirement(draft.needs, draft.people, False, False, (CHANGED_SINCE,))


def _in_place_of(weighed: list[_Weighed], owed: set[str]) -> list[Telling]:
    """A word that is owed and whose news must wait for people: that nothing changed is told in its place."""
    return [
        replace(one.telling, kind=NoticeKind.UNCHANGED)
        for one in weighed
        if one.requirement is not None and one.telling.kind is NoticeKind.UPDATED and one.telling.audience in owed
    ]


def _next_wake(after: IncidentState, entry: JournalEntry, policy: Policy) -> WakeScheduled | None:
    """The clock is asked to call when something is due next, unless it calls before that anyway."""
    if after.closed:
        return None
    woken = entry.input.type == Wake.TYPE
    # a reminder that is due by now and was not given waits for nothing but another entry (see `called`)
    dues = [due for due in all_due(after, policy) if not woken or due.at > entry.at or isinstance(due.act, Remind)]
    if not dues:
        return None
    first = min(dues, key=lambda due: due.at)
    at = max(first.at, entry.at + NEXT_MOMENT)
    if any(entry.at < wake <= at for wake in after.wakes):
        return None
    return WakeScheduled(due=at, reason=first.reason)
