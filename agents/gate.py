"""A channel's gate: whoever is to send waits here, first notices before updates, until the channel may go on.

What waits here is not yet attempted, and its batch not acknowledged: it stands in Kafka. Where the provider takes
nothing for longer than a minute, nobody waits: the message is put off, on record, until it does.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from agents.turns import Turns
from pipeline.channels.base import Sent
from pipeline.clock import Clock
from pipeline.deliver.pacing import Pace
from schemas.base import Lane

PATIENCE_S = 60.0
Sleep = Callable[[float], Awaitable[None]]


@dataclass
class Turn:
    """Someone's turn. `shut`: the provider takes nothing until then, and so it is none."""

    shut: datetime | None = None
    began: datetime | None = None
    ended: datetime | None = None
    answers: Sequence[Sent] = ()

    def answered(self, began: datetime, ended: datetime, answers: Sequence[Sent]) -> None:
        """It was used."""
        self.began, self.ended, self.answers = began, ended, answers


@dataclass(order=True)
class _Ticket:
    order: tuple[bool, int]
    lane: Lane = field(compare=False)
    turn: "asyncio.Future[Turn]" = field(compare=False)


class Gate:
    """Of one channel in one process. `share`: which part of the provider's limit is this process's, above 0 to 1."""

    def __init__(
        self, pace: Pace, clock: Clock, share: Callable[[], float], turns: Turns, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.pace = pace
        self._clock = clock
        self._share = share
        self._turns = turns
        self._sleep = sleep
        self._under_way = 0
        self._number = itertools.count()
        self._waiting: list[_Ticket] = []
        self._timer: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[Turn]:
        """A turn, once there is one: in the order of lanes, and within a lane as they came."""
        ticket = _Ticket((lane is not Lane.FIRST, next(self._number)), lane, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, ticket)
        self._go_on()
        try:
            turn = await ticket.turn
        except asyncio.CancelledError:
            if ticket.turn.done() and not ticket.turn.cancelled():
                self._over(ticket.turn.result())
            raise
        try:
            yield turn
        finally:
            self._over(turn)

    def _over(self, turn: Turn) -> None:
        if turn.shut is not None:
            return
        if turn.began is None or turn.ended is None:
            self.pace = self.pace.given_back()
        else:
            self.pace = self.pace.answered(turn.began, turn.ended, self._under_way, turn.answers)
        self._under_way -= 1
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._under_way < self.pace.at_once.number:
            if self._waiting[0].turn.done():  # cancelled while it waited
                heapq.heappop(self._waiting)
                continue
            if self._turns.holds(self._waiting[0].lane):
                self._later(partial(self._turns.passes, self._waiting[0].lane))
                return
            at, share = self._clock(), self._share()
            wait_s = self.pace.wait_s(at, share)
            if wait_s > PATIENCE_S:
                self._send_away(at + timedelta(seconds=wait_s))
                return
            if wait_s > 0:
                self._later(partial(self._sleep, wait_s))
                return
            self.pace = self.pace.taken(at, share)
            self._under_way += 1
            heapq.heappop(self._waiting).turn.set_result(Turn())

    def _send_away(self, until: datetime) -> None:
        for ticket in self._waiting:
            if not ticket.turn.done():
                ticket.turn.set_result(Turn(shut=until))
        self._waiting.clear()

    def _later(self, comes: Callable[[], Awaitable[None]]) -> None:
        if self._timer is None:
            self._timer = asyncio.create_task(self._wake(comes))

    async def _wake(self, comes: Callable[[], Awaitable[None]]) -> None:
        await comes()
        self._timer = None
        self._go_on()
