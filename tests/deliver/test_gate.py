"""The gate: who goes when, in what order, and who is sent away until the provider takes something again."""

import asyncio
from datetime import datetime, timedelta

from agents.gate import Gate, Turn
from agents.turns import Turns
from pipeline.channels.base import Sent
from pipeline.deliver.pacing import QUARTER_S, AtOnce, Bucket, Pace
from schemas.base import Channel, Lane
from schemas.delivery import Result
from tests.deliver.given import AT, notice, post, told
from tests.deliver.test_crashes import MANNERS, OPENED, PEOPLE, UPDATED, lived, populated

TAKEN = Sent(Result.ACCEPTED, "provider_accepted")
TOO_MUCH = Sent(Result.RETRYABLE, "rate_limited")


class Time:
    """Turned by whoever sleeps."""

    def __init__(self) -> None:
        self.now = AT
        self.turns = Turns(lambda: self.now.timestamp())

    def clock(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += timedelta(seconds=seconds)

    def gate(self, pace: Pace) -> Gate:
        return Gate(pace, self.clock, lambda: 1.0, self.turns, self.sleep)


async def test_first_notices_go_before_updates_that_came_before_them() -> None:
    time = Time()
    gate, gone = time.gate(Pace(AtOnce.fixed(1), (Bucket.full(1.0, 1.0, 1.0, AT),))), []

    async def go(name: str, lane: Lane) -> None:
        async with gate.turn(lane) as turn:
            gone.append((name, (time.now - AT).total_seconds()))
            turn.answered(time.now, time.now, [TAKEN])

    await asyncio.gather(
        *(go(f"update {n}", Lane.UPDATE) for n in range(3)), *(go(f"first {n}", Lane.FIRST) for n in range(2))
    )
    assert gone == [("update 0", 0), ("first 0", 1), ("first 1", 2), ("update 1", 3), ("update 2", 4)]


async def test_an_update_begins_nothing_while_something_first_is_at_hand() -> None:
    time = Time()
    gate, gone = time.gate(Pace(AtOnce.fixed(8))), []

    async def go(name: str, lane: Lane) -> None:
        async with gate.turn(lane):
            gone.append(name)

    with time.turns.of(Lane.FIRST):
        updates = [asyncio.create_task(go(f"update {n}", Lane.UPDATE)) for n in range(3)]
        await go("first", Lane.FIRST)
        await asyncio.sleep(0)
        assert gone == ["first"]
    await asyncio.gather(*updates)
    assert gone == ["first", "update 0", "update 1", "update 2"]


async def test_an_unused_turn_costs_no_token() -> None:
    time = Time()
    gate = time.gate(Pace(AtOnce.fixed(1), (Bucket.full(1.0, 1.0, 1.0, AT),)))
    for _ in range(3):
        async with gate.turn(Lane.FIRST):
            pass
    assert time.now == AT


async def test_refusals_let_fewer_through_at_once() -> None:
    time = Time()
    gate, most, under_way = time.gate(Pace(AtOnce(8.0, 1, 64))), [0], [0]

    async def go(answer: Sent) -> None:
        async with gate.turn(Lane.FIRST) as turn:
            began = time.now
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            await asyncio.sleep(0)
            under_way[0] -= 1
            turn.answered(began, time.now, [answer])

    await asyncio.gather(*(go(TOO_MUCH) for _ in range(8)))
    assert most[0] == 8
    most[0], time.now = 0, AT + timedelta(seconds=1)
    await asyncio.gather(*(go(TAKEN) for _ in range(8)))
    assert most[0] == 4


async def test_where_the_provider_takes_nothing_for_long_nobody_waits() -> None:
    time = Time()
    gate = time.gate(Pace(AtOnce.fixed(1), (Bucket.within(2, QUARTER_S, AT),)))
    turns: list[Turn] = []
    for _ in range(2):
        async with gate.turn(Lane.FIRST) as turn:
            turn.answered(AT, AT, [TAKEN])
            turns.append(turn)
    assert [turn.shut for turn in turns] == [None, AT + timedelta(seconds=QUARTER_S)]


async def test_who_is_cancelled_while_waiting_leaves_no_hole() -> None:
    time = Time()
    gate = time.gate(Pace(AtOnce.fixed(1)))

    async def go() -> None:
        async with gate.turn(Lane.FIRST):
            pass

    async with gate.turn(Lane.FIRST):
        waits = [asyncio.create_task(go()) for _ in range(2)]
        await asyncio.sleep(0)
        waits[0].cancel()
        await asyncio.sleep(0)
    await asyncio.wait_for(waits[1], 1)


def test_what_cannot_go_now_is_put_off_on_record_and_told_once_it_can() -> None:
    people = {"account": PEOPLE["account"]}
    world = populated(0, people, OPENED)
    world.trouble = 0
    update = notice(renderings=(post(),), manners=MANNERS, **UPDATED)
    world.to_come.append((AT, told(update)))
    world.paces[Channel.X] = Pace(AtOnce.fixed(1), (Bucket.within(2, QUARTER_S, AT),))
    lived(world)
    assert world.reasons("account", 1) == ["taken"]
    assert world.reasons("account", 2) == ["provider_limit", "taken"]
