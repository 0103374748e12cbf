"""Waiting work: what is to be tried again, and what an earlier worker left without an end."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from agents.emit import Emitter
from agents.holdings import Holding
from agents.inhand import InHand, Records
from pipeline import failpoints
from pipeline.channels.base import Sent
from pipeline.clock import Clock
from pipeline.deliver.retry import Patience, outcome_of
from pipeline.deliver.work import Told
from schemas import topics
from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, DeliveryWake, Outcome, Result
from schemas.ids import derived

LOST_AFTER = timedelta(minutes=10)

log = logging.getLogger("tocsin.deliver")


class Waiting:
    """Keeps, brings back and gives up what waits. `in_hand`: the attempts that this process is at."""

    def __init__(
        self,
        emitter: Emitter,
        records: Records,
        patience: Mapping[Channel, Patience],
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._emitter = emitter
        self._records = records
        self._patience = patience
        self._clock = clock
        self._random = random
        self.in_hand: set[str] = set()

    async def later(self, work: InHand, outcomes: Iterable[Outcome], turn: int | None = None) -> None:
        """Puts what is to be tried again among the waiting work; `turn`: which one it waits for, if not the next."""
        by_due: dict[datetime, list[Outcome]] = {}
        for outcome in outcomes:
            if outcome.due is not None:
                by_due.setdefault(outcome.due, []).append(outcome)
        for due, waiting in sorted(by_due.items()):
            wake = _wake(work, due, waiting, turn or work.batch.attempt + 1)
            await self._emitter.write(
                topics.DELIVERY_WAKES,
                wake,
                id=wake.wake_id,
                subject=work.batch.incident,
                partition=work.holding.partition,
                parent=work.parent,
            )
            work.holding.wait(wake)
            failpoints.hit("deliver.after_wake")

    async def put_off(self, work: InHand, until: Mapping[str, tuple[datetime, str]]) -> None:
        """These are told later: each from its moment on, by the reason named. Waiting work first, then the record."""
        outcomes = [
            Outcome(recipient=r, result=Result.DEFERRED, reason=why, due=due) for r, (due, why) in until.items()
        ]
        if outcomes:
            await self.later(work, outcomes)
            await self._records.end(work, None, outcomes)

    async def secure(self, work: InHand) -> None:
        """Sees to it that whoever has no end yet is brought back by waiting work, before the batch is acknowledged.

        An attempt is open here if an earlier worker recorded it and died, or lost the partition, before its effect. It
        may be of the turn before this batch's: what one worker put off another had begun.
        """
        await self.take_over(work.holding, work.told)
        by_turn: dict[int, list[Outcome]] = {}
        for recipient in work.batch.recipients:
            state = work.holding.ledger.work(work.told, recipient)
            if state is None or state.due is None or state.terminal or state.attempt > work.batch.attempt:
                continue
            if not work.holding.is_awaited(work.told, recipient, state.attempt + 1):
                result = state.result or Result.UNKNOWN
                outcome = Outcome(recipient=recipient, result=result, reason="restored", due=state.due)
                by_turn.setdefault(state.attempt + 1, []).append(outcome)
        for turn, outcomes in sorted(by_turn.items()):
            await self.later(work, outcomes, turn)

    async def take_over(self, holding: Holding, told: Told | None = None) -> None:
        """Puts every attempt (of one notice) that was left without an end on record; it is looked into after the hold.

        Its batch was not acknowledged, so that it comes again and its waiting work is made then. What was left too
        often is parked: a message at which the worker ends would otherwise come back for ever.
        """
        for attempt in list(holding.ledger.open_attempts()):
            record, at = attempt.record, self._clock()
            of = Told(record.incident, record.seq, record.channel)
            if record.attempt_id in self.in_hand or told not in (None, of):
                continue
            log.warning("attempt %s of %s was left without an end: unknown", record.attempt_id, record.incident)
            outcomes = (
                outcome_of(
                    Sent(Result.UNKNOWN, "worker_ended_during_attempt"),
                    recipient,
                    holding.ledger.so_far(of, recipient, record.attempt),
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
            await self._records.write(holding, record.incident, ended, derived("taken_over", record.attempt_id), None)

    async def bring_back(self, holding: Holding) -> None:
        """Puts the batches of waiting work whose time has come among the deliveries."""
        for wake in holding.due(self._clock()):
            await self._emitter.batch(wake.batch, holding.partition, id=derived("woken", wake.wake_id))
            failpoints.hit("deliver.after_woken")

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
            await self._records.write(
                holding, told.incident, ended, derived("lost", *told, recipient, work.attempt), None
            )


def _wake(work: InHand, due: datetime, waiting: Sequence[Outcome], turn: int) -> DeliveryWake:
    batch, ids = work.batch, tuple(outcome.recipient for outcome in waiting)
    name = derived("again", batch.notice_id, batch.channel, *ids)
    again = batch.model_copy(update={"batch_id": name, "recipients": ids, "attempt": turn})
    return DeliveryWake(wake_id=derived("wake", name, turn), due=due, reason=waiting[0].reason, batch=again)
