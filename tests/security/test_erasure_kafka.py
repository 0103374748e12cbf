"""On Apache Kafka a destroyed key goes from the broker's very files: compacted, and the old segments deleted."""

from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from pipeline.broker import connect, topics
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.commands.subscribing.writing import read_roster
from pipeline.deliver.forgetting import closing
from pipeline.erasure import key_of, whom
from pipeline.errors import TocsinError
from pipeline.registrations import registration
from pipeline.settings import Settings
from pipeline.subscribers import event_record, key_record, subscribe
from pipeline.vault import Vault
from schemas import topics as wire
from schemas.subscriber import Erased
from tests.conftest import MakeSettings
from tests.system import eventually
from tests.test_subscribers import AT

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]
QUICK = {"segment.ms": "50", "file.delete.delay.ms": "0"}
"""The ten minutes of a deployment, and Kafka's own of a minute until it unlinks a file, made short."""


@pytest.fixture
async def deployment(make_settings: MakeSettings, tmp_path: Path):
    """A Kafka of the test's own, since its files are searched."""
    try:
        java()
        broker = ApacheKafka(tmp_path / "kafka", fetch_jars())
    except TocsinError as error:
        pytest.skip(str(error))
    async with broker:
        settings = make_settings(partitions=2, broker=f"kafka://{broker.bootstrap}")
        keys = wire.SUBSCRIBER_KEYS
        async with connect.open_admin(settings) as admin:
            await admin.create_topics([NewTopic(keys.name, 2, 1, topic_configs={**keys.config(), **QUICK})])
        await topics.ensure(settings)  # a topic that forgets sooner than declared is as right
        yield settings, broker


def files_with(folder: Path, text: str) -> list[str]:
    """The broker's files in which a text stands."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # deleted while it was looked for
        if text.encode() in content:
            found.append(path.name)
    return found


async def test_the_key_is_gone_from_the_files_and_nothing_else(deployment: tuple[Settings, ApacheKafka]) -> None:
    settings, broker = deployment
    vault = Vault.open(settings)
    keys = {}
    async with connect.open_producer(settings) as producer:
        for name in ("zelda", "impa"):
            row = registration({"audiences": ["customers"], "email": f"{name}@hyrule-mail.example"})
            key, event = subscribe(vault, row, name, AT)
            keys[name] = (key.value or b"").decode()
            for outgoing in (key, event):
                await connect.send(producer, outgoing)
        assert files_with(broker.store, keys["zelda"])
        assert whom(await read_roster(settings), vault, "zelda") == ("zelda",)
        for outgoing in (event_record("zelda", Erased(), AT), key_record("zelda", None, AT)):
            await connect.send(producer, outgoing)

        async def closed_and_compacted() -> bool:
            for partition in range(settings.partitions):
                await connect.send(producer, closing(partition))
            left = [key_of(record, ("zelda",)) async for record in connect.read_all(settings, "subscriber.keys")]
            return not any(left) and not files_with(broker.store, keys["zelda"])

        await eventually(closed_and_compacted, 180, "the key is gone from topic and files")
    assert files_with(broker.store, keys["impa"])
    roster = await read_roster(settings)
    assert roster.contact(vault, "impa") is not None
    assert roster.contact(vault, "zelda") is None
