"""Spending: before each window of SMS or posts, may it be spent? And each partition's sums, told to the other workers.

Of its own partitions a worker knows every attempt, those included that it is about to put on record; of the others what
their workers told last, at most some two seconds ago. So one worker never exceeds a cap, and several may by what the
others attempt within these seconds.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from agents.emit import Emitter
from agents.holdings import Holdings
from pipeline.clock import Clock
from pipeline.deliver.spending import Cap, Over, Purpose, Spent, purposes, sums_in, why_not
from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Record, Undecodable
from schemas.delivery import SpendingCounted
from schemas.ids import derived

AT_MOST_EVERY_S = 1.0

log = logging.getLogger("tocsin.deliver")


class Spending:
    """The purse of one process."""

    def __init__(self, emitter: Emitter, holdings: Holdings, caps: Mapping[Channel, Cap], clock: Clock) -> None:
        self._emitter = emitter
        self._holdings = holdings
        self._caps = caps
        self._clock = clock
        self._elsewhere: dict[int, Mapping[Purpose, int]] = {}
        self._told: dict[int, tuple[float, int]] = {}
        self._about_to = Spent()
        self._asked: set[tuple[Channel, str, str]] = set()

    def heard(self, record: Record) -> None:
        """Folds what a partition's worker told."""
        try:
            self._elsewhere[record.partition] = sums_in(codec.decode(record, SpendingCounted).data)
        except Undecodable as error:
            log.error("a partition's spending cannot be read, its last sums stay: %s", error)

    def why_not(self, channel: Channel, incident: str, at: datetime, units: int) -> Over | None:
        """Which cap so many more units would exceed; asks for a person, once for each incident and cap."""
        cap = self._caps.get(channel)
        if cap is None or not units:
            return None
        of_incident, of_day = purposes(channel, incident, at)
        why = why_not(cap, units, self._sums(of_incident), self._sums(of_day))
        if why is not None and (channel, incident, why.of) not in self._asked:
            self._asked.add((channel, incident, why.of))
            log.error(
                "%s on %s: %s; what is still to be told waits for a person: `tocsin deliveries parked`",
                incident, channel, why,
            )  # fmt: skip
        return why

    @contextmanager
    def about_to(self, channel: Channel, incident: str, at: datetime, units: int) -> Iterator[None]:
        """Counts what is about to be put on record, so that others see it before it is there."""
        self._about_to.add(channel, incident, at, units)
        try:
            yield
        finally:
            self._about_to.add(channel, incident, at, -units)

    def _sums(self, purpose: Purpose) -> list[int]:
        ours = {holding.partition: holding.ledger.spent.sums[purpose] for holding in self._holdings.all()}
        others = (sums.get(purpose, 0) for partition, sums in self._elsewhere.items() if partition not in ours)
        return [*ours.values(), *others, self._about_to.sums[purpose]]

    async def tell(self, now_s: float) -> None:
        """Writes each partition's sums that have changed since; `now_s` by a clock that only goes on."""
        for holding in self._holdings.all():
            spent, (told_s, changes) = holding.ledger.spent, self._told.get(holding.partition, (0.0, 0))
            if changes == spent.changes or (changes and now_s - told_s < AT_MOST_EVERY_S):
                continue
            if self._holdings.turn(holding) is None:
                continue
            self._told[holding.partition] = now_s, spent.changes
            counted = spent.counted(self._clock())
            await self._emitter.write(
                topics.DELIVERY_SPENDING,
                counted,
                id=derived("spending", holding.partition, counted.model_dump_json()),
                subject=str(holding.partition),
                partition=holding.partition,
            )
