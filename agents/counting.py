"""Counting: each partition's census under the policy in force, told to those who decide whenever it has changed."""

import asyncio
import logging
from dataclasses import dataclass

from agents.emit import Emitter
from agents.holdings import Holding, Holdings
from pipeline import policy as policies
from pipeline.clock import Clock
from pipeline.deliver.census import Tally
from pipeline.errors import PolicyError
from pipeline.policy.audiences import Audiences
from pipeline.policy.cadence import SOFT_BOUNCES
from pipeline.policy.compiled import Policy
from schemas import codec, topics
from schemas.census import Census
from schemas.codec import Record, Undecodable
from schemas.ids import derived
from schemas.policy import PolicyPublished

SLICE = 2_000
"""Subscribers counted in one go: some ten milliseconds, in which nothing else happens in this process."""
AT_MOST_EVERY_S = 1.0

log = logging.getLogger("tocsin.deliver")


@dataclass(frozen=True, slots=True)
class _Told:
    """The census of a partition as it was written last; `changes`: how many had been counted then."""

    at_s: float
    changes: int
    census: Census

    def is_of(self, tally: Tally) -> bool:
        """Whether nothing was counted since."""
        return (self.census.policy, self.changes) == (tally.policy, tally.changes)


class Counting:
    """The counting side of the deliver room."""

    def __init__(self, emitter: Emitter, holdings: Holdings, clock: Clock) -> None:
        self._emitter = emitter
        self._holdings = holdings
        self._clock = clock
        self._policy: tuple[str, Audiences] | None = None
        self.policy: Policy | None = None
        """The one in force; None: none that can be used was published."""
        self._told: dict[int, _Told] = {}

    def published(self, record: Record) -> None:
        """Folds a published policy; tried as a whole, since one that decide cannot use must not be counted under."""
        try:
            policy = policies.compile(codec.decode(record, PolicyPublished).data)
        except (Undecodable, PolicyError) as error:
            log.error("a policy was published that cannot be used, the last good one stays: %s", error)
            return
        self._policy = policy.hash, policy.audience
        self.policy = policy

    @property
    def soft_bounces(self) -> int:
        """How many messages in a row may come back softly, by the policy in force."""
        return self.policy.cadence.recipient.soft_bounces if self.policy else SOFT_BOUNCES

    async def tell(self) -> None:
        """Counts what is not counted yet, and writes each partition's census that has changed."""
        if self._policy is None:
            return
        open_ones = self._holdings.all()
        for partition in self._told.keys() - {holding.partition for holding in open_ones}:
            del self._told[partition]  # another worker told of it since, perhaps
        for holding in open_ones:
            tally = await self._tally(holding, *self._policy)
            last, now = self._told.get(holding.partition), asyncio.get_running_loop().time()
            if last is not None and (last.is_of(tally) or now - last.at_s < AT_MOST_EVERY_S):
                continue
            changes, census = tally.changes, tally.census()
            if last is None or last.census != census:
                if self._holdings.turn(holding) is None:
                    continue
                await self._write(holding.partition, census)
            self._told[holding.partition] = _Told(now, changes, census)

    async def _tally(self, holding: Holding, policy: str, audiences: Audiences) -> Tally:
        """The holding's running count, begun anew under another policy.

        What changes while it is begun is counted as it comes: sums do not ask for an order.
        """
        tally = holding.tally
        if tally is None or tally.policy != policy:
            everyone = list(holding.subscribers.values())
            tally = holding.tally = Tally(policy, audiences)
            for start in range(0, len(everyone), SLICE):
                tally.take(everyone[start : start + SLICE])
                await asyncio.sleep(0)
        return tally

    async def _write(self, partition: int, census: Census) -> None:
        await self._emitter.write(
            topics.CENSUS,
            census,
            id=derived("census", partition, census.model_dump_json()),
            subject=str(partition),
            time=self._clock(),
            partition=partition,
        )
