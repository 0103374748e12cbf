"""Fan-out: the notices of an entry become, in each partition, batches for the subscribers of that partition."""

import asyncio
from collections.abc import Mapping

from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.holdings import Holding, Holdings
from agents.inhand import Records
from agents.turns import Turns
from pipeline import failpoints
from pipeline.clock import Clock
from pipeline.deliver import fanout
from pipeline.deliver.fanout import Channels
from pipeline.deliver.past import got, owed
from schemas.codec import Event, Headers, Record
from schemas.delivery import NoticeSuperseded, NoticeWalked
from schemas.ids import derived
from schemas.notice import Notice, Notices

READ = 16
"""Records that are kept read: each comes once for every partition, by the same bytes."""


class FanOut:
    """The fan-out side of the deliver room."""

    def __init__(self, emitter: Emitter, dead: DeadLetters, holdings: Holdings, turns: Turns, clock: Clock) -> None:
        self._emitter = emitter
        self._records = Records(emitter, clock)
        self._dead = dead
        self._holdings = holdings
        self._clock = clock
        self._turns = turns
        self._read: dict[tuple[str, Headers, bytes | None], Event[Notices]] = {}

    async def handle(self, record: Record) -> bool:
        """Writes the notices' batches for this partition; False if it is not ours any more."""
        event = await self._event(record)
        if event is None:
            return True
        holding = await self._holdings.get(record.partition)
        if holding is None:
            return False
        await self._holdings.opt_outs_reached(record.partition)
        parent = event.extensions.get("traceparent")
        for notice in event.data.notices:
            if not await self._told(notice, holding, parent):
                return False
        return True

    async def _told(self, notice: Notice, holding: Holding, parent: str | None) -> bool:
        with self._turns.of(notice.lane):
            heard = await self._heard(notice, holding, parent)
            after = holding.ledger.walked(notice.notice_id)
            for stretch in fanout.walk(notice, holding.partition, holding.subscribers, heard, after):
                if self._holdings.turn(holding) is None:
                    return False  # whoever owns it now goes on from where the record says
                await asyncio.gather(
                    *(self._emitter.batch(one, holding.partition, parent=parent) for one in stretch.batches)
                )
                if stretch.batches:
                    failpoints.hit("fanout.after_batches")
                if stretch.settled:
                    await self._progress(notice, holding, stretch.up_to, parent)
                await self._turns.passes(notice.lane)
        return True

    async def _event(self, record: Record) -> Event[Notices] | None:
        said = record.topic, record.headers, record.value
        if (event := self._read.get(said)) is None and (event := await self._dead.decoded(record, Notices)) is not None:
            while len(self._read) >= READ:
                self._read.pop(next(iter(self._read)))
            self._read[said] = event
        return event

    async def _progress(self, notice: Notice, holding: Holding, up_to: str, parent: str | None) -> None:
        if len(holding.subscribers) <= fanout.STRETCH * fanout.SETTLED_EVERY:
            return  # it is walked in less time than this record takes
        record = NoticeWalked(notice_id=notice.notice_id, up_to=up_to, at=self._clock())
        await self._records.write(holding, notice.notice_id, record, derived("walked", notice.notice_id, up_to), parent)
        failpoints.hit("fanout.after_place")

    async def _heard(self, notice: Notice, holding: Holding, parent: str | None) -> Mapping[str, Channels]:
        """Who is to get this notice because of what they heard before; what it makes old is put on record first.

        First, since whoever is about to be told the old one between the two would not be among those found here.
        """
        if notice.corrects is not None:
            await self._supersede(notice, holding, notice.corrects, parent)
            return got(holding.ledger, notice.incident, notice.corrects, notice.audience)
        if notice.closing:
            await self._supersede(notice, holding, notice.seq - 1, parent)
            return owed(holding.ledger, notice.incident, notice.audience)
        return {}

    async def _supersede(self, notice: Notice, holding: Holding, seq: int, parent: str | None) -> None:
        record = NoticeSuperseded(
            incident=notice.incident,
            seq=seq,
            audience=notice.audience,
            and_earlier=notice.corrects is None,
            by_notice=notice.notice_id,
            by_seq=notice.seq,
            at=self._clock(),
        )
        name = derived("superseded", notice.notice_id, holding.partition)
        await self._records.write(holding, notice.incident, record, name, parent)
