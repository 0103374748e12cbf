"""While the log stands still nothing is sent; when it goes on, everything is."""

import asyncio
from datetime import UTC, datetime

from agents.sealing import Sealing
from schemas.codec import Record
from tests.deliver.test_crashes import OPENED, PEOPLE, lived, populated
from tests.deliver.world import Fault, Process

SIGNED = Record("audit.checkpoints", 0, 0, datetime(2026, 3, 1, tzinfo=UTC), None, b"", ())


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_whoever_owes_nothing_or_not_for_long_goes_on() -> None:
    time = Time()
    sealing = Sealing(60, time)
    time.now = 1000
    await asyncio.wait_for(sealing.goes_on(), 1)
    sealing.owes()
    time.now += 60
    sealing.owes()
    await asyncio.wait_for(sealing.goes_on(), 1)


async def test_everybody_waits_while_the_log_stands_still_and_goes_on_with_it() -> None:
    time = Time()
    sealing = Sealing(60, time)
    sealing.owes()
    time.now = 61
    waiting = [asyncio.create_task(sealing.goes_on()) for _ in range(2)]
    done, _ = await asyncio.wait(waiting, timeout=0.01)
    assert not done
    sealing.heard(SIGNED)
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    assert not sealing.stands_still


async def test_a_word_of_the_log_counts_for_what_was_owed_until_then() -> None:
    time = Time()
    sealing = Sealing(60, time)
    sealing.owes()
    time.now = 50
    sealing.heard(SIGNED)
    sealing.owes()
    time.now = 110
    assert not sealing.stands_still
    time.now = 111
    assert sealing.stands_still


async def test_no_window_begins_while_the_log_stands_still() -> None:
    time, world = Time(), populated(0, PEOPLE, OPENED)
    world.sealing = Sealing(60, time)
    world.sealing.owes()
    time.now = 61
    running = asyncio.create_task(Process(world, Fault()).run())
    done, _ = await asyncio.wait({running}, timeout=0.2)
    assert not done
    assert not world.accepted
    world.sealing.heard(SIGNED)
    await asyncio.wait_for(running, 10)
    assert world.accepted


def test_an_attempt_on_record_is_owed_to_the_log() -> None:
    world = populated(0, PEOPLE, OPENED)
    time = Time()
    world.sealing = Sealing(60, time)
    lived(world)
    time.now = 61
    assert world.sealing.stands_still
