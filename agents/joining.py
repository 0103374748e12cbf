"""Joining: who signed up and has confirmed is told to every partition, and made one with whom that knows."""

from agents.emit import Emitter
from agents.holdings import Holding, Holdings
from pipeline.joining import joined
from schemas import topics
from schemas.base import Message
from schemas.codec import Record
from schemas.ids import derived
from schemas.receipt import AddressConfirmed
from schemas.subscriber import SIGNED_UP, Confirmed, Subscriber


class Joining:
    """The part of the receiving side that finds out who is the same."""

    def __init__(self, emitter: Emitter, holdings: Holdings, partitions: int) -> None:
        self._emitter = emitter
        self._holdings = holdings
        self._partitions = partitions

    async def tell(self, record: Record, event: Message, subscriber: Subscriber) -> None:
        """Returns when every partition has been told of a confirmed address; the same event again tells the same."""
        if not isinstance(event, Confirmed) or not subscriber.id.startswith(SIGNED_UP):
            return
        if subscriber.erased or subscriber.merged_into is not None:
            return
        for channel, token in sorted(subscriber.address_tokens.items()):
            if channel not in event.channels or channel in subscriber.unconfirmed:
                continue
            heard = AddressConfirmed(
                channel=channel,
                address_token=token,
                subscriber=subscriber.id,
                choices=subscriber.choices,
                at=record.timestamp,
            )
            for partition in range(self._partitions):
                await self._emitter.write(
                    topics.PROVIDER_RECEIPTS,
                    heard,
                    id=derived("address confirmed", subscriber.id, record.offset, channel, partition),
                    subject=subscriber.id,
                    partition=partition,
                    time=record.timestamp,
                )

    async def confirmed(self, holding: Holding, id: str, heard: AddressConfirmed) -> None:
        """Makes them one with whoever of this partition has the address."""
        await self._holdings.opt_outs_reached(holding.partition)
        for name in holding.subscribers.of_address(heard.channel, heard.address_token):
            for number, (whom, event) in enumerate(joined(holding.subscribers[name], heard)):
                await self._emitter.write(
                    topics.SUBSCRIBER_EVENTS_TOPIC,
                    event,
                    id=derived("joined", id, name, number),
                    subject=whom,
                    time=heard.at,
                )
