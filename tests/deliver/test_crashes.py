"""The real post and fan-out in a world where processes die, or leave their group, at any step (I1, I2)."""

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deliver.ledger import Told
from pipeline.registrations import registration
from pipeline.subscribers import subscribe
from schemas import codec, topics
from schemas.base import Channel, Lane, Level
from schemas.delivery import Result
from schemas.ids import intent_id, notice_id
from schemas.journal import NoticeKind
from schemas.notice import Notice
from schemas.rendering import EmailContent, PostContent, SmsContent, rendering_of
from tests.deliver.world import AT, Fault, World, live

PEOPLE: dict[str, dict[str, str]] = {
    **{f"mail-{n}": {"email": f"p{n}@example.com"} for n in range(4)},
    **{f"sms-{n}": {"phone": f"+1415555267{n}"} for n in range(2)},
    "account": {"x_handle": "status"},
}
CHANNELS = {"mail": Channel.EMAIL, "sms": Channel.SMS, "account": Channel.X}
RENDERINGS = (
    rendering_of("en", EmailContent(subject="s", text="t", html="<p>t</p>")),
    rendering_of("en", SmsContent(text="t", encoding="GSM-7", segments=1)),
    rendering_of("en", PostContent(text="t", weighted_length=1)),
)
STEPS = st.integers(1, 250)
FAULTS = st.one_of(
    st.builds(Fault, killed=STEPS),
    st.builds(Fault, leaves=STEPS),
    st.tuples(STEPS, st.integers(1, 15)).map(lambda drawn: Fault(leaves=drawn[0], killed=sum(drawn))),
)


def notice(seq: int, kind: NoticeKind, lane: Lane, *, closing: bool) -> Notice:
    return Notice(
        notice_id=notice_id("INC-1", seq, "customers"),
        incident="INC-1",
        seq=seq,
        at=AT,
        kind=kind,
        audience="customers",
        level=Level.CUSTOMER,
        lane=lane,
        closing=closing,
        components=(),
        outranked_by=(),
        renderings=RENDERINGS,
    )


def populated(seed: int) -> World:
    world = World(Random(seed))
    for subscriber, address in PEOPLE.items():
        row = registration({"audiences": ["customers"], **address})
        for outgoing in subscribe(world.vault, row, subscriber, AT):
            world.append(outgoing)
    for told in (
        notice(1, NoticeKind.OPENED, Lane.FIRST, closing=False),
        notice(2, NoticeKind.RESOLVED, Lane.UPDATE, closing=True),
    ):
        world.append(codec.encode(topics.notices(told.lane), told, id=told.notice_id, source="/tests", subject="INC-1"))
    return world


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.lists(FAULTS, max_size=4))
def test_whenever_processes_die_or_leave_nothing_is_lost_and_nothing_told_twice(seed: int, faults: list[Fault]) -> None:
    world = populated(seed)

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await live(world, faults)

    asyncio.run(bounded())
    ledger, unknowns, reasons = world.ledger()
    assert "waiting_work_lost" not in reasons
    for seq in (1, 2):
        for subscriber in PEOPLE:
            channel = CHANNELS[subscriber.partition("-")[0]]
            work = ledger.work(Told("INC-1", seq, channel), subscriber)
            intent = intent_id("INC-1", seq, subscriber, channel)
            taken = world.accepted[intent]
            named = f"{subscriber} of {seq}: {work}, taken {taken}, {unknowns[intent]} unknowns"
            assert work is not None, f"lost: {named}"
            assert work.terminal, f"without an end: {named}"
            assert taken or work.result is not Result.ACCEPTED, f"said to be told: {named}"
            assert taken <= 1 + (unknowns[intent] if channel is Channel.EMAIL else 0), f"told twice: {named}"


def test_a_message_at_which_the_worker_always_ends_is_parked_and_does_not_come_back_for_ever() -> None:
    world = populated(1)

    asyncio.run(live(world, [Fault(dies_at=Channel.X)] * 12))
    ledger, unknowns, _ = world.ledger()
    work = ledger.work(Told("INC-1", 1, Channel.X), "account")
    assert work is not None
    assert work.result is Result.PARKED
    assert unknowns[intent_id("INC-1", 1, "account", Channel.X)] == 3
