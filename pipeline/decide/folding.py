"""The fold: the state after a journal entry. Reads the entry alone, no policy: no later one changes the past."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pipeline.authority import text_content
from pipeline.decide.audience import worst_of
from pipeline.decide.cadence.at_once import momentary
from pipeline.decide.enrich import components_after, regions_after
from pipeline.decide.occasion import Telling
from pipeline.decide.occasions import REVISIONS, occasion_of
from pipeline.decide.orders import order_step, signer_of
from pipeline.decide.state import (
    Draft,
    Ending,
    IncidentState,
    Phase,
    Promise,
    PutOff,
    Told,
    Withheld,
    Word,
    draft_key,
)
from pipeline.decide.step import Step, recorded_step, standing
from pipeline.decide.turn import ENDS
from schemas.base import CHANNELS, State
from schemas.codec import TYPES
from schemas.command import OperatorCommand, Wake
from schemas.incident import IncidentEvent
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
    IncidentClosed,
    InputIgnored,
    JournaledInput,
    JournalEntry,
    NoticeDecided,
    NoticeHeld,
    NoticeKind,
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

MAX_WORDS = 200
"""Notices of one audience that are remembered for a later correction."""
APART = frozenset({NoticeKind.REVIEW, NoticeKind.CORRECTION, NoticeKind.RETRACTION})
"""Kinds that say nothing of whether it goes on."""
SILENCE = "silence"
"""The rule under which it is remembered that a promise was warned of."""


def evolve(state: IncidentState, entry: JournalEntry) -> IncidentState:
    """The state after `entry`."""
    if entry.incident != state.incident or entry.seq != state.seq + 1:
        raise ValueError(f"entry {entry.incident}/{entry.seq} does not follow {state.incident}/{state.seq}")
    given, decisions = entry.input, entry.decisions
    before = surrounded(state, given)
    step = step_in(before, given, decisions)
    released, withheld = released_after(state, decisions), _withheld(before, step, decisions)
    stands = step.event is None and step.known is before.known
    return replace(
        before,
        seq=entry.seq,
        at=entry.at,
        seen={**state.seen, (given.source, given.id): entry.seq},
        wakes=_wakes(state, given, decisions),
        promises=_promises(state.promises, entry),
        held=_held(state.held, decisions),
        closed=state.closed or any(isinstance(decision, IncidentClosed) for decision in decisions),
        reminded=_reminded(state.reminded, decisions),
        withheld=withheld,
        released=released - _said_otherwise(before, step, before.released),
        ending=_ending(state, entry),
        told=_told(before, step, entry, released, withheld),
        drafts=_drafts(before, step, entry, released),
        put_off=_put_off(before, step, entry),
        reviews=_reviews(before, step, entry),
        offices=_offices(before, entry),
        **({} if stands else _moved_on(before, step, entry)),
    )


def fold(incident: str, entries: Iterable[JournalEntry]) -> IncidentState:
    """The state that `entries`, in order, lead to."""
    state = IncidentState(incident)
    for entry in entries:
        state = evolve(state, entry)
    return state


def surrounded(state: IncidentState, given: JournaledInput) -> IncidentState:
    """The state with what the input says of its surroundings; where it says nothing they are as they were."""
    around = given.surroundings
    if around is None:
        return state
    return replace(state, census=around.census, usual=around.usual, earlier=around.earlier)


def step_in(state: IncidentState, given: JournaledInput, decisions: tuple[Decision, ...]) -> Step:
    """The step that an entry records."""
    if any(isinstance(decision, InputIgnored | CommandRefused) for decision in decisions):
        return standing(state)
    if issubclass(TYPES[given.type], OperatorCommand):
        return order_step(state, given.type, given.data)
    return recorded_step(state, given.type, given.data, decisions)


def released_after(state: IncidentState, decisions: Iterable[Decision]) -> frozenset[str]:
    """The withheld fields that may be told: a text that was said anew must be approved anew."""
    released = state.released
    for decision in decisions:
        if isinstance(decision, FieldReleased):
            released |= {decision.field}
        elif isinstance(decision, FieldWithheld):
            released -= {decision.field}
    return released


def _said_otherwise(before: IncidentState, step: Step, names: Iterable[str]) -> frozenset[str]:
    """The fields whose text is another now: under a policy that asks for no approval, none is withheld."""
    if not step.keeps:
        return frozenset()
    return frozenset(name for name in names if getattr(step.known, name) != getattr(before.known, name))


def telling_of(decision: NoticeDecided | NoticeHeld) -> Telling:
    """The telling that a decision records."""
    return Telling(
        decision.audience,
        decision.level,
        decision.kind,
        decision.lane,
        tuple([channel for channel in CHANNELS if channel in decision.renderings]),
        decision.reason,
        decision.zones,
        decision.corrects,
        decision.safe,
        decision.draft if isinstance(decision, NoticeDecided) else None,
    )


def promised(state: IncidentState, telling: Telling, decisions: Iterable[Decision]) -> datetime | None:
    """The next update that stands in a notice: the one that is promised with it, or that is owed to them anyway."""
    if telling.zones or telling.kind is NoticeKind.REMINDER:
        owed = state.promises.get(telling.audience)
        return owed.due if owed else None
    for decision in decisions:
        if isinstance(decision, PromiseMade) and decision.audience == telling.audience:
            return decision.due
    return None


def upstreams(step: Step, at: datetime) -> datetime | None:
    """The next update that stands in a draft: upstream's own, since nobody knows when it is approved."""
    said = step.known.next_update_at
    return said if said is not None and said > at and not step.over else None


