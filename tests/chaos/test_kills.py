"""A room that is asked to end in the middle of its work, and a broker that is: nothing lost, nothing told twice."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from schemas.base import Severity
from schemas.incident import ImpactChanged, IncidentOpened, IncidentResolved
from tests.chaos.supervision import supervised
from tests.chaos.verdict import judge
from tests.system import System, running

pytestmark = pytest.mark.chaos

PEOPLE = 12
INCIDENTS = 3
INTENTS = INCIDENTS * 3 * (PEOPLE + 1) + INCIDENTS * 2 * PEOPLE
"""Three events each: mail and X hear of all of them, SMS of the opening and the end."""


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path), sandbox, ()) as found:
        for n in range(PEOPLE):
            await found.subscribe(f"mail-{n}", email=f"p{n}@example.com")
            await found.subscribe(f"sms-{n}", phone=f"+1415555{2600 + n}")
        await found.subscribe("account", x_handle="status", audiences="public")
        yield found


async def tell(system: System) -> None:
    for n in range(INCIDENTS):
        await system.publish(
            f"INC-{n}",
            IncidentOpened(
                title=f"Payments {n} fail", severity=Severity.MAJOR, summary=f"One payment in {n + 2} fails."
            ),
            ImpactChanged(severity=Severity.CRITICAL, summary=f"Now one payment in {n + 1} fails at shop {n}."),
            IncidentResolved(summary=f"Payments {n} work again.", done=f"Change {n} was taken back."),
        )


async def test_sigterm_during_sending_leaves_nothing_unknown(system: System) -> None:
    await system.start("decide", "deliver")
    await tell(system)
    await system.sandbox.wait_for(lambda: len(system.sandbox.mails) > 3)
    assert await system.stop("deliver") == 0
    before, begun = len(system.sandbox.mails), monotonic()
    await system.start("deliver")
    found = await system.all_settled(INTENTS)
    fired, took = before < INCIDENTS * 3 * PEOPLE, monotonic() - begun
    verdict = judge(system, found, f"4 SIGTERM after {before} mails", fired=fired, recovery_s=took)
    verdict.check()
    assert verdict.unknown == 0
    assert verdict.duplicated_mails == 0


async def test_the_embedded_broker_is_stopped_and_started_in_the_middle(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    async with Sandbox() as sandbox, running(broker, sandbox, ()) as system:
        for n in range(PEOPLE):
            await system.subscribe(f"mail-{n}", email=f"p{n}@example.com")
            await system.subscribe(f"sms-{n}", phone=f"+1415555{2600 + n}")
        await system.subscribe("account", x_handle="status", audiences="public")
        await system.start("decide", "deliver")
        await tell(system)
        await sandbox.wait_for(lambda: len(sandbox.mails) > 3)
        await broker.stop()
        await broker.start()
        async with supervised(system, "decide", "deliver"):
            for room in ("decide", "deliver"):  # as the supervisor does when it has started the broker again
                if system.processes[f"{room}-1"].returncode is None:
                    system.processes[f"{room}-1"].kill()
            found = await system.all_settled(INTENTS, within_s=120)
        verdict = judge(system, found, "embedded broker stopped and started", fired=True)
        verdict.check()
