"""Why one subscriber heard of an incident, or did not: every rule that spoke about them, entry by entry. Pure.

Decide's rules stand in the journal. Fan-out's are asked once more, by its own pure function, of the subscriber as they
were when the entry was written: a million who are merely not concerned have no record of their own. Admit's rules, and
what providers said, stand in the delivery records.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.audit.history import Fate, History, Record
from pipeline.audit.sentences import Sort, sentence, words
from pipeline.audit.timeline import SORTS, ending_of, input_of
from pipeline.decide.incident import evolve, notices_of
from pipeline.decide.state import IncidentState
from pipeline.deliver.fanout import NONE, Channels, channels_for, why_not
from pipeline.deliver.groups import membership
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.past import got, owed
from pipeline.policy import Policy
from pipeline.subscribers import fold
from schemas.base import Channel, Message
from schemas.command import Wake
from schemas.delivery import DeliveriesEnded, NoticeSuperseded, Result
from schemas.ids import intent_id
from schemas.journal import (
    AudienceHeld,
    AudiencePutOff,
    AudienceSilent,
    CommandRefused,
    Decision,
    DraftApproved,
    DraftVoided,
    FieldReleased,
    FieldWithheld,
    GuardFound,
    IncidentClosed,
    InputIgnored,
    JournalEntry,
    NoticeDecided,
    NoticeHeld,
    ResolutionConfirmed,
    ResolutionHeld,
    ResolutionUndone,
)
from schemas.notice import Notice
from schemas.subscriber import Subscriber

Events = Sequence[tuple[datetime, Message]]
"""A subscriber's events with the moments when they were appended, in order."""

OF_AN_AUDIENCE = (NoticeHeld, DraftApproved, DraftVoided, AudienceSilent, AudiencePutOff, AudienceHeld)
OF_EVERYONE = (
    ResolutionHeld,
    ResolutionUndone,
    ResolutionConfirmed,
    InputIgnored,
    IncidentClosed,
    CommandRefused,
    FieldWithheld,
    FieldReleased,
)
NOT_ASKED = "fan_out_cannot_be_asked"
_NOT_ASKED = "fan-out cannot be asked once more"

FAN_OUT = {
    "did_not_get_what_is_corrected": "it goes to those who got what it corrects, and they did not",
    "erased": "they were erased",
    "never_told": "the policy keeps incidents like this one from people like them",
    "no_channel_of_theirs": "it goes out on none of the channels that they chose",
    "not_of_this_audience": "they do not belong to this audience",
    "other_components": "they chose other components",
    "other_regions": "it is about other regions than theirs",
    "other_time_zone": "it is for other time zones than theirs",
    "told_in_a_higher_audience": "they are told the same in an audience that sees more",
}
"""Fan-out's rules (`pipeline.deliver.fanout`) in words; one that is missing here is told by its own name."""


@dataclass(frozen=True, slots=True)
class Point:
    """One rule that spoke: about which audience, on which channel, with which result. `rule` is for programs."""

    sort: Sort
    rule: str
    text: str
    audience: str | None = None
    channel: Channel | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One journal entry: what came in, and every rule that then spoke about the subscriber."""

    seq: int
    at: datetime
    came_in: str
    audiences: tuple[str, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that explains what one subscriber was told of one incident, and what they were not."""

    incident: str
    subscriber: str
    moments: tuple[Moment, ...]
    messages: int
    """How many messages to them a provider took."""


def explain(
    found: History, events: Events, subscriber: str, policies: Mapping[str, Policy], until: datetime | None = None
) -> Explanation:
    """Why `subscriber` heard or did not hear of the incident of `found`, as far as it had come by `until`.

    `until` is by the incident's own clock. `policies`: the versions at hand, by hash.
    """
    moments: list[Moment] = []
    state: IncidentState | None = IncidentState(found.incident)
    title: str | None = None
    theirs = [one for record in found.records if (one := _restricted(record, subscriber)) is not None]
    for _, entry in sorted(found.journal.items()):
        if until is not None and entry.at > until:
            break
        person = _as_of(subscriber, events, entry.input.appended_at)
        policy = policies.get(entry.policy)
        points = tuple(_points(found, entry, state, person, subscriber, policy, theirs))
        if points or entry.input.type != Wake.TYPE:
            moments.append(Moment(entry.seq, entry.at, input_of(entry, title), _audiences(person, policy), points))
        title = entry.input.data.get("title", title)
        state = evolve(state, entry) if state is not None and entry.seq == state.seq + 1 else None
    taken = sum(point.rule == Result.ACCEPTED for moment in moments for point in moment.points)
    return Explanation(found.incident, subscriber, tuple(moments), taken)


def _as_of(subscriber: str, events: Events, at: datetime) -> Subscriber | None:
    """The subscriber as they were at that moment of our clock."""
    found: Subscriber | None = None
    for moment, event in events:
        if moment <= at:
            found = fold(subscriber, found, event, moment)
    return found


def _audiences(person: Subscriber | None, policy: Policy | None) -> tuple[str, ...]:
    """The audiences they belonged to, by their own choice or because the policy selects them."""
    if person is None:
        return ()
    if policy is None:
        return person.choices.audiences
    return tuple(name for name, group in policy.audiences.items() if membership(group.group(name)).has(person))


