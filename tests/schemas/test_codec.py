"""The codec: what goes in comes out; what is wrong is refused with the right word, and never in another way."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec, topics
from schemas.base import Channel, rfc3339
from schemas.codec import Record, Undecodable, decode, decode_input, encode, strict_json
from schemas.ids import traceparent
from schemas.incident import IncidentOpened, IncidentResolved
from schemas.subscriber import Unsubscribed
from tests.schemas.records import AT, INPUTS, binary, data_of, record, structured, topic_of

OPENED = IncidentOpened(title="Checkout fails", severity="critical")  # type: ignore[arg-type]


def reason_of(bad: Record) -> str:
    with pytest.raises(Undecodable) as caught:
        decode_input(bad)
    assert caught.value.detail
    return caught.value.reason


def written(outgoing: codec.Outgoing) -> Record:
    return Record(outgoing.topic, 3, 7, AT, outgoing.key, outgoing.value, outgoing.headers)


@pytest.mark.parametrize("name", codec.TYPES)
def test_every_type_survives_its_own_topic(name: str) -> None:
    model, topic = codec.TYPES[name], topic_of(name)
    data = model.model_validate(data_of(name))
    outgoing = encode(
        topic,
        data,
        id="e1",
        source="/test",
        subject="s-1",
        time=AT,
        partition=2,
        extensions={"traceparent": traceparent("cause", "step")},
    )
    event = decode(written(outgoing), model)
    assert event == codec.Event(
        "e1", "/test", name, "s-1", AT, data, extensions={"traceparent": traceparent("cause", "step")}
    )
    assert (outgoing.topic, outgoing.key, outgoing.partition) == (topic.name, b"s-1", 2)
    if name in INPUTS:
        assert decode_input(written(outgoing)) == event


def test_what_does_not_belong_on_a_topic_is_not_written_there() -> None:
    with pytest.raises(TypeError, match="does not belong on incident"):
        encode(topics.INCIDENT_EVENTS, Unsubscribed(channel=Channel.EMAIL, via="operator"), id="1", source="/test")


def test_what_stands_on_the_wrong_topic_is_not_read_from_there() -> None:
    outgoing = encode(topics.INCIDENT_EVENTS, OPENED, id="1", source="/t", subject="i")
    moved = Record("incident.commands", 0, 0, AT, b"i", outgoing.value, outgoing.headers)
    assert reason_of(moved) == "unknown_type"
    with pytest.raises(Undecodable, match="is not a IncidentResolved"):
        decode(written(outgoing), IncidentResolved)


def test_both_modes_give_the_same_event() -> None:
    assert decode_input(structured()) == decode_input(binary())
    assert decode_input(structured()).subject == "INC-20260304-7k2m"


def test_data_in_base64_is_data() -> None:
    encoded = structured(data=None, data_base64="eyJ0aXRsZSI6ICJBIiwgInNldmVyaXR5IjogIm1pbm9yIn0=")
    assert decode_input(encoded).data == IncidentOpened(title="A", severity="minor")  # type: ignore[arg-type]


def test_a_time_that_was_not_said_is_not_made_up() -> None:
    assert decode_input(structured(time=None)).time is None
    assert decode_input(binary(time=None)).time is None


def test_an_event_without_content_type_is_read_as_structured() -> None:
    assert decode_input(record(structured().value, headers=())) == decode_input(structured())


def test_header_names_are_read_in_any_case() -> None:
    loud = binary()
    headers = tuple((name.upper(), value) for name, value in loud.headers)
    assert decode_input(record(loud.value, headers)) == decode_input(loud)


def test_a_trace_context_that_is_none_is_left_out() -> None:
    good = traceparent("cause", "step")
    assert decode_input(binary(traceparent=good.encode())).extensions == {"traceparent": good}
    for bad in (b"garbage", b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01", b"ff-1-2-3"):
        assert decode_input(binary(traceparent=bad)).extensions == {}


def test_extensions_are_text_whatever_json_said() -> None:
    event = decode_input(structured(virtualspeed=600, flag=True))
    assert event.extensions == {"virtualspeed": "600", "flag": "true"}


SMALL = {"title": "A", "severity": "minor"}
NESTED = b"[" * 40 + b"]" * 40


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(None), "empty"),
        (record(b""), "invalid_json"),
        (record(b'{"title": '), "invalid_json"),
        (record(b'{"id": "1", "id": "2"}'), "invalid_json"),
        (record(b'{"data": NaN}'), "invalid_json"),
        (record(b'{"data": -Infinity}'), "invalid_json"),
        (record(b'{"data": 1e999}'), "invalid_json"),
        (record(b'{"data": ' + NESTED + b"}"), "invalid_json"),
        (record(b"[" * 100_000), "invalid_json"),
        (record(b" " * (2 * 1024 * 1024)), "too_large"),
        (record(b'{"id": "\xff\xfe"}'), "bad_utf8"),
        (record(b'{"id": "\xed\xa0\x80"}'), "bad_utf8"),
        (binary(subject=b"\xff"), "bad_utf8"),
        (record(b"[]"), "not_a_cloudevent"),
        (record(b'"event"'), "not_a_cloudevent"),
        (record(b"{}", (("content-type", b"application/cloudevents+avro"),)), "not_a_cloudevent"),
        (record(b"{}", (("content-type", b"application/cloudevents-batch+json"),)), "not_a_cloudevent"),
        (record(b"{}", (("ce_id", b"1"), ("ce_id", b"2"))), "not_a_cloudevent"),
        (structured(id=None), "not_a_cloudevent"),
        (structured(id=""), "not_a_cloudevent"),
        (structured(id=7), "not_a_cloudevent"),
        (binary(id=None), "not_a_cloudevent"),
        (structured(source=None), "not_a_cloudevent"),
        (structured(specversion=None), "not_a_cloudevent"),
        (structured(specversion="0.3"), "not_a_cloudevent"),
        (structured(time="yesterday"), "not_a_cloudevent"),
        (structured(time=7), "not_a_cloudevent"),
        (structured(time="2026-03-04T12:00:00"), "not_a_cloudevent"),
        (structured(**{"Not-An-Extension": "x"}), "not_a_cloudevent"),
        (structured(nested={"a": 1}), "not_a_cloudevent"),
        (structured(type="com.example.someevent"), "unknown_type"),
        (structured(type="io.tocsin.subscriber.erased.v1"), "unknown_type"),
        (structured(subject=None), "missing_field"),
        (structured(data={"title": "A"}), "missing_field"),
        (structured(data=None), "invalid_field"),
        (structured(subject="two words"), "invalid_field"),
        (structured(subject="line\n"), "invalid_field"),
        (structured(subject="\ud800"), "invalid_field"),
        (structured(id="\u202e"), "invalid_field"),
        (structured(source="x" * 301), "invalid_field"),
        (structured(time="0001-01-01T00:00:00+14:00"), "invalid_field"),
        (structured(data={**SMALL, "severity": "catastrophic"}), "invalid_field"),
        (structured(data={**SMALL, "titel": "mistyped"}), "invalid_field"),
        (structured(data={**SMALL, "title": "\u202e"}), "invalid_field"),
        (structured(data={**SMALL, "began_at": "2026-03-04T12:00:00"}), "invalid_field"),
        (structured(data={**SMALL, "began_at": "0001-01-01T00:00:00+14:00"}), "invalid_field"),
        (structured(data="text"), "invalid_field"),
        (structured(data_base64="eyJ0aXRsZSI6", data=None), "invalid_json"),
        (structured(data_base64="%%%", data=None), "invalid_json"),
        (record(structured().value, key=b"another"), "wrong_key"),
        (record(structured().value, key=b"\xff"), "wrong_key"),
    ],
)
def test_bad_input_is_refused_with_its_reason(bad: Record, reason: str) -> None:
    assert reason_of(bad) == reason


def test_the_right_key_is_taken() -> None:
    assert decode_input(record(structured().value, key=b"INC-20260304-7k2m"))


def test_many_keys_with_one_twice_are_refused_in_good_time() -> None:
    raw = "{" + ",".join(f'"{n}":0' for n in range(80_000)) + ',"79999":1}'
    with pytest.raises(Undecodable, match="'79999' stands twice"):
        strict_json(raw.encode())


def test_a_bad_record_of_our_own_topics_is_refused_as_well() -> None:
    good = encode(topics.INCIDENT_EVENTS, OPENED, id="1", source="/t", subject="i", time=AT)
    for headers, value in (
        ((), good.value),
        ((("ce_id", b"\xff"),), good.value),
        (tuple((n, b"2026" if n == "ce_time" else v) for n, v in good.headers if n != "ce_id"), good.value),
        (tuple((n, b"soon" if n == "ce_time" else v) for n, v in good.headers), good.value),
        (tuple((n, b"0001-01-01T00:00:00+14:00" if n == "ce_time" else v) for n, v in good.headers), good.value),
        (good.headers, None),
        (good.headers, b"\xff"),
        (good.headers, b"{}"),
    ):
        with pytest.raises(Undecodable):
            decode(record(value, headers))


header_names = st.sampled_from(
    ["content-type", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_specversion", "ce_time"]
)
header_values = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"1.0", b"io.tocsin.incident.opened.v1", b"application/cloudevents+json", b"application/json"]),
)
any_headers = st.lists(st.tuples(st.one_of(header_names, st.text(max_size=8)), header_values), max_size=9).map(tuple)
any_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)),
    max_leaves=12,
)


def only_undecodable(given_record: Record) -> None:
    for read in (decode_input, decode):
        try:
            read(given_record)
        except Undecodable as error:
            assert error.reason  # noqa: PT017 - whether it is raised hangs on what hypothesis gave


@given(value=st.one_of(st.none(), st.binary(max_size=200)), headers=any_headers, key=st.none() | st.binary(max_size=8))
def test_arbitrary_bytes_raise_nothing_else(value: bytes | None, headers: Any, key: bytes | None) -> None:
    only_undecodable(record(value, headers, key))


@given(
    changes=st.dictionaries(
        st.sampled_from(
            [
                "id",
                "source",
                "type",
                "subject",
                "time",
                "specversion",
                "data",
                "datacontenttype",
                "dataschema",
                "data_base64",
                "partitionkey",
                "x",
            ]
        ),
        any_json,
        max_size=3,
    )
)
def test_arbitrary_attributes_raise_nothing_else(changes: dict[str, Any]) -> None:
    only_undecodable(structured(**changes))


fields = sorted(IncidentOpened.model_fields)


@given(
    name=st.sampled_from(
        [n for n, topic in ((n, topic_of(n)) for n in sorted(codec.TYPES)) if topic is topics.INCIDENT_EVENTS]
    ),
    data=st.dictionaries(st.sampled_from(fields) | st.text(max_size=5), any_json | st.datetimes().map(str), max_size=4),
)
def test_arbitrary_data_raise_nothing_else(name: str, data: dict[str, Any]) -> None:
    only_undecodable(structured(type=name, data={**data_of(name), **data}))


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_has_one_spelling_that_reads_back(moment: datetime) -> None:
    try:
        text = rfc3339(moment)
    except OverflowError:
        return  # outside the years 1 to 9999 in UTC
    back = datetime.fromisoformat(text)
    assert text.endswith("Z")
    assert timedelta(0) <= moment.astimezone(UTC) - back < timedelta(milliseconds=1)
    assert rfc3339(back) == text
    assert json.loads(json.dumps(text)) == text
