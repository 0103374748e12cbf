"""Private keys by the environment: read where they belong, refused everywhere else, and shown nowhere."""

import base64
import os
import subprocess
import sys
import traceback

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr
from typer.testing import CliRunner

from pipeline.audit.checkpoint import Notary, checkpoint_path, open_key
from pipeline.audit.keys import (
    KeyFiles,
    key_path,
    keys_for,
    load_key,
    make_key,
    next_key_path,
    public_key_path,
    public_keys,
    raw,
)
from pipeline.audit.note import read_checkpoint
from pipeline.audit.seal import Chain, seal_own
from pipeline.audit.witness import Witness
from pipeline.cli import app
from pipeline.errors import AuditError, ConfigurationError
from pipeline.private_keys import PrivateKeys, handed_to, keys_of, private_key
from pipeline.processes import environment
from pipeline.settings import bare_environment
from schemas import audit
from tests.audit.logs import START
from tests.conftest import MakeSettings
from tests.paths import REPOSITORY

OLD, NEW, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
CANARY = "canary-that-must-not-show"


def pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def given(**keys: Ed25519PrivateKey) -> PrivateKeys:
    return PrivateKeys(**{name: SecretStr(pem(key)) for name, key in keys.items()})


def test_a_key_is_read_as_openssl_prints_it_or_as_one_line():
    [line] = [line for line in pem(OLD).splitlines() if "-----" not in line]
    for text in (pem(OLD), pem(OLD).replace("\n", "\r\n"), line, f" {line}\n"):
        assert raw(private_key("log_key", SecretStr(text))) == raw(OLD)


@pytest.mark.parametrize(
    "text",
    ["", CANARY, pem(OLD)[:-40], base64.b64encode(b"0" * 48).decode(), pem(OLD).replace("PRIVATE", "\u00e4")[5:]],
)
def test_what_is_no_key_is_refused_by_the_variables_name_and_not_shown(text):
    with pytest.raises(ConfigurationError, match="TOCSIN_LOG_KEY is no Ed25519 key") as refused:
        private_key("log_key", SecretStr(text))
    assert not text or text not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("name", "owner"),
    [("TOCSIN_LOG_KEY", "record"), ("TOCSIN_LOG_NEXT_KEY", "record"), ("TOCSIN_WITNESS_KEY", "witness")],
)
def test_a_key_is_for_one_process_and_no_other_starts_with_it(monkeypatch, name, owner):
    monkeypatch.setenv(name, CANARY)
    for process in ("decide", "deliver", "record", "web", "projector", "witness"):
        if process == owner:
            assert CANARY not in repr(keys_of(process))
            continue
        with pytest.raises(ConfigurationError, match=f"{name} is in the environment of {process}") as refused:
            keys_of(process)
        assert CANARY not in str(refused.value)
    assert [process for process in ("record", "witness", "sandbox") if handed_to(process, keys_of("up"))] == [owner]


