"""What was put off is brought back at its time and judged anew: whatever happened meanwhile counts."""

import asyncio
from datetime import timedelta
from typing import Any

from pipeline.deliver.work import Told, Work
from schemas import codec, topics
from schemas.base import Channel, Lane, Message
from schemas.codec import Outgoing, Record
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, DeliveryAttempted, NoticeSuperseded, Result
from schemas.ids import intent_id
from schemas.journal import NoticeKind
from schemas.notice import PlayedClock
from schemas.subscriber import ChoicesChanged, Stopped
from tests.deliver.given import AT, HOUR, SMS, attempted, batch, ended, intended, notice, told
from tests.deliver.test_crashes import MANNERS, OPENED, PEOPLE, RESOLVED, UPDATED, lived, populated
from tests.deliver.world import Fault, Process, World

ASLEEP_ONE = {"sms-asleep": PEOPLE["sms-asleep"]}
MORNING = AT.replace(hour=15)
"""Seven o'clock where they are asleep."""


def calm(*notices: dict[str, Any], people: dict[str, dict[str, str]] = ASLEEP_ONE) -> World:
    world = populated(0, people, *notices)
    world.trouble = 0
    return world


def decided(change: dict[str, Any]) -> Outgoing:
    return told(notice(manners=MANNERS, **change))


def event(data: Message, subscriber: str = "sms-asleep") -> Outgoing:
    return codec.encode(topics.SUBSCRIBER_EVENTS_TOPIC, data, id="e", source="/tests", subject=subscriber)


def work(world: World, seq: int, subscriber: str = "sms-asleep") -> Work:
    found = world.ledger()[0].work(Told("INC-1", seq, SMS), subscriber)
    assert found is not None
    return found


def times(world: World, seq: int, subscriber: str = "sms-asleep") -> list[Any]:
    return world.sent_at[intent_id("INC-1", seq, subscriber, SMS)]


def test_who_is_asleep_is_told_in_their_morning() -> None:
    world = lived(calm(OPENED))
    assert world.reasons("sms-asleep", 1) == ["quiet_hours", "taken"]
    [at] = times(world, 1)
    assert MORNING <= at < MORNING + timedelta(seconds=1)


def test_an_opt_out_during_the_night_counts_in_the_morning() -> None:
    world = calm(OPENED)
    world.to_come.append((AT + HOUR, event(Stopped(channel=SMS, via="keyword"))))
    lived(world)
    assert world.reasons("sms-asleep", 1) == ["quiet_hours", "stopped"]
    assert not times(world, 1)


def test_of_several_notices_of_one_night_the_last_is_told() -> None:
    world = calm(OPENED)
    world.to_come += [(AT + n * HOUR, decided({**UPDATED, "seq": 1 + n})) for n in (1, 2, 3)]
    lived(world)
    assert [world.reasons("sms-asleep", seq) for seq in (1, 2, 3, 4)] == [
        *([["quiet_hours", "superseded_by_newer"]] * 3),
        ["quiet_hours", "taken"],
    ]


def test_that_the_end_is_told_is_on_record_before_anybody_is_told_it() -> None:
    world = lived(calm({**OPENED, "lane": Lane.UPDATE}, RESOLVED))
    records = [codec.decode(r, Message).data for r in world.log[topics.DELIVERY_RECORDS_TOPIC.name]]
    [place] = [n for n, r in enumerate(records) if isinstance(r, NoticeSuperseded)]
    superseded: Any = records[place]
    assert (superseded.seq, superseded.by_seq, superseded.and_earlier) == (2, 3, True)
    assert all(getattr(r, "seq", 0) != 3 for r in records[:place])


def test_who_slept_through_all_of_it_hears_the_end_and_nothing_before_it() -> None:
    world = calm(OPENED)
    world.to_come.append((AT + HOUR, decided(RESOLVED)))
    lived(world)
    assert world.reasons("sms-asleep", 1) == ["quiet_hours", "superseded_by_the_end"]
    assert world.reasons("sms-asleep", 3) == ["quiet_hours", "taken"]


def test_what_is_taken_back_during_the_night_is_told_to_nobody_who_slept() -> None:
    people = {**ASLEEP_ONE, "sms-0": PEOPLE["sms-0"]}
    world = calm(OPENED, people=people)
    retraction = {"seq": 2, "kind": NoticeKind.RETRACTION, "corrects": 1, "lane": Lane.FIRST}
    world.to_come.append((AT + HOUR, decided(retraction)))
    lived(world)
    assert world.reasons("sms-asleep", 1) == ["quiet_hours", "retracted_before_it_was_sent"]
    assert world.reasons("sms-asleep", 2) == ["nothing_to_take_back"]
    assert world.reasons("sms-0", 1) == world.reasons("sms-0", 2) == ["taken"]


