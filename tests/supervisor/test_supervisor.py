import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.broker import connect, runfile, spare
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.errors import (
    AlreadyRunning,
    BrokerUnreachable,
    ConfigurationError,
    PolicyError,
    TocsinError,
    TopicMismatch,
)
from pipeline.settings import Settings
from pipeline.supervisor import Supervisor, overridden, with_web_port
from schemas import codec, topics
from tests.audit.logs import receipt
from tests.audit.test_appender import publish
from tests.conftest import MakeSettings

pytestmark = pytest.mark.slow  # real processes of the whole product: a second or two each to start


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(partitions=2)


async def test_everything_comes_up_is_described_in_the_run_file_and_ends_in_order(settings: Settings) -> None:
    said: list[str] = []
    async with Supervisor(settings, sandbox=True, say=said.append) as supervisor:
        await supervisor.ready()
        told = json.loads(supervisor.up_file.read_text())
        assert list(told["processes"]) == ["sandbox", "decide", "deliver", "record", "web"]
        assert all(runfile.process_of(process) is not None for process in told["processes"].values())
        assert (told["pid"], told["broker"]) == (os.getpid(), connect.bootstrap(settings))
        assert told["web_url"] == supervisor.settings.public_url == supervisor.web_url
        assert supervisor.settings.sandbox
        assert supervisor.settings.smtp_url is not None
        pids = [process["pid"] for process in told["processes"].values()]
    assert said[0].endswith("what other programs wrote last may be lost")
    assert said[1].startswith("policy published from ")
    assert len(said) == 2, "nothing died, nothing had to be killed"
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not supervisor.up_file.exists()
    with pytest.raises(BrokerUnreachable):
        connect.bootstrap(settings)


async def test_several_workers_of_deliver_are_refused_on_the_embedded_broker(settings: Settings) -> None:
    supervisor = Supervisor(settings.model_copy(update={"deliver_workers": 2}))
    with pytest.raises(ConfigurationError, match=r"TOCSIN_DELIVER_WORKERS: .* set TOCSIN_BROKER to a Kafka"):
        await supervisor.start()
    assert not supervisor.processes


async def test_a_room_that_is_killed_comes_back_and_becomes_ready_again(settings: Settings) -> None:
    said: list[str] = []
    async with Supervisor(settings, web=False, rooms=("decide",), say=said.append) as supervisor:
        await supervisor.ready()
        decide = supervisor.processes["decide"]
        first = decide.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: decide.is_ready and decide.pid != first)
        told = json.loads(supervisor.up_file.read_text())["processes"]["decide"]
        assert (told["pid"], told["restarts"]) == (decide.pid, 1)
    assert len([line for line in said if line.startswith("decide ended (killed by SIGKILL)")]) == 1


async def test_a_broker_that_dies_is_started_again_on_the_same_port_and_said_aloud(settings: Settings) -> None:
    said: list[str] = []
    async with Supervisor(settings, web=False, rooms=(), say=said.append) as supervisor:
        assert supervisor.broker is not None
        address, first = supervisor.broker.bootstrap, supervisor.broker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.broker is not None and supervisor.broker.pid not in (None, first))
        assert supervisor.broker.bootstrap == address
        assert any("the embedded broker died and is started again" in line for line in said)


async def test_what_a_killed_broker_lost_is_put_back_before_a_room_reads_on(settings: Settings) -> None:
    said: list[str] = []
    async with Supervisor(settings, web=False, rooms=("record",), say=said.append) as supervisor:
        await supervisor.ready()
        room, written = supervisor.processes["record"], list[codec.Record]()
        for part in range(5):  # until it has lost something: it may just have saved
            records = [receipt(n) for n in range(part * 40, part * 40 + 40)]
            await publish(settings, records)
            written += records
            before = room.pid
            assert supervisor.broker is not None
            os.kill(supervisor.broker.pid or 0, signal.SIGKILL)
            await until(lambda before=before: room.is_ready and room.pid != before)  # type: ignore[misc]
            there = [r.value async for r in connect.read_all(settings, topics.DELIVERY_RECORDS_TOPIC.name)]
            assert there == [record.value for record in written]
            if any(line.startswith("the embedded broker lost") for line in said):
                return
    pytest.fail("it lost nothing in five crashes: this shows nothing")


async def test_a_start_that_is_refused_after_a_crash_leaves_the_copy_of_what_was_lost(settings: Settings) -> None:
    async with Supervisor(settings, web=False, rooms=()):
        pass
    async with EmbeddedBroker(settings.data_dir) as broker:
        await publish(settings, records := [receipt(n) for n in range(40)])
        await broker.kill9()
    with pytest.raises(TopicMismatch):
        await Supervisor(settings.model_copy(update={"partitions": 3}), web=False, rooms=()).start()
    async with Supervisor(settings, web=False, rooms=()):
        there = [r.value async for r in connect.read_all(settings, topics.DELIVERY_RECORDS_TOPIC.name)]
        assert there == [record.value for record in records]
    assert not list(spare.spared(settings.data_dir))


