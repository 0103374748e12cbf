"""The census: the running count is the recount, whatever changed in between; and it is told when it has changed."""

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.counting import AT_MOST_EVERY_S, Counting
from agents.emit import Emitter
from pipeline import policy
from pipeline.deliver.census import Tally
from pipeline.policy.audiences import Audiences
from pipeline.registrations import registration
from pipeline.settings import Settings
from pipeline.subscribers import subscribe
from schemas import codec, topics
from schemas.base import Level, Message
from schemas.census import AudienceCount, Census
from schemas.policy import PolicyPublished, hash_of
from schemas.subscriber import OptOut, Subscriber, Unsubscribed
from tests.deliver.given import AT, EMAIL, SMS, subscriber
from tests.deliver.world import Fault, Process, World
from tests.paths import REPOSITORY

AUDIENCES = Audiences.model_validate(
    {
        "audiences": {
            "responders": {
                "level": "internal", "members": {"roles": ["responder"]}, "hears from severity": "none",
                "channels": {"email": "every notice"},
            },
            "customers": {
                "level": "customer", "hears from severity": "minor", "channels": {"email": "every notice"},
            },
        }
    }
)  # fmt: skip
POLICY = "0" * 64


def counted(*everyone: Subscriber) -> Census:
    tally = Tally(POLICY, AUDIENCES)
    tally.take(everyone)
    return tally.census()


def test_an_audience_is_counted_by_channel_zone_language_and_level() -> None:
    stopped = {SMS: OptOut(reason="stopped", since=AT)}
    census = counted(
        subscriber("a", channels=(EMAIL, SMS), language="de-CH", time_zone="Europe/Zurich"),
        subscriber("b", channels=(EMAIL, SMS), opted_out=stopped, level=Level.PUBLIC),
        subscriber("c", channels=(SMS,), opted_out=stopped),
        subscriber("d", erased=True),
        subscriber("e", audiences=(), roles=("responder",), level=Level.TECHNICAL),
        subscriber("f", level=Level.INTERNAL),
    )
    assert census.audiences == {
        "responders": AudienceCount(
            total=1, channels={EMAIL: 1}, zones={"UTC": 1}, languages={"en": 1}, levels={Level.TECHNICAL: 1}
        ),
        "customers": AudienceCount(
            total=3,
            channels={EMAIL: 3, SMS: 1},
            zones={"Europe/Zurich": 1, "UTC": 2},
            languages={"de": 1, "en": 2},
            levels={Level.CUSTOMER: 2, Level.PUBLIC: 1},
        ),
    }


ANYONE = st.one_of(
    st.none(),
    st.builds(
        subscriber,
        audiences=st.sampled_from([("customers",), ("other",), ()]),
        channels=st.sampled_from([(EMAIL,), (EMAIL, SMS), (SMS,)]),
        roles=st.sampled_from([(), ("responder",)]),
        language=st.sampled_from(["en", "de"]),
        level=st.sampled_from([None, *Level]),
        time_zone=st.sampled_from(["UTC", "Asia/Tokyo"]),
        opted_out=st.sampled_from([{}, {SMS: OptOut(reason="stopped", since=AT)}]),
        erased=st.booleans(),
    ),
)


@given(st.lists(st.tuples(st.integers(0, 3), ANYONE), max_size=20), st.integers(0, 20))
def test_the_running_count_is_the_recount_wherever_in_between_it_began(
    changes: list[tuple[int, Any]], began: int
) -> None:
    """Those there at its beginning may be taken in after others have changed: a slice at a time, as `Counting` does."""
    everyone: dict[int, Subscriber] = {}
    for who, after in changes[:began]:
        everyone[who] = after or subscriber(erased=True)
    tally, at_first = Tally(POLICY, AUDIENCES), list(everyone.values())
    for who, after in changes[began:]:
        tally.change(everyone.get(who), after or subscriber(erased=True))
        everyone[who] = after or subscriber(erased=True)
    tally.take(at_first)
    assert tally.census() == counted(*everyone.values())


