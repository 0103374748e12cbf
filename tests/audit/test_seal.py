import json
from dataclasses import replace

import pytest

from pipeline.audit.held import Held
from pipeline.audit.seal import MAX_ENTRY_BYTES, UNREADABLE, Chain, identity, seal, sealed_again, source_of
from pipeline.audit.tree import leaf_hash, root_of
from schemas import codec, topics
from schemas.audit import AuditEntry
from schemas.base import Channel
from schemas.codec import Record
from schemas.delivery import DeliveriesEnded, Outcome, Result
from tests.audit.logs import START, receipt, record, seal_all, subscribed, unsubscribed


def as_read(sealed, offset: int = 0) -> Record:
    out = sealed.outgoing
    return Record(out.topic, out.partition, offset, START, out.key, out.value, out.headers)


def test_an_entry_says_what_was_sealed_and_where_it_stood():
    source = receipt(3)
    (sealed,) = seal_all([source])
    event = codec.decode(as_read(sealed), AuditEntry)
    entry = event.data
    assert (entry.index, entry.prev) == (0, "0" * 64)
    assert (entry.origin.topic, entry.origin.offset) == ("delivery.records", 3)
    assert entry.record_id == dict(source.headers)["ce_id"].decode()
    assert entry.record_type == "io.tocsin.delivery.receipt_recorded.v1"
    assert entry.body == json.loads(source.value)
    assert entry.appended_at == source.timestamp


def test_each_entry_names_the_leaf_before_it_and_its_record_the_root():
    sealed = seal_all(receipt(n) for n in range(9))
    leaves = [leaf_hash(one.value) for one in sealed]
    for index, one in enumerate(sealed):
        assert one.value == one.outgoing.value
        assert b"\n" not in one.value
        assert one.entry.index == index
        assert index == 0 or one.entry.prev == leaves[index - 1].hex()
        event = codec.decode(as_read(one), AuditEntry)
        assert event.extensions["root"] == root_of(leaves[: index + 1]).hex() == one.chain.tree.root().hex()


def test_the_same_records_are_sealed_into_the_same_bytes():
    assert [s.outgoing for s in seal_all(map(receipt, range(5)))] == [
        s.outgoing for s in seal_all(map(receipt, range(5)))
    ]


def test_an_entry_is_put_back_as_it_was():
    first, second = seal_all([receipt(0), receipt(1)])
    again = sealed_again(first.chain, second.value)
    assert again == second


def test_contact_data_stays_out_of_the_log_even_sealed():
    (sealed,) = seal_all([subscribed("s-1", 0)])
    assert b"c2VjcmV0" not in sealed.value
    assert set(sealed.entry.body["contact"]) == {"sha256"}
    assert sealed.entry.body["choices"]["audiences"] == ["customers"]


def test_an_event_that_came_as_a_structured_cloudevent_is_sealed_like_any():
    body = {"channel": "email", "via": "preferences"}
    event = {
        "specversion": "1.0", "id": "e-1", "source": "shop", "type": "io.tocsin.subscriber.unsubscribed.v1",
        "subject": "s-9", "datacontenttype": "application/json", "data": body,
    }  # fmt: skip
    structured = Record(
        "subscriber.events", 0, 0, START, b"s-9", json.dumps(event).encode(),
        (("content-type", b"application/cloudevents+json; charset=UTF-8"),),
    )  # fmt: skip
    (sealed,) = seal_all([structured])
    assert (sealed.entry.record_id, sealed.entry.subject, sealed.entry.body) == ("e-1", "s-9", body)


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b'{"via":"\\ud800"}', b'{"email":"ada@example.com"}', b"[NaN]"])
def test_what_is_no_message_of_ours_is_sealed_by_its_hash_alone(value):
    broken = replace(unsubscribed("s-1", 7), value=value)
    (sealed,) = seal_all([broken])
    assert sealed.entry.record_type == UNREADABLE
    assert sealed.entry.body["size"] == len(value)
    assert b"ada@example.com" not in sealed.value


