"""How a room writes: one record, awaited until the broker has it. A refused one is an error, never a log line."""

from datetime import datetime
from typing import Required, TypedDict, Unpack

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from pipeline.broker import connect
from schemas import codec, topics
from schemas.base import Message
from schemas.delivery import DeliveryBatch
from schemas.ids import child_of, traceparent
from schemas.topics import Topic


class About(TypedDict, total=False):
    """What is said of a record beside its data. `parent`: the traceparent of what caused it."""

    id: Required[str]
    subject: str | None
    key: str | None
    partition: int | None
    time: datetime | None
    parent: str | None


class Emitter:
    """A plain aiokafka producer beside the agents, with the room as CloudEvents source."""

    def __init__(self, producer: AIOKafkaProducer, room: str) -> None:
        self._producer = producer
        self._source = f"tocsin/{room}"

    async def write(self, topic: Topic, data: Message, **about: Unpack[About]) -> RecordMetadata:
        """Writes `data`. Raises BrokerError."""
        return await self.forward(self.encoded(topic, data, **about))

    def encoded(self, topic: Topic, data: Message, **about: Unpack[About]) -> codec.Outgoing:
        """`data` as `write` writes it; what goes to every partition is encoded once."""
        id, parent = about["id"], about.get("parent")
        return codec.encode(
            topic,
            data,
            id=id,
            source=self._source,
            subject=about.get("subject"),
            key=about.get("key"),
            time=about.get("time"),
            partition=about.get("partition"),
            extensions={"traceparent": child_of(parent, id) if parent else traceparent(id, "start")},
        )

    async def batch(
        self, batch: DeliveryBatch, partition: int, *, id: str | None = None, parent: str | None = None
    ) -> RecordMetadata:
        """Puts a batch among the deliveries of a partition, under its own id unless another is given."""
        topic = topics.deliveries(batch.channel, batch.lane)
        name = id or batch.batch_id
        subject, key = batch.incident, batch.notice_id
        return await self.write(topic, batch, id=name, subject=subject, key=key, partition=partition, parent=parent)

    async def forward(self, outgoing: codec.Outgoing) -> RecordMetadata:
        """Writes what is encoded already. Raises BrokerError."""
        return await connect.send(self._producer, outgoing)
