"""A worker that starts again knows its people without folding every event anew, and believes no file that is not so."""

import sqlite3
import stat

import pytest

from pipeline.deliver.people import People, Wrapped
from pipeline.deliver.roll import Roll
from pipeline.deliver.store import Place, Store, place_behind
from schemas.base import Channel
from schemas.codec import Record
from schemas.subscriber import OptOut, SubscriberKey
from tests.deliver.given import AT, EMAIL, subscriber

KEY = SubscriberKey(nonce="bm9uY2U=", wrapped="d3JhcHBlZA==")
PLACES = {"subscriber.events": Place(7, b"p" * 32), "subscriber.keys": Place(3, b"q" * 32)}


def opened(folder, partition: int = 0) -> Store:
    store = Store(folder, partition)
    assert store.open()
    return store


def some_people() -> People:
    people = People(Roll())
    people.put(subscriber("s1", address_tokens={EMAIL: "abc"}, roles=("admin",)))
    people.put(subscriber("s2", opted_out={Channel.SMS: OptOut(reason="stopped", since=AT)}))
    people.put_key("s1", KEY)
    people.put_key("s3", KEY)  # whose event has not come yet
    return people


def test_everybody_comes_back_as_they_were(tmp_path):
    people, store = some_people(), opened(tmp_path)
    store.save(people.take_changed(), PLACES)
    store.close()
    again, places = opened(tmp_path).load(Roll())
    assert places == PLACES
    assert {id_: one.whole() for id_, one in again.items()} == {id_: one.whole() for id_, one in people.items()}
    packed = Wrapped(KEY.nonce, KEY.wrapped)
    assert (again.key("s1"), again.key("s2"), again.key("s3")) == (packed, None, packed)
    assert again.of_address(EMAIL, "abc") == ["s1"]
    assert again.take_changed() == []


def test_only_what_changed_is_written_again_and_what_was_destroyed_is_gone_from_the_file(tmp_path):
    people, store = some_people(), opened(tmp_path)
    store.save(people.take_changed(), PLACES)
    people.put_key("s1", None)
    people.put(subscriber("s1", contact=None, erased=True))
    changed = people.take_changed()
    assert [kept.id for kept in changed] == ["s1"]
    store.save(changed, PLACES | {"subscriber.events": Place(8, b"r" * 32)})
    store.close()
    again, places = opened(tmp_path).load(Roll())
    assert places["subscriber.events"].next == 8
    assert again["s1"].erased
    assert again.key("s1") is None
    people.put_key("s3", None)
    assert (tmp_path / "people-0.sqlite").read_bytes().count(b"d3JhcHBlZA==") == 1, "that of s3 only"


def test_what_could_not_be_written_counts_as_changed_still(tmp_path):
    people, store = some_people(), opened(tmp_path)
    store._open().execute("DROP TABLE people")
    changed = people.take_changed()
    with pytest.raises(sqlite3.Error):
        store.save(changed, PLACES)
    people.changed_after_all(changed)
    assert {kept.id for kept in people.take_changed()} == {"s1", "s2", "s3"}


@pytest.mark.parametrize("damage", ["version", "row", "bytes"])
def test_a_file_that_cannot_be_read_is_made_anew(tmp_path, damage, caplog):
    store = opened(tmp_path)
    store.save(some_people().take_changed(), PLACES)
    if damage == "version":
        store._open().execute("PRAGMA user_version = 99")
    elif damage == "row":
        store._open().execute("UPDATE alike SET subscriber = '{}'")
        store._open().commit()
    store.close()
    if damage == "bytes":
        path = tmp_path / "people-0.sqlite"
        path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)
    store = opened(tmp_path)
    people, places = store.load(Roll())
    assert (len(people), places) == (0, {})
    assert "made anew" in caplog.text
    store.save(some_people().take_changed(), PLACES)


def test_a_file_is_one_workers_and_nobody_elses_to_read(tmp_path):
    store = opened(tmp_path)
    assert not Store(tmp_path, 0).open()
    assert Store(tmp_path, 1).open()
    assert stat.S_IMODE((tmp_path / "people-0.sqlite").stat().st_mode) == 0o600
    store.close()
    assert Store(tmp_path, 0).open()


def test_a_place_tells_one_record_from_another_at_the_same_offset():
    one, other = (Record("t", 0, 5, AT, b"k", value, ()) for value in (b"one", b"other"))
    assert place_behind(one).next == 6
    assert place_behind(one) != place_behind(other)
