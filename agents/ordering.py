"""Ordering: parked messages that a person wants tried again, in the words of their notice, or given up. On record.

The record stands first, then the waiting work; an order that comes again after a crash between the two makes what is
missing, and nothing else.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.holdings import Holding, Holdings
from agents.inhand import Records
from pipeline import authority
from pipeline.clock import Clock
from pipeline.deliver import fanout
from pipeline.deliver.ledger import Parked
from pipeline.deliver.parked import ORDERS, concerned
from pipeline.deliver.work import Told
from schemas import topics
from schemas.codec import Event, Record, Undecodable
from schemas.delivery import DeliveryWake, ParkedOrder, ParkedOrdered
from schemas.ids import derived
from schemas.notice import Notice
from schemas.operator import Signature

log = logging.getLogger("tocsin.deliver")

Signed = Callable[[Event[ParkedOrder]], Awaitable[Signature | None]]
"""The signature of whoever says that they signed it, with the key that they hold now; None if there is none."""
Releasers = Callable[[], Awaitable[Collection[str]]]
"""The roles of which one is needed, by the policy in force now; none named: every operator may."""
Kept = Callable[[int, Collection[str]], Awaitable[Mapping[str, Notice]]]
"""Those of these notices that a partition still holds, by id."""


class Ordering:
    """The side of the deliver room that takes orders."""

    def __init__(
        self,
        emitter: Emitter,
        dead: DeadLetters,
        holdings: Holdings,
        signed: Signed,
        releasers: Releasers,
        kept: Kept,
        clock: Clock,
    ) -> None:
        self._emitter = emitter
        self._dead = dead
        self._holdings = holdings
        self._records = Records(emitter, clock)
        self._signed = signed
        self._releasers = releasers
        self._kept = kept
        self._clock = clock

    async def handle(self, record: Record) -> bool:
        """Does what is ordered, for this partition; False if it is not ours any more."""
        event = await self._dead.decoded(record, ParkedOrder)
        if event is None:
            return True
        signature = await self._signed(event)
        if signature is None or not _is_theirs(event, signature):
            await self._dead.bury(record, Undecodable("not_signed", "no operator signed this order"))
            return True
        if (roles := await self._releasers()) and not set(roles) & set(signature.roles):
            needed = " or ".join(roles)
            detail = f"{signature.operator} holds no role of those who may release parked messages: {needed}"
            await self._dead.bury(record, Undecodable("not_allowed", detail))
            return True
        holding = await self._holdings.get(record.partition)
        if holding is None:
            return False
        await self._obey(holding, event, signature)
        return self._holdings.turn(holding) is not None

    async def _obey(self, holding: Holding, event: Event[ParkedOrder], signature: Signature) -> None:
        found = concerned(holding.ledger.parked(), event.data)
        if event.data.order == "give_up":
            await self._write(holding, event, signature, found)
            return
        ledger = holding.ledger
        names = {ledger.notice(one.told, one.recipient) for one in found}
        names |= {ledger.notice(told, recipient) for told, recipient, _ in ledger.reopened()}
        notices = await self._kept(holding.partition, names) if names else {}
        at_hand = [one for one in found if ledger.notice(one.told, one.recipient) in notices]
        if gone := len(found) - len(at_hand):
            log.error("%d parked messages stay parked: the words of their notices are no longer kept", gone)
        await self._write(holding, event, signature, at_hand)
        await self._bring_back(holding, event.id, notices)

    async def _write(
        self, holding: Holding, event: Event[ParkedOrder], signature: Signature, found: Iterable[Parked]
    ) -> None:
        alike: dict[tuple[Told, str, int], list[str]] = {}
        for one in found:
            notice = holding.ledger.notice(one.told, one.recipient)
            alike.setdefault((one.told, notice, one.attempt), []).append(one.recipient)
        for (told, notice, attempt), ids in alike.items():
            for recipients in fanout.batched_ids(ids):
                name = derived("ordered", event.id, *told, attempt, *recipients)
                ordered = ParkedOrdered(
                    batch_id=name,
                    notice_id=notice,
                    incident=told.incident,
                    seq=told.seq,
                    channel=told.channel,
                    at=self._clock(),
                    order_id=event.id,
                    order=event.data,
                    signed=signature,
                    attempt=attempt,
                    recipients=recipients,
                )
                await self._records.write(holding, told.incident, ordered, name, None)

    async def _bring_back(self, holding: Holding, order: str, notices: Mapping[str, Notice]) -> None:
        """Makes waiting work for every message that was ordered tried again and that none brings back yet."""
        turns: dict[tuple[str, Told], dict[str, int]] = {}
        for told, recipient, work in holding.ledger.reopened():
            notice = holding.ledger.notice(told, recipient)
            if notice in notices and not holding.is_awaited(told, recipient, work.attempt + 1):
                turns.setdefault((notice, told), {})[recipient] = work.attempt + 1
        at = self._clock()
        for (notice, told), theirs in turns.items():
            for batch in fanout.once_more(notices[notice], told.channel, theirs, holding.subscribers, order):
                name = derived("wake", batch.batch_id, batch.attempt)
                wake = DeliveryWake(wake_id=name, due=at, reason=ORDERS["retry"], batch=batch)
                await self._emitter.write(
                    topics.DELIVERY_WAKES, wake, id=name, subject=batch.incident, partition=holding.partition
                )
                holding.wait(wake)


def _is_theirs(event: Event[ParkedOrder], signature: Signature) -> bool:
    said = json.loads(event.data.model_dump_json(exclude_none=True))
    return authority.verified(signature, event.subject or "", event.id, event.source, ParkedOrder.TYPE, said)
