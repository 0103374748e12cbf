"""A destroyed key does not outlast its tombstone in a partition in which nobody comes any more."""

from datetime import timedelta

from agents.holdings import Holding
from agents.keeping import Keeping
from pipeline import subscribers
from pipeline.deliver.forgetting import CLOSED_AFTER, Forgetting, closing, unanswered
from pipeline.deliver.people import People
from pipeline.deliver.roll import Roll
from pipeline.deliver.store import LEFT_ALONE_S, Store, forsaken
from pipeline.links import CONFIRM_WITHIN
from pipeline.registrations import registration
from pipeline.subscribers import event_record, fold, key_record
from schemas import topics
from schemas.base import Channel
from schemas.codec import Record
from schemas.subscriber import Bounced, Confirmed, Erased, SubscriberEvent, SubscriberKey
from tests.deliver.given import AT, EMAIL, subscriber
from tests.deliver.test_holdings import held
from tests.deliver.test_keeping import VAULT, Log, started

SECOND = timedelta(seconds=1)


def key(number: int, at, value: bytes | None = b"{}", name: bytes = b"s1") -> Record:
    return Record(topics.SUBSCRIBER_KEYS.name, 0, number, at, name, value)


def test_a_segment_is_to_be_closed_once_after_a_tombstone_unless_somebody_comes_who_closes_it():
    forgetting = Forgetting()
    forgetting.apply(key(0, AT))
    assert not forgetting.due(AT + CLOSED_AFTER * 9)
    forgetting.apply(key(1, AT, None))
    forgetting.apply(key(2, AT + SECOND, name=b"s2"))  # too early to close it
    assert not forgetting.due(AT + CLOSED_AFTER - SECOND)
    assert forgetting.due(AT + CLOSED_AFTER)
    later = Forgetting()
    later.apply(key(1, AT, None))
    later.apply(key(2, AT + CLOSED_AFTER, name=b"s2"))
    assert not later.due(AT + CLOSED_AFTER * 9)


def test_the_record_that_closes_it_is_nobodys_and_asks_for_no_other():
    forgetting, outgoing = Forgetting(), closing(2)
    forgetting.apply(key(1, AT, None))
    forgetting.apply(key(2, AT + CLOSED_AFTER, outgoing.value, outgoing.key or b""))
    assert not forgetting.due(AT + CLOSED_AFTER * 9)
    assert outgoing.partition == 2
    holding = held(key(0, AT, outgoing.value, outgoing.key or b""))
    assert len(holding.roll) == 0


async def test_whoever_goes_on_from_a_file_closes_once_since_they_cannot_know(tmp_path):
    log = Log()
    log.subscribe("s1")
    holdings, holding = await started(log, tmp_path)
    assert not holding.forgetting.due(AT + CLOSED_AFTER * 9)
    await holdings.stop()
    holdings, holding = await started(log, tmp_path)
    assert not holding.forgetting.due(AT)
    assert not holding.forgetting.due(AT + CLOSED_AFTER - SECOND)
    assert holding.forgetting.due(AT + CLOSED_AFTER)
    await holdings.stop()


def test_a_key_that_comes_after_the_erasure_opens_nothing():
    subscribed = Log()
    subscribed.subscribe("s1")
    records = [one for topic in subscribed.records.values() for one in topic]
    late = key_record("s1", VAULT.wrap("s1", VAULT.new_key()), AT)
    holding = held(*records, event_record("s1", Erased(), AT), key_record("s1", None, AT), late)
    assert holding.subscribers.key("s1") is None
    assert held(*records, late).subscribers.key("s1") is not None


