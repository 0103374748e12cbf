"""Trimming: closes what ended long ago, and has Kafka forget what is closed. One run; whoever repeats it loses nothing.

An incident is closed by a command, which decide takes in turn with all that comes of it; what was closed by an earlier
run, and is known to everyone who will fold what is left (`incidents.closed`), goes in this one. Nothing goes before the
archive has it, and where the archive cannot be read nothing goes.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError

from pipeline.broker import connect
from pipeline.clock import Clock
from pipeline.errors import BrokerError, ConfigurationError
from pipeline.settings import Settings
from pipeline.trimming import archived
from pipeline.trimming.needs import Deliveries, Front, Journals, Judged, horizon, judged
from schemas import codec, topics
from schemas.codec import Undecodable
from schemas.command import Close
from schemas.ids import derived
from schemas.journal import Closed
from schemas.topics import Topic

SOURCE = "tocsin/trim"
TRIMMED = (topics.INCIDENT_JOURNAL, topics.DELIVERY_RECORDS_TOPIC)
Fronts = dict[tuple[str, int], Front]
"""By topic and partition."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What a run did. `forgotten`: records that went, by topic; `lacking`: that stay since the archive has them not."""

    judged: Judged
    forgotten: dict[str, int]
    lacking: int


async def trim(settings: Settings, clock: Clock) -> Trimmed:
    """One run. Raises ConfigurationError, BrokerError, ArchiveUnreachable, AuditError; then nothing is forgotten."""
    if settings.archive is None or settings.log_retention_days is None:
        raise ConfigurationError("Kafka forgets nothing before TOCSIN_ARCHIVE and TOCSIN_LOG_RETENTION_DAYS are set")
    before = horizon(clock(), settings.log_retention_days)
    closed = await _closed(settings)
    journals, fronts = Journals(closed, before), Fronts()
    deliveries = Deliveries(journals.states.keys(), before)
    folds: tuple[Journals | Deliveries, ...] = (journals, deliveries)
    for topic, fold in zip(TRIMMED, folds, strict=True):
        async for record in connect.read_all(settings, topic.name):
            fold.apply(record)
        fronts |= {(topic.name, partition): front for partition, front in fold.fronts.items()}
    found = judged(journals, deliveries)
    await _close(settings, found.closing)
    for front in fronts.values():
        front.end()
        front.but(deliveries.unsettled(), ())
    wanted = {old.who: old.readable for front in fronts.values() for old in front.old}
    lacking = await asyncio.to_thread(archived.lacking, settings.archive, settings.data_dir, wanted)
    for front in fronts.values():
        front.but((), lacking)
    await _forget(settings, fronts)
    return Trimmed(found, {topic.name: _count(topic, fronts) for topic in TRIMMED}, len(lacking))


async def _closed(settings: Settings) -> set[str]:
    found = set[str]()
    async for record in connect.read_all(settings, topics.INCIDENTS_CLOSED.name):
        try:
            found.add(codec.decode(record, Closed).data.incident)
        except Undecodable:
            continue  # nothing of ours, and so nobody's word
    return found


async def _close(settings: Settings, closing: Iterable[tuple[str, int]]) -> None:
    """Orders it of each; the same order comes again until decide has obeyed."""
    async with connect.open_producer(settings) as producer:
        for incident, seq in closing:
            name = derived("close", incident, seq)
            command = codec.encode(topics.INCIDENT_COMMANDS, Close(seq=seq), id=name, source=SOURCE, subject=incident)
            await connect.send(producer, command)


async def _forget(settings: Settings, fronts: Fronts) -> None:
    cuts = {
        TopicPartition(*part): RecordsToDelete(before_offset=front.stays)
        for part, front in fronts.items()
        if front.old and front.stays is not None
    }
    if not cuts:
        return
    try:
        async with connect.open_admin(settings) as admin:
            await admin.delete_records(cuts)
    except KafkaError as error:
        raise BrokerError(f"the broker does not forget what it was told to: {error!r}; it is told again") from error


def _count(topic: Topic, fronts: Fronts) -> int:
    return sum(len(front.old) for (name, _), front in fronts.items() if name == topic.name)
