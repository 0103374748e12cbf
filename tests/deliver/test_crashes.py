"""The real post and fan-out in a world where processes die, or leave their group, at any step (I1, I2, I7)."""

import asyncio
from datetime import time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deliver import fanout
from pipeline.deliver.work import Told
from pipeline.registrations import registration
from pipeline.subscribers import subscribe
from schemas import codec, topics
from schemas.base import Channel, Lane, Message
from schemas.delivery import NoticeWalked, Result
from schemas.ids import intent_id
from schemas.journal import NoticeKind
from schemas.notice import LocalHours, Manners
from tests.deliver.given import AT, mail, notice, post, text, told
from tests.deliver.world import Fault, World, live

ASLEEP, DOZING = "America/Los_Angeles", "Pacific/Tongatapu"  # at AT it is one in the morning, and ten in the evening
PEOPLE: dict[str, dict[str, str]] = {
    **{f"mail-{n}": {"email": f"p{n}@example.com"} for n in range(4)},
    **{f"sms-{n}": {"phone": f"+1415555267{n}"} for n in range(2)},
    "account": {"x_handle": "status"},
    "sms-asleep": {"phone": "+14155552679", "time_zone": ASLEEP},
    "sms-dozing": {"phone": "+14155552678", "time_zone": DOZING},
    "mail-digest": {"email": "digest@example.com", "frequency": "digest"},
    "mail-office": {"email": "office@example.com", "time_zone": ASLEEP, "office_hours_only": "yes"},
}
CHANNELS = {"mail": Channel.EMAIL, "sms": Channel.SMS, "account": Channel.X}
MANNERS = Manners(
    quiet_hours={Channel.SMS: LocalHours(from_=time(22), until=time(7))},
    at_most={Channel.EMAIL: 1, Channel.SMS: 1},
    cap_window_s=100,
)
STEPS = st.integers(1, 350)
FAULTS = st.one_of(
    st.builds(Fault, killed=STEPS),
    st.builds(Fault, leaves=STEPS),
    st.tuples(STEPS, st.integers(1, 15)).map(lambda drawn: Fault(leaves=drawn[0], killed=sum(drawn))),
)
OPENED: dict[str, Any] = {"seq": 1, "kind": NoticeKind.OPENED, "lane": Lane.FIRST}
UPDATED: dict[str, Any] = {"seq": 2, "kind": NoticeKind.UPDATED, "lane": Lane.UPDATE}
RESOLVED: dict[str, Any] = {"seq": 3, "kind": NoticeKind.RESOLVED, "lane": Lane.UPDATE, "closing": True}


def populated(seed: int, people: dict[str, dict[str, str]], *notices: dict[str, Any]) -> World:
    world = World(Random(seed), now=AT - timedelta(seconds=20))
    for subscriber, given_ in people.items():
        row = registration({"audiences": ["customers"], **given_})
        for outgoing in subscribe(world.vault, row, subscriber, AT):
            world.append(outgoing)
    for change in notices:
        one = notice(renderings=(mail(), text(), post()), level="customer", manners=MANNERS, **change)
        world.append(told(one))
    return world


def lived(world: World, *faults: Fault) -> World:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await live(world, faults)

    asyncio.run(bounded())
    return world


def test_whoever_dies_in_the_middle_of_a_fan_out_leaves_nobody_behind_the_place_that_it_put_on_record(monkeypatch):
    monkeypatch.setattr(fanout, "STRETCH", 2)
    monkeypatch.setattr(fanout, "SETTLED_EVERY", 2)
    for killed in range(1, 90):
        world = lived(populated(killed, PEOPLE, OPENED), Fault(killed=killed))
        came_to_an_end(world, "INC-1", 1)
        records = world.log[topics.DELIVERY_RECORDS_TOPIC.name]
        assert any(isinstance(codec.decode(record, Message).data, NoticeWalked) for record in records)


def is_quiet(channel: Channel, subscriber: str, world: World, intent: str) -> bool:
    zone = ZoneInfo(PEOPLE[subscriber].get("time_zone", "UTC"))
    hours = [at.astimezone(zone).hour for at in world.sent_at[intent]]
    return channel is Channel.SMS and any(hour < 7 or hour >= 22 for hour in hours)


