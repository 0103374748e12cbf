"""`tocsin deliveries`: messages that were parked and wait for a person: list them, try them again, give them up."""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

import typer
from aiokafka import TopicPartition

from pipeline.broker import connect
from pipeline.clock import now as real_now
from pipeline.commands import terminal
from pipeline.commands.terminal import SOURCE
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.parked import EVERY_INCIDENT, Heap, concerned, heaps
from pipeline.errors import NotFound, TocsinError
from pipeline.operators import Signer, signer
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.base import Channel, rfc3339
from schemas.delivery import ParkedOrder

ANSWER_S = 20.0
"""For how many seconds an answer is awaited: a partition may have a week of notices to read first."""
POLL_MS = 500

Reason = Annotated[str, typer.Option("--reason", help="The reason they were parked for, as the list names it.")]
Incident = Annotated[str | None, typer.Option("--incident", help="Only of this incident.", show_default="of all")]
OnChannel = Annotated[Channel | None, typer.Option("--channel", help="Only on this channel.", show_default="on all")]
Because = Annotated[str | None, typer.Option("--because", help="Why, for the record.", show_default=False)]

app = typer.Typer(no_args_is_help=True, help="Messages that wait for a person: list them, try again, give up.")


class NotObeyed(TocsinError):
    """An order was taken by the broker, but not everything that it is about was done in time."""


@dataclass
class Reading:
    """The fold of the delivery records, partition by partition, and where to read on."""

    ledgers: dict[int, Ledger] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)

    def apply(self, record: codec.Record) -> None:
        """Takes in one record."""
        self.next[record.partition] = record.offset + 1
        self.ledgers.setdefault(record.partition, Ledger()).apply(codec.decode(record).data)

    def heaps(self) -> list[Heap]:
        """What is parked, over all partitions."""
        return heaps(one for ledger in self.ledgers.values() for one in ledger.parked())

    def concerned(self, order: ParkedOrder) -> dict[int, int]:
        """How many an order is about in each partition that has any."""
        found = {partition: len(concerned(ledger.parked(), order)) for partition, ledger in self.ledgers.items()}
        return {partition: count for partition, count in found.items() if count}


@app.command()
def parked() -> None:
    """List what waits for a person: by incident, channel and reason, how many, and since when."""
    reading = asyncio.run(read(Settings()))
    for line in lines(reading.heaps()):
        typer.echo(line)


@app.command()
def retry(
    reason: Reason,
    incident: Incident = None,
    channel: OnChannel = None,
    because: Because = None,
    operator: terminal.As = None,
    yes: terminal.Yes = False,
) -> None:
    """Try them again. What waits because of a spending cap is sent all the same: that is what you say by it."""
    _order("retry", reason, incident, channel, because, operator, yes)


@app.command("give-up")
def give_up(
    reason: Reason,
    incident: Incident = None,
    channel: OnChannel = None,
    because: Because = None,
    operator: terminal.As = None,
    yes: terminal.Yes = False,
) -> None:
    """Give them up: these people are not told, and it stands on record who decided so."""
    _order("give_up", reason, incident, channel, because, operator, yes)


def lines(parked: Iterable[Heap]) -> list[str]:
    """The list, as it is shown."""
    found = [f"{one.incident}  {one.channel}  {one.count}  {one.reason}  since {rfc3339(one.since)}" for one in parked]
    return found or ["nothing is parked"]


def _order(
    what: Literal["retry", "give_up"],
    reason: str,
    incident: str | None,
    channel: Channel | None,
    because: str | None,
    operator: str | None,
    yes: bool,
) -> None:
    settings, now = Settings(), real_now()
    author = signer(settings, operator)
    order = ParkedOrder(
        order=what, reason=reason, incident=incident, channel=channel, parked_until=now, because=because
    )
    reading = asyncio.run(read(settings))
    about = reading.concerned(order)
    if not about:
        raise NotFound("nothing is parked for that; there is:\n" + "\n".join(lines(reading.heaps())))
    count = sum(about.values())
    if not yes:
        if not terminal.interactive():
            raise typer.BadParameter("nobody is there to confirm it: say --yes")
        words = "Try again" if what == "retry" else "Give up"
        if not typer.confirm(f"{words} {count} parked for {reason}? (signed by {author.name})", default=False):
            typer.echo("nothing was ordered")
            raise typer.Exit(1)
    asyncio.run(give(settings, author, order, reading, now))
    typer.echo(f"{count} {'are tried again' if what == 'retry' else 'are given up'}")


async def read(settings: Settings) -> Reading:
    """Everything that is on record. Raises BrokerError."""
    reading = Reading()
    async for record in connect.read_all(settings, topics.DELIVERY_RECORDS_TOPIC.name):
        reading.apply(record)
    return reading


async def give(settings: Settings, author: Signer, order: ParkedOrder, reading: Reading, at: datetime) -> None:
    """Signs the order, sends it to each partition that it concerns, and waits until it is done there.

    Raises NotObeyed, BrokerError.
    """
    about, id, subject = reading.concerned(order), secrets.token_hex(16), order.incident or EVERY_INCIDENT
    extensions = author.extensions(subject, id, SOURCE, order)
    parts = {TopicPartition(topics.DELIVERY_RECORDS_TOPIC.name, partition): partition for partition in about}
    async with connect.open_reader(settings) as reader, connect.open_producer(settings) as producer:
        reader.assign(list(parts))
        for part, partition in parts.items():
            reader.seek(part, reading.next[partition])
        for partition in about:
            outgoing = codec.encode(
                topics.DELIVERY_ORDERS,
                order,
                id=id,
                source=SOURCE,
                subject=subject,
                time=at,
                partition=partition,
                extensions=extensions,
            )
            await connect.send(producer, outgoing)
        try:
            async with asyncio.timeout(ANSWER_S):
                while reading.concerned(order):
                    for fetched in (await reader.getmany(timeout_ms=POLL_MS)).values():
                        for raw in fetched:
                            reading.apply(connect.to_record(raw))
        except TimeoutError:
            left = sum(reading.concerned(order).values())
            raise NotObeyed(
                f"the order was taken, but {left} are still parked after {ANSWER_S:g} s: either deliver does not work "
                "(`tocsin status`), or it did not know your key, or you hold no role that may order it "
                "(`tocsin deadletters list` says so), or the words are gone: they are kept for a week, and what is "
                "older can only be given up, or told anew"
            ) from None
