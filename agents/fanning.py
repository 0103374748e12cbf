"""Fan-out: a notice's copy in one partition becomes batches for the subscribers of that partition."""

from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.holdings import Holdings
from pipeline.deliver import fanout
from schemas import topics
from schemas.codec import Record
from schemas.notice import Notice


class FanOut:
    """The fan-out side of the deliver room."""

    def __init__(self, emitter: Emitter, dead: DeadLetters, holdings: Holdings) -> None:
        self._emitter = emitter
        self._dead = dead
        self._holdings = holdings

    async def handle(self, record: Record) -> bool:
        """Writes the notice's batches for this partition; False if it is not ours any more."""
        event = await self._dead.decoded(record, Notice)
        if event is None:
            return True
        holding = await self._holdings.get(record.partition)
        if holding is None:
            return False
        await self._holdings.opt_outs_reached(record.partition)
        notice = event.data
        heard = holding.ledger.heard(notice.incident)
        for batch in fanout.batches(notice, record.partition, holding.subscribers.values(), heard):
            await self._emitter.write(
                topics.deliveries(batch.channel, batch.lane),
                batch,
                id=batch.batch_id,
                subject=batch.incident,
                key=batch.notice_id,
                partition=record.partition,
                parent=event.extensions.get("traceparent"),
            )
        return True
