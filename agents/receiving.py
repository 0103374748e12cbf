"""What comes back: providers' receipts, keywords such as STOP, and the subscribers' own events."""

from collections.abc import Callable

from agents.asking import Asking
from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.holdings import Holding, Holdings
from agents.inhand import Records
from agents.joining import Joining
from pipeline import failpoints
from pipeline.clock import Clock
from pipeline.deliver import bounces
from pipeline.deliver.bounces import Came
from pipeline.deliver.forgetting import unanswered
from pipeline.deliver.work import Told
from pipeline.merging import as_event
from pipeline.subscribers import key_record
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.codec import Record, Undecodable
from schemas.delivery import DeliveriesEnded, Outcome, ReceiptRecorded, Result
from schemas.ids import derived
from schemas.receipt import AddressConfirmed, BounceReceived, ComplaintReceived, DeliveryReported, KeywordReceived
from schemas.subscriber import (
    SUBSCRIBER_EVENTS,
    Bounced,
    ChoicesChanged,
    Complained,
    Confirmed,
    Erased,
    Merged,
    Restarted,
    Stopped,
    Subscribed,
    Subscriber,
    SubscriberEvent,
    Unsubscribed,
)

PROVES_ACCEPTANCE = frozenset({"queued", "sending", "sent", "delivered", "undelivered", "failed", "read"})
"""Any status at all says that the provider had taken the message; what became of it then is a receipt."""

OPT_OUTS = (Unsubscribed, Bounced, Complained, Stopped)
SEALING = (Erased, Merged, Subscribed, ChoicesChanged)
"""What ends a key, and what may have brought one for somebody who is gone."""


