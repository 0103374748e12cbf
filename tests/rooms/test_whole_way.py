"""From an incident event to delivered messages, over real parts: broker, rooms, SMTP, Twilio's and X's clients."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from schemas.base import Severity
from schemas.incident import IncidentOpened, IncidentResolved
from tests.system import System, channel_counts, running

OPENED = IncidentOpened(
    title="Card payments fail", severity=Severity.MAJOR, components=("Payments",), summary="One card payment in five fails."
)
RESOLVED = IncidentResolved(summary="Card payments work again.", done="The change of 09:02 was taken back.")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path), sandbox, ("decide", "deliver")) as found:
        yield found


async def test_everyone_is_told_once_on_the_channel_they_chose(system: System) -> None:
    await system.subscribe("mail-1", email="a@example.com")
    await system.subscribe("mail-2", email="b@example.com")
    await system.subscribe("sms-1", phone="+14155552671")
    await system.subscribe("account", x_handle="status", audiences="public")
    await system.publish("INC-1", OPENED)
    found = await system.all_settled(4)
    assert channel_counts(found) == {"accepted": 4}, found.reasons
    assert set(system.mails_by_intent().values()) == {1}
    assert len(system.sandbox.mails) == 2
    assert len(system.sandbox.texts) == 1
    assert len(system.sandbox.posts) == 1