def published(**documents: str) -> PolicyPublished:
    shipped = policy.load(Settings(policy_dir=REPOSITORY / "deploy" / "policies" / "small-saas").policy_dir).documents
    changed = {**shipped, **documents}
    return PolicyPublished(name="small-saas", hash=hash_of(changed), documents=changed)


class Room:
    """The counting side of a room on a log in memory, with a loop whose clock stands still unless it is told."""

    def __init__(self) -> None:
        self.world = World(Random(0))
        self.process = Process(self.world, Fault())
        emitter: Emitter = self.process.pen
        self.counting = Counting(emitter, self.process.holdings, lambda: AT)

    async def open(self) -> None:
        await self.process.holdings.own({0})
        await self.process.holdings.opened()

    def publish(self, given_: PolicyPublished) -> None:
        outgoing = codec.encode(topics.POLICIES, given_, id=given_.hash, source="/tests", subject=given_.name)
        self.world.append(outgoing)
        self.counting.published(self.world.log[topics.POLICIES.name][-1])

    def subscribe(self, id_: str) -> None:
        row = registration({"audiences": ["customers"], "email": f"{id_}@example.com"})
        for outgoing in subscribe(self.world.vault, row, id_, AT):
            self.world.append(outgoing)
        self.process.follower.creep()

    def told(self) -> list[Census]:
        return [codec.decode(r, Census).data for r in self.world.log[topics.CENSUS.name]]

    def totals(self) -> list[int]:
        return [census.audiences["customers"].total for census in self.told()]

    async def later(self) -> None:
        """As if the time that must lie between two had passed."""
        for partition, last in self.counting._told.items():
            self.counting._told[partition] = type(last)(last.at_s - AT_MOST_EVERY_S, last.changes, last.census)
        await self.process.holdings.opt_outs_reached(0)
        await self.counting.tell()


async def test_a_partitions_census_is_told_once_it_is_open_and_whenever_it_has_changed() -> None:
    room = Room()
    room.subscribe("s1")
    await room.open()
    await room.counting.tell()
    assert room.told() == [], "no policy is known yet"
    policy_ = published()
    room.publish(policy_)
    await room.counting.tell()
    await room.counting.tell()
    assert room.totals() == [1]
    assert [census.policy for census in room.told()] == [policy_.hash]
    room.subscribe("s2")
    await room.later()
    await room.later()
    assert room.totals() == [1, 2]
    [last] = room.world.log[topics.CENSUS.name][-1:]
    assert (last.key, last.partition) == (b"0", 0)


async def test_it_is_told_at_most_once_a_second() -> None:
    room = Room()
    await room.open()
    room.publish(published())
    for n in range(3):
        room.subscribe(f"s{n}")
        await room.process.holdings.opt_outs_reached(0)
        await room.counting.tell()
    assert room.totals() == [1]
    await room.later()
    assert room.totals() == [1, 3]


async def test_another_policy_is_counted_under_and_a_broken_one_is_not() -> None:
    room = Room()
    room.subscribe("s1")
    await room.open()
    first = published()
    room.publish(first)
    await room.counting.tell()
    room.publish(published(**{"cadence.yaml": "nonsense: true\n"}))
    await room.later()
    assert [census.policy for census in room.told()] == [first.hash]
    second = published(**{"audiences.yaml": first.documents["audiences.yaml"] + "\n# another\n"})
    room.publish(second)
    await room.later()
    assert [census.policy for census in room.told()] == [first.hash, second.hash]
    assert room.totals() == [1, 1]


async def test_who_opts_out_of_their_last_channel_is_not_counted_any_more() -> None:
    room = Room()
    room.subscribe("s1")
    await room.open()
    room.publish(published())
    await room.counting.tell()
    out: Message = Unsubscribed(channel=EMAIL, via="one-click")
    room.world.append(codec.encode(topics.SUBSCRIBER_EVENTS_TOPIC, out, id="u", source="/tests", subject="s1"))
    await room.later()
    assert room.totals() == [1, 0]
