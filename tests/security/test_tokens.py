"""Links and callbacks carry tokens: nobody makes one up, and one for one purpose opens nothing else."""

import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.vault import MAC_BYTES, Purpose, Vault
from schemas.base import Channel

VAULT = Vault.of(b"the secret of the token tests, 32 characters")
LINK = VAULT.link_token("anna-1", Channel.EMAIL, "unsubscribe")
CALLBACK = VAULT.callback_token("f" * 32, 2)
FORGED = {"quick": 20_000, "thorough": 1_000_000}


def accepted(token: str) -> bool:
    return VAULT.read_link_token(token, "unsubscribe") is not None or VAULT.read_callback_token(token) is not None


def raw(token: str) -> bytes:
    return urlsafe_b64decode(token + "=" * (-len(token) % 4))


def spelt(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def test_the_genuine_ones_open() -> None:
    assert VAULT.read_link_token(LINK, "unsubscribe") == ("anna-1", Channel.EMAIL)
    assert VAULT.read_callback_token(CALLBACK) == ("f" * 32, 2)


@pytest.mark.parametrize("token", [LINK, CALLBACK], ids=["link", "callback"])
def test_every_flipped_bit_and_every_cut_closes_it(token: str) -> None:
    octets = raw(token)
    for bit in range(len(octets) * 8):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not accepted(spelt(bytes(flipped)))
    assert not any(accepted(token[:length]) for length in range(len(token)))
    assert not any(accepted(token + more) for more in ("A", "=", "==", "\n", " ", "%3D", "\x00", "é"))


def test_every_changed_letter_of_a_return_path_closes_it() -> None:
    token = VAULT.return_token("5c1f0e1b8a7d4c2e9b3f6a7081d2c3e4", 11)
    assert VAULT.read_return_token(token) == ("5c1f0e1b8a7d4c2e9b3f6a7081d2c3e4", 11)
    for place, letter in enumerate(token):
        for other in "0a7.z":
            if other != letter:
                assert VAULT.read_return_token(token[:place] + other + token[place + 1 :]) is None
    assert not any(VAULT.read_return_token(token[:length]) for length in range(len(token)))
    assert VAULT.read_return_token(token.replace(".11.", ".011.")) is None


def test_a_request_for_confirmation_opens_for_its_time_and_its_address_only() -> None:
    until = datetime(2026, 3, 11, tzinfo=UTC)
    token = VAULT.confirm_token("anna-1", Channel.EMAIL, "A" * 22, until)
    assert VAULT.read_confirm_token(token, until) == ("anna-1", Channel.EMAIL, "A" * 22)
    assert VAULT.read_confirm_token(token, until + timedelta(seconds=1)) is None
    assert not accepted(token)
    for other in (LINK, CALLBACK, VAULT.return_token("f" * 32, 2)):
        assert VAULT.read_confirm_token(other, until) is None
    octets = raw(token)
    for bit in range(len(octets) * 8):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 1 << bit % 8
        assert VAULT.read_confirm_token(spelt(bytes(flipped)), until) is None


@given(st.text(max_size=200))
def test_no_text_opens_anything(text: str) -> None:
    assert not accepted(text)


@given(st.binary(max_size=MAC_BYTES), st.sampled_from([raw(LINK)[MAC_BYTES:], raw(CALLBACK)[MAC_BYTES:]]))
def test_a_made_up_seal_on_a_genuine_payload_opens_nothing(mac: bytes, payload: bytes) -> None:
    assert not accepted(spelt(mac.ljust(MAC_BYTES, b"\0") + payload))
    assert not accepted(spelt(mac + payload))


@given(st.binary(max_size=60))
def test_a_genuine_seal_on_another_payload_opens_nothing(payload: bytes) -> None:
    for token in (LINK, CALLBACK):
        if payload != raw(token)[MAC_BYTES:]:
            assert not accepted(spelt(raw(token)[:MAC_BYTES] + payload))


@pytest.mark.parametrize("count", ["quick", pytest.param("thorough", marks=pytest.mark.slow)])
def test_of_many_forged_tokens_none_is_accepted(count: str) -> None:
    random_bytes = random.Random(8058).randbytes  # the same in every run
    payload = raw(LINK)[MAC_BYTES:]
    read = VAULT.read_link_token
    assert not any(read(spelt(random_bytes(MAC_BYTES) + payload), "unsubscribe") for _ in range(FORGED[count]))


def test_a_token_opens_only_what_it_was_made_for() -> None:
    other = cast(Purpose, "preferences")
    assert VAULT.read_link_token(LINK, other) is None
    assert VAULT.read_link_token(VAULT.link_token("anna-1", Channel.EMAIL, other), "unsubscribe") is None
    assert VAULT.read_callback_token(LINK) is None
    assert VAULT.read_link_token(CALLBACK, "unsubscribe") is None
    # Not even where a purpose's name runs on into what is signed.
    assert VAULT.read_link_token(LINK, cast(Purpose, "unsubscribeemail|")) is None
    elsewhere = Vault.of(b"another deployment's secret, 32 characters")
    assert elsewhere.read_link_token(LINK, "unsubscribe") is None
    assert elsewhere.read_callback_token(CALLBACK) is None