async def test_the_sandbox_comes_back_where_the_rooms_were_told_that_it_is(settings: Settings) -> None:
    async with Supervisor(settings, sandbox=True, web=False, rooms=()) as supervisor:
        sandbox = supervisor.processes["sandbox"]
        first, run_file = sandbox.pid, settings.data_dir / "run" / "sandbox.json"
        before = json.loads(run_file.read_text())
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: sandbox.is_ready and sandbox.pid != first)
        after = json.loads(run_file.read_text())
    assert [after[name] for name in ("smtp_port", "http_port")] == [before[name] for name in ("smtp_port", "http_port")]


async def test_a_second_supervisor_on_the_same_data_is_refused(settings: Settings) -> None:
    async with Supervisor(settings, web=False, rooms=()):
        with pytest.raises(AlreadyRunning, match=rf"`tocsin up` already runs on .* \(pid {os.getpid()}\)"):
            await Supervisor(settings, web=False, rooms=()).start()


async def test_what_cannot_start_is_reported_with_its_last_words(settings: Settings) -> None:
    async with Supervisor(settings, web=False, rooms=("nowhere",)) as supervisor:
        with pytest.raises(
            TocsinError, match=r"nowhere does not start: usage: python -m agents decide\|deliver\|record"
        ):
            await supervisor.ready()


async def test_a_failed_start_leaves_nothing_running(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(policy_dir=tmp_path / "absent")
    with pytest.raises(PolicyError):
        await Supervisor(settings).start()
    with pytest.raises(BrokerUnreachable):
        connect.bootstrap(settings)
    async with EmbeddedBroker(settings.data_dir):  # its lock was given back
        pass


UP = "from pipeline.cli import main; main()"


async def test_what_a_killed_supervisor_left_is_stopped_before_the_next_start(settings: Settings) -> None:
    environment = {**os.environ, "TOCSIN_DATA_DIR": str(settings.data_dir), "TOCSIN_PARTITIONS": "2"}
    process = subprocess.Popen(
        [sys.executable, "-c", UP, "up", "--no-web"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert await asyncio.to_thread(lambda: any(line.startswith("ready: ") for line in lines))
    told = json.loads((settings.data_dir / "run" / "up.json").read_text())
    orphans = [child["pid"] for child in told["processes"].values()]
    broker = json.loads((settings.data_dir / "run" / "broker.json").read_text())["pid"]
    process.kill()
    await asyncio.to_thread(process.wait)
    process.stdout.close()
    assert all(psutil.pid_exists(pid) for pid in [*orphans, broker])
    said: list[str] = []
    async with Supervisor(settings, web=False, rooms=(), say=said.append) as supervisor:
        assert not any(psutil.pid_exists(pid) for pid in orphans)
        assert supervisor.broker is not None
        assert supervisor.broker.pid == broker, "it is taken over with what it holds"
    left = "decide, deliver, record, projector"
    assert said[0] == f"an earlier supervisor was killed; its processes are stopped first: {left}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_stops_everything_on_a_signal_and_ends_with_0(
    settings: Settings, number: signal.Signals
) -> None:
    environment = {**os.environ, "TOCSIN_DATA_DIR": str(settings.data_dir), "TOCSIN_WEB_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UP, "up", "--sandbox", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    said = ""
    while not said.endswith("Ctrl-C stops everything\n"):
        line = await process.stdout.readline()
        assert line, f"it ended by itself: {said}"
        said += line.decode()
    process.send_signal(number)
    rest, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert rest.decode() == "stopping: rooms first, the broker last\nstopped\n"
    assert not (settings.data_dir / "run" / "up.json").exists()


def test_a_port_that_is_taken_is_named_before_anything_starts(make_settings: MakeSettings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} is taken: set TOCSIN_WEB_PORT"):
            with_web_port(make_settings(web_port=port))


def test_the_public_url_follows_the_port_unless_it_was_set(make_settings: MakeSettings) -> None:
    chosen = with_web_port(make_settings())
    assert chosen.public_url == f"http://127.0.0.1:{chosen.web_port}"
    assert chosen.web_port > 0
    kept = with_web_port(make_settings(public_url="https://status.example.com"))
    assert kept.public_url == "https://status.example.com"


def test_what_the_sandbox_says_is_taken_over_and_everything_else_stays(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=5)
    changed = overridden(settings, {"TOCSIN_SANDBOX": "1", "TOCSIN_SMTP_URL": "smtp://127.0.0.1:2525"})
    assert changed.sandbox
    assert changed.smtp_url is not None
    assert changed.smtp_url.get_secret_value() == "smtp://127.0.0.1:2525"
    assert (changed.partitions, changed.data_dir) == (5, settings.data_dir)
