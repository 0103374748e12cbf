"""What is held of a partition: folded as its agents read it, and let go of without leaving anyone waiting."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from agents.asking import Asking
from agents.holdings import NOWHERE, Holding, Holdings
from agents.keeping import Keeping
from agents.receiving import Receiving
from pipeline.deliver.store import Place
from pipeline.deliver.work import Told
from pipeline.registrations import registration
from pipeline.subscribers import event_record, subscribe
from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Outgoing, Record
from schemas.delivery import DeliveriesIntended
from schemas.receipt import KeywordReceived
from schemas.subscriber import Merged, Stopped
from tests.deliver.given import intended
from tests.deliver.world import Fault, Process, World

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Slow:
    """A follower that has not caught up with anything until it is told so."""

    def __init__(self, _apply: Callable[[Record], None]) -> None:
        self.done = asyncio.Event()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def assign(self, partitions: Iterable[int], starts: Mapping[tuple[str, int], int] = NOWHERE) -> None:
        await asyncio.sleep(0)

    async def holds(self, topic: str, partition: int, place: Place) -> bool:
        return False

    async def caught_up(self, partition: int, *topics: topics.Topic) -> None:
        await self.done.wait()


async def nothing_to_take_over(_holding: Holding) -> None: ...


def record(outgoing: Outgoing) -> Record:
    return Record(outgoing.topic, 0, 0, AT, outgoing.key, outgoing.value, outgoing.headers)


def held(*given: Outgoing | Record) -> Holding:
    holding = Holding(0)
    for one in given:
        holding.apply(one if isinstance(one, Record) else record(one))
    return holding


def subscribed(world: World) -> tuple[Outgoing, Outgoing]:
    row = registration({"audiences": ["customers"], "phone": "+14155552671"})
    return subscribe(world.vault, row, "s1", AT)


def test_a_record_of_people_is_known_to_be_folded_by_its_place() -> None:
    """So that nobody asks the broker for the end of a topic on behalf of each of a million that subscribe."""
    key, event = subscribed(World(Random(1)))
    first, second = (replace(record(event), offset=offset) for offset in (4, 5))
    holding = held(record(key), first)
    assert holding.folded(first)
    assert not holding.folded(second)
    assert not Holding(0).folded(first)


async def test_whoever_waits_for_a_partition_that_is_taken_away_is_not_left_waiting() -> None:
    holdings = Holdings(Slow, nothing_to_take_over, Keeping(None))
    await holdings.own({0})
    waiting = asyncio.create_task(holdings.get(0))
    await asyncio.sleep(0)
    holdings.suspend()
    await holdings.own(set())
    assert await asyncio.wait_for(waiting, 5) is None


async def test_a_group_that_forms_anew_while_partitions_are_being_assigned_does_no_harm() -> None:
    slow: list[Slow] = []

    def follower(apply: Callable[[Record], None]) -> Slow:
        slow.append(Slow(apply))
        return slow[0]

    holdings = Holdings(follower, nothing_to_take_over, Keeping(None))
    await asyncio.gather(holdings.own({0, 1}), holdings.own({1}), holdings.own({1, 2}))
    slow[0].done.set()
    await asyncio.wait_for(holdings.opened(), 5)
    assert [holding.partition for holding in holdings.all()] == [1, 2]


async def test_a_partition_that_came_back_is_open_only_when_its_fold_has_caught_up_again() -> None:
    follower = Slow(lambda _record: None)
    follower.done.set()
    holdings = Holdings(lambda _apply: follower, nothing_to_take_over, Keeping(None))
    await holdings.own({0})
    before = await asyncio.wait_for(holdings.get(0), 5)
    assert before is not None
    turn = holdings.turn(before)
    follower.done.clear()
    holdings.suspend()
    assert holdings.turn(before) is None
    holdings.release()
    await holdings.own({0})
    again = asyncio.create_task(holdings.get(0))
    await asyncio.sleep(0)
    assert not again.done()
    assert holdings.turn(before) is None, "what another worker did meanwhile is not known yet"
    assert turn is not None
    assert not holdings.lasts(before, turn)
    follower.done.set()
    assert await asyncio.wait_for(again, 5) is before


async def test_a_partition_is_opened_by_its_own_opening_and_by_none_that_was_begun_before_it_was_lost() -> None:
    followed: list[asyncio.Event] = []

    class Steps(Slow):
        async def caught_up(self, partition: int, *topics: topics.Topic) -> None:
            followed.append(asyncio.Event())
            await followed[-1].wait()

    follower = Steps(lambda _record: None)
    holdings = Holdings(lambda _apply: follower, nothing_to_take_over, Keeping(None))
    await holdings.own({0})
    while not followed:
        await asyncio.sleep(0)
    holdings.suspend()
    holdings.release()
    await holdings.own({0})
    while len(followed) < 2:
        await asyncio.sleep(0)
    again = asyncio.create_task(holdings.get(0))
    followed[0].set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not again.done(), "what another worker did meanwhile is not folded yet"
    followed[1].set()
    assert await asyncio.wait_for(again, 5) is not None


def test_the_key_of_who_was_merged_is_gone_without_its_tombstone_and_does_not_come_back() -> None:
    key, someone = subscribed(World(Random(1)))
    merged = event_record("s1", Merged(into="another", channels=(Channel.EMAIL,)), AT)
    for order in ((key, someone, merged), (someone, merged, key)):
        holding = held(*order)
        assert holding.subscribers["s1"].merged_into == "another"
        assert holding.subscribers.key("s1") is None


def test_an_opt_out_in_structured_mode_is_folded_as_its_agent_takes_it() -> None:
    body = {
        "specversion": "1.0", "id": "1", "source": "/crm", "subject": "s1",
        "type": "io.tocsin.subscriber.unsubscribed.v1", "data": {"channel": "sms", "via": "preferences"},
    }  # fmt: skip
    headers = (("content-type", b"application/cloudevents+json"),)
    said = Record(topics.SUBSCRIBER_EVENTS_TOPIC.name, 0, 1, AT, b"s1", json.dumps(body).encode(), headers)
    assert codec.decode_input(said).subject == "s1"
    holding = held(*subscribed(World(Random(0))), said)
    assert holding.subscribers["s1"].opted_out.keys() == {Channel.SMS}


def test_a_tombstone_under_a_key_that_is_no_text_does_not_end_the_worker() -> None:
    held(Record(topics.SUBSCRIBER_KEYS.name, 0, 0, AT, b"\xff", None))


async def test_stop_from_someone_who_has_only_just_come_is_heeded() -> None:
    world = World(Random(0))
    process = Process(world, Fault())
    await process.holdings.own({0})
    await process.holdings.opened()
    for outgoing in subscribed(world):
        world.append(outgoing)
    emitter: Any = process.pen
    receiving = Receiving(
        emitter, process.dead, process.holdings, lambda: AT, lambda: 5, Asking(emitter, lambda: None, "Status"), 1
    )
    token = world.vault.address_token(Channel.SMS, "+14155552671")
    stop = KeywordReceived(channel=Channel.SMS, address_token=token, keyword="STOP", provider_id="SM1", at=AT)
    given = codec.encode(topics.PROVIDER_RECEIPTS, stop, id="1", source="/tests", subject="SM1", partition=0)
    process.follower.creeps = False
    assert await receiving.receipt(record(given))
    last = codec.decode_input(world.log[topics.SUBSCRIBER_EVENTS_TOPIC.name][-1])
    assert (last.subject, type(last.data)) == ("s1", Stopped)


def test_what_this_worker_wrote_is_folded_once_and_what_another_wrote_in_its_place_all_the_same() -> None:
    holding, told = Holding(0), Told("INC-1", 1, Channel.EMAIL)
    mine, others = intended("s1"), intended("s2")

    def at(offset: int, id_: str, data: DeliveriesIntended) -> Record:
        out = codec.encode(topics.DELIVERY_RECORDS_TOPIC, data, id=id_, source="/deliver", partition=0)
        return Record(out.topic, 0, offset, AT, out.key, out.value, out.headers)

    holding.wrote(mine, "mine", 0)
    holding.wrote(mine, "mine as well", 1)
    holding.apply(at(0, "mine", mine))
    holding.apply(at(1, "another's", others))
    assert set(holding.ledger.works(told)) == {"s1", "s2"}
    assert not holding.written
    holding.wrote(mine, "read before its acknowledgement came", 1)
    assert not holding.written
