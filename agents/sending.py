"""Sending: admit, record the attempt, one effect, record its end. One way for all channels.

Order of records: intent, attempt (durable before the call), then what is left to do later (wakes), then the outcome;
the batch is acknowledged last. A crash anywhere leaves an attempt without an end, which the next owner puts on record
as unknown, and never work that nobody knows of.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.gate import Gate, Turn
from agents.heartbeat import Heartbeat
from agents.holdings import Holdings
from agents.inhand import InHand, Records
from agents.sealing import Sealing
from agents.spending import Spending
from agents.turns import Turns
from agents.waiting import Waiting
from pipeline import failpoints
from pipeline.channels.base import Envelope, Recipient, Sender, Sent
from pipeline.clock import Clock
from pipeline.deliver.admit import Admission, Defer, Send, Skip, Suppress, Verdict
from pipeline.deliver.past import Lookback
from pipeline.deliver.retry import Patience, outcome_of
from pipeline.deliver.spending import REASON as SPENDING_CAP
from pipeline.deliver.spending import Over, units_of
from pipeline.links import Links
from pipeline.receipts import status
from pipeline.vault import Unreadable, Vault
from schemas import topics
from schemas.base import Channel
from schemas.codec import Record
from schemas.delivery import (
    DeliveriesIntended,
    DeliveryAttempted,
    DeliveryBatch,
    Outcome,
    Request,
    Result,
)
from schemas.ids import attempt_id, derived
from schemas.subscriber import Bounced, Stopped, SubscriberKind

OPT_OUTS_HOLD_S = 0.5
"""For how long it counts what the opt-outs were when they were asked for; it takes some milliseconds as a rule."""
ASKED_AT_MOST = 3

log = logging.getLogger("tocsin.deliver")


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
        gates: Mapping[Channel, Gate],
        turns: Turns,
        spending: Spending,
        sealing: Sealing,
        links: Links,
        clock: Clock,
        random: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._emitter = emitter
        self._dead = dead
        self._holdings = holdings
        self._heartbeat = heartbeat
        self._vault = vault
        self._senders = senders
        self._patience = patience
        self._links = links
        self._clock = clock
        self._random = random
        self._monotonic = monotonic
        self._gates = gates
        self._turns = turns
        self._spending = spending
        self._sealing = sealing
        self._records = Records(emitter, clock)
        self.waiting = Waiting(emitter, self._records, patience, clock, random)
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def handle(self, record: Record) -> bool:
        """Takes one batch to its durable result; False if its partition is not ours any more."""
        event = await self._dead.decoded(record, DeliveryBatch)
        if event is None:
            return True
        await self._heartbeat.fresh()  # whoever was thought dead goes by what others put on record meanwhile
        holding = await self._holdings.get(record.partition)
        if holding is None:
            return False
        await self._turns.passes(event.data.lane)
        with self._turns.of(event.data.lane):
            return await self._batch(InHand(event.data, holding, event.extensions.get("traceparent")))

    async def _batch(self, work: InHand) -> bool:
        verdicts = self._verdicts(work, work.batch.recipients)
        await self._intend(work, verdicts)
        sending = [recipient for recipient, verdict in verdicts.items() if isinstance(verdict, Send)]
        done = await self._send_all(work, sending)
        if done:
            work.holding.arrived(work.batch)
            await self.waiting.secure(work)
        return done

    def _verdicts(self, work: InHand, recipients: Sequence[str]) -> dict[str, Verdict]:
        """What becomes of each, as the folds stand at this moment."""
        holding, batch, at = work.holding, work.batch, self._clock()
        people, works, past = holding.subscribers, holding.ledger.works(work.told), Lookback(holding.ledger, batch, at)
        admission = Admission(batch, work.shown(at))
        return {one: admission.of(people.get(one), works.get(one), past.of(one)) for one in recipients}

    async def _intend(self, work: InHand, verdicts: Mapping[str, Verdict]) -> None:
        works = work.holding.ledger.works(work.told)
        fresh = [r for r, verdict in verdicts.items() if works.get(r) is None and not isinstance(verdict, Skip)]
        if fresh:
            await self._records.of(
                work,
                DeliveriesIntended(
                    **work.named(self._clock()),
                    kind=work.batch.kind,
                    audience=work.batch.audience,
                    rendering=work.batch.rendering.sha256,
                    zone=work.batch.zone,
                    closing=work.batch.closing,
                    corrects=work.batch.corrects,
                    recipients=tuple(fresh),
                ),
                derived("intended", work.batch.batch_id, work.batch.attempt, *fresh),
            )
            failpoints.hit("deliver.after_intent")
        await self._refuse(work, verdicts)

    async def _refuse(self, work: InHand, verdicts: Mapping[str, Verdict]) -> None:
        """Puts on record who is not told, and who is told later; of the latter, waiting work first."""
        await self._records.suppress(work, {r: v.reason for r, v in verdicts.items() if isinstance(v, Suppress)})
        await self.waiting.put_off(
            work, {r: (work.due(v.until), v.reason) for r, v in verdicts.items() if isinstance(v, Defer)}
        )

    async def _send_all(self, work: InHand, recipients: Sequence[str]) -> bool:
        sender = self._senders.get(work.batch.channel)
        if sender is None:
            outcomes = (Outcome(recipient=r, result=Result.PARKED, reason="channel_not_configured") for r in recipients)
            if recipients:
                await self._records.end(work, None, outcomes)
            return True
        if recipients and (why := self._too_dear(work)):
            await self._records.end(work, None, _parked(recipients, why))
            return True
        size = sender.max_window
        windows = [recipients[start : start + size] for start in range(0, len(recipients), size)]
        results = await asyncio.gather(*(self._in_turn(work, sender, window) for window in windows))
        return all(results)

    async def _in_turn(self, work: InHand, sender: Sender, window: Sequence[str]) -> bool:
        async with self._gates[work.batch.channel].turn(work.batch.lane) as slot:
            await self._sealing.goes_on()
            await self._opt_outs(work.holding.partition)
            turn = self._holdings.turn(work.holding)
            if turn is None:
                return False
            verdicts = self._verdicts(work, window)
            self._begun()
            try:
                await self._refuse(work, verdicts)
                admitted = {r: v for r, v in verdicts.items() if isinstance(v, Send)}
                if slot.shut is not None:
                    await self.waiting.put_off(work, dict.fromkeys(admitted, (slot.shut, "provider_limit")))
                    return True
                return await self._window(work, sender, admitted, turn, slot)
            finally:
                self._done()

    async def _opt_outs(self, partition: int) -> None:
        """Returns when they are folded as of this moment, and this worker is a member still.

        An answer that was slow is of an earlier moment, and so is one that the process slept over: it is asked for
        again. Not for ever, since a broker whose every answer is slow would end all sending.
        """
        for _ in range(ASKED_AT_MOST):
            asked = self._monotonic()
            await self._holdings.opt_outs_reached(partition)
            await self._heartbeat.fresh()
            if (took_s := self._monotonic() - asked) < OPT_OUTS_HOLD_S:
                return
        log.warning("who left is known as of %.1f s ago: the broker is slow to say it, and is not asked again", took_s)

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

    async def _window(self, work: InHand, sender: Sender, admitted: Mapping[str, Send], turn: int, slot: Turn) -> bool:
        made = [self._recipient(work, recipient) for recipient in admitted]
        reached = [recipient for recipient in made if isinstance(recipient, Recipient)]
        if unreachable := [outcome for outcome in made if isinstance(outcome, Outcome)]:
            await self._records.end(work, None, unreachable)
        if not reached:
            return True
        batch, at, units = work.batch, self._clock(), units_of(work.batch.rendering) * len(reached)
        if (why := self._too_dear(work, len(reached))) is not None:
            await self._records.end(work, None, _parked([recipient.subscriber for recipient in reached], why))
            return True
        attempted = DeliveryAttempted(
            **work.named(at),
            attempt_id=attempt_id(batch.batch_id, batch.attempt, reached[0].subscriber),
            attempt=batch.attempt,
            kind=batch.kind,
            rendering=batch.rendering.sha256,
            recipients=tuple(recipient.subscriber for recipient in reached),
            units=units,
        )
        self.waiting.in_hand.add(attempted.attempt_id)
        try:
            with self._spending.about_to(batch.channel, batch.incident, at, units):
                offset = await self._records.of(work, attempted, attempted.attempt_id)
            self._sealing.owes(work.holding.partition, offset)
            await self._heartbeat.fresh()
            if not self._holdings.lasts(work.holding, turn):
                return False  # as if we had died here: whoever owns the partition finds the attempt open
            failpoints.hit("deliver.before_effect")
            reconciled = {r.subscriber for r in reached if admitted[r.subscriber].reconcile}
            began = self._clock()
            sent = await self._effect(sender, work.envelope(at), reached, reconciled)
            slot.answered(began, self._clock(), sent)
            failpoints.hit("deliver.after_effect")
            await self._conclude(work, attempted, reached, sent)
        finally:
            self.waiting.in_hand.discard(attempted.attempt_id)
        failpoints.hit("deliver.after_record")
        return True

    def _too_dear(self, work: InHand, messages: int = 1) -> Over | None:
        """Which cap so many messages would exceed, unless a person ordered them all the same."""
        batch = work.batch
        if batch.ordered is not None:
            return None
        units = units_of(batch.rendering) * messages
        return self._spending.why_not(batch.channel, batch.incident, self._clock(), units)

    async def _effect(
        self, sender: Sender, envelope: Envelope, recipients: Sequence[Recipient], reconcile: set[str]
    ) -> list[Sent]:
        """Sends; for those whose earlier attempt nobody knows the end of, first finds out."""
        known: dict[str, Sent] = {}
        for recipient in recipients:
            if recipient.subscriber in reconcile:
                found = await sender.reconcile(envelope, recipient)
                if found.result is not Result.RETRYABLE or found.retry_after_s is not None:
                    known[recipient.subscriber] = found
        rest = [recipient for recipient in recipients if recipient.subscriber not in known]
        if rest:
            for recipient, sent in zip(rest, await sender.send(envelope, rest), strict=True):
                known[recipient.subscriber] = sent
        return [known[recipient.subscriber] for recipient in recipients]

    async def _conclude(
        self, work: InHand, attempted: DeliveryAttempted, recipients: Sequence[Recipient], sent: Sequence[Sent]
    ) -> None:
        at, jitter, batch, ledger = self._clock(), self._random(), work.batch, work.holding.ledger
        outcomes = [
            outcome_of(
                answer,
                recipient.subscriber,
                ledger.so_far(work.told, recipient.subscriber, batch.attempt),
                at=at,
                patience=self._patience[batch.channel],
                random=lambda: jitter,  # one draw a window, so that it comes back as one window
            )
            for recipient, answer in zip(recipients, sent, strict=True)
        ]
        await self.waiting.later(work, outcomes)
        # Before the end is on record: after it nothing would bring this batch, and with it the opt-out, back.
        for recipient, answer in zip(recipients, sent, strict=True):
            if (event := _left(batch.channel, answer)) is not None:
                await self._emitter.write(
                    topics.SUBSCRIBER_EVENTS_TOPIC,
                    event,
                    id=derived("bounced" if isinstance(event, Bounced) else "stopped", recipient.intent_id),
                    subject=recipient.subscriber,
                    time=at,
                    parent=work.parent,
                )
        await self._records.end(work, attempted.attempt_id, outcomes)

    def _recipient(self, work: InHand, subscriber_id: str) -> Recipient | Outcome:
        """How to reach a subscriber, or why that cannot be."""
        holding, batch = work.holding, work.batch
        subscriber, key = holding.subscribers.get(subscriber_id), holding.subscribers.key(subscriber_id)
        sealed = subscriber.sealed if subscriber is not None else None
        if subscriber is None or sealed is None or key is None:
            return Outcome(recipient=subscriber_id, result=Result.SUPPRESSED, reason="no_address")
        try:
            contact = self._vault.unseal(subscriber_id, self._vault.unwrap(subscriber_id, key), sealed)
        except Unreadable as error:
            log.error("the contact of %s cannot be read, their message is parked: %s", subscriber_id, error)
            return Outcome(recipient=subscriber_id, result=Result.PARKED, reason="contact_unreadable")
        address = contact.address(batch.channel)
        if address is None:
            return Outcome(recipient=subscriber_id, result=Result.SUPPRESSED, reason="no_address")
        asks = batch.kind is Request.CONFIRMATION
        intent = work.intent(subscriber_id)
        return Recipient(
            subscriber=subscriber_id,
            intent_id=intent,
            partition=holding.partition,
            address=address,
            name=contact.name,
            unsubscribe_url=None if asks else self._links.leave(subscriber, batch.channel),
            one_click=subscriber.kind is not SubscriberKind.LIST,
            confirm_url=self._links.confirm(subscriber, batch.channel, self._clock()) if asks else None,
            return_token=self._links.return_path(intent, holding.partition) if batch.channel is Channel.EMAIL else None,
            first_intent_id=holding.ledger.first_intent(batch.incident, batch.channel, subscriber_id),
            secret=contact.secret(batch.channel),
        )


def _parked(recipients: Iterable[str], why: Over) -> list[Outcome]:
    """They wait for a person, who may let them go all the same (`tocsin deliveries retry`)."""
    return [Outcome(recipient=r, result=Result.PARKED, reason=SPENDING_CAP, detail=str(why)) for r in recipients]


def _left(channel: Channel, answer: Sent) -> Stopped | Bounced | None:
    """What a refusal says of the address for good: that they left, or that there is nobody (a bounce said at once)."""
    if answer.opt_out:
        return Stopped(channel=channel, via="provider")
    if channel is not Channel.EMAIL or answer.result is not Result.PERMANENT or answer.code is None:
        return None
    code = status.code_in(answer.code)
    if status.classified(code, answer.detail or "") is not status.Verdict.HARD:
        return None
    return Bounced(channel=channel, code=code or answer.code)
