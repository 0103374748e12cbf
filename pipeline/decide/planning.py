"""What an event, or the clock, asks for: enrich, audience, cadence, as one list."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipeline.decide.approval import REPEATED, Requirement
from pipeline.decide.audience import audiences, channels_of, kept_out, lane_of, news
from pipeline.decide.cadence.at_once import resolution_held, when, with_put_off
from pipeline.decide.cadence.clock import all_due
from pipeline.decide.cadence.due import NOTHING_CHANGED, Due, Remind, Tell
from pipeline.decide.closing import why_not_closed
from pipeline.decide.enrich import added
from pipeline.decide.folding import SILENCE
from pipeline.decide.guard import tellable
from pipeline.decide.occasion import Telling
from pipeline.decide.orders import signer_of
from pipeline.decide.state import Ending, IncidentState
from pipeline.decide.step import (
    Step,
    confirmed_step,
    event_of,
    held_step,
    standing,
    step_of,
    undoes,
    with_added,
)
from pipeline.decide.withholding import withheld, withheld_with
from pipeline.policy import Policy
from schemas.command import Close, WakeReason
from schemas.incident import IncidentEvent
from schemas.journal import (
    AudiencePutOff,
    AudienceSilent,
    Decision,
    DraftVoided,
    IncidentClosed,
    InputIgnored,
    JournaledInput,
    NoticeKind,
    PromiseWarned,
    Reminded,
    ResolutionConfirmed,
    ResolutionUndone,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be told to whom, before anybody has looked at the words; and what is on record besides."""

    step: Step
    tellings: tuple[Telling, ...] = ()
    decisions: tuple[Decision, ...] = ()
    forced: Mapping[str, Requirement] = field(default_factory=dict)


def happened(state: IncidentState, given: JournaledInput, at: datetime, policy: Policy) -> Plan:
    """An event: what it means, what the catalogue adds, who hears of it, and when."""
    event = event_of(given.type, given.data)
    step, records = _placed(state, event, at, policy)
    facts = tuple(added(state, step.known, step.turn, policy))
    step = replace(step, known=with_added(step.known, facts))
    signer = signer_of(given, state.incident) if given.signed is not None else None
    unsaid = withheld(state, event, signer.operator if signer else None, at, policy)
    tellings, judged = _judged(state, step, at, policy)
    return Plan(step, tellings, (*records, *facts, *unsaid, *judged))


def closing(state: IncidentState, order: Close) -> Plan:
    """It is to be closed: so it is, if nothing came since whoever ordered it looked, and nothing waits."""
    why_not = why_not_closed(state) if order.seq == state.seq else "something came since"
    done = IncidentClosed(reason="it ended long ago") if why_not is None else InputIgnored(reason=why_not)
    return Plan(standing(state), decisions=(done,))


def called(state: IncidentState, at: datetime, policy: Policy) -> Plan:
    """The clock calls: whatever is due by now is told, or asked for."""
    dues = [due for due in all_due(state, policy) if due.at <= at]
    if state.ending is not None and any(due.reason is WakeReason.RESOLUTION_HELD for due in dues):
        return _confirmed(state, state.ending, at, policy)
    step = standing(state)
    tellings, records = _due_tellings(state, step, dues, at, policy)
    # one entry tells a recipient one thing: whoever must be reminded is, right after what they are told now
    asked = [due for due in dues if isinstance(due.act, Remind) and not tellings]
    reminders, reminded = _reminders(state, asked, policy)
    broken = any(due.reason is WakeReason.PROMISE_DUE for due in dues)
    if not (tellings or records or reminded or broken):
        return Plan(step, decisions=(InputIgnored(reason="nothing is due: it was told, or replaced, before"),))
    return Plan(step, (*tellings, *reminders), (*records, *reminded))


def _placed(
    state: IncidentState, event: IncidentEvent, at: datetime, policy: Policy
) -> tuple[Step, tuple[Decision, ...]]:
    step = step_of(state, event)
    if (held := resolution_held(state, step, at, policy)) is not None:
        return held_step(state, event), (held,)
    if undoes(state, event, step.turn):
        why = "the repair did not hold"
        return replace(step, turn=replace(step.turn, why=why)), (ResolutionUndone(reason=why),)
    return step, ()


def _confirmed(state: IncidentState, ending: Ending, at: datetime, policy: Policy) -> Plan:
    step = confirmed_step(state, ending)
    facts = tuple(added(state, step.known, step.turn, policy))
    step = replace(step, known=with_added(step.known, facts))
    tellings, judged = _judged(state, step, at, policy)
    unsaid = withheld_with(ending, state, at, policy)
    return Plan(step, tellings, (ResolutionConfirmed(reason="it has held"), *facts, *unsaid, *judged))


