"""When all is told and sealed: the fold of what the rooms write, set against who should have been told.

Nobody announces that a notice has gone out everywhere; it follows from the notices, the subscribers and the delivery
records, and that the log holds it all follows from comparing identities.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from aiokafka import TopicPartition

from pipeline.audit.seal import SEALED_TOPICS, identity, source_of
from pipeline.broker import connect
from pipeline.commands.overview import Journal
from pipeline.deliver.fanout import channels_for
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.work import Told
from pipeline.errors import TocsinError
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.audit import AuditEntry
from schemas.base import Channel, Lane, Message
from schemas.codec import Record
from schemas.delivery import DELIVERY_RECORDS, Result
from schemas.journal import AudienceSilent, FieldWithheld, JournalEntry, NoticeDecided
from schemas.notice import Notice, Notices
from schemas.subscriber import Subscriber

READ = (*SEALED_TOPICS, *(topics.notices(lane) for lane in Lane), topics.AUDIT_LOG)


class Unfinished(TocsinError):
    """Not everything was told and sealed in time; says what is missing."""


class Completion:
    """What was played, decided, told and sealed so far. Mutable; `apply` folds records in any order of topics."""

    def __init__(self, subscribers: Iterable[Subscriber], events: Iterable[tuple[str, str]]) -> None:
        """`events`: (incident, CloudEvent id) of each event that was, or will be, played."""
        self._subscribers = tuple(subscribers)
        self._events = set(events)
        self._journal = Journal()
        self._notices: dict[str, Notice] = {}
        self._ledger = Ledger()
        self._to_seal: set[bytes] = set()
        self._sealed: set[bytes] = set()

    def apply(self, record: Record) -> None:
        """Takes in one record of any of the topics in `READ`."""
        if record.topic == topics.AUDIT_LOG.name:
            entry = codec.decode(record, AuditEntry).data
            self._sealed.add(identity(entry.origin.topic, entry.record_type, entry.subject, entry.record_id))
            return
        if record.topic in {topic.name for topic in SEALED_TOPICS}:
            source = source_of(record)
            self._to_seal.add(identity(record.topic, source.type, source.subject, source.id))
        data: Message = codec.decode(record).data
        if isinstance(data, JournalEntry):
            self._journal.apply(record)
        elif isinstance(data, Notices):
            self._notices |= {notice.notice_id: notice for notice in data.notices}
        elif isinstance(data, DELIVERY_RECORDS):
            self._ledger.apply(data)

    def missing(self) -> str | None:
        """What has still to happen; None once all is told and sealed."""
        journaled = {
            (incident, entry.input.id) for incident, entries in self._journal.entries.items() for entry in entries
        }
        if self._events - journaled:
            return f"{len(self._events - journaled)} events are not decided on"
        decided = {
            decision.notice_id
            for entries in self._journal.entries.values()
            for entry in entries
            for decision in entry.decisions
            if isinstance(decision, NoticeDecided)
        }
        if decided - self._notices.keys():
            return f"{len(decided - self._notices.keys())} notices are not sent out"
        open_ones = sum(1 for _, told, recipient in self._intents() if not self._is_over(told, recipient))
        if open_ones:
            return f"{open_ones} messages have not come to an end"
        if self._to_seal - self._sealed:
            return f"{len(self._to_seal - self._sealed)} records are not sealed"
        return None

    def told(self) -> Counter[tuple[str, Channel, str]]:
        """How many messages went to each audience on each channel, and how they ended."""
        found: Counter[tuple[str, Channel, str]] = Counter()
        for audience, told, recipient in self._intents():
            work = self._ledger.work(told, recipient)
            found[audience, told.channel, work.result.value if work and work.result else "open"] += 1
        return found

    def withheld(self) -> Counter[str]:
        """What was deliberately not said, each with its rule, and how often."""
        decisions = (d for entries in self._journal.entries.values() for entry in entries for d in entry.decisions)
        found: Counter[str] = Counter()
        for decision in decisions:
            if isinstance(decision, FieldWithheld):
                found[f"{decision.field}: {decision.reason}"] += 1
            elif isinstance(decision, AudienceSilent):
                found[f"to {decision.audience}: {decision.reason}"] += 1
        return found

    def _intents(self) -> Iterable[tuple[str, Told, str]]:
        for notice in self._notices.values():
            for subscriber in self._subscribers:
                for channel in channels_for(subscriber, notice, None):
                    yield notice.audience, Told(notice.incident, notice.seq, channel), subscriber.id

    def _is_over(self, told: Told, recipient: str) -> bool:
        """What a recipient's own hours put off is settled as well: it waits for them, and for nobody here."""
        work = self._ledger.work(told, recipient)
        return work is not None and (work.terminal or work.result is Result.DEFERRED)


async def follow(
    settings: Settings, completion: Completion, timeout_s: float, say: Callable[[str], None] = lambda _: None
) -> None:
    """Reads what the rooms write until all is told and sealed. Raises Unfinished after so many seconds."""
    async with connect.open_reader(settings) as reader:
        reader.assign(
            [
                TopicPartition(topic.name, number)
                for topic in READ
                for number in range(settings.partitions if topic.partitions is None else topic.partitions)
            ]
        )
        await reader.seek_to_beginning()
        missing: str | None = "nothing was read"
        try:
            async with asyncio.timeout(timeout_s):
                while missing is not None:
                    for records in (await reader.getmany(timeout_ms=250)).values():
                        for record in records:
                            completion.apply(connect.to_record(record))
                    missing = completion.missing()
                    if missing:
                        say(missing)
        except TimeoutError:
            raise Unfinished(f"after {timeout_s:g} s {missing}; the logs are in {settings.data_dir / 'logs'}") from None
