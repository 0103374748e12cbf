"""The service as a process of its own, on a real broker."""

import asyncio
import os
import signal
import smtplib
import sys

import aiohttp
import pytest

from pipeline.broker import connect, runfile
from pipeline.errors import BrokerError, ConfigurationError
from pipeline.settings import Settings
from pipeline.vault import Vault
from pipeline.web.publisher import Publisher
from pipeline.web.serve import bind
from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Outgoing
from schemas.receipt import BounceReceived
from schemas.subscriber import Unsubscribed
from tests.receipts.mails import INTENT, report

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


async def test_a_click_stands_in_the_broker_when_it_is_answered(own_broker: Settings) -> None:
    environment = {**os.environ, "TOCSIN_DATA_DIR": str(own_broker.data_dir), "TOCSIN_WEB_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline.cli", "web", env=environment, stderr=asyncio.subprocess.PIPE
    )
    ready = own_broker.data_dir / "run" / "web.ready"
    async with asyncio.timeout(30):
        while (said := runfile.read_live(ready)) is None:
            assert process.returncode is None
            await asyncio.sleep(0.02)  # polls a condition: the run file is how the service says that it listens
    assert said["pid"] == process.pid
    token = Vault.open(own_broker).link_token("anna", Channel.EMAIL, "unsubscribe")
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"http://127.0.0.1:{said['port']}/u/{token}", data=ONE_CLICK) as answer,
    ):
        assert answer.status == 200
    records = [record async for record in connect.read_all(own_broker, topics.SUBSCRIBER_EVENTS_TOPIC.name)]
    assert [codec.decode(record, Unsubscribed).subject for record in records] == ["anna"]
    assert records[0].partition == connect.partition_for("anna", 3)
    process.send_signal(signal.SIGTERM)
    _, shown = await process.communicate()
    assert process.returncode == 0
    assert not ready.exists()
    assert b"/u/{token}" in shown
    assert token.encode() not in shown


async def test_a_bounce_stands_in_the_broker_when_it_is_answered(own_broker: Settings) -> None:
    environment = {**os.environ, "TOCSIN_DATA_DIR": str(own_broker.data_dir), "TOCSIN_WEB_PORT": "0"}
    environment |= {"TOCSIN_BOUNCE_PORT": "0", "TOCSIN_MAIL_RETURN_PATH": "bounce@bounces.example.com"}
    environment |= {"TOCSIN_PARTITIONS": "3"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline.cli", "web", env=environment, stderr=asyncio.subprocess.PIPE
    )
    ready = own_broker.data_dir / "run" / "web.ready"
    async with asyncio.timeout(30):
        while (said := runfile.read_live(ready)) is None:
            assert process.returncode is None
            await asyncio.sleep(0.02)  # polls a condition: the run file is how the service says that it listens
    token = Vault.open(own_broker).return_token(INTENT, 2)
    to = f"bounce+{token}@bounces.example.com"

    def session() -> None:
        with smtplib.SMTP("127.0.0.1", int(said["bounce_port"]), timeout=10) as client:
            client.sendmail("", [to], report(to=to))

    await asyncio.to_thread(session)
    [record] = [record async for record in connect.read_all(own_broker, topics.PROVIDER_RECEIPTS.name)]
    assert codec.decode(record, BounceReceived).data.intent_id == INTENT
    process.send_signal(signal.SIGTERM)
    _, shown = await process.communicate()
    assert process.returncode == 0
    assert b"a mail came back" in shown
    assert token.encode() not in shown
    assert b"customer.example" not in shown


async def test_without_a_broker_publishing_fails_in_good_time() -> None:
    publisher = Publisher(Settings(_env_file=None, broker="kafka://127.0.0.1:1"), patience_s=1)
    with pytest.raises(BrokerError):
        await publisher(Outgoing(topics.PROVIDER_RECEIPTS.name, b"k", b"{}", partition=0))
    await publisher.close()


async def test_a_publisher_recovers_from_a_refused_record(own_broker: Settings) -> None:
    publisher = Publisher(own_broker)
    with pytest.raises(BrokerError):
        await publisher(Outgoing(topics.PROVIDER_RECEIPTS.name, b"k", b"a" * 2_000_000, partition=0))
    await publisher(Outgoing(topics.PROVIDER_RECEIPTS.name, b"k", b"{}", partition=0))
    await publisher.close()
    assert [r.value async for r in connect.read_all(own_broker, topics.PROVIDER_RECEIPTS.name)] == [b"{}"]


def test_a_port_in_use_is_said_with_the_setting() -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(ConfigurationError, match="TOCSIN_WEB_PORT"):
        bind("127.0.0.1", taken.getsockname()[1])
