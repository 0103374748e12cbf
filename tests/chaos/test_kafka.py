"""On Apache Kafka: what the embedded broker cannot show. kill -9 of the broker; several workers of which one dies."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from pipeline.broker import connect
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.errors import TocsinError
from pipeline.processes import Supervised
from pipeline.sandbox import Sandbox
from pipeline.settings import Settings
from pipeline.supervisor import Supervisor
from schemas.base import Severity
from schemas.delivery import Result
from schemas.incident import IncidentOpened
from tests.chaos.supervision import supervised
from tests.chaos.test_kills import INCIDENTS, INTENTS, PEOPLE, tell
from tests.chaos.verdict import judge
from tests.system import System, channel_counts, eventually, running

pytestmark = pytest.mark.kafka

MANY_MAILS, MANY_TEXTS = 3_000, 150
OPENED = IncidentOpened(title="Payments fail", severity=Severity.MAJOR, summary="One payment in three fails.")
WORKERS = ("1", "2", "3")
CAP_SEGMENTS, SMS_PER_S = 60, 10


@pytest.fixture
async def kafka(tmp_path: Path) -> ApacheKafka:
    """Apache Kafka of this test's own."""
    try:
        java()
        return ApacheKafka(tmp_path, fetch_jars())
    except TocsinError as error:
        pytest.skip(str(error))


@pytest.fixture
async def empty(kafka: ApacheKafka) -> AsyncIterator[System]:
    """One that nobody has subscribed to yet, with as many partitions as three workers share."""
    async with Sandbox() as sandbox, running(kafka, sandbox, (), partitions=9) as found:
        yield found


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
    before, begun = len(system.sandbox.mails), monotonic()
    await kafka.kill9()
    await kafka.start()
    async with supervised(system, "decide", "deliver"):
        found = await system.all_settled(INTENTS, within_s=180)
    says, took = f"5 kill -9 of Apache Kafka after {before} mails", monotonic() - begun
    verdict = judge(system, found, says, fired=before < INCIDENTS * 3 * PEOPLE, recovery_s=took)
    verdict.check()
    assert verdict.intents == INTENTS


async def test_a_rebalance_during_sending_loses_nothing(system: System) -> None:
    await system.start("decide", "deliver")
    await tell(system)
    await system.sandbox.wait_for(lambda: len(system.sandbox.mails) > 3, timeout=60)
    before, begun = len(system.sandbox.mails), monotonic()
    await system.start("deliver", worker="2")
    assert await system.stop("deliver") == 0
    found = await system.all_settled(INTENTS, within_s=180)
    verdict = judge(
        system,
        found,
        f"6 one joins and another leaves after {before} mails",
        fired=before < INCIDENTS * 3 * PEOPLE,
        recovery_s=monotonic() - begun,
    )
    verdict.check()
    assert verdict.intents == INTENTS


@pytest.mark.parametrize(("room", "number"), [("deliver", 7), ("decide", 24)])
async def test_a_worker_that_was_paused_beyond_its_session_wakes_up_and_does_no_harm(
    system: System, room: str, number: int
) -> None:
    """Both work on the same partitions then, as each believes for a moment: two workers race."""
    await system.start("decide", "deliver")
    await system.start(room, worker="2")
    await tell(system)
    await system.sandbox.wait_for(lambda: len(system.sandbox.mails) > 3, timeout=60)
    begun, paused = monotonic(), system.processes[f"{room}-1"]
    paused.send_signal(signal.SIGSTOP)
    before = len(system.sandbox.mails)
    await system.sandbox.wait_for(lambda: len(system.sandbox.mails) > before, timeout=60)
    await system.publish("LATER", OPENED)
    intents = INTENTS + 2 * PEOPLE + 1
    await system.all_settled(intents, within_s=180)
    fired = monotonic() - begun > system.settings.session_timeout_s
    paused.send_signal(signal.SIGCONT)
    await system.publish("LAST", OPENED)
    intents += 2 * PEOPLE + 1
    found = await system.all_settled(intents, within_s=180)
    says = f"{number} {room} paused for longer than its session, and awake again"
    verdict = judge(system, found, says, fired=fired, recovery_s=monotonic() - begun)
    verdict.check()
    assert verdict.intents == intents
    assert paused.returncode is None


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


