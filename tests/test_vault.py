"""The vault: what it seals stays sealed, what it signs cannot be forged, and its secret is kept as one."""

import base64
import os
import random
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from pipeline.addresses import BadAddress
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from pipeline.vault import MAC_BYTES, ContactData, Unreadable, Vault, _b32
from schemas.base import Channel
from schemas.subscriber import SealedContact

SECRET = b"a secret of the test suite, long enough"
ANNA = ContactData(name="Anna Lindqvist", email="anna@example.com", phone="+4915112345678", handle="anna_l")


@pytest.fixture
def vault() -> Vault:
    return Vault.of(SECRET)


def test_what_was_sealed_opens_again_in_another_process(vault: Vault) -> None:
    key = vault.new_key()
    wrapped, sealed = vault.wrap("s1", key), vault.seal("s1", key, ANNA)
    other = Vault.of(SECRET)
    assert other.unseal("s1", other.unwrap("s1", wrapped), sealed) == ANNA


def test_sealed_contact_data_does_not_open_for_another_subscriber(vault: Vault) -> None:
    key = vault.new_key()
    with pytest.raises(Unreadable):
        vault.unwrap("s2", vault.wrap("s1", key))
    with pytest.raises(Unreadable):
        vault.unseal("s2", key, vault.seal("s1", key, ANNA))


def test_nothing_opens_under_another_secret(vault: Vault) -> None:
    other = Vault.of(SECRET + b"!")
    with pytest.raises(Unreadable, match="TOCSIN_SECRET"):
        other.unwrap("s1", vault.wrap("s1", vault.new_key()))
    with pytest.raises(Unreadable):
        other.unseal_blob(vault.seal_blob(b"a dead letter"))
    assert other.address_token(Channel.EMAIL, "a@example.com") != vault.address_token(Channel.EMAIL, "a@example.com")
    assert other.read_link_token(vault.link_token("s1", Channel.EMAIL, "unsubscribe"), "unsubscribe") is None


def test_a_changed_ciphertext_does_not_open(vault: Vault) -> None:
    key = vault.new_key()
    sealed = vault.seal("s1", key, ANNA)
    changed = SealedContact(nonce=sealed.nonce, ciphertext="AAAA" + sealed.ciphertext[4:])
    with pytest.raises(Unreadable):
        vault.unseal("s1", key, changed)
    with pytest.raises(Unreadable):
        vault.unseal("s1", key, SealedContact(nonce="AAAA", ciphertext="AAAA"))


def test_what_opens_but_is_no_contact_data_is_unreadable_and_never_quoted(vault: Vault) -> None:
    key = vault.new_key()
    other_form = AESGCM(key).encrypt(b"n" * 12, b'{"email": ["a secret"]}', b"s1")
    sealed = SealedContact(nonce=base64.b64encode(b"n" * 12).decode(), ciphertext=base64.b64encode(other_form).decode())
    with pytest.raises(Unreadable) as caught:
        vault.unseal("s1", key, sealed)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_two_seals_of_the_same_data_differ(vault: Vault) -> None:
    key = vault.new_key()
    assert vault.seal("s1", key, ANNA) != vault.seal("s1", key, ANNA)
    assert vault.new_key() != key


def test_with_given_randomness_the_bytes_are_given() -> None:
    def run() -> SealedContact:
        vault = Vault.of(SECRET, random.Random(7).randbytes)
        return vault.seal("s1", vault.new_key(), ANNA)

    assert run() == run()


def test_a_blob_opens_again(vault: Vault) -> None:
    assert vault.unseal_blob(vault.seal_blob(b"\x00\xff bytes")) == b"\x00\xff bytes"


def test_contact_data_and_vault_never_show_themselves(vault: Vault) -> None:
    shown = f"{ANNA!r} {ANNA} {vault!r} {vault}"
    for part in ("Anna", "example.com", "151", "anna_l", "secret"):
        assert part not in shown


