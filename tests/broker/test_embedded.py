import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.broker import connect, runfile, topics
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.broker.process import PORTS, is_free
from pipeline.broker.rooms import room_lock
from pipeline.errors import AlreadyRunning, BrokerError, BrokerUnreachable
from schemas.codec import Outgoing
from tests.conftest import MakeSettings


async def test_it_answers_once_started_and_is_gone_once_stopped(make_settings: MakeSettings) -> None:
    settings = make_settings()
    broker = EmbeddedBroker(settings.data_dir)
    with pytest.raises(BrokerUnreachable, match="tocsin up"):
        connect.bootstrap(settings)
    await broker.start()
    assert broker.is_running
    assert connect.bootstrap(settings) == broker.bootstrap
    async with connect.open_admin(settings) as admin:
        assert (await admin.describe_cluster())["brokers"]
    pid = broker.pid
    await broker.stop()
    assert not broker.is_running
    assert pid is not None
    assert not psutil.pid_exists(pid)
    with pytest.raises(BrokerUnreachable, match="no embedded broker runs"):
        connect.bootstrap(settings)


async def test_it_listens_on_this_machine_alone_and_its_files_are_its_owners_alone(tmp_path: Path) -> None:
    data_dir = tmp_path / "new"
    async with EmbeddedBroker(data_dir) as broker:
        listening = psutil.Process(broker.pid).net_connections()
        assert {found.laddr.ip for found in listening if found.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
        assert [(data_dir / part).stat().st_mode & 0o077 for part in ("broker", "run", "logs")] == [0, 0, 0]


async def test_it_takes_its_earlier_port_again_unless_someone_else_has_it(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    await broker.start()
    first = broker.port
    await broker.restart()
    assert broker.port == first
    assert first in PORTS
    await broker.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first))
        other.listen()
        async with broker:
            assert broker.port != first


async def test_a_second_start_on_the_same_data_is_refused_naming_the_first(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path) as first:
        with pytest.raises(AlreadyRunning, match=rf"started by pid {os.getpid()}, broker pid {first.pid}"):
            await EmbeddedBroker(tmp_path).start()
        assert first.is_running


async def test_the_broker_of_an_owner_who_was_killed_is_taken_over_with_its_data(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=1)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(settings.data_dir)], stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert owner.stdout is not None
    orphan = int(await asyncio.to_thread(owner.stdout.readline))
    owner.kill()
    await asyncio.to_thread(owner.wait)
    async with connect.open_producer(settings) as producer:  # it goes on serving
        await connect.send(producer, Outgoing("incident.events", b"k", b"v"))
    async with EmbeddedBroker(settings.data_dir) as broker:
        assert broker.pid == orphan
        assert [record.value async for record in connect.read_all(settings, "incident.events")] == [b"v"]
    assert not psutil.pid_exists(orphan)


OWNER = """
import asyncio, pathlib, sys
from pipeline.broker import topics
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.settings import Settings
async def main():
    settings = Settings(data_dir=pathlib.Path(sys.argv[1]), partitions=1, _env_file=None)
    broker = EmbeddedBroker(settings.data_dir)
    await broker.start()
    await topics.ensure(settings)
    print(broker.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_a_run_file_whose_pid_now_belongs_to_another_process_is_not_believed(make_settings: MakeSettings) -> None:
    settings = make_settings()
    path = runfile.run_dir(settings.data_dir) / "broker.json"
    runfile.write(path, os.getpid(), port=20_001)
    content = path.read_text().replace('"created": ', '"created": 1')
    path.write_text(content)
    with pytest.raises(BrokerUnreachable):
        connect.bootstrap(settings)
    async with EmbeddedBroker(settings.data_dir) as broker:
        assert broker.pid != os.getpid()


async def test_a_broker_that_dies_at_its_start_is_reported_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = EmbeddedBroker(tmp_path)
    monkeypatch.setattr(broker, "command", lambda _port: [sys.executable, "-c", "raise SystemExit('no disk left')"])
    with pytest.raises(BrokerError, match=r"did not come up: its process has ended\nno disk left"):
        await broker.start()
    monkeypatch.undo()
    async with broker:  # the failed start gave the lock back
        assert broker.is_running


async def test_it_is_seen_to_have_died_and_starts_again(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    await broker.start()
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    while broker.is_running:
        await asyncio.sleep(0)
    await broker.restart()
    assert broker.is_running
    await broker.stop()


async def test_its_warnings_about_the_system_reach_its_log_and_not_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with EmbeddedBroker(tmp_path) as broker:
        assert "noida-db" in broker.log_file.read_text()
    assert capfd.readouterr() == ("", "")


def test_a_room_started_twice_on_the_embedded_broker_is_refused_with_the_reason(make_settings: MakeSettings) -> None:
    settings = make_settings()
    expected = rf"room decide already runs on this data directory \(pid {os.getpid()}\)"
    with (
        room_lock(settings, "decide"),
        room_lock(settings, "deliver"),
        pytest.raises(AlreadyRunning, match=expected),
        room_lock(settings, "decide"),
    ):
        pass
    with room_lock(settings, "decide"):  # given back
        pass


def test_a_room_is_started_as_often_as_wanted_on_a_broker_of_the_users_own(make_settings: MakeSettings) -> None:
    settings = make_settings(broker="kafka://127.0.0.1:9092")
    with room_lock(settings, "decide"), room_lock(settings, "decide"):
        pass


def test_a_killed_room_leaves_no_lock_behind(make_settings: MakeSettings) -> None:
    settings = make_settings()
    code = (
        "import sys, os, signal, pathlib\n"
        "from pipeline.broker.rooms import room_lock\nfrom pipeline.settings import Settings\n"
        "with room_lock(Settings(data_dir=pathlib.Path(sys.argv[1]), _env_file=None), 'decide'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(settings.data_dir)], check=False).returncode == -9
    with room_lock(settings, "decide"):
        pass


def test_a_port_someone_listens_on_is_not_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert not is_free(other.getsockname()[1])


async def test_topics_refused_for_too_few_brokers_name_the_setting(make_settings: MakeSettings) -> None:
    settings = make_settings(replication=3, partitions=1)
    async with EmbeddedBroker(settings.data_dir):
        with pytest.raises(BrokerError, match="TOCSIN_REPLICATION"):
            await topics.ensure(settings)
