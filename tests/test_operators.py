"""Operators: keys that stay secret, records that only the deployment can make, a registry that believes no other."""

import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from pipeline import authority
from pipeline.errors import ConfigurationError
from pipeline.operators import (
    Registry,
    is_sealed,
    key_file,
    make_key,
    public_key_of,
    read_key,
    record,
    registered,
    signer,
    tombstone,
)
from pipeline.vault import Vault
from schemas.codec import Outgoing, Record
from schemas.operator import Operator
from tests.conftest import MakeSettings

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
VAULT = Vault.of(b"a secret of the test suite, long enough")
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = authority.base64url(KEY.public_key().public_bytes_raw())
SIGNATURE = "A" * 86
OFFSETS: Iterator[int] = iter(range(10**9))


def operator(name: str = "ann", since: datetime = AT, public_key: str = PUBLIC, vault: Vault = VAULT) -> Operator:
    return registered(vault, name, public_key, ("legal", "legal"), since, "root")


def written(outgoing: Outgoing) -> Record:
    return Record(outgoing.topic, 0, next(OFFSETS), AT, outgoing.key, outgoing.value, outgoing.headers)


def registry(*records: Outgoing) -> Registry:
    found = Registry(VAULT)
    for outgoing in records:
        found.apply(written(outgoing))
    return found


# --- keys


def test_a_key_is_made_once_for_its_owner_alone(make_settings: MakeSettings) -> None:
    settings = make_settings()
    made = make_key(settings, "ann")
    path = key_file(settings, "ann")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert make_key(settings, "ann").public_key == made.public_key == signer(settings, "ann").public_key


def put(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_key_may_be_raw_bytes(make_settings: MakeSettings) -> None:
    settings = make_settings()
    put(key_file(settings, "ann"), b"k" * 32)
    assert signer(settings, "ann").public_key == PUBLIC


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_key_that_others_can_read_or_change_is_refused_with_the_remedy(
    make_settings: MakeSettings, mode: int
) -> None:
    path = put(key_file(make_settings(), "ann"), b"k" * 32, mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        read_key(path)


def test_a_folder_in_which_others_could_put_a_key_is_refused(make_settings: MakeSettings) -> None:
    path = put(key_file(make_settings(), "ann"), b"k" * 32)
    path.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"chmod 700 {path.parent}"):
        read_key(path)


def pem(key: object, protect: bool = False) -> bytes:
    encryption = BestAvailableEncryption(b"password") if protect else NoEncryption()
    raw: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)  # type: ignore[attr-defined]
    return raw


@pytest.mark.parametrize(
    "content",
    [b"", b"canary" * 6, pem(KEY, protect=True), pem(generate_private_key(SECP256R1())), pem(KEY)[:80]],
    ids=["empty", "text", "encrypted", "another kind", "cut"],
)
def test_what_is_no_key_is_refused_and_never_quoted(make_settings: MakeSettings, content: bytes) -> None:
    path = put(key_file(make_settings(), "ann"), content)
    with pytest.raises(ConfigurationError, match="holds no ed25519 private key") as refused:
        read_key(path)
    told = "".join(traceback.format_exception(refused.value))
    assert not content or content.decode().strip().splitlines()[-1] not in told


