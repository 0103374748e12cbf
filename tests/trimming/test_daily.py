"""Whoever appends to the log has it trimmed now and then, by a process of its own."""

import asyncio
import logging

import pytest

from agents import trimming
from pipeline.settings import Settings
from tests.system import eventually

pytestmark = pytest.mark.slow  # a broker and a process each


@pytest.fixture
def settings(own_broker: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The process reads them from its environment, as the room did."""
    given = {"data_dir": str(own_broker.data_dir), "archive": str(own_broker.data_dir / "archive")}
    given |= {"partitions": "3", "log_retention_days": "7"}
    for name, value in given.items():
        monkeypatch.setenv(f"TOCSIN_{name.upper()}", value)
    monkeypatch.setenv("TOCSIN_LOG_KEY", "the record room's own: a process that finds it does not start")
    monkeypatch.setattr(trimming, "FIRST_S", 0.0)
    return Settings(_env_file=None)


async def test_it_is_trimmed_beside_the_work_and_what_was_done_is_in_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tocsin.trimming")
    async with trimming.trimming(settings):

        async def trimmed() -> bool:
            return "Kafka forgot: incident.journal 0, delivery.records 0 records" in caplog.text

        await eventually(trimmed, 30, caplog.text)


async def test_a_run_that_fails_is_an_error_in_the_log_and_stops_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TOCSIN_BROKER", "kafka://127.0.0.1:9")
    await trimming.once()
    [said] = [record for record in caplog.records if record.name == "tocsin.trimming"]
    assert (said.levelno, "does not answer" in said.getMessage()) == (logging.ERROR, True)


async def test_a_run_ends_with_the_work_that_it_stands_beside(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "COMMAND", ("-c", "import time; time.sleep(60)"))
    async with asyncio.timeout(10):
        async with trimming.trimming(settings):
            await asyncio.sleep(0.1)  # it is started
