"""How a room starts, and how it refuses to."""

from tests.system import System


async def test_a_room_is_not_started_twice_on_the_embedded_broker(system: System) -> None:
    await system.spawn("decide", worker="2")
    assert await system.ended("decide", worker="2") == 1
    assert "room decide already runs on this data directory" in system.log("decide", worker="2")


async def test_a_room_refuses_topics_of_another_shape(system: System) -> None:
    await system.stop("decide")
    await system.spawn("decide", {"TOCSIN_PARTITIONS": "7"})
    assert await system.ended("decide") == 1
    assert "dead.letters" in system.log("decide")
    assert "--partitions 7" in system.log("decide")