def test_a_key_in_the_file_that_all_read_is_refused(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"TOCSIN_LOG_KEY={CANARY}\n")
    for process in ("record", "deliver", "up"):
        with pytest.raises(ConfigurationError, match=r"TOCSIN_LOG_KEY stands in \.env") as refused:
            keys_of(process)
        assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    "command",
    [
        "-m agents deliver",
        *(pytest.param(f"-m {one}", marks=pytest.mark.slow) for one in ("agents decide", "pipeline.cli web")),
        pytest.param("-m pipeline.cli projector", marks=pytest.mark.slow),
    ],
)
def test_the_processes_themselves_do_not_start_with_the_logs_key(tmp_path, command):
    env = {**os.environ, "TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_LOG_KEY": pem(OLD)}
    done = subprocess.run(
        [sys.executable, *command.split()], cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "set it in the environment of the record room alone" in done.stderr


def test_what_the_supervisor_starts_has_no_key_but_its_own(make_settings: MakeSettings, monkeypatch):
    monkeypatch.setenv("TOCSIN_LOG_KEY", CANARY)
    assert CANARY not in {*environment(make_settings()).values(), *bare_environment().values()}


def test_a_given_key_signs_and_no_file_has_it(tmp_path):
    keys = keys_for(tmp_path, given(log_key=OLD))
    notary = Notary(tmp_path, keys, lambda: 0.0)
    own = seal_own(Chain(), audit.KeyIntroduced(note="a note"), START)
    notary.follow(Chain())
    notary.follow(own.chain)
    notary.sign(own.chain)
    assert notary.public.raw == raw(OLD)
    assert read_checkpoint(checkpoint_path(tmp_path).read_bytes(), public_keys(tmp_path)[0]).size == 1
    assert not key_path(tmp_path).exists()
    with pytest.raises(AuditError, match="TOCSIN_LOG_KEY is not the key that the last checkpoint was signed with"):
        open_key(tmp_path, keys_for(tmp_path, given(log_key=OTHER)))


def test_a_key_moves_from_its_file_into_the_environment_and_the_log_goes_on(tmp_path):
    _, public = open_key(tmp_path, KeyFiles(tmp_path))
    kept = given(log_key=load_key(key_path(tmp_path)))
    with pytest.raises(ConfigurationError, match="one log has one key"):
        keys_for(tmp_path, kept)
    key_path(tmp_path).unlink()
    assert open_key(tmp_path, keys_for(tmp_path, kept))[1] == public


def test_a_given_key_introduces_the_next_one_which_alone_is_needed_from_then_on(tmp_path):
    both = given(log_key=OLD, log_next_key=NEW)
    notary = Notary(tmp_path, keys_for(tmp_path, both), lambda: 0.0)
    notary.follow(Chain())
    said = notary.introduction(0, ())
    assert said is not None
    introduced = [f"{said.note.splitlines()[4]} after 1"]
    own = seal_own(Chain(), said, START)
    notary.follow(own.chain)
    notary.sign(own.chain)
    assert notary.change_key(introduced)
    assert [public.raw for public in public_keys(tmp_path)] == [raw(OLD), raw(NEW)]
    assert notary.introduction(1, introduced) is None
    for keys in (both, given(log_key=NEW)):  # a restart before, and after, the old one was taken out
        again = Notary(tmp_path, keys_for(tmp_path, keys), lambda: 0.0)
        assert again.public.raw == raw(NEW)
        assert not again.change_key(introduced)
    assert len(public_keys(tmp_path)) == 2
    with pytest.raises(AuditError, match="was this log's before"):
        open_key(tmp_path, keys_for(tmp_path, given(log_key=NEW, log_next_key=OLD)))


def test_two_keys_that_are_one_and_a_next_one_without_the_present_one_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="is the same key as"):
        keys_for(tmp_path, given(log_key=OLD, log_next_key=OLD))
    with pytest.raises(ConfigurationError, match="TOCSIN_LOG_NEXT_KEY is set without TOCSIN_LOG_KEY"):
        keys_for(tmp_path, given(log_next_key=NEW))


def test_a_key_in_a_file_does_not_wait_for_one_in_the_environment_to_introduce_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path))
    open_key(tmp_path, keys_for(tmp_path, given(log_key=OLD)))
    refused = CliRunner().invoke(app, ["audit", "rotate-key"])
    assert refused.exit_code == 1
    assert "TOCSIN_LOG_NEXT_KEY" in refused.stderr
    assert not next_key_path(tmp_path).exists()
    make_key(next_key_path(tmp_path))
    with pytest.raises(ConfigurationError, match=r"log\.next\.ed25519 is there too"):
        keys_for(tmp_path, given(log_key=OLD))
    assert public_key_path(tmp_path).exists()


def test_a_witness_takes_its_key_from_the_environment_and_has_one_only(tmp_path):
    witness = Witness(tmp_path, list, lambda: 0, SecretStr(pem(OLD)))
    again = Witness(tmp_path, list, lambda: 0, SecretStr(pem(OLD)))
    assert witness.line == again.line
    assert not (tmp_path / "witness.ed25519").exists()
    make_key(tmp_path / "witness.ed25519")
    with pytest.raises(ConfigurationError, match="TOCSIN_WITNESS_KEY is set, and"):
        Witness(tmp_path, list, lambda: 0, SecretStr(pem(OLD)))
