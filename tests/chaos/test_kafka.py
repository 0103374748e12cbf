"""On Apache Kafka: what the embedded broker cannot show. kill -9 of the broker, and two workers of which one dies."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.errors import TocsinError
from pipeline.sandbox import Sandbox
from tests.chaos.supervision import supervised
from tests.chaos.test_kills import INCIDENTS, INTENTS, PEOPLE, tell
from tests.chaos.verdict import judge
from tests.system import System, running

pytestmark = pytest.mark.kafka


@pytest.fixture
async def kafka(tmp_path: Path) -> ApacheKafka:
    """Apache Kafka of this test's own."""
    try:
        java()
        return ApacheKafka(tmp_path, fetch_jars())
    except TocsinError as error:
        pytest.skip(str(error))


@pytest.fixture
async def system(kafka: ApacheKafka) -> AsyncIterator[System]:
    async with Sandbox() as sandbox, running(kafka, sandbox, (), partitions=6) as found:
        for n in range(PEOPLE):
            await found.subscribe(f"mail-{n}", email=f"p{n}@example.com")
            await found.subscribe(f"sms-{n}", phone=f"+1415555{2600 + n}")
        await found.subscribe("account", x_handle="status", audiences="public")
        yield found


async def test_kafka_is_killed_and_restarted_during_sending(system: System, kafka: ApacheKafka) -> None:
    await system.start("decide", "deliver")
    await tell(system)
    await system.sandbox.wait_for(lambda: len(system.sandbox.mails) > 3, timeout=60)
    before = len(system.sandbox.mails)
    await kafka.kill9()
    await kafka.start()
    async with supervised(system, "decide", "deliver"):
        found = await system.all_settled(INTENTS, within_s=180)
    verdict = judge(
        system, found, f"kill -9 of Apache Kafka after {before} mails", fired=before < INCIDENTS * 3 * PEOPLE
    )
    verdict.check()
    assert verdict.intents == INTENTS


@pytest.mark.parametrize("room", ["decide", "deliver"])
async def test_of_two_workers_one_is_killed_and_the_other_takes_over(system: System, room: str) -> None:
    await system.start("decide", "deliver")
    await system.start(room, worker="2")
    await tell(system)
    await system.sandbox.wait_for(lambda: len(system.sandbox.mails) > 3, timeout=60)
    before = len(system.sandbox.mails)
    await system.stop(room, signal.SIGKILL, worker="2")
    found = await system.all_settled(INTENTS, within_s=180)
    verdict = judge(system, found, f"one of two {room} workers killed after {before} mails", fired=True)
    verdict.check()
    assert verdict.intents == INTENTS
