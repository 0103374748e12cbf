"""A decide room that decides what the test says: for the commands that order something and await the answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from aiokafka import TopicPartition

from pipeline import authority
from pipeline.broker import connect
from pipeline.operators import Signer
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.base import Message
from schemas.ids import derived
from schemas.journal import Decision, JournaledInput, JournalEntry
from schemas.operator import Signature
from schemas.rendering import Rendering
from tests.entries import AT, WORDS, entry

Order = codec.Event[Message]


async def journal(settings: Settings, *entries: JournalEntry, words: Iterable[Rendering] = WORDS) -> None:
    """Writes entries as decide does, and the words that their notices name."""
    async with connect.open_producer(settings) as producer:
        for one in entries:
            id = derived("journal", one.incident, one.seq)
            await connect.send(
                producer,
                codec.encode(
                    topics.INCIDENT_JOURNAL, one, id=id, source="tocsin/decide", subject=one.incident, time=AT
                ),
            )
        for word in words:
            await connect.send(
                producer,
                codec.encode(
                    topics.RENDERINGS, word, id=word.sha256, source="tocsin/decide", subject="INC-1", key=word.sha256
                ),
            )


def journaled(order: Order, record: codec.Record) -> JournaledInput:
    """An order as decide journals it."""
    said = json.loads(order.data.model_dump_json(exclude_none=True))
    return JournaledInput(
        id=order.id, source=order.source, type=order.type, topic=record.topic, partition=record.partition,
        offset=record.offset, appended_at=record.timestamp, data=said,
    )  # fmt: skip


@asynccontextmanager
async def deciding(
    settings: Settings, decide: Callable[[Order], Iterable[Decision]] = lambda _: (), seqs: tuple[int, ...] = (2,)
) -> AsyncIterator[list[Order]]:
    """The orders that come in, each answered by the decisions that `decide` gives, in entries of these numbers."""
    orders: list[Order] = []
    over = asyncio.Event()

    async def work() -> None:
        async with connect.open_reader(settings) as reader:
            reader.assign([TopicPartition(topics.INCIDENT_COMMANDS.name, n) for n in range(settings.partitions)])
            await reader.seek_to_beginning()
            while not over.is_set():
                for records in (await reader.getmany(timeout_ms=100)).values():
                    for record in map(connect.to_record, records):
                        order = codec.decode_input(record)
                        orders.append(order)
                        given = journaled(order, record)
                        for seq in seqs:
                            answer = entry(*decide(order), incident=order.subject or "", seq=seq, given=given)
                            await journal(settings, answer, words=())

    task = asyncio.create_task(work())
    try:
        yield orders
    finally:
        over.set()  # told, not cancelled: aiokafka swallows a cancellation that comes while one of its clients stops
        await task


def is_signed_by(signer: Signer, order: Order) -> bool:
    """Whether this operator signed the order, or the event, exactly as it stands."""
    assert order.extensions["operator"] == signer.name
    signature = Signature(
        operator=signer.name, public_key=signer.public_key, roles=(), signature=order.extensions["signature"]
    )
    said = order.data.model_dump(mode="json", exclude_none=True)
    return authority.verified(signature, order.subject or "", order.id, order.source, order.type, said)


async def ordered(settings: Settings) -> list[Order]:
    """Every order that was sent."""
    return [codec.decode_input(r) async for r in connect.read_all(settings, topics.INCIDENT_COMMANDS.name)]