def _points(
    found: History,
    entry: JournalEntry,
    state: IncidentState | None,
    person: Subscriber | None,
    subscriber: str,
    policy: Policy | None,
    records: Sequence[Record],
) -> Iterator[Point]:
    yield from _by_decide(entry, _audiences(person, policy))
    told = [decision for decision in entry.decisions if isinstance(decision, NoticeDecided)]
    if told:
        if person is None:
            yield Point(Sort.SILENT, "unknown_subscriber", "nobody was subscribed under this id at that moment")
        elif policy is None:
            yield Point(Sort.BROKEN, NOT_ASKED, f"{_NOT_ASKED}: this version of the policy is not at hand")
        elif state is None:
            yield Point(Sort.BROKEN, NOT_ASKED, f"{_NOT_ASKED}: the journal before it is not complete")
        else:
            yield from _by_fan_out(told, notices_of(state, entry, policy), person, _ledger(records, entry.seq))
        yield from _by_deliver(found, entry.seq, subscriber)


def _by_decide(entry: JournalEntry, audiences: Sequence[str]) -> Iterator[Point]:
    """What was decided on their audiences, or on everyone; that they are told stands with what fan-out says."""
    for decision in entry.decisions:
        if isinstance(decision, InputIgnored) and entry.input.type == Wake.TYPE:
            continue  # a call of the clock that changed nothing
        if isinstance(decision, OF_EVERYONE):
            yield _decided(decision, None)
        elif isinstance(decision, GuardFound) and (concerned := [a for a in decision.audiences if a in audiences]):
            yield _decided(decision, ", ".join(concerned))
        elif isinstance(decision, OF_AN_AUDIENCE) and decision.audience in audiences:
            yield _decided(decision, decision.audience)


def _by_fan_out(
    told: Sequence[NoticeDecided], notices: Sequence[Notice], person: Subscriber, ledger: Ledger
) -> Iterator[Point]:
    asked = False
    for decision, notice in zip(told, notices, strict=True):
        for point in _fanned_out(decision, notice, person, ledger):
            asked = True
            yield point
    if not asked:
        names = ", ".join(dict.fromkeys(decision.audience for decision in told))
        text = f"told to {names}: they belong to none of these audiences"
        yield Point(Sort.SILENT, "not_of_this_audience", text)


def _by_deliver(found: History, seq: int, subscriber: str) -> Iterator[Point]:
    """What admit and the providers made of it, by the records."""
    for channel in Channel:
        if (fate := found.fates.get((seq, channel), {}).get(subscriber)) is not None:
            yield _came_to(channel, fate)
        intent = intent_id(found.incident, seq, subscriber, channel)
        if (receipt := found.receipts.get((seq, channel), {}).get(intent)) is not None:
            code = f" ({receipt.code})" if receipt.code else ""
            text = f"{channel}: the provider says {receipt.status}{code}"
            yield Point(Sort.RECEIPT, f"receipt_{receipt.status}", text, channel=channel)


def _decided(decision: Decision, audience: str | None) -> Point:
    """A decision of the journal; of an audience that several share only what concerns theirs."""
    sort, text = sentence(decision, [decision])
    rule = decision.rule if isinstance(decision, GuardFound) else decision.decision
    return Point(sort, rule, text, audience)


def _fanned_out(decision: NoticeDecided, notice: Notice, person: Subscriber, ledger: Ledger) -> Iterator[Point]:
    """What fan-out says of one notice; that they are not of its audience is said once for all, and not here."""
    heard = _heard(notice, person.id, ledger)
    rule = why_not(person, notice, heard)
    if rule == "not_of_this_audience":
        return
    yield _decided(decision, notice.audience)
    if rule is not None:
        text = f"not for them in {notice.audience}: {FAN_OUT.get(rule) or words(rule)}"
        yield Point(Sort.SILENT, rule, text, notice.audience)
        return
    why = "they were told of it before" if heard else f"they belong to {notice.audience}"
    on = " and ".join(channels_for(person, notice, heard)) or "no channel"
    yield Point(Sort.DECIDED, "for_them", f"for them, by {on}: {why}", notice.audience)


def _heard(notice: Notice, subscriber: str, ledger: Ledger) -> Channels:
    """Where they are to hear it because of what they heard before, as the fan-out of that time found it."""
    if notice.corrects is not None:
        return got(ledger, notice.incident, notice.corrects, notice.audience).get(subscriber, NONE)
    if notice.closing:
        return owed(ledger, notice.incident, notice.audience).get(subscriber, NONE)
    return NONE


def _ledger(records: Iterable[Record], seq: int) -> Ledger:
    """What had come of earlier entries' notices. What of it came later than this entry cannot be told apart here."""
    ledger = Ledger()
    for record in records:
        if (record.by_seq if isinstance(record, NoticeSuperseded) else record.seq) < seq:
            ledger.apply(record)
    return ledger


def _restricted(record: Record, subscriber: str) -> Record | None:
    """The record without anybody else; None if it is about others."""
    if isinstance(record, NoticeSuperseded):
        return record
    if isinstance(record, DeliveriesEnded):
        outcomes = tuple(outcome for outcome in record.outcomes if outcome.recipient == subscriber)
        return record.model_copy(update={"outcomes": outcomes}) if outcomes else None
    return record.model_copy(update={"recipients": (subscriber,)}) if subscriber in record.recipients else None


def _came_to(channel: Channel, fate: Fate) -> Point:
    result, text = ending_of(fate)
    outcome = fate.outcome
    due = f", until {outcome.due:%Y-%m-%d %H:%M} UTC" if outcome is not None and outcome.due else ""
    rule = result.value if result is Result.ACCEPTED else outcome.reason if outcome is not None else "under_way"
    return Point(SORTS.get(result, Sort.WAITING), rule, f"{channel}: {text}{due}", fate.audience, channel)