def test_a_tombstone_is_sealed_without_a_body():
    gone = replace(unsubscribed("s-1", 7), value=None)
    (sealed,) = seal_all([gone])
    assert sealed.entry.body is None
    assert sealed.entry.subject == "s-1"
    bare = replace(gone, headers=(), key=None)
    assert source_of(bare).id == "subscriber.events-0@7"


def test_an_entry_that_the_broker_would_refuse_is_sealed_by_its_hash():
    outcome = Outcome(recipient="s-1", result=Result.PERMANENT, reason="r", detail="x" * MAX_ENTRY_BYTES)
    data = DeliveriesEnded(
        batch_id="b",
        notice_id="n",
        incident="i",
        seq=1,
        channel=Channel.EMAIL,
        at=START,
        attempt=1,
        outcomes=(outcome,),
    )
    huge = record(topics.DELIVERY_RECORDS_TOPIC, data, id="x", subject="i", offset=0)
    (sealed,) = seal_all([huge])
    assert len(sealed.value) < 2000
    assert sealed.entry.record_id == "x"
    assert sealed.entry.body["reason"] == "too_large"


def test_the_fold_holds_chain_places_and_identities():
    sealed = seal_all([receipt(0), receipt(1), unsubscribed("s-1", 5)])
    held = Held()
    assert all(held.take(one.value) for one in sealed)
    assert held.chain == sealed[-1].chain
    assert held.places["delivery.records", 0].offset == 1
    assert held.places["subscriber.events", 0].offset == 5
    for one in (receipt(0), receipt(1), unsubscribed("s-1", 5)):
        source = source_of(one)
        assert held.knows(identity(one.topic, source.type, source.subject, source.id))


def test_adding_what_was_sealed_is_the_same_as_folding_it():
    folded, added = Held(), Held()
    for one in seal_all([receipt(0), receipt(1), subscribed("s-1", 0)]):
        folded.take(one.value)
        added.add(one)
    assert folded == added


def test_what_does_not_link_is_void_and_counted():
    sealed = seal_all(map(receipt, range(3)))
    held = Held()
    taken = [held.take(v) for v in (sealed[0].value, sealed[0].value, sealed[2].value, b"{", None, sealed[1].value)]
    assert taken == [True, False, False, False, False, True]
    assert (held.voids, held.chain.size) == (4, 2)


def test_a_record_is_not_taken_for_another_that_used_its_id_before():
    held = Held()
    (earlier,) = seal_all([unsubscribed("s-1", 0, id="same")])
    held.take(earlier.value)
    other = source_of(unsubscribed("s-2", 1, id="same"))
    assert not held.knows(identity("subscriber.events", other.type, other.subject, other.id))


def test_after_a_broker_lost_records_the_place_is_that_of_the_last_sealed_not_the_highest():
    held = Held()
    for one in seal_all([receipt(0, offset=8), receipt(1, offset=2)]):
        held.take(one.value)
    assert held.places["delivery.records", 0].offset == 2


def test_the_trace_of_the_cause_goes_on():
    data = unsubscribed("s-1", 0)
    trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
    (sealed,) = seal_all([replace(data, headers=(*data.headers, ("ce_traceparent", trace)))])
    assert dict(sealed.outgoing.headers)["ce_traceparent"].startswith(b"00-" + b"a" * 32)


def test_sealing_changes_nothing_that_it_was_given():
    chain = Chain()
    seal(chain, receipt(0), source_of(receipt(0)))
    assert chain == Chain()


def test_an_address_as_the_id_of_a_subscribers_event_is_not_kept_for_ever():
    record = subscribed("s-1", 0)
    said = tuple((name, b"mailto:ada@example.com" if name == "ce_id" else value) for name, value in record.headers)
    sealed = seal(Chain(), record, source_of(replace(record, headers=said)))
    assert b"ada@example.com" not in sealed.value
    assert sealed.entry.record_type == source_of(record).type
    assert sealed.entry.body == source_of(record).body