async def test_a_file_of_a_partition_that_has_long_been_anothers_is_deleted(tmp_path):
    for partition in range(3):
        store = Store(tmp_path, partition)
        assert store.open()
        if partition != 2:
            store.close()
    written = (tmp_path / "people-1.sqlite").stat().st_mtime
    (tmp_path / "people-1.sqlite-journal").write_bytes(b"left by a killed worker")
    assert forsaken(tmp_path, {0}, written + LEFT_ALONE_S - 60) == []
    assert forsaken(tmp_path, {0}, written + LEFT_ALONE_S + 60) == [1]  # 0 is ours, 2 is held by another worker
    assert sorted(path.name for path in tmp_path.glob("people-*.sqlite*")) == ["people-0.sqlite", "people-2.sqlite"]
    await Keeping(tmp_path).tidy()  # of now: both are new
    assert (tmp_path / "people-0.sqlite").exists()


def test_what_only_an_erased_person_chose_goes_from_the_file_with_them(tmp_path):
    people, store = People(Roll()), Store(tmp_path, 0)
    assert store.open()
    alone = subscriber("s1", roles=("harbour-pilot",), address_tokens={EMAIL: "abc"})
    for one in (alone, subscriber("s2", roles=("admin",)), subscriber("s3", roles=("admin",))):
        people.put(one)
    people.put_key("s1", SubscriberKey(nonce="bm9uY2U=", wrapped="d3JhcHBlZA=="))
    store.save(people.take_changed(), {})
    for name in ("s1", "s2"):
        erased = fold(name, people[name].whole(), Erased(), AT)
        assert erased is not None
        people.put(erased)
    people.put_key("s1", None)
    store.save(people.take_changed(), {})
    kept = store.load(Roll())[0]
    store.close()
    content = (tmp_path / "people-0.sqlite").read_bytes()
    assert b"harbour-pilot" not in content
    assert b"d3JhcHBlZA" not in content
    assert kept["s3"].profile.roles == ("admin",)
    assert kept["s1"].erased
    assert kept["s1"].address_tokens == {EMAIL: "abc"}


def test_what_comes_back_from_an_erased_person_is_no_reason_to_hold_anything_of_them():
    records = [event_record("s1", Erased(), AT), event_record("s1", Bounced(channel=EMAIL, code="5.1.1"), AT)]
    person = held(*records).subscribers["s1"]
    assert person.erased
    assert not person.reachable


def signed_up(*events: SubscriberEvent, unconfirmed: tuple[Channel, ...] = (EMAIL,)) -> Holding:
    """The holding of somebody who filled in the form, and what happened since."""
    row = registration({"audiences": ["customers"], "email": "ada@example.com"})
    key, subscribed = subscribers.subscribed(VAULT, row, "signup.1", unconfirmed=unconfirmed)
    given = [event_record("signup.1", event, AT) for event in (subscribed, *events)]
    return held(key_record("signup.1", key, AT), *given)


def test_who_never_confirmed_is_forgotten_once_the_link_is_too_old_and_nothing_is_kept():
    holding = signed_up()
    too_old = holding.subscribers["signup.1"].whole().at + CONFIRM_WITHIN
    late = too_old + SECOND
    assert unanswered(holding.subscribers, too_old) == []
    assert unanswered(holding.subscribers, late) == ["signup.1"]
    gone = signed_up(Erased(because="unconfirmed"))
    person = gone.subscribers["signup.1"]
    assert person.erased
    assert (person.address_tokens, person.opted_out) == ({}, {})
    assert gone.subscribers.key("signup.1") is None
    assert unanswered(gone.subscribers, late) == []


def test_who_has_confirmed_or_was_brought_in_by_an_operator_is_not_meant():
    late = AT + CONFIRM_WITHIN + SECOND
    confirmed = signed_up(Confirmed(channels=(EMAIL,)), Erased(because="unconfirmed"))
    assert not confirmed.subscribers["signup.1"].erased
    assert unanswered(confirmed.subscribers, late) == []
    log = Log()
    log.subscribe("s1")
    brought = held(*log.records[topics.SUBSCRIBER_KEYS.name], *log.records[topics.SUBSCRIBER_EVENTS_TOPIC.name])
    assert unanswered(brought.subscribers, late) == []
    assert fold("s1", brought.subscribers["s1"].whole(), Erased(because="unconfirmed"), AT) == (
        brought.subscribers["s1"].whole()
    )
