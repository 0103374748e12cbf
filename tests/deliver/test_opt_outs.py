"""What a window goes by is what the opt-outs are as it begins, however slow the broker is to say so."""

import asyncio
from datetime import timedelta

import pytest

from schemas.subscriber import Stopped
from tests.deliver.given import SMS
from tests.deliver.test_crashes import OPENED, PEOPLE
from tests.deliver.test_deferred import calm, event, times
from tests.deliver.world import Fault, Process, World

SLOW = timedelta(seconds=2)


def run(world: World, monkeypatch: pytest.MonkeyPatch, slow: range) -> None:
    """Lets a worker work in peace; of its questions about opt-outs the answers to these take two seconds."""

    async def works() -> None:
        process = Process(world, Fault())
        reached, asked = process.holdings.opt_outs_reached, iter(range(1_000))

        async def slowly(partition: int) -> None:
            await reached(partition)
            if next(asked) in slow:
                world.pass_to(world.now + SLOW)

        monkeypatch.setattr(process.holdings, "opt_outs_reached", slowly)
        await process.holdings.start()
        process.follower.creeps = False
        await asyncio.wait_for(process.run(), 10)

    asyncio.run(works())


def awake() -> World:
    return calm(OPENED, people={"sms-awake": {**PEOPLE["sms-asleep"], "time_zone": "UTC"}})


def test_who_leaves_while_a_slow_answer_is_on_its_way_is_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    world = awake()
    world.to_come.append((world.now + SLOW, event(Stopped(channel=SMS, via="keyword"), "sms-awake")))
    run(world, monkeypatch, range(1, 2))  # after the one of the fan-out
    assert world.reasons("sms-awake", 1) == ["stopped"]
    assert not times(world, 1, "sms-awake")


def test_a_broker_whose_every_answer_is_slow_ends_no_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    world = awake()
    run(world, monkeypatch, range(1_000))
    assert world.reasons("sms-awake", 1) == ["taken"]
