"""What comes back: providers' receipts, keywords such as STOP, and the subscribers' own events."""

from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.holdings import Holding, Holdings
from pipeline.clock import Clock
from schemas import codec, topics
from schemas.base import Message
from schemas.codec import Record, Undecodable
from schemas.delivery import DeliveriesEnded, Outcome, ReceiptRecorded, Result
from schemas.ids import derived
from schemas.receipt import DeliveryReported, KeywordReceived
from schemas.subscriber import SUBSCRIBER_EVENTS, Restarted, Stopped

PROVES_ACCEPTANCE = frozenset({"queued", "sending", "sent", "delivered", "undelivered", "failed", "read"})
"""Any status at all says that the provider had taken the message; what became of it then is a receipt."""


class Receiving:
    """The receiving side of the deliver room."""

    def __init__(self, emitter: Emitter, dead: DeadLetters, holdings: Holdings, clock: Clock) -> None:
        self._emitter = emitter
        self._dead = dead
        self._holdings = holdings
        self._clock = clock

    async def receipt(self, record: Record) -> bool:
        """Puts a receipt on record, or acts on a keyword if the address is one of this partition's."""
        event = await self._dead.decoded(record, Message)
        if event is None:
            return True
        holding = await self._holdings.get(record.partition)
        if holding is None:
            return False
        if isinstance(event.data, DeliveryReported):
            await self._reported(holding, event.data)
        elif isinstance(event.data, KeywordReceived):
            await self._keyword(holding, event.data)
        return True

    async def subscriber(self, record: Record) -> bool:
        """Writes the subscriber's current state; what is no event of a subscriber goes to the dead letters."""
        try:
            event = codec.decode_input(record)
        except Undecodable as error:
            await self._dead.bury(record, error)
            return True
        holding = await self._holdings.get(record.partition)
        if holding is None:
            return False
        await self._holdings.opt_outs_reached(record.partition)
        subscriber = holding.subscribers.get(event.subject or "")
        if subscriber is None and isinstance(event.data, SUBSCRIBER_EVENTS):
            await self._dead.bury(
                record, Undecodable("unknown_subscriber", "nobody was subscribed under this id before")
            )
        elif subscriber is not None:
            await self._emitter.write(
                topics.SUBSCRIBERS,
                subscriber.whole(),
                id=derived("subscriber", subscriber.id, record.offset),
                subject=subscriber.id,
                partition=record.partition,
            )
        return True

    async def _reported(self, holding: Holding, report: DeliveryReported) -> None:
        receipt = ReceiptRecorded(
            intent_id=report.intent_id,
            channel=report.channel,
            status=report.status,
            code=report.code,
            provider_id=report.provider_id,
            at=report.at,
        )
        await self._write(holding, receipt, derived("receipt", report.provider_id, report.status), report.intent_id)
        found = holding.ledger.intent(report.intent_id)
        if found is None or report.status not in PROVES_ACCEPTANCE:
            return
        told, recipient = found
        work = holding.ledger.work(told, recipient)
        if work is not None and work.unknowns and not work.terminal:  # put off since, perhaps, or being tried again
            ended = DeliveriesEnded(
                batch_id=derived("receipt", report.intent_id),
                notice_id=holding.ledger.notice(told, recipient),
                incident=told.incident,
                seq=told.seq,
                channel=told.channel,
                at=self._clock(),
                attempt=work.attempt,
                outcomes=(
                    Outcome(
                        recipient=recipient,
                        result=Result.ACCEPTED,
                        reason="status_callback_proves_acceptance",
                        provider_id=report.provider_id,
                    ),
                ),
            )
            await self._write(holding, ended, derived("proved", report.intent_id), told.incident)

    async def _keyword(self, holding: Holding, heard: KeywordReceived) -> None:
        if heard.keyword == "HELP":
            return
        await self._holdings.opt_outs_reached(holding.partition)  # who has just come may say STOP at once
        for subscriber in holding.subscribers.of_address(heard.channel, heard.address_token):
            stopped = heard.keyword == "STOP"
            await self._emitter.write(
                topics.SUBSCRIBER_EVENTS_TOPIC,
                Stopped(channel=heard.channel, via="keyword") if stopped else Restarted(channel=heard.channel),
                id=derived("keyword", heard.provider_id, subscriber),
                subject=subscriber,
                time=heard.at,
            )

    async def _write(self, holding: Holding, record: Message, id: str, subject: str) -> None:
        await self._emitter.write(
            topics.DELIVERY_RECORDS_TOPIC, record, id=id, subject=subject, partition=holding.partition
        )
        holding.ledger.apply(record)
