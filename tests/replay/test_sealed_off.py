"""The process that replays has no sender and no provider's secret, and can make neither."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.replay.sealed_off import OURS, PROVIDERS, ReplaySendsNothing, sealed_off, sealed_settings
from pipeline.settings import Settings
from tests.paths import REPOSITORY
from tests.replay.told import archive

REAL = {
    "TOCSIN_SMTP_URL": "smtps://real:password@mail.example.com",
    "TOCSIN_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TOCSIN_TWILIO_AUTH_TOKEN": "real-token",
    "TOCSIN_TWILIO_FROM": "+15005550006",
    **{
        f"TOCSIN_X_{name}": "real"
        for name in ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET")
    },
    "TOCSIN_WEBHOOKS": "true",
    "TOCSIN_APPRISE": "true",
}
SENDERS = {
    "pipeline.channels.email": "EmailSender",
    "pipeline.channels.sms": "SmsSender",
    "pipeline.channels.x": "XSender",
    "pipeline.channels.webhook": "WebhookSender",
    "pipeline.channels": "build_senders",
    "aiosmtplib": "SMTP",
    "twilio.rest": "Client",
    "tweepy": "Client",
}


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **REAL, **environment, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)


@pytest.mark.parametrize(("module", "name"), SENDERS.items())
def test_constructing_a_sender_there_fails(module: str, name: str) -> None:
    __import__(module)  # loaded before, as a careless import would leave it
    with sealed_off(), pytest.raises(ReplaySendsNothing, match="has no sender, and gets none"):
        __import__(module, fromlist=[name])
    assert getattr(__import__(module, fromlist=[name]), name)


def test_a_sealed_off_process_knows_no_provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("TOCSIN_IMAP_URL=imaps://real:password@mail.example.com\n")
    monkeypatch.chdir(tmp_path)
    assert Settings().imap_url is not None
    with sealed_off():
        settings = sealed_settings()
        left = {name: value for name, value in os.environ.items() if "real" in value and name.startswith("TOCSIN_")}
        assert not left
    for name in PROVIDERS:
        assert getattr(settings, name) in (Settings.model_fields[name].default, None), name
    assert os.environ["TOCSIN_SMTP_URL"] == REAL["TOCSIN_SMTP_URL"]


def test_every_secret_is_a_providers_or_named_as_none() -> None:
    secrets = {name for name, field in Settings.model_fields.items() if SecretStr.__name__ in str(field.annotation)}
    assert secrets == (secrets & PROVIDERS) | (secrets & OURS)
    assert {"smtp_url", "twilio_auth_token", "x_access_token_secret", "imap_url"} <= PROVIDERS


@pytest.mark.parametrize("option", [["--check"], pytest.param(["search-1"], marks=pytest.mark.slow)])
def test_the_command_itself_loads_nothing_that_sends_and_no_brokers_client(option: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        f"sys.argv = ['tocsin', 'replay', *{option!r}, '--archive', {archive(tmp_path)!r}]\n"
        "try: main()\n"
        "except SystemExit as end: print('status', end.code)\n"
        "print('\\n'.join('loaded ' + name for name in sys.modules))\n"
    )
    done = python(code, TOCSIN_DATA_DIR=str(tmp_path / "nowhere"))
    assert "status 0" in done.stdout, done.stdout + done.stderr
    senders = (
        "pipeline.channels",
        "pipeline.sandbox",
        "aiosmtplib",
        "twilio",
        "tweepy",
        "apprise",
        "aiokafka",
        "faust",
    )
    loaded = {line.removeprefix("loaded ") for line in done.stdout.splitlines() if line.startswith("loaded ")}
    assert "pipeline.audit.timeline" in loaded
    assert not [name for name in loaded if name.startswith(senders)]
