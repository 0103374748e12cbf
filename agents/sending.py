"""Sending: admit, record the attempt, one effect, record its end. One way for all channels.

Order of records: intent, attempt (durable before the call), then what is left to do later (wakes), then the outcome;
the batch is acknowledged last. A crash anywhere leaves an attempt without an end, which the next owner puts on record
as unknown, and never work that nobody knows of.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.heartbeat import Heartbeat
from agents.holdings import Holding, Holdings
from pipeline import failpoints
from pipeline.channels.base import Envelope, Recipient, Sender, Sent
from pipeline.clock import Clock
from pipeline.deliver.admit import Send, Skip, Suppress, Verdict, admit
from pipeline.deliver.ledger import Told
from pipeline.deliver.retry import Patience, outcome_of
from pipeline.vault import Unreadable, Vault
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.codec import Record, Undecodable
from schemas.delivery import (
    DeliveriesEnded,
    DeliveriesIntended,
    DeliveryAttempted,
    DeliveryBatch,
    DeliveryWake,
    Outcome,
    Result,
)
from schemas.ids import attempt_id, derived, intent_id
from schemas.subscriber import Stopped

log = logging.getLogger("tocsin.deliver")

LOST_AFTER = timedelta(minutes=10)
WINDOWS_AT_ONCE = {Channel.EMAIL: 4, Channel.SMS: 16, Channel.X: 1}


class Post:
    """The sending side of the deliver room."""

    def __init__(
        self,
        emitter: Emitter,
        dead: DeadLetters,
        holdings: Holdings,
        heartbeat: Heartbeat,
        vault: Vault,
        senders: Mapping[Channel, Sender],
        patience: Mapping[Channel, Patience],
        unsubscribe_url: Callable[[str, Channel], str],
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._emitter = emitter
        self._dead = dead
        self._holdings = holdings
        self._heartbeat = heartbeat
        self._vault = vault
        self._senders = senders
        self._patience = patience
        self._unsubscribe_url = unsubscribe_url
        self._clock = clock
        self._random = random
        self._slots = {channel: asyncio.Semaphore(n) for channel, n in WINDOWS_AT_ONCE.items()}
        self._in_hand: set[str] = set()
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def handle(self, record: Record) -> bool:
        """Takes one batch to its durable result; False if its partition is not ours any more."""
        try:
            event = codec.decode(record, DeliveryBatch)
        except Undecodable as error:
            await self._dead.bury(record, error)
            return True
        holding = await self._holdings.get(record.partition)
        if holding is None:
            return False
        work = _Batch(event.data, holding, event.extensions.get("traceparent"))
        verdicts = {recipient: self._verdict(work, recipient) for recipient in event.data.recipients}
        await self._intend(work, verdicts)
        sending = [recipient for recipient, verdict in verdicts.items() if isinstance(verdict, Send)]
        done = await self._send_all(work, sending)
        if done:
            await self._secure(work)
        return done

    def _verdict(self, work: "_Batch", recipient: str) -> Verdict:
        holding, batch = work.holding, work.batch
        return admit(holding.subscribers.get(recipient), batch, holding.ledger.work(work.told, recipient))

    async def _secure(self, work: "_Batch") -> None:
        """Sees to it that whoever has no end yet is brought back by waiting work, before the batch is acknowledged.

        An attempt is open here if an earlier worker recorded it and died, or lost the partition, before its effect.
        """
        await self.take_over(work.holding, work.told)
        outcomes = []
        for recipient in work.batch.recipients:
            state = work.holding.ledger.work(work.told, recipient)
            if state is None or state.due is None or state.terminal or state.attempt != work.batch.attempt:
                continue
            if not work.holding.is_awaited(work.told, recipient, state.attempt + 1):
                result = state.result or Result.UNKNOWN
                outcomes.append(Outcome(recipient=recipient, result=result, reason="restored", due=state.due))
        await self._wake_later(work, outcomes)

    async def _intend(self, work: "_Batch", verdicts: Mapping[str, Verdict]) -> None:
        fresh = [r for r in verdicts if work.holding.ledger.work(work.told, r) is None]
        fresh = [r for r in fresh if not isinstance(verdicts[r], Skip)]
        if fresh:
            await self._record(
                work,
                DeliveriesIntended(
                    **work.named(self._clock()),
                    kind=work.batch.kind,
                    audience=work.batch.audience,
                    rendering=work.batch.rendering.sha256,
                    recipients=tuple(fresh),
                ),
                derived("intended", work.batch.batch_id, work.batch.attempt, *fresh),
            )
        await self._suppress(work, {r: v.reason for r, v in verdicts.items() if isinstance(v, Suppress)})

    async def _suppress(self, work: "_Batch", reasons: Mapping[str, str]) -> None:
        if reasons:
            outcomes = (Outcome(recipient=r, result=Result.SUPPRESSED, reason=why) for r, why in reasons.items())
            await self._end(work, None, outcomes)

    async def _send_all(self, work: "_Batch", recipients: Sequence[str]) -> bool:
        sender = self._senders.get(work.batch.channel)
        if sender is None:
            outcomes = (Outcome(recipient=r, result=Result.PARKED, reason="channel_not_configured") for r in recipients)
            if recipients:
                await self._end(work, None, outcomes)
            return True
        size = sender.max_window
        windows = [recipients[start : start + size] for start in range(0, len(recipients), size)]
        results = await asyncio.gather(*(self._in_turn(work, sender, window) for window in windows))
        return all(results)

    async def _in_turn(self, work: "_Batch", sender: Sender, window: Sequence[str]) -> bool:
        async with self._slots[work.batch.channel]:
            await self._holdings.opt_outs_reached(work.holding.partition)
            await self._heartbeat.fresh()
            turn = self._holdings.turn(work.holding)
            if turn is None:
                return False
            verdicts = {recipient: self._verdict(work, recipient) for recipient in window}
            self._begun()
            try:
                await self._suppress(work, {r: v.reason for r, v in verdicts.items() if isinstance(v, Suppress)})
                return await self._window(
                    work, sender, {r: v for r, v in verdicts.items() if isinstance(v, Send)}, turn
                )
            finally:
                self._done()

    async def quiet(self, within_s: float) -> None:
        """Returns when no window is under way, or after `within_s`: what is begun shall be recorded by its beginner."""
        try:
            await asyncio.wait_for(self._quiet.wait(), within_s)
        except TimeoutError:
            log.warning("%d windows were still under way after %.0f s", self._under_way, within_s)

    def _begun(self) -> None:
        self._under_way += 1
        self._quiet.clear()

    def _done(self) -> None:
        self._under_way -= 1
        if self._under_way == 0:
            self._quiet.set()

    async def _window(self, work: "_Batch", sender: Sender, admitted: Mapping[str, Send], turn: int) -> bool:
        reached = [made for r in admitted if (made := self._recipient(work, r)) is not None]
        missing = admitted.keys() - {recipient.subscriber for recipient in reached}
        await self._suppress(work, dict.fromkeys(sorted(missing), "no_address"))
        if not reached:
            return True
        batch, at = work.batch, self._clock()
        attempted = DeliveryAttempted(
            **work.named(at),
            attempt_id=attempt_id(batch.batch_id, batch.attempt, reached[0].subscriber),
            attempt=batch.attempt,
            kind=batch.kind,
            rendering=batch.rendering.sha256,
            recipients=tuple(recipient.subscriber for recipient in reached),
        )
        self._in_hand.add(attempted.attempt_id)
        try:
            await self._record(work, attempted, attempted.attempt_id)
            await self._heartbeat.fresh()
            if not self._holdings.lasts(work.holding, turn):
                return False  # as if we had died here: whoever owns the partition finds the attempt open
            failpoints.hit("deliver.before_effect")
            reconciled = {r.subscriber for r in reached if admitted[r.subscriber].reconcile}
            sent = await self._effect(sender, work.envelope(at), reached, reconciled)
            failpoints.hit("deliver.after_effect")
            await self._conclude(work, attempted, reached, sent)
        finally:
            self._in_hand.discard(attempted.attempt_id)
        failpoints.hit("deliver.after_record")
        return True

    async def _effect(
        self, sender: Sender, envelope: Envelope, recipients: Sequence[Recipient], reconcile: set[str]
    ) -> list[Sent]:
        """Sends; for those whose earlier attempt nobody knows the end of, first finds out."""
        known: dict[str, Sent] = {}
        for recipient in recipients:
            if recipient.subscriber in reconcile:
                found = await sender.reconcile(envelope, recipient)
                if found.result is not Result.RETRYABLE:
                    known[recipient.subscriber] = found
        rest = [recipient for recipient in recipients if recipient.subscriber not in known]
        if rest:
            for recipient, sent in zip(rest, await sender.send(envelope, rest), strict=True):
                known[recipient.subscriber] = sent
        return [known[recipient.subscriber] for recipient in recipients]

    async def _conclude(
        self, work: "_Batch", attempted: DeliveryAttempted, recipients: Sequence[Recipient], sent: Sequence[Sent]
    ) -> None:
        at, jitter, batch = self._clock(), self._random(), work.batch
        outcomes = [
            outcome_of(
                answer,
                recipient.subscriber,
                attempt=batch.attempt,
                unknowns=work.holding.ledger.unknowns(work.told, recipient.subscriber)
                + (answer.result is Result.UNKNOWN),
                intended_at=work.holding.ledger.intended_at(work.told) or at,
                at=at,
                patience=self._patience[batch.channel],
                random=lambda: jitter,  # one draw a window, so that it comes back as one window
            )
            for recipient, answer in zip(recipients, sent, strict=True)
        ]
        await self._wake_later(work, outcomes)
        await self._end(work, attempted.attempt_id, outcomes)
        for recipient, answer in zip(recipients, sent, strict=True):
            if answer.opt_out:
                await self._emitter.write(
                    topics.SUBSCRIBER_EVENTS_TOPIC,
                    Stopped(channel=batch.channel, via="provider"),
                    id=derived("stopped", recipient.intent_id),
                    subject=recipient.subscriber,
                    time=at,
                    parent=work.parent,
                )

    async def _wake_later(self, work: "_Batch", outcomes: Iterable[Outcome]) -> None:
        """Puts what is to be tried again among the waiting work."""
        by_due: dict[datetime, list[Outcome]] = {}
        for outcome in outcomes:
            if outcome.due is not None:
                by_due.setdefault(outcome.due, []).append(outcome)
        for due, waiting in sorted(by_due.items()):
            wake = _wake(work, due, waiting)
            await self._emitter.write(
                topics.DELIVERY_WAKES,
                wake,
                id=wake.wake_id,
                subject=work.batch.incident,
                partition=work.holding.partition,
                parent=work.parent,
            )
            work.holding.wait(wake)

    async def take_over(self, holding: Holding, told: Told | None = None) -> None:
        """Puts every attempt (of one notice) that was left without an end on record; it is looked into after the hold.

        Its batch was not acknowledged, so that it comes again and its waiting work is made then. What was left too
        often is parked: a message at which the worker ends would otherwise come back for ever.
        """
        for attempt in list(holding.ledger.open_attempts()):
            record, at = attempt.record, self._clock()
            of = Told(record.incident, record.seq, record.channel)
            if record.attempt_id in self._in_hand or told not in (None, of):
                continue
            log.warning("attempt %s of %s was left without an end: unknown", record.attempt_id, record.incident)
            outcomes = (
                outcome_of(
                    Sent(Result.UNKNOWN, "worker_ended_during_attempt"),
                    recipient,
                    attempt=record.attempt,
                    unknowns=holding.ledger.unknowns(of, recipient) + 1,
                    intended_at=holding.ledger.intended_at(of) or at,
                    at=at,
                    patience=self._patience[record.channel],
                    random=self._random,
                )
                for recipient in attempt.recipients
            )
            ended = DeliveriesEnded(
                batch_id=record.batch_id,
                notice_id=record.notice_id,
                incident=record.incident,
                seq=record.seq,
                channel=record.channel,
                at=at,
                attempt_id=record.attempt_id,
                attempt=record.attempt,
                outcomes=tuple(outcomes),
            )
            await self._write(holding, record.incident, ended, derived("taken_over", record.attempt_id), None)

    async def bring_back(self, holding: Holding) -> None:
        """Puts the batches of waiting work whose time has come among the deliveries."""
        for wake in holding.due(self._clock()):
            batch = wake.batch
            await self._emitter.write(
                topics.deliveries(batch.channel, batch.lane),
                batch,
                id=derived("woken", wake.wake_id),
                subject=batch.incident,
                key=batch.notice_id,
                partition=holding.partition,
            )

    async def give_up_lost(self, holding: Holding) -> None:
        """Parks, loudly, what has waited long past its time and that no waiting work will bring back."""
        at = self._clock()
        for told, recipient, work in holding.lost(at - LOST_AFTER):
            log.error("%s for %s on %s: its waiting work was lost; parked", told.incident, recipient, told.channel)
            ended = DeliveriesEnded(
                batch_id=derived("lost", *told),
                notice_id=holding.ledger.notice(told, recipient),
                incident=told.incident,
                seq=told.seq,
                channel=told.channel,
                at=at,
                attempt=work.attempt + 1,
                outcomes=(Outcome(recipient=recipient, result=Result.PARKED, reason="waiting_work_lost"),),
            )
            await self._write(holding, told.incident, ended, derived("lost", *told, recipient), None)

    async def _end(self, work: "_Batch", attempt: str | None, outcomes: Iterable[Outcome]) -> None:
        ended = DeliveriesEnded(
            **work.named(self._clock()),
            attempt_id=attempt,
            attempt=work.batch.attempt,
            outcomes=tuple(outcomes),
        )
        named = [f"{outcome.recipient}={outcome.result}" for outcome in ended.outcomes]
        await self._record(work, ended, derived("ended", attempt or work.batch.batch_id, work.batch.attempt, *named))

    async def _record(self, work: "_Batch", record: Message, id: str) -> None:
        await self._write(work.holding, work.batch.incident, record, id, work.parent)

    async def _write(self, holding: Holding, subject: str, record: Message, id: str, parent: str | None) -> None:
        await self._emitter.write(
            topics.DELIVERY_RECORDS_TOPIC, record, id=id, subject=subject, partition=holding.partition, parent=parent
        )
        holding.ledger.apply(record)

    def _recipient(self, work: "_Batch", subscriber_id: str) -> Recipient | None:
        holding, batch = work.holding, work.batch
        subscriber, key = holding.subscribers.get(subscriber_id), holding.keys.get(subscriber_id)
        if subscriber is None or subscriber.contact is None or key is None:
            return None
        try:
            contact = self._vault.unseal(subscriber_id, self._vault.unwrap(subscriber_id, key), subscriber.contact)
        except Unreadable as error:
            log.error("the contact of %s cannot be read: %s", subscriber_id, error)
            return None
        address = contact.address(batch.channel)
        if address is None:
            return None
        return Recipient(
            subscriber=subscriber_id,
            intent_id=intent_id(batch.incident, batch.seq, subscriber_id, batch.channel),
            partition=holding.partition,
            address=address,
            name=contact.name,
            unsubscribe_url=self._unsubscribe_url(subscriber_id, batch.channel),
            first_intent_id=holding.ledger.first_intent(batch.incident, batch.channel, subscriber_id),
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch in hand, with where it belongs."""

    batch: DeliveryBatch
    holding: Holding
    parent: str | None

    @property
    def told(self) -> Told:
        return Told(self.batch.incident, self.batch.seq, self.batch.channel)

    def named(self, at: datetime) -> dict[str, Any]:
        """What every record of this batch names."""
        batch = self.batch
        return {
            "batch_id": batch.batch_id,
            "notice_id": batch.notice_id,
            "incident": batch.incident,
            "seq": batch.seq,
            "channel": batch.channel,
            "at": at,
        }

    def envelope(self, at: datetime) -> Envelope:
        """What the sender is told about this batch."""
        batch = self.batch
        return Envelope(
            incident=batch.incident,
            notice_id=batch.notice_id,
            attempt=batch.attempt,
            at=at,
            content=batch.rendering.content,
            rendering_sha256=batch.rendering.sha256,
            language=batch.rendering.language,
        )


def _wake(work: _Batch, due: datetime, waiting: Sequence[Outcome]) -> DeliveryWake:
    batch, ids = work.batch, tuple(outcome.recipient for outcome in waiting)
    name = derived("again", batch.notice_id, batch.channel, *ids)
    again = batch.model_copy(update={"batch_id": name, "recipients": ids, "attempt": batch.attempt + 1})
    return DeliveryWake(wake_id=derived("wake", name, again.attempt), due=due, reason=waiting[0].reason, batch=again)
