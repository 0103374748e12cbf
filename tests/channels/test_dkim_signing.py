"""DKIM: the signature verifies with the key that the DNS would have, and covers what mailboxes judge by."""

import base64
import re
import sys
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.channels.email import EmailSender, email_settings
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from schemas.delivery import Result
from schemas.rendering import EmailContent
from tests.channels.samples import envelope, reader
from tests.channels.smtp_script import Script, playing

DOTTED = EmailContent(subject="s", text=".\n..\n.x\n{{unsubscribe}}.\n.", html="<p>.</p>\n.\n")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def settings(tmp_path: Path, key: rsa.RSAPrivateKey, port: int = 1) -> Settings:
    path = tmp_path / "dkim.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    return Settings(
        _env_file=None,
        smtp_url=f"smtp://127.0.0.1:{port}",
        mail_from="Status <status@example.com>",
        mail_return_path="bounce@example.com",
        dkim_key=path,
        dkim_selector="tocsin",
    )


@pytest.mark.parametrize("pipelining", [True, False])
async def test_what_arrives_verifies_dots_and_all(tmp_path: Path, key: rsa.RSAPrivateKey, pipelining: bool) -> None:
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    script = Script(pipelining=pipelining)
    async with playing(script) as port:
        made = email_settings(settings(tmp_path, key, port))
        assert made is not None
        sender = EmailSender(made)
        answers = await sender.send(envelope(DOTTED), [reader(1), reader(2)])
        await sender.close()
    assert [answer.result for answer in answers] == [Result.ACCEPTED] * 2
    for content in script.contents.values():
        assert dkim.verify(content, dnsfunc=dns)
        assert not dkim.verify(content.replace(b"Lovelace", b"Loveless"), dnsfunc=dns)
        signed = re.sub(rb"\s", b"", content.partition(b"h=")[2].partition(b";")[0]).split(b":")
        assert {b"from", b"list-unsubscribe", b"list-unsubscribe-post", b"message-id"} <= set(signed)
    assert set(asked) == {b"tocsin._domainkey.example.com."}


def test_a_key_without_a_selector_is_named(tmp_path: Path, key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(ConfigurationError, match="TOCSIN_DKIM_SELECTOR"):
        email_settings(settings(tmp_path, key).model_copy(update={"dkim_selector": None}))


@pytest.mark.parametrize(
    "content", [None, b"no key at all", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_key_that_cannot_sign_is_named_at_the_start(
    tmp_path: Path, key: rsa.RSAPrivateKey, content: bytes | None
) -> None:
    given = settings(tmp_path, key)
    assert given.dkim_key is not None
    if content is None:
        given.dkim_key.unlink()
    else:
        given.dkim_key.write_bytes(content)
    with pytest.raises(ConfigurationError, match="TOCSIN_DKIM_KEY"):
        email_settings(given)


def test_without_dkimpy_the_extra_is_named(
    tmp_path: Path, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dkim", None)
    with pytest.raises(ConfigurationError, match=r"tocsin\[dkim\]"):
        email_settings(settings(tmp_path, key))
