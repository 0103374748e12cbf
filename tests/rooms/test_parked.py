"""What was parked, on its whole way: listed, ordered on the command line, verified and done in the deliver room."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from schemas import codec, topics
from schemas.base import Severity
from schemas.delivery import ParkedOrdered
from schemas.incident import IncidentOpened
from tests.commands.running import tocsin
from tests.system import System, channel_counts, running

pytestmark = pytest.mark.slow  # a broker and two rooms

OPENED = IncidentOpened(title="Card payments fail", severity=Severity.MAJOR, summary="One card payment in five fails.")


@pytest.fixture
async def capped(tmp_path: Path) -> AsyncIterator[System]:
    """Two people by SMS, and what one message costs may be spent."""
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path), sandbox, ("decide",)) as found:
        await tocsin(found.settings, "operator", "add", "ann", "--role", "incident-manager")
        await found.start("deliver", env={"TOCSIN_SMS_CAP_PER_INCIDENT": "2"})
        for number in range(3):
            await found.subscribe(f"sms-{number}", phone=f"+1415555267{number}")
        await found.publish("INC-1", OPENED)
        await found.all_settled(3)
        yield found


async def test_what_is_over_the_cap_waits_is_seen_and_goes_when_somebody_says_so(capped: System) -> None:
    sent = len(capped.sandbox.texts)
    assert 1 <= sent <= 2
    shown = await tocsin(capped.settings, "deliveries", "parked")
    assert f"INC-1  sms  {3 - sent}  spending_cap  since " in shown.stdout
    assert "spending_cap" in (await tocsin(capped.settings, "status")).stdout
    order = ("--reason", "spending_cap", "--incident", "INC-1", "--because", "worth it", "--as", "ann", "--yes")
    done = await tocsin(capped.settings, "deliveries", "retry", *order)
    assert done.exit_code == 0, f"{done.output} {capped.log('deliver')}"
    assert channel_counts(await capped.all_settled(3)) == {"accepted": 3}
    assert len(capped.sandbox.texts) == 3
    assert "nothing is parked" in (await tocsin(capped.settings, "deliveries", "parked")).stdout
    records = [codec.decode(record).data for record in await capped.read(topics.DELIVERY_RECORDS_TOPIC)]
    assert {r.signed.operator for r in records if isinstance(r, ParkedOrdered)} == {"ann"}


async def test_what_is_given_up_is_told_to_nobody_and_a_stranger_orders_nothing(
    capped: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = len(capped.sandbox.texts)
    refused = await tocsin(capped.settings, "deliveries", "give-up", "--reason", "bad_luck", "--as", "ann", "--yes")
    assert refused.exit_code == 1
    await tocsin(capped.settings, "operator", "remove", "ann", "--yes")
    monkeypatch.setattr("pipeline.commands.deliveries.ANSWER_S", 2.0)
    order = ("--reason", "spending_cap", "--as", "ann", "--yes")
    stranger = await tocsin(capped.settings, "deliveries", "give-up", *order)
    assert stranger.exit_code == 1
    assert len(await capped.read(topics.DEAD_LETTERS)) >= 1
    await tocsin(capped.settings, "operator", "add", "ann", "--role", "incident-manager")
    done = await tocsin(capped.settings, "deliveries", "give-up", *order)
    assert done.exit_code == 0, done.output
    assert channel_counts(await capped.all_settled(3)) == {"accepted": sent, "suppressed": 3 - sent}
