"""The embedded broker dies, and once more while what it lost is put back: nothing stands still, nothing is missing."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from pipeline.broker import connect
from pipeline.settings import Settings
from pipeline.supervisor import Supervisor
from schemas import codec, topics
from tests.audit.logs import receipt
from tests.audit.test_appender import publish
from tests.conftest import MakeSettings
from tests.supervisor.test_supervisor import until

pytestmark = pytest.mark.chaos


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(partitions=2)


@pytest.mark.parametrize("step", ["read_partition", "send"])
async def test_a_broker_that_dies_again_while_its_topics_are_put_back_is_started_again_and_they_are_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    said: list[str] = []
    async with Supervisor(settings, web=False, rooms=("record",), say=said.append) as supervisor:
        await supervisor.ready()
        room, broker, written = supervisor.processes["record"], supervisor.broker, list[codec.Record]()
        assert broker is not None
        real, deaths = getattr(connect, step), 0

        def kill() -> None:
            os.kill(broker.pid or 0, signal.SIGKILL)
            while broker.is_running:
                time.sleep(0.001)

        def dies_first(*given: object) -> object:
            nonlocal deaths
            if not deaths:
                deaths += 1
                kill()
            return real(*given)

        for part in range(5):  # until it has lost something: it may just have saved
            records = [receipt(n) for n in range(part * 40, part * 40 + 40)]
            await publish(settings, records)
            written += records
            before = room.pid
            monkeypatch.setattr(connect, step, dies_first)
            kill()
            await until(lambda before=before: room.is_ready and room.pid != before)  # type: ignore[misc]
            monkeypatch.setattr(connect, step, real)
            there = [r async for r in connect.read_all(settings, topics.DELIVERY_RECORDS_TOPIC.name)]
            assert [(r.offset, r.value) for r in there] == [(n, r.value) for n, r in enumerate(written)]
            if deaths:
                break
        assert deaths, "it lost nothing in five crashes: this shows nothing"
    again = [line for line in said if "; tried again in " in line]
    assert len(again) == 1  # by the watch or by the client that reads: which of them notices it first is chance
    assert "; tried again in 1 s [" in again[0]


async def test_what_nobody_expected_while_topics_are_put_back_is_said_and_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    faults = [KafkaTimeoutError(), asyncio.CancelledError()]
    async with Supervisor(settings, web=False, rooms=("record",), say=said.append) as supervisor:
        await supervisor.ready()
        room, broker, real = supervisor.processes["record"], supervisor.broker, connect.partition_count
        before = room.pid
        assert broker is not None

        async def fails_first(*given: Any) -> int:
            if faults:
                raise faults.pop(0)
            return await real(*given)

        await publish(settings, [receipt(1)])
        monkeypatch.setattr(connect, "partition_count", fails_first)
        os.kill(broker.pid or 0, signal.SIGKILL)
        await until(lambda: room.is_ready and room.pid != before)
    tries = [line.partition(" [")[0] for line in said if "again in" in line]
    assert tries == [
        "the embedded broker died and is started again in 0.5 s",
        "the topics cannot be restored: KafkaTimeoutError(); tried again in 1 s",
        "a client of the embedded broker broke off; tried again in 2 s",
    ]
