"""What must hold in every world, whatever happened in it: the invariants, read off the log and the providers' truth.

I4, the sealed log, has its tests in `tests/audit`: nothing of it hangs on these workers.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pipeline.deliver.fanout import channels_for, why_not
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.past import ASIDE
from pipeline.deliver.work import Told, Work
from pipeline.replay.journal import replay
from pipeline.subscribers import fold
from schemas import topics
from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, DeliveryAttempted, Result
from schemas.journal import JournalEntry, NoticeKind
from schemas.notice import Notice, Notices
from schemas.policy import PolicyPublished
from schemas.rendering import Rendering
from schemas.subscriber import SUBSCRIBER_EVENTS, Erased, Restarted, Stopped, Subscribed, Subscriber, Unsubscribed
from tests.sim import policies
from tests.sim.log import PARTITIONS
from tests.sim.process import Delivering
from tests.sim.world import Broken

if TYPE_CHECKING:
    from tests.sim.world import World

BEGINS = {NoticeKind.OPENED, NoticeKind.REOPENED}
REPLAYED_EVERY = 5
RACE = timedelta(seconds=1)
"""How long an opt-out may still race a window: a few steps of some milliseconds each."""


def require(holds: object, name: str, what: object, *of: object) -> None:
    """Raises Broken. `what` has a place for each `of`: what a failure would be called is not written of all."""
    if not holds:
        raise Broken(name, str(what).format(*of) if of else str(what))


@dataclass
class Books:
    """What the delivery records say, and what the providers know."""

    ledgers: list[Ledger] = field(default_factory=list)
    intents: dict[tuple[Told, str], Work] = field(default_factory=dict)
    ends: dict[tuple[Told, str], set[Result]] = field(default_factory=lambda: defaultdict(set))
    unknowns: Counter[tuple[Told, str]] = field(default_factory=Counter)
    lost: list[tuple[Told, str]] = field(default_factory=list)
    attempts: list[tuple[datetime, DeliveryAttempted]] = field(default_factory=list)
    taken: Counter[tuple[Told, str]] = field(default_factory=Counter)

    def intend(self, told: Told, recipients: tuple[str, ...]) -> None:
        self.intents |= {(told, recipient): Work(0, 0) for recipient in recipients}  # type: ignore[arg-type]


def books_of(world: "World", notices: dict[str, Notice]) -> Books:
    """Reads the records."""
    books = Books(ledgers=[Ledger() for _ in range(PARTITIONS)])
    homes: dict[tuple[Told, str], int] = {}
    for record, event in world.log.events(topics.DELIVERY_RECORDS_TOPIC):
        data, ledger = event.data, books.ledgers[record.partition]
        if isinstance(data, DeliveriesEnded):
            books.lost += _lost(ledger, data)
        ledger.apply(data)
        if isinstance(data, DeliveriesIntended | DeliveryAttempted):
            told = Told(data.incident, data.seq, data.channel)
            homes |= {(told, recipient): record.partition for recipient in data.recipients}
        if isinstance(data, DeliveryAttempted):
            books.attempts.append((record.timestamp, data))
        if isinstance(data, DeliveriesEnded):
            for outcome in data.outcomes:
                intent = (Told(data.incident, data.seq, data.channel), outcome.recipient)
                books.unknowns[intent] += outcome.result is Result.UNKNOWN
                if outcome.result.terminal:
                    books.ends[intent].add(outcome.result)
    for intent, partition in homes.items():
        work = books.ledgers[partition].work(*intent)
        require(work is not None, "I1", "{} is not in the ledger", intent)
        books.intents[intent] = work  # type: ignore[assignment]
    for message, times in world.truth.times().items():
        notice = notices.get(message.notice)
        require(notice is not None, "I5", "{} was sent, and decided nowhere", message)
        books.taken[Told(notice.incident, notice.seq, message.channel), message.recipient] += times  # type: ignore[union-attr]
    return books


def _lost(ledger: Ledger, ended: DeliveriesEnded) -> list[tuple[Told, str]]:
    """Whom nothing would have brought back, so that they were parked.

    Who had ended already is none of them: a worker that was away while another put an end on record, and whose own
    attempt reached the log only then, may not know it. Its word is loud, and does not count.
    """
    told = Told(ended.incident, ended.seq, ended.channel)
    lost = [outcome.recipient for outcome in ended.outcomes if outcome.reason == "waiting_work_lost"]
    return [(told, r) for r in lost if (work := ledger.work(told, r)) is None or not work.terminal]


def everything(world: "World") -> None:
    """All invariants, at the end of a world. Raises Broken."""
    letters = [event.data for _, event in world.log.events(topics.DEAD_LETTERS)]
    require(not letters, "I1", letters)
    entries = journal(world)
    world.fired["written beside another"] += world.log.number(topics.INCIDENT_JOURNAL) - len(entries)
    notices = _notices(world, entries)
    books = books_of(world, notices)
    _every_input_is_decided_on(world, entries)
    _every_notice_is_fanned_out(world, notices, books)
    _every_intent_has_one_end(books)
    _nobody_is_told_twice(books)
    _who_left_is_left_alone(world, books)
    _what_was_said_can_be_read(world, books)
    _nothing_without_a_policy(world, entries)
    if world.seed % REPLAYED_EVERY == 0:
        replayed(world)
    _who_was_told_of_it_is_told_the_end(notices, books)


def journal(world: "World") -> list[JournalEntry]:
    """The entries that count: of a number of an incident, the first."""
    seqs: Counter[str] = Counter()
    found: list[JournalEntry] = []
    for _, event in world.log.events(topics.INCIDENT_JOURNAL):
        if isinstance(event.data, JournalEntry) and event.data.seq == seqs[event.data.incident] + 1:
            seqs[event.data.incident] += 1
            found.append(event.data)
    return found


def _notices(world: "World", entries: list[JournalEntry]) -> dict[str, Notice]:
    """Every notice that was decided on, on every partition, and whenever it was emitted by the same bytes."""
    values: dict[str, set[bytes | None]] = defaultdict(set)
    copies: dict[str, set[int]] = defaultdict(set)
    found: dict[str, Notice] = {}
    for record, event in world.log.events(*(topics.notices(lane) for lane in ("first", "update"))):  # type: ignore[arg-type]
        if isinstance(event.data, Notices):
            for notice in event.data.notices:
                found[notice.notice_id] = notice
                values[notice.notice_id].add(record.value)
                copies[notice.notice_id].add(record.partition)
    for id_, said in values.items():
        require(len(said) == 1, "I6", "{} was emitted in other bytes", found[id_])
    for entry in entries:
        for decision in entry.decisions:
            if decision.decision == "notice_decided":
                there = copies.get(decision.notice_id, set())
                require(
                    len(there) == PARTITIONS, "I1", "{} of {}/{} is on {}", decision, entry.incident, entry.seq, there
                )
    return found


def _every_input_is_decided_on(world: "World", entries: list[JournalEntry]) -> None:
    known = {(entry.input.source, entry.input.id) for entry in entries}
    for _, event in world.log.events(topics.INCIDENT_EVENTS, topics.INCIDENT_COMMANDS):
        require((event.source, event.id) in known, "I1", "{} of {} was not decided on", event.data, event.subject)
    require(len(known) == len(entries), "I1", "an input was decided on twice")


def _people(world: "World") -> dict[str, tuple[int, Subscriber, bool]]:
    """Everyone with their partition, and whether they never said anything but that they are there."""
    found: dict[str, tuple[int, Subscriber, bool]] = {}
    for record, event in world.log.events(topics.SUBSCRIBER_EVENTS_TOPIC):
        id_ = event.subject or ""
        before = found.get(id_)
        if isinstance(event.data, SUBSCRIBER_EVENTS):
            after = fold(id_, before[1] if before else None, event.data, record.timestamp)
            if after is not None:
                found[id_] = record.partition, after, before is None and isinstance(event.data, Subscribed)
    return found


def _every_notice_is_fanned_out(world: "World", notices: dict[str, Notice], books: Books) -> None:
    """Whoever stayed as they were has an intent of each notice that is for them."""
    people = _people(world)
    for notice in notices.values():
        for id_, (_, someone, steady) in people.items():
            if steady and why_not(someone, notice) is None:  # type: ignore[arg-type]
                for channel in channels_for(someone, notice):  # type: ignore[arg-type]
                    intent = (Told(notice.incident, notice.seq, channel), id_)
                    require(intent in books.intents, "I1", "{} was never intended", intent)


def _every_intent_has_one_end(books: Books) -> None:
    require(not books.lost, "I1", "waiting work was lost: {}", books.lost)
    for intent, work in books.intents.items():
        require(work.terminal, "I1", "{} has no end: {}", intent, work)
        # whoever lost a partition in the middle of work may still write an end of their own: the first counts
        require(books.ends[intent], "I1", "the end of {} is on no record: {}", intent, work)
        require(not books.taken[intent] or work.heard, "I1", "{} was taken, and the records know nothing of it", intent)


def _nobody_is_told_twice(books: Books) -> None:
    for intent, times in books.taken.items():
        told, _ = intent
        borne = books.unknowns[intent] if told.channel is Channel.EMAIL else 0
        require(intent in books.intents, "I2", "{} was sent, and never intended", intent)
        require(
            times <= 1 + borne, "I2", "{} was sent {} times, with {} unknowns", intent, times, books.unknowns[intent]
        )
    for intent, work in books.intents.items():
        require(books.taken[intent] or work.result is not Result.ACCEPTED, "I2", "{} was never taken: {}", intent, work)


def _what_was_said_can_be_read(world: "World", books: Books) -> None:
    """The words of every attempt are put away under their hash."""
    words = {event.data.sha256 for _, event in world.log.events(topics.RENDERINGS) if isinstance(event.data, Rendering)}
    for _, attempt in books.attempts:
        require(attempt.rendering in words, "I6", "the words of {} are nowhere", attempt)


def _who_left_is_left_alone(world: "World", books: Books) -> None:
    out: dict[tuple[str, Channel], list[tuple[datetime, datetime]]] = defaultdict(list)
    for record, event in world.log.events(topics.SUBSCRIBER_EVENTS_TOPIC):
        data, who = event.data, event.subject or ""
        if isinstance(data, Unsubscribed | Stopped):
            out[who, data.channel].append((record.timestamp, datetime.max.replace(tzinfo=record.timestamp.tzinfo)))
        elif isinstance(data, Erased):
            for channel in Channel:
                out[who, channel].append((record.timestamp, datetime.max.replace(tzinfo=record.timestamp.tzinfo)))
        elif isinstance(data, Restarted):
            out[who, data.channel] = [(since, min(until, record.timestamp)) for since, until in out[who, data.channel]]
    pauses = [pause for process in world.everybody if isinstance(process, Delivering) for pause in process.pauses]
    for at, attempt in books.attempts:
        for recipient in attempt.recipients:
            for since, until in out[recipient, attempt.channel]:
                if since + RACE < at < until and not any(s <= since + RACE and at - RACE < e for s, e in pauses):
                    raise Broken("I3", f"{recipient} left {attempt.channel} at {since} and was written to: {attempt}")


def _nothing_without_a_policy(world: "World", entries: list[JournalEntry]) -> None:
    usable = policies.by_hash()
    since: dict[str, datetime] = {}
    for record, event in world.log.events(topics.POLICIES):
        if isinstance(event.data, PolicyPublished) and event.data.hash in usable:
            since.setdefault(event.data.hash, record.timestamp)
    first = min(since.values())
    for taken in world.truth.taken:
        require(taken.at >= first, "I5", "{} was sent before there was any policy", taken)
    for entry in entries:
        require(entry.policy in since, "I5", "{}/{} was decided under no policy", entry.incident, entry.seq)


def replayed(world: "World") -> None:
    """Deciding once more on the journal gives the same bytes, and neither writes nor sends anything."""
    before = world.log.size, len(world.truth.taken)
    differences = list(replay(journal(world), policies.by_hash()))
    require(not differences, "I6", differences[:1])
    require((world.log.size, len(world.truth.taken)) == before, "I6", "a replay had an effect")


def _who_was_told_of_it_is_told_the_end(notices: dict[str, Notice], books: Books) -> None:
    """The end, later than the last that they heard while it ran, with an outcome of its own: told, or why not."""
    over: dict[str, bool] = defaultdict(bool)
    afterwards: set[tuple[str, int]] = set()
    for notice in sorted(notices.values(), key=lambda notice: notice.seq):
        over[notice.incident] = notice.closing or (over[notice.incident] and notice.kind not in BEGINS)
        if over[notice.incident] and not notice.closing:
            afterwards.add((notice.incident, notice.seq))
    heard: dict[tuple[str, str], int] = {}
    ended: dict[tuple[str, str], int] = {}
    for (told, recipient), work in books.intents.items():
        about, who = work.about, (told.incident, recipient)
        if about is None or about.kind in ASIDE:
            continue
        if about.closing:
            ended[who] = max(told.seq, ended.get(who, 0))
        elif books.taken[told, recipient] and (told.incident, told.seq) not in afterwards:
            heard[who] = max(told.seq, heard.get(who, 0))
    for who, seq in heard.items():
        require(ended.get(who, 0) > seq, "I7", "{} was told of it at {} and never that it is over", who, seq)
