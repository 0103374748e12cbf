import ssl
from pathlib import Path
from typing import Any

import pytest

from pipeline.broker import connect
from pipeline.errors import BrokerUnreachable, ConfigurationError
from tests.broker.certificates import Authority
from tests.conftest import MakeSettings

BROKER = "kafka://broker.example.com:9093"


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("kafka://one:9092", "one:9092"),
        ("kafka://one:9092,two:9093", "one:9092,two:9093"),
        ("kafka://one:9092, kafka://two:9093/", "one:9092,two:9093"),
        ("kafka://one", "one:9092"),
        ("kafka://[::1]:19092,[::1]", "[::1]:19092,[::1]:9092"),
    ],
)
def test_the_address_of_a_broker_is_read_as_people_write_it(
    make_settings: MakeSettings, url: str, addresses: str
) -> None:
    assert connect.bootstrap(make_settings(broker=url)) == addresses


@pytest.mark.parametrize(
    "url", ["", "one:9092", "http://one:9092", "kafka://", "kafka://one:port", "kafka://one:0", "kafka://a:1,,b:2",
            "kafka://user:password@one:9092", "kafka://one:9092/topic"],
)  # fmt: skip
def test_a_malformed_address_names_the_setting_and_the_form(make_settings: MakeSettings, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TOCSIN_BROKER is .*; it must be kafka://host:port"):
        connect.bootstrap(make_settings(broker=url))


def test_without_a_broker_anywhere_the_error_says_how_to_get_one(make_settings: MakeSettings) -> None:
    with pytest.raises(BrokerUnreachable, match="start it with `tocsin up`, or set TOCSIN_BROKER=kafka://host:port"):
        connect.client_options(make_settings())


async def test_a_broker_that_does_not_answer_is_named_with_its_address(
    make_settings: MakeSettings, unused_tcp_port: int
) -> None:
    settings = make_settings(broker=f"kafka://127.0.0.1:{unused_tcp_port}")
    expected = rf"the broker at 127.0.0.1:{unused_tcp_port} \(PLAINTEXT\) does not answer"
    with pytest.raises(BrokerUnreachable, match=expected):
        await connect.producer(settings)
    with pytest.raises(BrokerUnreachable, match=expected):
        async with connect.open_admin(settings):
            pass
    with pytest.raises(BrokerUnreachable, match=expected):
        async with connect.open_reader(settings):
            pass


def test_in_clear_there_is_neither_tls_nor_a_password(make_settings: MakeSettings) -> None:
    assert connect.client_options(make_settings(broker=BROKER)) == {
        "bootstrap_servers": "broker.example.com:9093",
        "security_protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"broker_security": "SASL_SSL"}, "set TOCSIN_BROKER_SASL_USERNAME"),
        ({"broker_security": "SASL_SSL", "broker_sasl_username": "u"}, "set TOCSIN_BROKER_SASL_PASSWORD"),
        ({"broker_sasl_username": "u"}, "TOCSIN_BROKER_SASL_USERNAME is set, but TOCSIN_BROKER_SECURITY is PLAINTEXT"),
        ({"broker_tls_ca": "ca.pem"}, "TOCSIN_BROKER_TLS_… is set, but TOCSIN_BROKER_SECURITY is PLAINTEXT"),
        ({"broker_security": "SSL", "broker_tls_ca": "absent.pem"}, "TOCSIN_BROKER_TLS_CA: absent.pem: "),
        ({"broker_security": "SSL", "broker_tls_key": "k"}, "TOCSIN_BROKER_TLS_KEY is set without .*_CERT"),
        ({"broker_security": "SSL", "broker_tls_cert": "absent.pem"}, "TOCSIN_BROKER_TLS_CERT, .*: absent"),
    ],
)  # fmt: skip
def test_credentials_that_are_missing_or_would_not_be_used_name_their_setting(
    make_settings: MakeSettings, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        connect.client_options(make_settings(broker=BROKER, **given))


def test_tls_verifies_the_chain_and_the_host_name_whatever_is_set(make_settings: MakeSettings, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("client")
    context = connect.ssl_context(
        make_settings(
            broker=BROKER, broker_security="SSL", broker_tls_ca=authority.path, broker_tls_cert=certificate,
            broker_tls_key=key,
        )
    )  # fmt: skip
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [found["subject"] for found in context.get_ca_certs()] == [((("commonName", "test authority"),),)]


def test_a_key_that_does_not_fit_its_certificate_is_named(make_settings: MakeSettings, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (certificate, _), (_, key) = authority.issue("one"), authority.issue("two")
    settings = make_settings(
        broker=BROKER, broker_security="SSL", broker_tls_cert=certificate, broker_tls_key=key
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"TOCSIN_BROKER_TLS_CERT, .*one\.pem, .*two\.key"):
        connect.client_options(settings)


def test_the_password_never_stands_in_the_settings_printed_form(make_settings: MakeSettings) -> None:
    settings = make_settings(
        broker=BROKER, broker_security="SASL_SSL", broker_sasl_username="u", broker_sasl_password="hunter2"
    )
    assert "hunter2" not in repr(settings)
    assert connect.client_options(settings)["sasl_plain_password"] == "hunter2"


@pytest.mark.parametrize(
    ("key", "hashed"),
    # Apache Kafka's own vectors: UtilsTest.testMurmur2
    [
        ("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829), ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)  # fmt: skip
def test_partition_for_has_the_vectors_of_apache_kafka(key: str, hashed: int) -> None:
    assert connect.partition_for(key, 1000) == (hashed & 0x7FFFFFFF) % 1000
