import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from pipeline import processes
from pipeline.processes import Supervised, environment, last_line
from tests.conftest import MakeSettings

READY = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))"
FOR_EVER = f"{READY}; import signal; signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}; signal.pause()"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


class Fixture:
    """Runs a script under supervision and keeps what was said."""

    def __init__(self, make_settings: MakeSettings, tmp_path: Path) -> None:
        self.settings = make_settings()
        self.flag = tmp_path / "ready"
        self.said: list[str] = []
        self.changes = 0

    @asynccontextmanager
    async def running(self, script: str, stop_timeout_s: float = 10) -> AsyncIterator[Supervised]:
        process = Supervised(
            "worker",
            ["-c", script, str(self.flag)],
            self.settings,
            is_ready=lambda pid: self.flag.exists() and self.flag.read_text() == str(pid),
            say=self.said.append,
            changed=self.changed,
        )
        await process.start()
        try:
            yield process
        finally:
            await process.stop(stop_timeout_s)

    def changed(self) -> None:
        self.changes += 1


@pytest.fixture
def fixture(make_settings: MakeSettings, tmp_path: Path) -> Fixture:
    return Fixture(make_settings, tmp_path)


async def test_a_process_that_is_killed_is_started_again_and_said_so_on_one_line(fixture: Fixture) -> None:
    async with fixture.running(f"print('the last word', flush=True); {FOR_EVER}") as process:
        await until(lambda: process.is_ready)
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: process.is_ready and process.pid != first)
    assert (process.restarts, fixture.changes, len(fixture.said)) == (1, 2, 1)
    ended = "worker ended (killed by SIGKILL) after 0 s; started again in 0.5 s, restart 1: the last word"
    assert fixture.said == [f"{ended} [{process.log_file}]"]


async def test_a_process_that_keeps_ending_is_started_ever_more_slowly_up_to_a_cap(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "BACKOFF_S", 0.001)
    monkeypatch.setattr(processes, "BACKOFF_CAP_S", 0.004)
    async with fixture.running("raise SystemExit(7)") as process:
        await until(lambda: process.restarts >= 5)
    waits = [line.split(" again in ")[1].split(" s,")[0] for line in fixture.said[:5]]
    assert waits == ["0.001", "0.002", "0.004", "0.004", "0.004"]
    assert "exit status 7" in fixture.said[0]


async def test_stopping_ends_the_process_orderly_and_starts_nothing_again(fixture: Fixture) -> None:
    async with fixture.running(FOR_EVER) as process:
        await until(lambda: process.is_ready)
        pid = process.pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert (process.is_running, process.restarts, fixture.said) == (False, 0, [])


async def test_a_process_that_ignores_sigterm_is_killed_and_said_so(fixture: Fixture) -> None:
    async with fixture.running(STUBBORN, stop_timeout_s=0.05) as process:
        await until(lambda: process.is_ready)
        pid = process.pid
    assert fixture.said == [f"worker (pid {pid}) did not end within 0.05 s and is killed"]
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_stopping_while_it_waits_for_the_next_start_is_immediate(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "BACKOFF_S", 1000)
    async with fixture.running("raise SystemExit(1)") as process:
        await until(lambda: process.restarts == 1)
    assert not process.is_running


async def test_a_ready_file_of_an_earlier_process_does_not_speak_for_this_one(fixture: Fixture) -> None:
    fixture.flag.write_text("1")
    async with fixture.running("import signal; signal.pause()") as process:
        assert process.is_running
        assert not process.is_ready


async def test_a_process_tells_itself_apart_from_another_with_its_pid(fixture: Fixture) -> None:
    async with fixture.running(FOR_EVER) as process:
        await until(lambda: process.is_ready)
        told = process.describe()
        assert process.pid is not None
        assert told["created"] == psutil.Process(process.pid).create_time()
    assert process.describe()["pid"] is None


def test_a_child_gets_these_settings_and_no_others(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(secret=SecretStr("s" * 32), sandbox=True)
    monkeypatch.setenv("TOCSIN_BROKER", "kafka://elsewhere:9092")
    monkeypatch.setenv("LANG", "C")
    given = environment(settings)
    assert "TOCSIN_BROKER" not in given
    assert (given["TOCSIN_SECRET"], given["TOCSIN_SANDBOX"], given["LANG"]) == ("s" * 32, "True", "C")
    monkeypatch.delenv("TOCSIN_BROKER")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert type(settings)(_env_file=None) == settings


def test_the_last_line_of_a_log_is_the_last_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log) == "it said nothing"
    log.write_bytes(b"first\nlast \xff words\n\n  \n")
    assert last_line(log) == "last � words"
