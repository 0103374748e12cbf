"""Putting back: after a crash of the embedded broker its topics get what they lack of the spare copy.

The same bytes, in the order in which they stood: whoever reads them knows them by their ids. Offsets come out as they
were wherever everything of a partition was written by this machine.
"""

from collections import Counter
from dataclasses import replace
from hashlib import sha256

from pipeline.archive.lines import line_of
from pipeline.broker import connect, spare
from pipeline.settings import Settings
from schemas import topics
from schemas.codec import Outgoing, Record


async def put_back(settings: Settings) -> Counter[str]:
    """Writes again what the topics lack, before anybody reads on; how many records of which topic. Raises BrokerError.

    Does nothing where the broker was stopped in order, which leaves no spare copy.
    """
    lacking = [*await _lacking(settings), *await _lacking_keys(settings)]
    if lacking:
        async with connect.open_producer(settings) as producer:
            for record in lacking:
                again = Outgoing(record.topic, record.key, record.value, record.headers, record.partition)
                await connect.send(producer, again)
    return Counter(record.topic for record in lacking)


def said(found: Counter[str]) -> str:
    """What was put back, in a sentence."""
    parts = ", ".join(f"{name} {count}" for name, count in sorted(found.items()))
    return f"the embedded broker lost {found.total()} records in its crash; they are put back ({parts})"


async def _lacking(settings: Settings) -> list[Record]:
    spared = {_proof(record): record for record in spare.spared(settings.data_dir)}
    for topic in {record.topic for record in spared.values()}:
        begins = await connect.beginnings(settings, topic)
        # what stood before the beginning was not lost: the broker was told to forget it
        spared = {proof: one for proof, one in spared.items()
                  if one.topic != topic or one.offset >= begins[one.partition]}  # fmt: skip
        async for record in connect.read_all(settings, topic):
            spared.pop(_proof(record), None)
    return sorted(spared.values(), key=lambda record: (record.topic, record.partition, record.offset))


async def _lacking_keys(settings: Settings) -> list[Record]:
    spared, there = spare.spared_keys(settings.data_dir), dict[bytes | None, bytes | None]()
    if spared:
        async for record in connect.read_all(settings, topics.SUBSCRIBER_KEYS.name):
            there[record.key] = record.value
    return [record for record in spared if record.key not in there or there[record.key] != record.value]


def _proof(record: Record) -> bytes:
    """What makes a record the same, wherever in its partition it stands and whenever it came there."""
    return sha256(line_of(replace(record, offset=0, timestamp=connect.EPOCH))).digest()
