"""An order on its way: what it is about is read from the journal, it is signed, sent, and its answer awaited there."""

import asyncio
import secrets
from collections.abc import Collection, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from pipeline.audit.in_topics import InTopics
from pipeline.broker import connect
from pipeline.clock import now as real_now
from pipeline.commands.status import its_now
from pipeline.commands.terminal import SOURCE
from pipeline.drafts import Board
from pipeline.errors import TocsinError
from pipeline.operators import Signer
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.base import rfc3339
from schemas.command import OperatorCommand
from schemas.journal import JournalEntry
from schemas.rendering import Rendering, rendering_of

ANSWER_S = 10.0
"""For how many seconds the answer to an order is awaited; it comes within one where the decide room is idle."""
POLL_MS = 500


class Unanswered(TocsinError):
    """An order was taken by the broker, but nothing was decided on it in time."""


@dataclass(slots=True)
class Reading:
    """The fold of the journal, and where to read on, by partition."""

    board: Board = field(default_factory=Board)
    next: dict[int, int] = field(default_factory=dict)

    def apply(self, record: codec.Record) -> JournalEntry | None:
        """Takes in one record; the entry, where it counts."""
        self.next[record.partition] = record.offset + 1
        entry = codec.decode(record, JournalEntry).data
        return entry if self.board.apply(entry) else None


async def read(settings: Settings, incident: str | None = None) -> Reading:
    """What waits and what was told, of every incident, or of those that share this one's partition."""
    reading = Reading()
    partitions = None if incident is None else [connect.partition_for(incident, settings.partitions)]
    async for record in connect.read_all(settings, topics.INCIDENT_JOURNAL.name, partitions=partitions):
        reading.apply(record)
    return reading


async def renderings(settings: Settings, digests: Collection[str]) -> dict[str, Rendering]:
    """Those of these renderings that are at hand, each exactly the words that its hash names.

    What waits for approval for longer than Kafka keeps its words is found in the archive.
    """
    missing, found = set(digests), dict[str, Rendering]()
    homes = {connect.partition_for(digest, settings.partitions) for digest in missing}
    places = [connect.read_all(settings, topics.RENDERINGS.name, partitions=homes)]
    if settings.log_retention_days is not None:
        places.append(InTopics(settings).records(topics.RENDERINGS))
    for place in places:
        async with aclosing(place) as records:  # type: ignore[type-var]  # a generator, though typed as an iterator
            while missing and (record := await anext(records, None)) is not None:
                rendering = codec.decode(record, Rendering).data
                if rendering.sha256 in missing and _names(rendering):
                    found[rendering.sha256] = rendering
                    missing.discard(rendering.sha256)
    return found


def _names(rendering: Rendering) -> bool:
    again = rendering_of(rendering.language, rendering.level, rendering.content, rendering.moments)
    return again.sha256 == rendering.sha256


async def give(
    settings: Settings, signer: Signer, incident: str, command: OperatorCommand, reading: Reading
) -> JournalEntry:
    """Signs the order, sends it, and returns the journal entry that answers it. Raises Unanswered, BrokerError."""
    id, now = secrets.token_hex(16), real_now()
    outgoing = codec.encode(
        topics.INCIDENT_COMMANDS,
        command,
        id=id,
        source=SOURCE,
        subject=incident,
        time=now,
        extensions=signer.extensions(incident, id, SOURCE, command) | _clock(reading.board.last.get(incident)),
    )
    home = connect.partition_for(incident, settings.partitions)
    async with connect.open_reader(settings) as reader, connect.open_producer(settings) as producer:
        part = TopicPartition(topics.INCIDENT_JOURNAL.name, home)
        reader.assign([part])
        if home in reading.next:
            reader.seek(part, reading.next[home])
        else:
            await reader.seek_to_beginning(part)
        await connect.send(producer, outgoing)
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    fetched = await reader.getmany(part, timeout_ms=POLL_MS)
                    if (entry := _answer(reading, fetched.get(part, ()), incident, id)) is not None:
                        return entry
        except TimeoutError:
            raise Unanswered(
                f"the order was taken, but nothing was decided on it within {ANSWER_S:g} s; it counts as soon as the "
                f"decide room works again (`tocsin status`), and then shows in `tocsin replay {incident}`"
            ) from None


def _answer(reading: Reading, records: Iterable[object], incident: str, id: str) -> JournalEntry | None:
    for raw in records:
        entry = reading.apply(connect.to_record(raw))
        if entry is not None and (entry.incident, entry.input.source, entry.input.id) == (incident, SOURCE, id):
            return entry
    return None


def _clock(last: JournalEntry | None) -> dict[str, str]:
    """A played incident goes on by its own clock."""
    if last is None or last.input.virtual is None:
        return {}
    return {"virtualtime": rfc3339(its_now(last, real_now())), "virtualspeed": str(last.input.virtual.speed)}
