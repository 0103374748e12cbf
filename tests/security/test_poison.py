"""No record stops a worker: whatever stands in it, it is taken, or becomes a dead letter that can be written down."""

import json
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from agents.deadletters import dead_letter
from pipeline.audit.seal import Chain, seal, source_of
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.codec import Headers, Record
from schemas.incident import IncidentOpened
from schemas.strict_json import Undecodable, strict_json

VAULT = Vault.of(b"the secret of the poison tests, 32 characters")
AT = datetime(2026, 3, 4, tzinfo=UTC)
FINE = {"specversion": "1.0", "id": "1", "source": "/t", "type": IncidentOpened.TYPE, "subject": "INC-1"}
DATA = {"title": "t", "severity": "major"}
STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)

# Any text at all, halves of surrogate pairs too: `\ud83d` in JSON is what is left of an emoji cut in two.
texts = st.text(st.characters(codec=None, categories=None), max_size=20) | st.sampled_from(["\ud83d", "\x00", "\u202e"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from([*FINE, "time", "datacontenttype", "dataschema", "data_base64", "traceparent", "virtualtime"])


def survives(record: Record) -> None:
    """What the workers do with a record, up to the writing."""
    try:
        event = codec.decode_input(record)
    except Undecodable as error:
        dead_letter(record, error, "decide", VAULT).model_dump_json().encode()
    else:
        for text in (event.id, event.source, event.subject or "", event.data.model_dump_json()):
            text.encode()
    seal(Chain(), record, source_of(record))


@given(
    st.dictionaries(names | texts, values, max_size=3),
    st.dictionaries(st.sampled_from([*DATA, "summary"]) | texts, values),
)
@example({"\ud800": "x"}, {})
@example({"source": "\ud800"}, {"title": "Half a \ud83d smiley"})
def test_no_structured_event_stops_a_worker(attributes: dict[str, object], data: dict[str, object]) -> None:
    value = json.dumps(FINE | attributes | {"data": DATA | data}).encode()
    for topic in (topics.INCIDENT_EVENTS, topics.SUBSCRIBER_EVENTS_TOPIC):
        survives(Record(topic.name, 0, 0, AT, b"INC-1", value, STRUCTURED))


@given(
    st.dictionaries(names.map("ce_{}".format) | st.text(max_size=9), st.binary(max_size=30), max_size=3),
    st.binary(),
    st.binary(),
)
def test_no_binary_event_stops_a_worker(headers: dict[str, bytes], key: bytes, value: bytes) -> None:
    fine = {f"ce_{name}": text.encode() for name, text in FINE.items()} | {"content-type": b"application/json"}
    for topic in (topics.INCIDENT_EVENTS, topics.SUBSCRIBER_EVENTS_TOPIC):
        for said in (value, json.dumps(DATA).encode()):
            survives(Record(topic.name, 0, 0, AT, key, said, tuple((fine | headers).items())))


def test_half_a_surrogate_pair_is_left_out_and_a_whole_one_stays() -> None:
    assert strict_json(rb'{"a\ud800": ["\ud83d x", "\ud83d\ude00", "\\ud800"]}') == {
        "a": [" x", "\N{GRINNING FACE}", "\\ud800"]
    }


def test_an_address_in_the_place_of_an_id_is_not_sealed_for_ever() -> None:
    address = "typed.wrong@clear-mail.example"
    headers: Headers = (("ce_id", b"1"), ("ce_source", b"/t"), ("ce_type", b"io.tocsin.subscriber.erased.v1"))
    for value in (b"{}", None):
        named = (*headers, ("ce_subject", address.encode()))
        record = Record(topics.SUBSCRIBER_EVENTS_TOPIC.name, 0, 0, AT, address.encode(), value, named)
        sealed = seal(Chain(), record, source_of(record))
        assert address.encode() not in sealed.value + (sealed.outgoing.key or b"")
        assert all(address.encode() not in text for _, text in sealed.outgoing.headers)


def test_a_dead_letter_of_a_subscriber_repeats_no_address_and_keeps_what_helps() -> None:
    address = b"typed.wrong@clear-mail.example"
    headers: Headers = (
        ("ce_id", b"7f3a"), ("ce_source", b"/crm/eu"), ("ce_type", b"io.tocsin.subscriber.erased.v1"),
        ("ce_subject", address), ("ce_time", b"mailto:" + address), ("ce_phone", b"+14155552671"),
        ("ce_digits", b"0049 30 123456"), (address.decode(), b"x"),
    )  # fmt: skip
    record = Record(topics.SUBSCRIBER_EVENTS_TOPIC.name, 0, 0, AT, address, b'{"email": "%s"}' % address, headers)
    letter = dead_letter(record, Undecodable("wrong_key", f"the key is {address!r}"), "deliver", VAULT)
    assert [name for name, _ in letter.headers] == ["ce_id", "ce_source", "ce_type"]
    assert letter.key is None
    assert "what it said is kept sealed" in letter.detail
    assert letter.sealed is not None
    assert VAULT.unseal_blob(letter.sealed) == record.value
