"""Two workers of the record room on Apache Kafka: one appends, the other stands by and takes over."""

import asyncio
import signal

import pytest

from pipeline.audit.findings import Result
from pipeline.audit.verify import verify
from pipeline.broker import connect, topics
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.errors import TocsinError
from pipeline.settings import Settings
from schemas import codec
from schemas.audit import TurnTaken
from schemas.topics import AUDIT_LOG, AUDIT_TURN
from tests.audit.logs import receipt
from tests.audit.test_appender import publish
from tests.audit.test_record_room import DEADLINE_S, room, sealed

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture
async def deployment(make_settings, tmp_path):
    """A Kafka of the test's own, since its log must be this test's alone; a data directory for each worker."""
    try:
        java()
        broker = ApacheKafka(tmp_path / "kafka", fetch_jars())
    except TocsinError as error:
        pytest.skip(str(error))
    async with broker:
        address = f"kafka://{broker.bootstrap}"
        workers = [make_settings(partitions=3, broker=address, data_dir=tmp_path / name) for name in ("one", "two")]
        await topics.ensure(workers[0])
        yield workers


def environment(settings: Settings, worker: str) -> dict[str, str]:
    return {"TOCSIN_BROKER": settings.broker, "TOCSIN_WORKER_ID": worker, "TOCSIN_SESSION_TIMEOUT_S": "6"}


async def turns(settings: Settings) -> list[str]:
    found = [codec.decode(r, TurnTaken).data.holder async for r in connect.read_all(settings, AUDIT_TURN.name)]
    return [holder.split("-")[1] for holder in found]


async def verified(settings: Settings) -> Result:
    stored = [(r.value, dict(r.headers).get("ce_root")) async for r in connect.read_all(settings, AUDIT_LOG.name)]
    return verify(stored, voids_allowed=True)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM], ids=["killed", "paused", "ended"])
async def test_the_one_that_stands_by_takes_over_and_nothing_is_sealed_twice(deployment, fault):
    one, two = deployment
    async with room(one, **environment(one, "1")) as first, room(two, **environment(two, "2")) as second:
        await publish(one, [receipt(n) for n in range(5)])
        await sealed(one, 5)
        holder = (await turns(one))[-1]
        victim = first if holder == "1" else second
        victim.send_signal(fault)
        if fault is not signal.SIGSTOP:
            await asyncio.wait_for(victim.wait(), DEADLINE_S)
        await publish(one, [receipt(n) for n in range(5, 10)])
        await sealed(one, 10)
        assert (await turns(one))[-1] != holder
        if fault is signal.SIGSTOP:
            victim.send_signal(signal.SIGCONT)
            await publish(one, [receipt(n) for n in range(10, 15)])
            await sealed(one, 15)
    result = await verified(one)
    assert result.ok
    assert result.entries == (15 if fault is signal.SIGSTOP else 10)
