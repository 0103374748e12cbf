"""SASL over TLS, held against an Apache Kafka that asks for it."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.broker import connect, topics
from pipeline.broker.kafka import ApacheKafka, java
from pipeline.broker.process import PORTS, is_free
from pipeline.errors import BrokerUnreachable
from schemas.codec import Outgoing
from tests.broker.certificates import Authority
from tests.conftest import MakeSettings

pytestmark = pytest.mark.kafka

PASSWORD = "correct horse battery staple"
LISTENER = """
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SECURE://127.0.0.1:{secure}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{secure}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={keystore}
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_tocsin="{password}";
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""  # noqa: E501 - properties have no line breaks


class SecuredKafka(ApacheKafka):
    """With a third listener that speaks SASL_SSL only; the plain one serves the wait for its readiness."""

    keystore: Path
    secure: int

    def command(self, port: int) -> list[str]:
        found = super().command(port)
        properties = self.store / "server.properties"
        kept = properties.read_text()
        controller = kept.split("CONTROLLER://127.0.0.1:")[1].split("\n")[0]
        self.secure = next(other for other in PORTS if other not in (port, int(controller)) and is_free(other))
        listener = LISTENER.format(
            port=port, controller=controller, secure=self.secure, keystore=self.keystore, password=PASSWORD
        )
        ours = {line.split("=")[0] for line in listener.splitlines()}
        properties.write_text("\n".join(x for x in kept.splitlines() if x.split("=")[0] not in ours) + listener)
        return found

    def add_user(self, name: str, password: str) -> None:
        tool = [java(), "-XX:TieredStopAtLevel=1", "-cp", f"{self.jars}/*", "kafka.admin.ConfigCommand"]
        user = ["--entity-type", "users", "--entity-name", name, "--add-config", f"SCRAM-SHA-512=[password={password}]"]
        subprocess.run([*tool, "--bootstrap-server", self.bootstrap, "--alter", *user], check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(
    kafka: ApacheKafka, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredKafka]:
    broker = SecuredKafka(tmp_path_factory.mktemp("secured"), kafka.jars)
    certificate, key = authority.issue("server")
    broker.keystore = authority.directory / "server-both.pem"
    broker.keystore.write_text(key.read_text() + certificate.read_text())
    asyncio.run(broker.start())
    try:
        broker.add_user("tocsin", PASSWORD)
        yield broker
    finally:
        asyncio.run(broker.stop())


@pytest.fixture
def given(secured: SecuredKafka, authority: Authority) -> dict[str, Any]:
    return {
        "broker": f"kafka://127.0.0.1:{secured.secure}",
        "broker_security": "SASL_SSL",
        "broker_sasl_username": "tocsin",
        "broker_sasl_password": PASSWORD,
        "broker_tls_ca": authority.path,
        "partitions": 1,
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_topics_records_and_reading_work_over_sasl_and_tls(
    given: dict[str, Any], make_settings: MakeSettings, mechanism: str
) -> None:
    settings = make_settings(**given, broker_sasl_mechanism=mechanism)
    await topics.ensure(settings)
    async with connect.open_producer(settings) as producer:
        await connect.send(producer, Outgoing("incident.events", b"k", mechanism.encode()))
    assert mechanism.encode() in [record.value async for record in connect.read_all(settings, "incident.events")]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_said_and_not_retried_for_ever(
    given: dict[str, Any], make_settings: MakeSettings, mechanism: str
) -> None:
    settings = make_settings(**{**given, "broker_sasl_password": "wrong"}, broker_sasl_mechanism=mechanism)
    with pytest.raises(BrokerUnreachable, match="SASL_SSL"):
        await connect.producer(settings)


async def test_a_certificate_of_another_authority_is_refused(
    given: dict[str, Any], make_settings: MakeSettings, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "another authority")
    with pytest.raises(BrokerUnreachable, match="does not answer"):
        await connect.producer(make_settings(**{**given, "broker_tls_ca": other.path}))


async def test_a_name_that_the_certificate_does_not_bear_is_refused(
    given: dict[str, Any], make_settings: MakeSettings
) -> None:
    elsewhere = given["broker"].replace("127.0.0.1", "localhost")
    with pytest.raises(BrokerUnreachable, match="does not answer"):
        await connect.producer(make_settings(**{**given, "broker": elsewhere}))
