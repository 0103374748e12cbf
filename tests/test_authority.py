"""Signatures: they bind an input to everything that it is, and nothing that is given to the verifier breaks it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from pipeline import authority
from pipeline.operators import Signer
from schemas import codec, topics
from schemas.base import Channel, Level
from schemas.codec import Record
from schemas.command import OPERATOR_COMMANDS, Approve
from schemas.incident import IncidentOpened
from schemas.journal import NoticeKind
from schemas.operator import Signature
from tests.paths import CORPUS, needs_corpus
from tests.schemas.records import data_of

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = authority.base64url(KEY.public_key().public_bytes_raw())
INPUT: dict[str, Any] = {
    "incident": "INC-1",
    "id": "c1",
    "source": "/tocsin/cli",
    "type": Approve.TYPE,
    "data": {"draft": "d1", "content": "0" * 64, "because": "read twice"},
}
VECTORS = ("arrays", "french", "structures", "values")


def signature(text: str, public_key: str = PUBLIC) -> Signature:
    return Signature(operator="ann", public_key=public_key, roles=("legal",), signature=text)


SIGNED = signature(authority.sign(KEY, **INPUT))


@needs_corpus
@pytest.mark.parametrize("name", VECTORS)
def test_canonical_json_is_that_of_the_rfc(name: str) -> None:
    folder: Path = CORPUS / "vectors" / "jcs"
    given_text = (folder / "input" / f"{name}.json").read_text("utf-8")
    wanted = (folder / "output" / f"{name}.json").read_bytes()
    assert authority.canonical({"x": json.loads(given_text)}) == b'{"x":' + wanted.rstrip(b"\n") + b"}"


def test_what_is_signed_is_one_line_of_version_and_canonical_json() -> None:
    assert authority.to_sign("INC-1", "c1", "/s", "t", {"b": "ü", "a": None}) == (
        'tocsin/1 input\n{"data":{"a":null,"b":"ü"},"id":"c1","incident":"INC-1","source":"/s","type":"t"}'.encode()
    )


def test_what_was_signed_is_verified() -> None:
    assert authority.verified(SIGNED, **INPUT)


@pytest.mark.parametrize("name", ["incident", "id", "source", "type"])
def test_another_incident_id_source_or_type_is_not_what_was_signed(name: str) -> None:
    assert not authority.verified(SIGNED, **{**INPUT, name: INPUT[name] + "x"})


def test_parts_that_change_places_are_not_what_was_signed() -> None:
    assert not authority.verified(SIGNED, **{**INPUT, "incident": INPUT["id"], "id": INPUT["incident"]})


@pytest.mark.parametrize("model", OPERATOR_COMMANDS, ids=lambda model: model.__name__)
def test_the_signature_of_an_order_survives_the_wire(model: type[Any]) -> None:
    command = model.model_validate(data_of(model.TYPE))
    extensions = Signer("ann", KEY).extensions("INC-1", "c1", "/s", command)
    out = codec.encode(topics.INCIDENT_COMMANDS, command, id="c1", source="/s", subject="INC-1", extensions=extensions)
    record = Record(out.topic, 0, 0, datetime(2026, 3, 4, tzinfo=UTC), out.key, out.value, out.headers)
    event = codec.decode_input(record)
    journaled = json.loads(event.data.model_dump_json(exclude_none=True))
    signed = signature(event.extensions["signature"])
    assert event.extensions["operator"] == "ann"
    assert authority.verified(signed, event.subject or "", event.id, event.source, event.type, journaled)


texts = st.text(max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(categories=None), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(texts, texts, texts, texts, st.dictionaries(texts, plain, max_size=4), st.data())
def test_every_part_of_an_input_is_bound(
    incident: str, id: str, source: str, type: str, data: dict[str, Any], draw: st.DataObject
) -> None:
    said: dict[str, Any] = {"incident": incident, "id": id, "source": source, "type": type, "data": data}
    signed = signature(authority.sign(KEY, **said))
    assert authority.verified(signed, **said)
    name = draw.draw(st.sampled_from(sorted(said)))
    other = draw.draw(st.dictionaries(texts, plain, max_size=4) if name == "data" else texts)
    same = authority.canonical({"x": other}) == authority.canonical({"x": said[name]})
    assert authority.verified(signed, **{**said, name: other}) is same


@given(st.integers(0, 511))
def test_no_bit_of_a_signature_can_be_another(bit: int) -> None:
    raw = bytearray(authority.from_base64url(SIGNED.signature))
    raw[bit // 8] ^= 1 << bit % 8
    assert not authority.verified(signature(authority.base64url(bytes(raw))), **INPUT)


def test_a_signature_has_one_spelling() -> None:
    last = SIGNED.signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [SIGNED.signature[:-1] + letter for letter in alphabet if letter != last]
    assert not any(authority.verified(signature(text), **INPUT) for text in [*others, SIGNED.signature + "A"])


def test_another_persons_key_verifies_nothing() -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32).public_key().public_bytes_raw()
    assert not authority.verified(signature(SIGNED.signature, authority.base64url(other)), **INPUT)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,100}", fullmatch=True), st.from_regex(r"[A-Za-z0-9_-]{1,100}", fullmatch=True))
def test_a_hostile_signature_is_false_and_nothing_else(public_key: str, text: str) -> None:
    assert authority.verified(signature(text, public_key), **INPUT) is False
    assert authority.verified(signature(text), **INPUT) is False


@given(st.dictionaries(st.text(st.characters(categories=None), max_size=9), anything, max_size=3))
def test_hostile_data_are_false_and_nothing_else(data: dict[str, Any]) -> None:
    assert authority.verified(SIGNED, **{**INPUT, "data": data}) is False


def test_data_without_end_are_false_and_nothing_else() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert authority.verified(SIGNED, **{**INPUT, "data": deep}) is False


def test_what_has_no_canonical_form_is_not_signed() -> None:
    for odd in (2**53, float("nan"), "\ud800"):
        with pytest.raises(ValueError, match=r"domain|codepoints|JCS"):
            authority.sign(KEY, **{**INPUT, "data": {"x": odd}})


def test_an_approval_names_every_rendering_and_whom_they_are_for() -> None:
    mail, text = "a" * 64, "b" * 64
    said: dict[str, Any] = {
        "audience": "customers", "level": Level.CUSTOMER, "kind": NoticeKind.OPENED,
        "renderings": {Channel.EMAIL: (mail, text), Channel.SMS: (text,)}, "zones": (), "corrects": None,
    }  # fmt: skip
    content = authority.content_of(**said)
    reordered = {Channel.SMS: (text,), Channel.EMAIL: (text, mail)}
    assert authority.content_of(**{**said, "renderings": reordered}) == content
    for name, other in (
        ("audience", "public"), ("level", Level.PUBLIC), ("kind", NoticeKind.UPDATED), ("corrects", 3),
        ("zones", ("Europe/Berlin",)), ("renderings", {Channel.EMAIL: (mail,), Channel.SMS: (text,)}),
        ("renderings", {Channel.EMAIL: (mail, text), Channel.X: (text,)}),
    ):  # fmt: skip
        assert authority.content_of(**{**said, name: other}) != content, name


def test_a_signed_event_is_one_like_any_other_to_the_codec() -> None:
    event = IncidentOpened(title="Search is slow", severity="minor")  # type: ignore[arg-type]
    extensions = Signer("ann", KEY).extensions("INC-1", "e1", "/s", event)
    said = json.loads(event.model_dump_json(exclude_none=True))
    assert authority.verified(signature(extensions["signature"]), "INC-1", "e1", "/s", event.TYPE, said)
