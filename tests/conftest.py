"""What many tests share: settings that know nothing of the developer's environment, and the two brokers."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from pipeline.broker import topics
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.broker.process import BrokerProcess
from pipeline.errors import TocsinError
from pipeline.settings import Settings

# On a busy machine an example's time says nothing; pytest-timeout bounds the test. The same code is tried with the same
# examples, so that a red run is that change's fault; `make explore` goes looking for new ones.
hypothesis.settings.register_profile("tocsin", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tocsin")
MakeSettings = Callable[..., Settings]


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own TOCSIN_BROKER must not be written to by a test."""
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    """Settings on a data directory of the test's own; anything can be overridden."""

    def make(**overrides: Any) -> Settings:
        return Settings(_env_file=None, **{"data_dir": tmp_path, "web_port": 0, **overrides})

    return make


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """One embedded broker for the whole run. Tests share its topics: tell your records apart by their ids."""
    broker = EmbeddedBroker(tmp_path_factory.mktemp("embedded"))
    asyncio.run(broker.start())
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Apache Kafka for the whole run; skipped with the reason where Java, Maven or its repository is missing."""
    try:
        java()
        broker = ApacheKafka(tmp_path_factory.mktemp("kafka"), fetch_jars())
    except TocsinError as error:
        pytest.skip(str(error))
    asyncio.run(broker.start())
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> BrokerProcess:
    """Each of the two brokers in turn: one suite holds for both."""
    found: BrokerProcess = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def own_broker(make_settings: MakeSettings) -> AsyncIterator[Settings]:
    """An embedded broker of the test's own with all topics (3 partitions); the settings to reach it."""
    settings = make_settings(partitions=3)
    async with EmbeddedBroker(settings.data_dir):
        await topics.ensure(settings)
        yield settings