def _moved_on(before: IncidentState, step: Step, entry: JournalEntry) -> dict[str, Any]:
    """Where the incident stands once an event, an end that has held, or a correction is taken in."""
    known = step.known if step.keeps else before.known
    over = step.turn.phase is Phase.OVER
    begun = before.phase is not Phase.OPEN and step.turn.phase is Phase.OPEN
    monitored = known.state is State.MONITORING
    event = issubclass(TYPES[entry.input.type], IncidentEvent)
    added = {d.field: d.value for d in entry.decisions if isinstance(d, FactAdded)}
    return {
        "phase": step.turn.phase,
        "maintenance": step.turn.maintenance,
        "known": known,
        "added": added if event else before.added,
        "worst": worst_of(before, step),
        "subject": before.subject or step.known.title or f"Incident {before.incident}",
        "reported_at": before.reported_at or entry.at,
        "opened_at": entry.at if begun else before.opened_at,
        "over_at": (before.over_at if before.phase is Phase.OVER else entry.at) if over else None,
        "monitored_since": (before.monitored_since or entry.at) if monitored else None,
        "components": components_after(before, step.known),
        "regions": regions_after(before, step.known),
        "revision": before.revision + (step.turn.kind in REVISIONS),
        "reviewed": before.reviewed or step.turn.kind is NoticeKind.REVIEW,
    }


def _wakes(state: IncidentState, given: JournaledInput, decisions: Iterable[Decision]) -> frozenset[datetime]:
    wakes = state.wakes
    if given.type == Wake.TYPE:
        wakes -= {Wake.model_validate(given.data).due}
    return wakes | {d.due for d in decisions if isinstance(d, WakeScheduled)}


def _promises(owed: Mapping[str, Promise], entry: JournalEntry) -> Mapping[str, Promise]:
    found = dict(owed)
    for decision in entry.decisions:
        if isinstance(decision, PromiseKept | PromiseBroken):
            found.pop(decision.audience, None)
        elif isinstance(decision, PromiseMade):
            found[decision.audience] = Promise(decision.due, entry.at, decision.by)
    return found


def _held(held: frozenset[str], decisions: Iterable[Decision]) -> frozenset[str]:
    for decision in decisions:
        if isinstance(decision, AudienceHeld):
            held = held | {decision.audience} if decision.held else held - {decision.audience}
    return held


