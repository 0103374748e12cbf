"""A batch in hand: what it says, whose it is, and the records that are written of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agents.emit import Emitter
from agents.holdings import Holding
from pipeline.channels.base import Envelope
from pipeline.clock import Clock
from pipeline.deliver.past import shown_by
from pipeline.deliver.work import Told
from schemas import topics
from schemas.base import Message
from schemas.delivery import DeliveriesEnded, DeliveryBatch, Outcome, Result
from schemas.ids import derived, intent_ids
from schemas.rendering import content_in


@dataclass(frozen=True, slots=True)
class InHand:
    """A batch in hand, with where it belongs.

    `told`: the notice and channel that its intents belong to. `intent`: the id of a recipient's.
    """

    batch: DeliveryBatch
    holding: Holding
    parent: str | None
    told: Told = field(init=False)
    intent: Callable[[str], str] = field(init=False)

    def __post_init__(self) -> None:
        told = Told(self.batch.incident, self.batch.seq, self.batch.channel)
        object.__setattr__(self, "told", told)
        object.__setattr__(self, "intent", intent_ids(*told))

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

    def shown(self, at: datetime) -> datetime:
        """What the incident's clock shows when ours shows `at`."""
        return shown_by(self.batch)(at)

    def due(self, until: datetime) -> datetime:
        """When ours shows what is put off until then by the incident's clock."""
        return self.batch.clock.real_at(until) if self.batch.clock else until

    def envelope(self, at: datetime) -> Envelope:
        """What the sender is told about this batch."""
        batch = self.batch
        return Envelope(
            incident=batch.incident,
            notice_id=batch.notice_id,
            attempt=self.holding.ledger.so_far(self.told, batch.recipients[0], batch.attempt).tries,
            at=at,
            content=content_in(batch.rendering, batch.zone),
            rendering_sha256=batch.rendering.sha256,
            language=batch.rendering.language,
        )


class Records:
    """Writes delivery records, and folds each into the ledger once the broker has it."""

    def __init__(self, emitter: Emitter, clock: Clock) -> None:
        self._emitter = emitter
        self._clock = clock

    async def write(self, holding: Holding, subject: str, record: Message, id: str, parent: str | None = None) -> int:
        """One record of a partition; the offset at which it stands. Raises BrokerError."""
        written = await self._emitter.write(
            topics.DELIVERY_RECORDS_TOPIC, record, id=id, subject=subject, partition=holding.partition, parent=parent
        )
        holding.wrote(record, id, written.offset)
        return int(written.offset)

    async def of(self, work: InHand, record: Message, id: str) -> int:
        """One record of a batch in hand, likewise."""
        return await self.write(work.holding, work.batch.incident, record, id, work.parent)

    async def end(self, work: InHand, attempt: str | None, outcomes: Iterable[Outcome]) -> None:
        """What came of an attempt; without one, of what was decided before any."""
        ended = DeliveriesEnded(
            **work.named(self._clock()),
            attempt_id=attempt,
            attempt=work.batch.attempt,
            outcomes=tuple(outcomes),
        )
        named = [f"{outcome.recipient}={outcome.result}" for outcome in ended.outcomes]
        await self.of(work, ended, derived("ended", attempt or work.batch.batch_id, work.batch.attempt, *named))

    async def suppress(self, work: InHand, reasons: Mapping[str, str]) -> None:
        """These are not told, each by the rule named."""
        if reasons:
            outcomes = (Outcome(recipient=r, result=Result.SUPPRESSED, reason=why) for r, why in reasons.items())
            await self.end(work, None, outcomes)
