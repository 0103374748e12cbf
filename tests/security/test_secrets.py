"""Secrets show themselves nowhere: not in a representation, an error, a log at any level, or a list of processes."""

import asyncio
import dataclasses
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from pipeline.audit.keys import public_keys, raw
from pipeline.broker import runfile
from pipeline.channels import build_senders
from pipeline.channels.base import Envelope, Recipient
from pipeline.channels.email import email_settings
from pipeline.channels.sms import sms_settings
from pipeline.channels.x import x_settings
from pipeline.errors import ConfigurationError
from pipeline.private_keys import private_key
from pipeline.sandbox import Sandbox
from pipeline.sandbox.server import AUTH_TOKEN, X_KEYS
from pipeline.settings import REPOSITORY, Settings
from pipeline.vault import Vault
from schemas.base import Channel
from schemas.rendering import Content, EmailContent, PostContent, SmsContent
from tests.system import eventually

CANARY = "canary-that-must-not-show"
LOG_KEY = "MC4CAQAwBQYDK2VwBCIEI" + "A" * 43
GIVEN: dict[str, Any] = {
    "secret": CANARY * 2,
    "broker_sasl_password": CANARY,
    "smtp_url": f"smtps://user:{CANARY}@relay.example",
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": CANARY,
    "twilio_from": "+15005550006",
    "x_consumer_key": CANARY,
    "x_consumer_secret": CANARY,
    "x_access_token": CANARY,
    "x_access_token_secret": CANARY,
}


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **{**GIVEN, **given})


def test_no_representation_shows_a_secret() -> None:
    given = settings()
    shown = [given, given.model_dump(), given.model_dump_json(), Vault.open(given)]
    shown += [email_settings(given), sms_settings(given), x_settings(given)]
    shown += list(build_senders(given, lambda intent, partition: "").values())
    for one in shown:
        assert CANARY not in f"{one!r} {one}"
    email = email_settings(given)
    assert email is not None
    assert CANARY not in repr(dataclasses.replace(email.line))


@pytest.mark.parametrize(
    "url",
    [
        f"smtps://user:{CANARY}/more@relay.example",
        f"smtps://user:{CANARY}#more@relay.example",
        f"smtps://user:{CANARY}@[relay.example",
        f"smtps://user:{CANARY}@relay.example:port",
        f"smtps://user:{CANARY}@relay.example:99999",
        f"smtp://user:{CANARY}@relay.example",
        f"{CANARY}://user@relay.example",
        f"smtps:{CANARY}",
    ],
)
def test_a_relay_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TOCSIN_SMTP_URL") as refused:
        email_settings(settings(smtp_url=url))
    assert CANARY not in "".join(traceback.format_exception(refused.value))


async def test_clients_at_their_most_talkative_log_neither_secret_nor_address(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)
    contents: dict[Channel, tuple[str, Content]] = {
        Channel.EMAIL: ("zelda@hyrule.example", EmailContent(subject="s", text="t", html="h")),
        Channel.SMS: ("+14155552671", SmsContent(text="t", encoding="GSM-7", segments=1)),
        Channel.X: ("zelda_hyrule", PostContent(text="t", weighted_length=1)),
    }
    async with Sandbox() as sandbox:
        env: dict[str, Any] = {
            name.removeprefix("TOCSIN_").lower(): value for name, value in sandbox.settings_env().items()
        }
        senders = build_senders(
            Settings(_env_file=None, **env), lambda intent, partition: "http://127.0.0.1/d?d=callback-token"
        )
        for fault in (None, "refused"):
            if fault:
                sandbox.fault("smtp", "refuse", stage="rcpt", code=550)
                sandbox.fault("twilio", "error", code=21211)
                sandbox.fault("x", "duplicate")
            for channel, (address, content) in contents.items():
                who = Recipient("s1", "f" * 32, 0, address, "Zelda Quixote", "http://127.0.0.1/u/link-token")
                at = datetime(2026, 3, 4, tzinfo=UTC)
                envelope = Envelope(f"INC-{fault}", "n", 1, at, content, "0" * 64, "en")
                await senders[channel].send(envelope, [who])
                await senders[channel].reconcile(envelope, who)
        for sender in senders.values():
            await sender.close()
        assert (len(sandbox.mails), len(sandbox.texts)) == (1, 1)
    ours = [record for record in caplog.records if not record.name.startswith(("mail.log", "aiosmtpd", "asyncio"))]
    shown = "\n".join(f"{record.name} {record.getMessage()} {record.__dict__}" for record in ours)
    secrets = (AUTH_TOKEN, *X_KEYS.values(), "oauth_signature=", "callback-token", "link-token")
    for one in (*secrets, "zelda@hyrule", "4155552671", "Zelda Quixote"):
        assert one not in shown, [r.name for r in ours if one in f"{r.getMessage()} {r.__dict__}"]


@pytest.mark.slow
async def test_everything_listens_on_loopback_only_and_no_command_line_holds_a_secret(tmp_path: Path) -> None:
    env = {**os.environ, "TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_WEB_PORT": "0", "TOCSIN_SECRET": CANARY * 2}
    env["TOCSIN_LOG_KEY"] = LOG_KEY
    up = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline.cli", "up", "--sandbox", cwd=REPOSITORY, env=env,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:

        async def runs() -> bool:
            said = runfile.read_live(tmp_path / "run" / "up.json") or {}
            names = said.get("processes", {}).keys()
            ready = [tmp_path / "run" / f"{name}.ready" for name in ("decide", "deliver", "record", "web", "projector")]
            return len(names) == 6 and all(path.exists() for path in ready)

        await eventually(runs, 90, "all processes are up")
        family = [psutil.Process(up.pid), *psutil.Process(up.pid).children(recursive=True)]
        assert len(family) >= 8
        listening = {
            process.pid: [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
            for process in family
        }
        assert sum(map(len, listening.values())) >= 4  # the broker, SMTP, the sandbox's HTTP, the web service
        assert {address.ip for addresses in listening.values() for address in addresses} <= {"127.0.0.1", "::1"}
        for process in family:
            line = " ".join(process.cmdline())
            assert not any(secret in line for secret in (CANARY, AUTH_TOKEN, LOG_KEY, *X_KEYS.values())), line
        # A room's own cannot be read (Faust writes its title over it); decide and deliver do not start with that key.
        assert {process.pid for process in family if LOG_KEY in process.environ().values()} == {up.pid}
        broker = runfile.process_of(runfile.read(tmp_path / "run" / "broker.json"))
        assert broker is not None
        assert not any(name.startswith("TOCSIN_") for name in broker.environ())
    finally:
        up.terminate()
        said, _ = await asyncio.wait_for(up.communicate(), 60)
    # The sandbox itself says its keys, which open nothing: somebody may want to use it from elsewhere.
    logs = [path for path in (tmp_path / "logs").iterdir() if path.name != "sandbox.log"]
    assert len(logs) == 6
    for content in (said, *(path.read_bytes() for path in logs)):
        assert not any(secret.encode() in content for secret in (CANARY, AUTH_TOKEN, LOG_KEY, *X_KEYS.values()))
    assert not (tmp_path / "keys" / "log.ed25519").exists()
    assert [public.raw for public in public_keys(tmp_path)] == [raw(private_key("log_key", SecretStr(LOG_KEY)))]
    open_to_others = [path for path in tmp_path.iterdir() if path.is_dir() and path.stat().st_mode & 0o077]
    assert not open_to_others