def _reminded(reminded: Mapping[str, datetime], decisions: Iterable[Decision]) -> Mapping[str, datetime]:
    found = dict(reminded)
    for decision in decisions:
        if isinstance(decision, PromiseWarned):
            found[SILENCE] = decision.due
        elif isinstance(decision, Reminded):
            found[decision.rule] = decision.due
    return found


def _withheld(before: IncidentState, step: Step, decisions: Iterable[Decision]) -> Mapping[str, Withheld]:
    changed, found = _said_otherwise(before, step, before.withheld), dict(before.withheld)
    for name in changed:
        if text_content(str(getattr(step.known, name))) != found[name].content:
            del found[name]
    for d in decisions:
        if isinstance(d, FieldWithheld) and d.draft and d.content and d.needs:
            found[d.field] = Withheld(d.draft, d.field, d.content, d.needs, d.author)
        elif isinstance(d, FieldReleased):
            found.pop(d.field, None)
    return found


def _ending(state: IncidentState, entry: JournalEntry) -> Ending | None:
    ending = state.ending
    for decision in entry.decisions:
        if isinstance(decision, ResolutionHeld):
            said: Mapping[str, Any] = {**(ending.data if ending else {}), **entry.input.data}
            at, types = ending.at if ending else entry.at, (entry.input.type, *((ending.type,) if ending else ()))
            # a milestone may have said that it is over, and what it says has no place in a plain end
            type = next((type for type in types if said.keys() <= TYPES[type].model_fields.keys()), types[0])
            signer = signer_of(entry.input, entry.incident)
            ending = Ending(type, said, at, decision.until, signer.operator if signer else None)
        elif isinstance(decision, ResolutionUndone | ResolutionConfirmed):
            ending = None
    return ending


def _told(
    before: IncidentState,
    step: Step,
    entry: JournalEntry,
    released: frozenset[str],
    withheld: Mapping[str, Withheld],
) -> Mapping[str, Told]:
    told = dict(before.told)
    for decision in entry.decisions:
        if not isinstance(decision, NoticeDecided) or decision.kind is NoticeKind.REMINDER or decision.zones:
            continue
        telling = telling_of(decision)
        due = promised(before, telling, entry.decisions)
        known = occasion_of(before, step, telling, entry.seq, entry.at, due, released).known
        # what waits for an approval was not told, whatever is approved later
        unsaid = [name for name in withheld if getattr(known, name) == getattr(step.known, name)]
        known = known.model_copy(update=dict.fromkeys(unsaid)) if unsaid else known
        earlier = told.get(decision.audience)
        ever = {*decision.renderings, *(earlier.channels if earlier else ())}
        word = Word(entry.seq, entry.at, decision.kind, known)
        words = tuple(w for w in (earlier.words if earlier else ()) if w.seq != entry.seq)
        told[decision.audience] = Told(
            since=earlier.since if earlier else entry.at,
            at=entry.at,
            level=decision.level,
            channels=tuple([channel for channel in CHANNELS if channel in ever]),
            known=known,
            changed_at=earlier.changed_at if earlier and decision.kind is NoticeKind.UNCHANGED else entry.at,
            safe=decision.safe,
            open=_open(decision.kind, step, earlier),
            words=(*words, word)[-MAX_WORDS:],
        )
    return told


def _open(kind: NoticeKind, step: Step, earlier: Told | None) -> bool:
    if kind in ENDS:
        return False
    begins = kind not in APART and step.turn.phase is Phase.OPEN
    return begins or (earlier is not None and earlier.open)


