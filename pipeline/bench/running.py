"""The whole of Tocsin, running for a figure: a broker, the three rooms, and mail to wherever the figure says."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline import policy
from pipeline.broker import connect
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.clock import now
from pipeline.commands.lag import lags
from pipeline.errors import TocsinError
from pipeline.registrations import registration
from pipeline.settings import Settings
from pipeline.subscribers import subscribe
from pipeline.supervisor import Supervisor
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.incident import IncidentEvent
from schemas.policy import PolicyPublished, hash_of

ACCEPTED: Final = b'"result":"accepted"'
LOT_WAIT_MS: Final = 100
AT_ONCE: Final = 5_000
"""Records written before the broker's answers are awaited."""
MANNERS: Final = {
    r"^  at most: .*\n": "",
    r"^  quiet hours: .*\n": "",
    r"^(minimum gap between updates): .*": r"\1: 0s",
    r"^(a resolution must have held for): .*": r"\1: {}",
}
"""Lines of the policy that spare people, or have them wait, and what stands there for a figure."""


def mail(number: int) -> dict[str, str]:
    """A reader's address of mail."""
    return {"email": f"reader{number}@example.com"}


def phone(number: int) -> dict[str, str]:
    """A reader's telephone number."""
    return {"phone": f"+49151{10_000_000 + number}"}


@dataclass(frozen=True)
class Running:
    """A running system. `broker`: its name."""

    settings: Settings
    broker: str
    producer: AIOKafkaProducer
    processes: Callable[[], dict[str, int]]
    """The pids of the rooms and of the broker, as they are now."""

    async def subscribe(
        self,
        count: int,
        *,
        audience: str = "customers",
        first: int = 0,
        reached: Callable[[int], Mapping[str, Any]] = mail,
    ) -> None:
        """So many readers, numbered from `first` on; `reached`: by which address, and what else they chose."""
        vault, at = Vault.open(self.settings), now()
        for start in range(first, first + count, AT_ONCE):
            made = []
            for number in range(start, min(start + AT_ONCE, first + count)):
                row = registration({"audiences": [audience], **reached(number)})
                made.append(subscribe(vault, row, f"{number:032x}", at))
            for stage in zip(*made, strict=True):
                sent = [await self.producer.send(one.topic, **_fields(one)) for one in stage]
                for answer in sent:
                    await answer

    async def lift_the_caps(self) -> None:
        """A reader of a figure is told of everything at once, more often than people should be, and at any hour."""
        documents = dict(policy.load(self.settings.policy_dir).documents)
        for pattern, at_once in MANNERS.items():
            documents["cadence.yaml"], found = re.subn(pattern, at_once, documents["cadence.yaml"], flags=re.MULTILINE)
            if not found:
                raise TocsinError(f"the policy that ships has no line {pattern!r} any more")
        changed = PolicyPublished(name="bench", hash=hash_of(documents), documents=documents)
        given = codec.encode(topics.POLICIES, changed, id=changed.hash, source="/bench", subject=changed.name)
        await connect.send(self.producer, given)

    async def caught_up(self) -> None:
        """Returns when the rooms have worked off what stands in their topics."""
        while any(behind for room, behind in (await lags(self.settings)).items() if room != "record"):
            await asyncio.sleep(0.2)  # between two looks at what other processes have committed

    async def publish(self, incident: str, *events: IncidentEvent, first: int = 0) -> None:
        """Writes incident events, numbered from `first` on; returns when the broker has them."""
        for number, event in enumerate(events, first):
            name = f"{incident}/{number}"
            given = codec.encode(topics.INCIDENT_EVENTS, event, id=name, source="/bench", subject=incident)
            await connect.send(self.producer, given)

    @asynccontextmanager
    async def outcomes(self, in_lots_of: int = 1) -> AsyncIterator["Outcomes"]:
        """Reads the delivery records that come from now on; `in_lots_of` bytes, so that counting costs little."""
        consumer = AIOKafkaConsumer(
            **connect.client_options(self.settings),
            enable_auto_commit=False,
            fetch_min_bytes=in_lots_of,
            fetch_max_wait_ms=LOT_WAIT_MS if in_lots_of > 1 else 500,
        )
        await consumer.start()
        try:
            topic = topics.DELIVERY_RECORDS_TOPIC.name
            consumer.assign([TopicPartition(topic, number) for number in range(self.settings.partitions)])
            await consumer.seek_to_end()
            for part in consumer.assignment():
                await consumer.position(part)
            yield Outcomes(consumer)
        finally:
            await consumer.stop()


class Outcomes:
    """The outcomes as they are put on record."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def accepted(self, incident: str | None, count: int) -> None:
        """Returns when so many messages, of one incident or of any, were accepted since this was asked last."""
        wanted, found = b"" if incident is None else f'"incident":"{incident}"'.encode(), 0
        while found < count:
            for records in (await self._consumer.getmany(timeout_ms=1000)).values():
                values = (record.value or b"" for record in records)
                found += sum(value.count(ACCEPTED) for value in values if wanted in value)


@asynccontextmanager
async def running(directory: Path, **given: Any) -> AsyncIterator[Running]:
    """Starts everything, and tells everybody of everything at once."""
    async with started(directory, **given) as system:
        await system.lift_the_caps()
        yield system


@asynccontextmanager
async def started(directory: Path, **given: Any) -> AsyncIterator[Running]:
    """Starts everything, on Apache Kafka where there are Java and Maven, else on the embedded broker."""
    async with AsyncExitStack() as stack:
        name, kafka = _broker(directory)
        if kafka is not None:
            await stack.enter_async_context(kafka)
            given["broker"] = f"kafka://{kafka.bootstrap}"
        settings = Settings(_env_file=None, data_dir=directory / "data", mail_from="status@example.com", **given)
        supervisor = await stack.enter_async_context(Supervisor(settings, web=False))
        await supervisor.ready()
        producer = await stack.enter_async_context(connect.open_producer(supervisor.settings))

        def processes() -> dict[str, int]:
            broker = kafka or supervisor.broker
            found = {room: process.pid for room, process in supervisor.processes.items()}
            found["broker"] = broker.pid if broker is not None else None
            return {name: pid for name, pid in found.items() if pid is not None}

        yield Running(supervisor.settings, name, producer, processes)


def kafka_is_there() -> bool:
    """Whether a figure is taken on Apache Kafka: where there are Java and Maven."""
    try:
        java()
        fetch_jars()
    except TocsinError:
        return False
    return True


def _broker(directory: Path) -> tuple[str, ApacheKafka | None]:
    if kafka_is_there():
        return "Apache Kafka", ApacheKafka(directory / "kafka", fetch_jars())
    return "the embedded broker", None


def _fields(one: codec.Outgoing) -> dict[str, Any]:
    return {"key": one.key, "value": one.value, "headers": list(one.headers), "partition": one.partition}
