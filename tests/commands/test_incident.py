"""`tocsin incident`: from the terminal into the input topic."""

import pytest

from pipeline.broker import connect
from pipeline.commands import terminal
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.base import Message, Severity
from schemas.incident import IncidentOpened, IncidentUpdated
from tests.commands.running import tocsin

OPEN = ("incident", "open", "--id", "INC-1", "--title", "Search is slow", "--severity", "minor")


async def said(settings: Settings) -> list[codec.Event[Message]]:
    return [codec.decode_input(record) async for record in connect.read_all(settings, topics.INCIDENT_EVENTS.name)]


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "interactive", lambda: True)


async def test_flags_alone_open_an_incident_and_what_was_accepted_is_printed(own_broker: Settings) -> None:
    result = await tocsin(own_broker, *OPEN)
    assert result.exit_code == 0, result.output
    place = connect.partition_for("INC-1", 3)
    assert f"accepted: INC-1 (incident.events, partition {place}, offset 0)" in result.stdout
    assert "next: tocsin incident update INC-1" in result.stdout
    [event] = await said(own_broker)
    assert event.subject == "INC-1"
    assert event.time is not None
    assert isinstance(event.data, IncidentOpened)
    assert event.data.severity is Severity.MINOR


async def test_an_id_is_made_that_can_be_said_on_the_telephone(own_broker: Settings) -> None:
    result = await tocsin(own_broker, "incident", "open", "--title", "x", "--severity", "none")
    [event] = await said(own_broker)
    assert f"accepted: {event.subject} " in result.stdout
    assert event.subject is not None
    assert len(event.subject) == len("INC-20260304-7k2m")


async def test_on_a_terminal_few_questions_are_asked_and_nothing_is_sent_unconfirmed(
    own_broker: Settings, on_a_terminal: None
) -> None:
    answers = ["", "Search is slow", "minor", "Search, API", "Slow answers", "", "none", "", "", "in 45m"]
    refused = await tocsin(own_broker, "incident", "open", typed="\n".join([*answers, "n", ""]))
    assert refused.exit_code == 1
    assert "nothing was sent" in refused.stdout
    assert "not yet known" in refused.stdout
    sent = await tocsin(own_broker, "incident", "open", typed="\n".join([*answers, "y", ""]))
    assert sent.exit_code == 0, sent.output
    [event] = await said(own_broker)
    assert isinstance(event.data, IncidentOpened)
    assert event.data.components == ("Search", "API")
    assert event.data.consequences is not None
    assert (event.data.consequences.expected, event.data.consequences.lasting) == (None, "none")


async def test_a_wrong_answer_is_asked_for_again(own_broker: Settings, on_a_terminal: None) -> None:
    await tocsin(own_broker, *OPEN, "--yes")
    result = await tocsin(own_broker, "incident", "update", "INC-1", typed="It is better.\nsoon\nin 1h\ny\n")
    assert result.exit_code == 0, result.output
    assert "'soon' is no moment" in result.stderr
    event = (await said(own_broker))[-1]
    assert isinstance(event.data, IncidentUpdated)
    assert event.data.summary == "It is better."


async def test_yes_asks_nothing(own_broker: Settings, on_a_terminal: None) -> None:
    result = await tocsin(own_broker, *OPEN, "--yes")
    assert result.exit_code == 0, result.output
    assert "?" not in result.stdout


async def test_a_mistyped_incident_is_not_told_to_anyone(own_broker: Settings) -> None:
    await tocsin(own_broker, *OPEN)
    result = await tocsin(own_broker, "incident", "update", "INC-l", "--summary", "x")
    assert result.exit_code == 1
    assert "there is no incident INC-l" in result.stderr
    assert len(await said(own_broker)) == 1


async def test_without_a_broker_it_is_said_how_to_start_one(make_settings) -> None:  # type: ignore[no-untyped-def]
    result = await tocsin(make_settings(), *OPEN)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: no embedded broker runs on")
    assert "tocsin up" in result.stderr