def texts(count: int) -> dict[str, dict[str, str]]:
    return {f"sms-{n}": {"phone": f"+1415555{1000 + n}"} for n in range(count)}


async def test_of_three_workers_one_is_killed_in_the_middle_of_a_large_send(empty: System) -> None:
    await empty.subscribe_all({f"mail-{n}": {"email": f"p{n}@example.com"} for n in range(MANY_MAILS)})
    await empty.subscribe_all(texts(MANY_TEXTS))
    await empty.start("decide")
    for worker in WORKERS:
        await empty.start("deliver", worker=worker, env={"TOCSIN_SMS_PER_S": "8"})  # so that both are under way
    await empty.publish("INC", OPENED)
    await empty.sandbox.wait_for(lambda: len(empty.sandbox.mails) > MANY_MAILS / 6, timeout=60)
    await empty.stop("deliver", signal.SIGKILL, worker="2")
    mails, texted = len(empty.sandbox.mails), len(empty.sandbox.texts)
    found = await empty.all_settled(MANY_MAILS + MANY_TEXTS, within_s=180)
    injected = f"one of three deliver workers killed after {mails} mails and {texted} SMS"
    verdict = judge(empty, found, injected, fired=mails < MANY_MAILS and texted < MANY_TEXTS)
    verdict.check()
    assert verdict.intents == MANY_MAILS + MANY_TEXTS


async def test_three_workers_together_keep_a_spending_cap(empty: System) -> None:
    """What each knows of the others is some two seconds old: in these the bucket gives so much, and what it saved."""
    env = {"TOCSIN_SMS_CAP_PER_INCIDENT": str(CAP_SEGMENTS), "TOCSIN_SMS_PER_S": str(SMS_PER_S)}
    await empty.subscribe_all(texts(MANY_TEXTS))
    await empty.start("decide")
    for worker in WORKERS:
        await empty.start("deliver", worker=worker, env=env)
    await empty.publish("INC", OPENED)
    found = await empty.all_settled(MANY_TEXTS, within_s=120)
    verdict = judge(empty, found, f"a cap of {CAP_SEGMENTS} segments, three workers", fired=True)
    verdict.check()
    spent = sum(text.num_segments for text in empty.sandbox.texts)
    each = empty.sandbox.texts[0].num_segments
    print(f"{spent} segments spent of {CAP_SEGMENTS}; {dict(channel_counts(found))}")
    assert CAP_SEGMENTS - each < spent <= CAP_SEGMENTS + 3 * SMS_PER_S * each
    counted = channel_counts(found)
    assert counted[Result.ACCEPTED] == len(empty.sandbox.texts)
    assert counted[Result.PARKED] == found.reasons["spending_cap"] == MANY_TEXTS - len(empty.sandbox.texts)


async def test_the_supervisor_keeps_as_many_workers_of_deliver_as_are_asked_for(
    kafka: ApacheKafka, tmp_path: Path
) -> None:
    async with kafka:
        settings = Settings(
            _env_file=None,
            data_dir=tmp_path / "data",
            broker=f"kafka://{kafka.bootstrap}",
            partitions=4,
            deliver_workers=2,
        )

        async def both() -> bool:
            async with connect.open_admin(settings) as admin:
                (group,) = (await admin.describe_consumer_groups(["tocsin-deliver"]))[0].groups
            return [bool(member[4]) for member in group[5]] == [True, True]

        async with Supervisor(settings, web=False, rooms=("deliver",)) as supervisor:
            await supervisor.ready(120)
            assert list(supervisor.processes) == ["deliver", "deliver-2"]
            await eventually(both, 60, "both have partitions")
            second = supervisor.processes["deliver-2"]
            os.kill(second.pid or 0, signal.SIGKILL)
            await eventually(lambda: again(second), 60, "the second one is ready again")
            await eventually(both, 60, "both have partitions again")


async def again(process: Supervised) -> bool:
    return process.restarts == 1 and process.is_ready
