"""While the log stands still nothing is sent; when it goes on, everything is."""

import asyncio
from datetime import UTC, datetime

from agents.sealing import Sealing
from schemas import codec, topics
from schemas.audit import CheckpointSigned
from schemas.codec import Record
from tests.deliver.test_crashes import OPENED, PEOPLE, lived, populated
from tests.deliver.world import Fault, Process

AT = datetime(2026, 3, 1, tzinfo=UTC)


def signed(*read: int) -> Record:
    """That each partition is sealed up to there."""
    places = {topics.DELIVERY_RECORDS_TOPIC.name: read}
    said = CheckpointSigned(holder="record-1", size=sum(read), root="0" * 64, read=places, at=AT)
    sent = codec.encode(topics.AUDIT_CHECKPOINTS, said, id="signed", source="/tests")
    return Record(sent.topic, 0, 0, AT, sent.key, sent.value, sent.headers)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_whoever_owes_nothing_or_not_for_long_goes_on() -> None:
    time = Time()
    sealing = Sealing(60, time)
    time.now = 1000
    await asyncio.wait_for(sealing.goes_on(), 1)
    sealing.owes(0, 6)
    time.now += 60
    sealing.owes(0, 6)
    await asyncio.wait_for(sealing.goes_on(), 1)


async def test_everybody_waits_while_the_log_stands_still_and_goes_on_with_it() -> None:
    time = Time()
    sealing = Sealing(60, time)
    sealing.owes(0, 6)
    time.now = 61
    waiting = [asyncio.create_task(sealing.goes_on()) for _ in range(2)]
    done, _ = await asyncio.wait(waiting, timeout=0.01)
    assert not done
    sealing.heard(signed(7))
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    assert not sealing.stands_still


def test_only_a_word_about_the_attempt_itself_lets_sending_go_on() -> None:
    """A record room whose disk is full starts again and again, and signs each time for what it had."""
    time = Time()
    sealing = Sealing(60, time)
    sealing.heard(signed(6, 3))
    sealing.owes(0, 6)
    sealing.owes(1, 3)
    time.now = 61
    for word in (signed(6, 3), signed(7, 3)):
        sealing.heard(word)
        assert sealing.stands_still
    sealing.heard(signed(7, 4))
    assert not sealing.stands_still


def test_what_was_sealed_before_its_writer_knew_that_it_stands_is_not_owed() -> None:
    time = Time()
    sealing = Sealing(60, time)
    sealing.heard(signed(7))
    sealing.owes(0, 6)
    time.now = 61
    assert not sealing.stands_still


async def test_a_word_of_the_log_counts_for_what_was_owed_until_then() -> None:
    time = Time()
    sealing = Sealing(60, time)
    sealing.owes(0, 6)
    time.now = 50
    sealing.heard(signed(7))
    sealing.owes(0, 7)
    time.now = 110
    assert not sealing.stands_still
    time.now = 111
    assert sealing.stands_still


async def test_no_window_begins_while_the_log_stands_still() -> None:
    time, world = Time(), populated(0, PEOPLE, OPENED)
    world.sealing = Sealing(60, time)
    world.sealing.owes(0, 6)
    time.now = 61
    running = asyncio.create_task(Process(world, Fault()).run())
    done, _ = await asyncio.wait({running}, timeout=0.2)
    assert not done
    assert not world.accepted
    world.sealing.heard(signed(1000))
    await asyncio.wait_for(running, 10)
    assert world.accepted


def test_an_attempt_on_record_is_owed_to_the_log() -> None:
    world = populated(0, PEOPLE, OPENED)
    time = Time()
    world.sealing = Sealing(60, time)
    lived(world)
    time.now = 61
    assert world.sealing.stands_still
