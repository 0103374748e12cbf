"""How a room starts, and how it refuses to."""

from schemas.base import Severity
from schemas.delivery import Result
from schemas.incident import IncidentOpened
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


async def test_with_another_secret_nobody_is_written_off(system: System) -> None:
    """A wrong secret opens no address: the messages wait for a person, they are not called suppressed."""
    await system.subscribe("mail-1", email="a@example.com")
    await system.stop("deliver")
    await system.start("deliver", env={"TOCSIN_SECRET": "another secret than the one that sealed it"})
    await system.publish("INC-1", IncidentOpened(title="Search is slow", severity=Severity.MAJOR))
    found = await system.all_settled(1)
    assert found.reasons == {"contact_unreadable": 1}
    assert set(found.results.values()) == {Result.PARKED}
