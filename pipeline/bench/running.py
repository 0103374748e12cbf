"""The whole of Tocsin, running for a figure: a broker, the three rooms, and mail to wherever the figure says."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline.broker import connect
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.clock import now
from pipeline.errors import TocsinError
from pipeline.registrations import registration
from pipeline.settings import Settings
from pipeline.subscribers import subscribe
from pipeline.supervisor import Supervisor
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.incident import IncidentEvent

AT_ONCE: Final = 5_000
"""Records written before the broker's answers are awaited."""


@dataclass(frozen=True)
class Running:
    """A running system. `broker`: its name."""

    settings: Settings
    broker: str
    producer: AIOKafkaProducer

    async def subscribe(self, count: int) -> None:
        """So many readers of mail, customers all of them."""
        vault, at = Vault.open(self.settings), now()
        for start in range(0, count, AT_ONCE):
            made = []
            for number in range(start, min(start + AT_ONCE, count)):
                row = registration({"audiences": ["customers"], "email": f"reader{number}@example.com"})
                made.append(subscribe(vault, row, f"{number:032x}", at))
            for stage in zip(*made, strict=True):
                sent = [await self.producer.send(one.topic, **_fields(one)) for one in stage]
                for answer in sent:
                    await answer

    async def publish(self, incident: str, *events: IncidentEvent) -> None:
        """Writes incident events; returns when the broker has them."""
        for number, event in enumerate(events):
            name = f"{incident}/{number}"
            given = codec.encode(topics.INCIDENT_EVENTS, event, id=name, source="/bench", subject=incident)
            await connect.send(self.producer, given)

    @asynccontextmanager
    async def outcomes(self) -> AsyncIterator[AIOKafkaConsumer]:
        """Reads the delivery records that come from now on."""
        consumer = AIOKafkaConsumer(**connect.client_options(self.settings), enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign(
                [TopicPartition(topics.DELIVERY_RECORDS_TOPIC.name, n) for n in range(self.settings.partitions)]
            )
            await consumer.seek_to_end()
            for part in consumer.assignment():
                await consumer.position(part)
            yield consumer
        finally:
            await consumer.stop()


@asynccontextmanager
async def running(directory: Path, **given: Any) -> AsyncIterator[Running]:
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
        yield Running(supervisor.settings, name, producer)


def _broker(directory: Path) -> tuple[str, ApacheKafka | None]:
    try:
        java()
        return "Apache Kafka", ApacheKafka(directory / "kafka", fetch_jars())
    except TocsinError:
        return "the embedded broker", None


def _fields(one: codec.Outgoing) -> dict[str, Any]:
    return {"key": one.key, "value": one.value, "headers": list(one.headers), "partition": one.partition}