def _drafts(before: IncidentState, step: Step, entry: JournalEntry, released: frozenset[str]) -> Mapping[str, Draft]:
    drafts = dict(before.drafts)
    for decision in entry.decisions:
        if isinstance(decision, DraftVoided):
            # newer words may stand in its place already
            drafts = {key: draft for key, draft in drafts.items() if draft.id != decision.draft}
        elif isinstance(decision, DraftApproved):
            approval = (decision.by, entry.input.signed.roles if entry.input.signed else ())
            for key, draft in drafts.items():
                if draft.id == decision.draft:
                    drafts[key] = replace(draft, approved=(*draft.approved, approval))
        elif isinstance(decision, NoticeDecided) and decision.draft is not None:
            drafts.pop(draft_key(decision.audience, decision.corrects), None)
        elif isinstance(decision, NoticeHeld):
            key = draft_key(decision.audience, decision.corrects)
            drafts[key] = _drafted(before, step, entry, decision, released)
    return drafts


def _drafted(
    before: IncidentState, step: Step, entry: JournalEntry, held: NoticeHeld, released: frozenset[str]
) -> Draft:
    telling, earlier = telling_of(held), before.drafts.get(draft_key(held.audience, held.corrects))
    same = earlier is not None and earlier.telling.kind is held.kind
    return Draft(
        id=held.draft,
        telling=telling,
        occasion=occasion_of(before, step, telling, entry.seq, entry.at, upstreams(step, entry.at), released),
        since=earlier.since if earlier is not None and same else entry.at,
        since_seq=earlier.since_seq if earlier is not None and same else entry.seq,
        content=held.content,
        needs=held.needs,
        people=held.people,
        refused=held.refused,
        author=held.author,
        by_operator=held.by_operator,
        count=before.census.get(held.audience),
    )


def _put_off(before: IncidentState, step: Step, entry: JournalEntry) -> Mapping[str, PutOff]:
    """What is told later, but the review: whatever is told takes it along, and the end takes its place."""
    found, woken = dict(before.put_off), entry.input.type == Wake.TYPE
    for decision in entry.decisions:
        if isinstance(decision, NoticeDecided | NoticeHeld) and not decision.zones:
            if decision.kind not in {NoticeKind.REMINDER, NoticeKind.UNCHANGED, NoticeKind.REVIEW}:
                found.pop(decision.audience, None)
        elif isinstance(decision, AudiencePutOff) and decision.kind is not NoticeKind.REVIEW:
            found[decision.audience] = _later(found.get(decision.audience), decision, step)
        elif isinstance(decision, AudienceSilent) and woken and decision.audience not in before.held:
            found.pop(decision.audience, None)
    if step.turn.kind in ENDS:
        found.clear()
    return found


def _reviews(before: IncidentState, step: Step, entry: JournalEntry) -> Mapping[str, PutOff]:
    """The reviews that wait for their cool-down, until a review is told."""
    found = dict(before.reviews)
    for decision in entry.decisions:
        if isinstance(decision, AudiencePutOff) and decision.kind is NoticeKind.REVIEW:
            found[decision.audience] = _later(found.get(decision.audience), decision, step)
        elif isinstance(decision, NoticeDecided | NoticeHeld) and decision.kind is NoticeKind.REVIEW:
            found.pop(decision.audience, None)
    return found


def _later(earlier: PutOff | None, decision: AudiencePutOff, step: Step) -> PutOff:
    """What is put off, with what was put off before; not later than that would have been told."""
    texts = {name: list(said) for name, said in (earlier.momentary.items() if earlier else ())}
    for name, text in momentary(step.event, decision.kind).items():
        texts.setdefault(name, []).append(text)
    kind = decision.kind if earlier is None or earlier.kind is decision.kind else NoticeKind.UPDATED
    until = min(decision.until, earlier.until) if earlier else decision.until
    return PutOff(kind, until, decision.reason, {name: tuple(said) for name, said in texts.items()})


def _offices(before: IncidentState, entry: JournalEntry) -> Mapping[tuple[str, str], datetime]:
    found = dict(before.offices)
    for decision in entry.decisions:
        if isinstance(decision, NoticeDecided) and decision.kind is NoticeKind.UNCHANGED:
            for zone in decision.zones:
                found[decision.audience, zone] = entry.at
    return found