class Receiving:
    """The receiving side of the deliver room."""

    def __init__(
        self,
        emitter: Emitter,
        dead: DeadLetters,
        holdings: Holdings,
        clock: Clock,
        soft_bounces: Callable[[], int],
        asking: Asking,
        partitions: int,
    ) -> None:
        """`soft_bounces`: how many in a row the policy in force bears; `partitions`: of everybody."""
        self._emitter = emitter
        self._dead = dead
        self._holdings = holdings
        self._clock = clock
        self._soft_bounces = soft_bounces
        self._asking = asking
        self._joining = Joining(emitter, holdings, partitions)
        self._records = Records(emitter, clock)

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
        elif isinstance(event.data, AddressConfirmed):
            await self._joining.confirmed(holding, event.id, event.data)
        elif isinstance(event.data, BounceReceived | ComplaintReceived):
            found = holding.ledger.intent(event.data.intent_id)
            if found is None:
                await self._dead.bury(record, Undecodable("unknown_intent", "nothing was sent under this id from here"))
            elif isinstance(event.data, BounceReceived):
                await self._bounced(holding, *found, event.data)
            else:
                await self._complained(holding, *found, event.data)
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
        if not holding.folded(record):
            await self._holdings.opt_outs_reached(record.partition)
        subscriber = holding.subscribers.get(event.subject or "")
        if subscriber is None and isinstance(event.data, SUBSCRIBER_EVENTS):
            await self._dead.bury(
                record, Undecodable("unknown_subscriber", "nobody was subscribed under this id before")
            )
        elif subscriber is not None:
            whole = subscriber.whole()
            await self._emitter.write(
                topics.SUBSCRIBERS,
                whole,
                id=derived("subscriber", subscriber.id, record.offset),
                subject=subscriber.id,
                partition=record.partition,
            )
            await self._passed_on(record, event.data, whole)
            await self._without_key(event.data, whole)
            await self._joining.tell(record, event.data, whole)
            await self._asking.ask(record, event.data, whole)
        return True

    async def forget_unanswered(self, holding: Holding) -> None:
        """Erases whoever was signed up and let the request for confirmation grow too old."""
        for name in unanswered(holding.subscribers, self._clock()):
            await self._say(name, Erased(because="unconfirmed"), derived("unanswered", name))

    async def _without_key(self, event: Message, subscriber: Subscriber) -> None:
        """Whoever wrote the event may have died before the tombstone, or may not know that there must be one."""
        if isinstance(event, SEALING) and (subscriber.erased or subscriber.merged_into is not None):
            await self._emitter.forward(key_record(subscriber.id, None, self._clock()))

    async def _passed_on(self, record: Record, event: Message, subscriber: Subscriber) -> None:
        """Whoever is somebody else now may still answer a message of before, and may have left while they were being
        merged: their word counts for the other.
        """
        other, channels = subscriber.merged_into, subscriber.standing.merged_on
        if other is None:
            return
        if isinstance(event, OPT_OUTS):
            left = [event] if event.channel in channels else []
        elif isinstance(event, Merged):
            left = [as_event(c, out.reason) for c, out in sorted(subscriber.opted_out.items()) if c in channels]
        else:
            left = []
        for word in left:
            await self._say(other, word, derived("passed on", subscriber.id, record.offset, word.channel))

    async def _reported(self, holding: Holding, report: DeliveryReported) -> None:
        found = holding.ledger.intent(report.intent_id)
        await self._put_on_record(holding, report, report.status)
        if found is None:
            return
        told, recipient = found
        if report.channel is Channel.SMS:
            await self._text_came_back(holding, told, recipient, report)
        if report.status not in PROVES_ACCEPTANCE:
            return
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
            await self._records.write(holding, told.incident, ended, derived("proved", report.intent_id))

    async def _text_came_back(self, holding: Holding, told: Told, recipient: str, report: DeliveryReported) -> None:
        if (left := bounces.stopped_at_provider(report.status, report.code)) is not None:
            await self._say(recipient, left, derived("stopped", report.intent_id))
        if (came := bounces.text_came_back(report.status, report.code)) is not None:
            await self._put_on_record(holding, report, came)
            await self._conclude(holding, told, recipient, came, report)

    async def _bounced(self, holding: Holding, told: Told, recipient: str, heard: BounceReceived) -> None:
        await self._holdings.opt_outs_reached(holding.partition)  # whether they are a list, and their address now
        came = bounces.came_back(holding.subscribers.get(recipient), heard)
        await self._put_on_record(holding, heard, came)
        await self._conclude(holding, told, recipient, came, heard)

    async def _complained(self, holding: Holding, told: Told, recipient: str, heard: ComplaintReceived) -> None:
        await self._holdings.opt_outs_reached(holding.partition)
        await self._put_on_record(holding, heard, bounces.COMPLAINED)
        event = bounces.complaint(holding.subscribers.get(recipient), told.channel)
        if event is not None:
            await self._say(recipient, event, derived("complained", heard.intent_id))

    async def _conclude(
        self, holding: Holding, told: Told, recipient: str, came: Came, heard: BounceReceived | DeliveryReported
    ) -> None:
        """What it means for the subscriber stands in the broker before the receipt is acknowledged, so that it holds
        before the next send.
        """
        event = bounces.consequence(
            holding.subscribers.get(recipient),
            told.channel,
            came,
            heard.code,
            bounces.soft_in_a_row(holding.ledger, told.channel, recipient, heard.at),
            self._soft_bounces(),
        )
        if event is not None:
            await self._say(recipient, event, derived("bounced", heard.intent_id))

    async def _say(self, subscriber: str, event: SubscriberEvent, id: str) -> None:
        await self._emitter.write(topics.SUBSCRIBER_EVENTS_TOPIC, event, id=id, subject=subscriber, time=self._clock())

    async def _put_on_record(
        self, holding: Holding, heard: DeliveryReported | BounceReceived | ComplaintReceived, status: str
    ) -> None:
        receipt = ReceiptRecorded(
            intent_id=heard.intent_id,
            channel=heard.channel,
            status=status,
            code=heard.feedback if isinstance(heard, ComplaintReceived) else heard.code,
            provider_id=heard.provider_id,
            at=heard.at,
        )
        await self._records.write(holding, heard.intent_id, receipt, derived("receipt", heard.provider_id, status))
        failpoints.hit("deliver.after_receipt")

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
            if not stopped and heard.channel in holding.subscribers[subscriber].unconfirmed:
                # The number itself says yes, and Twilio has signed for it: that is what was asked.
                confirmed = Confirmed(channels=(heard.channel,), address_tokens={heard.channel: heard.address_token})
                await self._say(subscriber, confirmed, derived("confirmed", heard.provider_id, subscriber))