def came_to_an_end(world: World, incident: str, seq: int) -> dict[str, Result]:
    """How everyone's message ended; each did, and none was told twice or at night."""
    ledger, unknowns, reasons = world.ledger()
    assert "waiting_work_lost" not in reasons
    found: dict[str, Result] = {}
    for subscriber in PEOPLE:
        channel = CHANNELS[subscriber.partition("-")[0]]
        work = ledger.work(Told(incident, seq, channel), subscriber)
        intent = intent_id(incident, seq, subscriber, channel)
        taken = world.accepted[intent]
        named = f"{subscriber} of {incident}/{seq}: {work}, taken {taken}, {unknowns[intent]} unknowns"
        assert work is not None, f"lost: {named}"
        assert work.result is not None, f"not begun: {named}"
        assert work.terminal, f"without an end: {named}"
        assert taken or work.result is not Result.ACCEPTED, f"said to be told: {named}"
        assert taken <= 1 + (unknowns[intent] if channel is Channel.EMAIL else 0), f"told twice: {named}"
        assert not is_quiet(channel, subscriber, world, intent), f"woken up: {named}"
        found[subscriber] = work.result
    return found


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.lists(FAULTS, max_size=4))
def test_whenever_processes_die_or_leave_nothing_is_lost_and_nothing_told_twice(seed: int, faults: list[Fault]) -> None:
    world = lived(populated(seed, PEOPLE, OPENED, UPDATED, RESOLVED), *faults)
    for seq in (1, 2, 3):
        ends = came_to_an_end(world, "INC-1", seq)
    assert set(ends.values()) <= {Result.ACCEPTED, Result.PARKED}, f"left without the end: {ends}"


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.lists(FAULTS, max_size=3))
def test_a_flood_of_incidents_is_told_in_the_end_and_nothing_of_it_twice(seed: int, faults: list[Fault]) -> None:
    """What is put off while nobody knows how its last attempt ended is looked into, not said again blindly."""
    lanes = (Lane.FIRST, Lane.UPDATE, Lane.FIRST)
    flood = [{**OPENED, "lane": lane, "incident": f"INC-{n}", "notice_id": f"n{n}"} for n, lane in enumerate(lanes)]
    world = lived(populated(seed, PEOPLE, *flood), *faults)
    for n in range(3):
        ends = came_to_an_end(world, f"INC-{n}", 1)
        assert set(ends.values()) <= {Result.ACCEPTED, Result.PARKED}, f"lost in the flood: {ends}"


@pytest.mark.parametrize("dies", range(1, 60))
def test_a_process_that_dies_at_any_step_of_putting_off_loses_nothing(dies: int) -> None:
    """Without a provider's trouble: whoever is asleep is told once, in their morning, at whichever step it was."""
    for seed in range(4):
        world = populated(seed, {"sms-asleep": PEOPLE["sms-asleep"]}, OPENED)
        world.trouble = 0
        lived(world, Fault(killed=dies), Fault(killed=dies // 2 + 1))
        intent = intent_id("INC-1", 1, "sms-asleep", Channel.SMS)
        work = world.ledger()[0].work(Told("INC-1", 1, Channel.SMS), "sms-asleep")
        assert work is not None
        assert work.result is Result.ACCEPTED, work
        assert world.accepted[intent] == 1
        assert work.deferred >= 1
        assert world.now >= AT + timedelta(hours=6)
        assert not is_quiet(Channel.SMS, "sms-asleep", world, intent)


def test_a_message_at_which_the_worker_always_ends_is_parked_and_does_not_come_back_for_ever() -> None:
    world = lived(populated(1, PEOPLE, OPENED), *[Fault(dies_at=Channel.X)] * 12)
    ledger, unknowns, _ = world.ledger()
    work = ledger.work(Told("INC-1", 1, Channel.X), "account")
    assert work is not None
    assert work.result is Result.PARKED
    assert unknowns[intent_id("INC-1", 1, "account", Channel.X)] == 3
