"""Playing: in compressed time, without waiting for it here."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline.broker import connect, runfile
from pipeline.cli import app
from pipeline.commands.play import outgoing, parse_speed, play, renamed
from pipeline.recorded import RecordedEvent, read
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.incident import IncidentUpdated
from tests.commands.running import tocsin
from tests.paths import REPOSITORY

BEGAN = datetime(2026, 3, 4, 9, tzinfo=UTC)
SMALL = REPOSITORY / "deploy" / "incidents" / "small-search-slow.json"


def events(*minutes: float) -> list[RecordedEvent]:
    return [
        RecordedEvent("i1", BEGAN + timedelta(minutes=m), IncidentUpdated(summary=f"{m}"), f"e{m}") for m in minutes
    ]


class Clock:
    """A clock that only sleeping, and a slow broker, move."""

    def __init__(self, slow: float = 0.0) -> None:
        self.now, self.slow = 100.0, slow
        self.published: list[tuple[float, str, float]] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def publish(self, event: RecordedEvent, speed: float) -> None:
        self.published.append((round(self.now - 100.0, 6), event.id, speed))
        self.now += self.slow

    async def play(self, found: list[RecordedEvent], speed: float | None) -> None:
        await play(found, self.publish, speed, self.sleep, lambda: self.now)


async def test_time_is_compressed_by_the_speed() -> None:
    clock = Clock()
    await clock.play(events(0, 10, 10, 70), 600.0)
    assert clock.published == [(0, "e0", 600), (1, "e10", 600), (1, "e10", 600), (7, "e70", 600)]


async def test_a_slow_acknowledgement_does_not_shift_what_follows() -> None:
    clock = Clock(slow=0.4)
    await clock.play(events(0, 10, 11, 70), 600.0)
    assert [at for at, _, _ in clock.published] == [0, 1, 1.4, 7]


async def test_at_full_speed_nothing_waits_and_clocks_stand_between_events() -> None:
    clock = Clock()
    await clock.play(events(0, 10, 100_000), None)
    assert clock.published == [(0, "e0", 1), (0, "e10", 1), (0, "e100000", 1)]


async def test_nothing_to_play_is_no_error() -> None:
    clock = Clock()
    await clock.play([], 600.0)
    assert clock.published == []


def test_a_played_event_carries_its_own_clock() -> None:
    [event] = events(1.5)
    record = outgoing(event, 600.0)
    headers = dict(record.headers)
    assert headers["ce_virtualtime"] == b"2026-03-04T09:01:30Z"
    assert headers["ce_virtualspeed"] == b"600"
    stood = codec.Record(record.topic, 0, 0, BEGAN, record.key, record.value, record.headers)
    decoded = codec.decode_input(stood)
    assert (decoded.subject, decoded.data) == ("i1", event.event)
    assert decoded.extensions == {"virtualtime": "2026-03-04T09:01:30Z", "virtualspeed": "600"}


def test_the_same_file_again_is_a_new_incident_with_a_suffix() -> None:
    [event] = events(1)
    again = renamed(event, "b")
    assert (again.incident, again.id) == ("i1-b", "e1-b")
    assert renamed(event, "") == event


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan"])
def test_a_speed_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_speed(text)


def test_playing_outside_of_a_sandbox_is_refused_and_says_what_to_do() -> None:
    result = CliRunner().invoke(app, ["play", str(SMALL)])
    assert result.exit_code == 1
    assert "tocsin up --sandbox" in result.stderr


async def test_beside_a_running_sandbox_nothing_needs_to_be_set(own_broker: Settings) -> None:
    runfile.write_own(own_broker.data_dir / "run" / "sandbox.json")
    result = await tocsin(own_broker, "play", str(SMALL), "--speed", "max", "--limit", "1")
    assert result.exit_code == 0, result.stderr
    assert "played 1 events of 1 incident" in result.stdout


async def test_what_is_played_stands_in_the_input_topic(own_broker: Settings) -> None:
    result = await tocsin(own_broker, "play", str(SMALL), "--speed", "max", "--limit", "2", TOCSIN_SANDBOX="true")
    assert result.exit_code == 0, result.stderr
    assert "played 2 events of 1 incident" in result.stdout
    stood = [codec.decode_input(record) async for record in connect.read_all(own_broker, topics.INCIDENT_EVENTS.name)]
    assert [(event.id, event.data) for event in stood] == [(e.id, e.event) for e in read([Path(SMALL)])[:2]]