@pytest.mark.parametrize("name", ["../ann", "a/b", "", ".ann", "a" * 101, "a\n"])
def test_a_name_leads_nowhere_else(make_settings: MakeSettings, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be an operator's name"):
        key_file(make_settings(), name)


def test_who_signs_is_who_is_named_then_the_setting_then_the_only_key(make_settings: MakeSettings) -> None:
    settings = make_settings()
    with pytest.raises(ConfigurationError, match="there is no key"):
        signer(settings)
    make_key(settings, "ann")
    assert signer(settings).name == "ann"
    make_key(settings, "ben")
    with pytest.raises(ConfigurationError, match=r"keys of ann, ben.*--as NAME"):
        signer(settings)
    assert signer(make_settings(operator="ben")).name == "ben"
    assert signer(make_settings(operator="ben"), "ann").name == "ann"
    with pytest.raises(ConfigurationError, match=r"there is no .*cid\.key"):
        signer(settings, "cid")


def test_no_private_key_shows_itself(make_settings: MakeSettings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = make_settings()
    made = make_key(settings, "ann")
    secret = key_file(settings, "ann").read_text().splitlines()[1]
    shown = f"{made!r} {made} {signer(settings)!r} {caplog.text}"
    assert secret not in shown
    assert "Ed25519PrivateKey" not in shown


# --- keys of others


def test_a_public_key_is_taken_as_we_print_it_or_as_pem_or_from_a_file(tmp_path: Path) -> None:
    as_pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for number, text in enumerate((PUBLIC, f"{PUBLIC}\n", as_pem)):
        file = tmp_path / str(number)
        file.write_text(text)
        assert public_key_of(text) == public_key_of(str(file)) == PUBLIC


def test_a_private_key_that_is_handed_over_is_refused_and_not_quoted(tmp_path: Path) -> None:
    file = put(tmp_path / "operators" / "key", pem(KEY))
    for given_ in (str(file), pem(KEY).decode()):
        with pytest.raises(ConfigurationError, match="that is a private key") as refused:
            public_key_of(given_)
        assert pem(KEY).decode().splitlines()[1] not in "".join(traceback.format_exception(refused.value))


@given(st.text(max_size=400))
def test_what_is_no_public_key_is_refused_and_nothing_else(text: str) -> None:
    try:
        assert len(authority.from_base64url(public_key_of(text))) == 32
    except ConfigurationError:
        pass


# --- records


def test_the_seal_is_over_everything_that_a_record_says() -> None:
    good = operator()
    assert good.roles == ("legal",)
    assert is_sealed(VAULT, good)
    for name, other in (
        ("name", "ben"), ("public_key", PUBLIC[:-2] + "AA"), ("roles", ("legal", "incident-manager")),
        ("since", AT + timedelta(milliseconds=1)), ("by", "somebody"), ("seal", good.seal[:-2] + "AA"),
    ):  # fmt: skip
        assert not is_sealed(VAULT, good.model_copy(update={name: other})), name
    assert not is_sealed(Vault.of(b"another secret of the test suite, as long"), good)


# --- the registry


def test_a_registered_operator_signs_with_the_key_and_the_roles_they_hold() -> None:
    found = registry(record(operator())).signature("ann", SIGNATURE)
    assert found is not None
    assert (found.operator, found.public_key, found.roles, found.signature) == ("ann", PUBLIC, ("legal",), SIGNATURE)


def test_an_unknown_operator_has_no_signature() -> None:
    assert registry(record(operator())).signature("ben", SIGNATURE) is None


@pytest.mark.parametrize("text", ["", "A" * 85, "A" * 87, "A" * 85 + "=", "A" * 85 + "\n", "ä" * 86, "A" * 100_000])
def test_what_cannot_be_a_signature_does_not_come_into_the_journal(text: str) -> None:
    assert registry(record(operator())).signature("ann", text) is None


def test_a_removed_operator_has_no_signature_until_they_are_added_again() -> None:
    found = registry(record(operator()), tombstone("ann"))
    assert found.signature("ann", SIGNATURE) is None
    assert found.all() == []
    found.apply(written(record(operator(since=found.next_since("ann", AT)))))
    assert found.signature("ann", SIGNATURE) is not None


def test_roles_are_those_of_the_last_record() -> None:
    later = registered(VAULT, "ann", PUBLIC, ("communications",), AT + timedelta(hours=1), "root")
    found = registry(record(operator()), record(later)).get("ann")
    assert found == later


def test_a_record_with_a_wrong_seal_is_ignored_loudly(caplog: pytest.LogCaptureFixture) -> None:
    forged = operator(vault=Vault.of(b"a secret that the forger made up by themselves"))
    found = registry(record(forged))
    assert found.signature("ann", SIGNATURE) is None
    assert "does not carry this deployment's seal" in caplog.text
    promoted = operator().model_copy(update={"roles": ("incident-manager",), "since": AT + timedelta(hours=1)})
    found = registry(record(operator()), record(promoted))
    assert found.get("ann") == operator()


def test_a_sealed_record_does_not_count_under_another_name(caplog: pytest.LogCaptureFixture) -> None:
    good = record(operator())
    moved = Outgoing(good.topic, b"ben", good.value, good.headers)
    found = registry(moved, Outgoing(good.topic, None, good.value, good.headers))
    assert found.all() == []
    assert caplog.text.count("does not carry this deployment's seal") == 2


@pytest.mark.parametrize("removed", [True, False])
def test_what_was_in_force_once_is_not_brought_back_by_writing_it_again(
    removed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    old = operator()
    after = tombstone("ann") if removed else record(registered(VAULT, "ann", PUBLIC, ("pr",), AT.replace(hour=13), "x"))
    found = registry(record(old), after, record(old))
    assert found.get("ann") != old
    assert "an old record of operator 'ann' was written again" in caplog.text


def test_a_producers_second_try_is_nothing_to_speak_of(caplog: pytest.LogCaptureFixture) -> None:
    assert registry(record(operator()), record(operator())).get("ann") == operator()
    assert not caplog.text


@given(st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=60))
def test_no_record_breaks_the_fold(key: bytes | None, value: bytes | None) -> None:
    good = record(operator())
    found = registry(good, Outgoing(good.topic, key, value, good.headers), Outgoing(good.topic, key, value))
    assert (found.get("ann") is None) == (key == b"ann" and value is None)


def test_a_record_that_cannot_be_read_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    good = record(operator())
    registry(Outgoing(good.topic, b"ann", b"{}", good.headers))
    assert "cannot be read and is ignored" in caplog.text