def test_a_correction_during_the_night_is_what_they_hear_in_the_morning() -> None:
    world = calm(OPENED)
    world.to_come.append((AT + HOUR, decided({"seq": 2, "kind": NoticeKind.CORRECTION, "corrects": 1})))
    lived(world)
    assert world.reasons("sms-asleep", 1) == ["quiet_hours", "retracted_before_it_was_sent"]
    assert world.reasons("sms-asleep", 2) == ["quiet_hours", "taken"]
    records = [codec.decode(r, Message).data for r in world.log[topics.DELIVERY_RECORDS_TOPIC.name]]
    [superseded] = [r for r in records if isinstance(r, NoticeSuperseded)]
    assert (superseded.seq, superseded.by_seq, superseded.and_earlier) == (1, 2, False)


def test_who_leaves_the_audience_during_the_night_hears_the_end_all_the_same() -> None:
    world = calm(OPENED, people={"sms-0": PEOPLE["sms-0"]})
    [row] = [codec.decode(r, Message).data for r in world.log[topics.SUBSCRIBER_EVENTS_TOPIC.name]]
    left: Any = row
    choices = left.choices.model_copy(update={"audiences": ("technical",), "components": ("Billing",)})
    world.to_come.append((AT + HOUR, event(ChoicesChanged(choices=choices), "sms-0")))
    world.to_come.append((AT + 2 * HOUR, decided(UPDATED)))
    world.to_come.append((AT + 3 * HOUR, decided(RESOLVED)))
    lived(world)
    assert world.reasons("sms-0", 2) == []
    assert world.reasons("sms-0", 3) == ["taken"]


def test_a_played_night_passes_at_the_pace_of_its_clock() -> None:
    world = calm()
    # three in the morning, where the reader is, when ours shows nine; a thousand times as fast
    clock = PlayedClock(time=AT.replace(hour=11), speed=1000.0, real=world.now)
    world.append(decided({**OPENED, "clock": clock, "at": clock.time}))
    lived(world)
    [at] = times(world, 1)
    assert timedelta(seconds=14.4) <= at - clock.real < timedelta(seconds=15), "four hours of that clock"


def test_a_deferral_is_on_record_with_its_moment_and_its_rule() -> None:
    world = lived(calm(OPENED))
    records = [codec.decode(r, Message).data for r in world.log[topics.DELIVERY_RECORDS_TOPIC.name]]
    kinds = [DeliveriesIntended, DeliveriesEnded, DeliveryAttempted, DeliveriesEnded]
    assert [type(r) for r in records] == kinds
    put_off: Any = records[1]
    assert put_off.attempt_id is None
    assert [(o.result, o.reason, o.due) for o in put_off.outcomes] == [(Result.DEFERRED, "quiet_hours", MORNING)]


def test_what_one_worker_put_off_and_another_had_begun_is_brought_back() -> None:
    """The attempt of the other is found open when the turn comes that this one asked for."""
    world = calm(people={"sms-0": PEOPLE["sms-0"]})

    async def run() -> None:
        process = Process(world, Fault())
        await process.holdings.own({0})
        await process.holdings.opened()
        [holding] = process.holdings.all()
        for record in (
            intended("sms-0", channel=SMS),
            ended(Result.DEFERRED, "sms-0", channel=SMS, due=AT),
            attempted("sms-0", channel=SMS),
        ):
            holding.ledger.apply(record)
        topic = topics.deliveries(Channel.SMS, Lane.FIRST)
        turn = codec.encode(topic, batch("sms-0", attempt=2), id="b", source="/tests", subject="INC-1")
        assert await process.post.handle(Record(topic.name, 0, 0, AT, turn.key, turn.value, turn.headers))
        assert holding.is_awaited(Told("INC-1", 1, SMS), "sms-0", 2)
        assert [(wake.batch.attempt, wake.batch.recipients) for wake in holding.wakes.values()] == [(2, ("sms-0",))]

    asyncio.run(run())


def test_nothing_is_awaited_any_more_once_everything_has_come() -> None:
    world = calm(OPENED)

    async def run() -> None:
        process = Process(world, Fault())
        await asyncio.wait_for(process.run(), 10)
        [holding] = process.holdings.all()
        assert not holding.wakes
        assert not holding.awaited

    asyncio.run(run())
    assert work(world, 1).terminal