@pytest.mark.parametrize(
    ("channel", "one", "other"),
    [
        (Channel.EMAIL, "Anna.L@Example.COM", "anna.l@example.com"),
        (Channel.EMAIL, "info@bücher.example", "info@xn--bcher-kva.example"),
        (Channel.SMS, "+49 151 1234 5678", "+4915112345678"),
        (Channel.SMS, "+1 (500) 555-0006", "+15005550006"),
        (Channel.X, "@TocsinStatus", "tocsinstatus"),
    ],
)
def test_two_spellings_of_one_address_have_one_token(vault: Vault, channel: Channel, one: str, other: str) -> None:
    assert vault.address_token(channel, one) == vault.address_token(channel, other)
    assert one.strip("@").lower() not in vault.address_token(channel, one).lower()


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        (Channel.EMAIL, "no at sign"),
        (Channel.EMAIL, "a@example.com\r\nBcc: everyone@example.com"),
        (Channel.SMS, "0151 12345678"),
        (Channel.SMS, "+12"),
        (Channel.SMS, "+15005550006 ext. 3"),
        (Channel.X, "not a handle"),
        (Channel.X, "sixteen_letters_"),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(vault: Vault, channel: Channel, address: str) -> None:
    with pytest.raises(BadAddress) as caught:
        vault.address_token(channel, address)
    assert address not in str(caught.value)


def test_a_link_token_says_what_it_was_made_for(vault: Vault) -> None:
    token = vault.link_token("team:on-call.1", Channel.X, "unsubscribe")
    assert vault.read_link_token(token, "unsubscribe") == ("team:on-call.1", Channel.X)


def test_a_token_is_bound_to_its_purpose(vault: Vault) -> None:
    link, callback = vault.link_token("s1", Channel.SMS, "unsubscribe"), vault.callback_token("i1", 3)
    assert vault.read_link_token(link, "something else") is None  # type: ignore[arg-type]
    assert vault.read_link_token(callback, "unsubscribe") is None
    assert vault.read_callback_token(link) is None


def test_a_callback_token_carries_intent_and_partition(vault: Vault) -> None:
    assert vault.read_callback_token(vault.callback_token("f" * 32, 11)) == ("f" * 32, 11)


def test_no_flipped_bit_of_a_token_passes(vault: Vault) -> None:
    token = vault.link_token("s1", Channel.EMAIL, "unsubscribe")
    for place in range(len(token)):
        for bit in range(7):
            forged = token[:place] + chr(ord(token[place]) ^ (1 << bit)) + token[place + 1 :]
            assert vault.read_link_token(forged, "unsubscribe") is None, forged
    assert vault.read_link_token(token[:-1], "unsubscribe") is None
    assert vault.read_link_token(token + "=", "unsubscribe") is None
    assert vault.read_link_token(token + "A", "unsubscribe") is None


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1")), st.from_regex(r"[A-Za-z0-9_-]{22,80}")))
def test_no_made_up_token_passes(token: str) -> None:
    vault = Vault.of(SECRET)
    assert vault.read_link_token(token, "unsubscribe") is None
    assert vault.read_callback_token(token) is None


def test_a_mac_has_128_bits() -> None:
    assert MAC_BYTES * 8 == 128


def test_a_secret_is_made_at_first_use_for_its_owner_only(tmp_path: Path) -> None:
    wrapped = Vault.open(Settings(data_dir=tmp_path)).wrap("s1", b"k" * 32)
    path = tmp_path / "keys" / "secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert Vault.open(Settings(data_dir=tmp_path)).unwrap("s1", wrapped) == b"k" * 32
    assert os.listdir(path.parent) == ["secret"]


def test_processes_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    tokens, start = [], threading.Barrier(8)

    def begin() -> None:
        start.wait()
        tokens.append(Vault.open(Settings(data_dir=tmp_path)).address_token(Channel.X, "tocsin"))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 8
    assert len(set(tokens)) == 1


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Vault.open(Settings(data_dir=tmp_path))
    path = tmp_path / "keys" / "secret"
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Vault.open(Settings(data_dir=tmp_path))


def test_a_damaged_secret_is_not_silently_replaced(tmp_path: Path) -> None:
    Vault.open(Settings(data_dir=tmp_path))
    (tmp_path / "keys" / "secret").write_text("")
    with pytest.raises(ConfigurationError, match="restore it"):
        Vault.open(Settings(data_dir=tmp_path))


def test_a_short_secret_is_refused_without_being_shown(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, secret="hunter2")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="at least 32") as caught:
        Vault.open(settings)
    assert "hunter2" not in str(caught.value)


def test_a_given_secret_leaves_no_file(tmp_path: Path) -> None:
    Vault.open(Settings(data_dir=tmp_path, secret="x" * 32))  # type: ignore[arg-type]
    assert not (tmp_path / "keys").exists()


@given(st.binary(min_size=8, max_size=8))
def test_a_return_paths_seal_is_base_32_in_small_letters(mac: bytes) -> None:
    assert _b32(mac) == base64.b32encode(mac).decode().rstrip("=").lower()