def _judged(
    state: IncidentState, step: Step, at: datetime, policy: Policy
) -> tuple[tuple[Telling, ...], tuple[Decision, ...]]:
    """Audience, then cadence: who is told now; who is not, or later, and by which rule."""
    verdicts = [
        when(verdict, state, step, at, policy) if isinstance(verdict, Telling) else verdict
        for verdict in audiences(state, replace(step, known=tellable(step.known, at)), policy)
    ]
    tellings = tuple(verdict for verdict in verdicts if isinstance(verdict, Telling))
    return tellings, tuple(v for v in verdicts if isinstance(v, AudienceSilent | AudiencePutOff))


def _due_tellings(
    state: IncidentState, step: Step, dues: list[Due], at: datetime, policy: Policy
) -> tuple[list[Telling], list[Decision]]:
    """One telling for each audience, by the first rule that is due; several offices of one audience go together."""
    whole: dict[str, Telling] = {}
    offices: dict[str, Telling] = {}
    records: list[Decision] = []
    for act in (due.act for due in dues if isinstance(due.act, Tell)):
        if act.audience in whole:
            continue
        if act.audience in state.held and act.kind in REPEATED:
            # a draft of it would take the place of the news that wait
            records.append(AudienceSilent(audience=act.audience, reason="an operator holds what goes out to them"))
            continue
        if out := kept_out(act.audience, state, step, policy):
            records += _pointless(act, state, out)
            continue
        telling = _telling(act, state, at, policy)
        if telling is None or not _says_anything(act, state, step, policy):
            if state.waits(act.audience, act.kind) is not None and not act.zones:
                records.append(AudienceSilent(audience=act.audience, reason="same text as before"))
        elif act.zones:
            earlier = offices.get(act.audience)
            zones = tuple(dict.fromkeys((*(earlier.zones if earlier else ()), *act.zones)))
            offices[act.audience] = replace(telling, zones=zones)
        else:
            whole[act.audience] = telling
    parts = [telling for name, telling in offices.items() if name not in whole]
    return [*whole.values(), *parts], records


def _pointless(act: Tell, state: IncidentState, reason: str) -> Iterator[Decision]:
    """What waits for people to whom the policy allows no word any more is not asked for again."""
    draft = state.drafts.get(act.audience)
    if act.safe and draft is not None:
        yield DraftVoided(draft=draft.id, audience=act.audience, reason=reason)


def _telling(act: Tell, state: IncidentState, at: datetime, policy: Policy) -> Telling | None:
    channels, told = channels_of(act.audience, act.kind, state, policy), state.told.get(act.audience)
    group = policy.audiences.get(act.audience)
    if not channels or (group is None and told is None):
        return None
    draft = state.drafts.get(act.audience)
    safe = act.safe or (act.kind is NoticeKind.UNCHANGED and told is not None and told.safe)
    if act.safe and draft is not None:
        channels = draft.telling.channels
    level = told.level if told is not None else group.level if group else draft.telling.level if draft else None
    if level is None:
        return None
    kind, why = act.kind, act.why
    if kind is NoticeKind.UNCHANGED and not act.zones and _has_news(act.audience, state, at, policy):
        # those who are told of the start and the end only hear at their moment what came meanwhile
        kind, why, safe = NoticeKind.UPDATED, f"{why.removesuffix(NOTHING_CHANGED)}what was said since", False
    return Telling(act.audience, level, kind, lane_of(kind, state.worst, policy.cadence), channels, why, safe=safe)


def _has_news(audience: str, state: IncidentState, at: datetime, policy: Policy) -> bool:
    """Whether something was said since that they may hear and that waits for nobody."""
    told = state.told.get(audience)
    if told is None or audience in state.drafts or audience in state.held:
        return False
    return news(told.known, tellable(state.known, at), told.level, policy)


def _says_anything(act: Tell, state: IncidentState, step: Step, policy: Policy) -> bool:
    """What was put off may have become no news meanwhile."""
    waiting, told = state.waits(act.audience, act.kind), state.told.get(act.audience)
    if waiting is None or told is None or act.kind is NoticeKind.UNCHANGED:
        return True
    return news(told.known, with_put_off(step, waiting).known, told.level, policy)


def _reminders(
    state: IncidentState, dues: list[Due], policy: Policy
) -> tuple[tuple[Telling, ...], tuple[Decision, ...]]:
    """Those who can do something are asked, in one message."""
    records: list[Decision] = []
    texts: list[str] = []
    for due in dues:
        if isinstance(due.act, Remind):
            moment = due.act.of or due.at
            silence = due.act.rule == SILENCE
            records.append(PromiseWarned(due=moment) if silence else Reminded(rule=due.act.rule, due=moment))
            texts.append(due.act.text)
    name = policy.cadence.heartbeat.reminders_to
    group = policy.audiences.get(name) if name else None
    if not texts or name is None or group is None:
        return (), tuple(records)
    channels = group.channels_for(NoticeKind.REMINDER)
    lane = lane_of(NoticeKind.REMINDER, state.worst, policy.cadence)
    telling = Telling(name, group.level, NoticeKind.REMINDER, lane, channels, "; ".join(dict.fromkeys(texts)))
    return (telling,) if channels else (), tuple(records)
