"""Erasure: everyone who is the person is meant, and what is left of them is said with what to do about it."""

from datetime import timedelta

import pytest

from agents.deadletters import dead_letter
from pipeline import subscribers
from pipeline.enrolment import Terms, plan_events, plan_import
from pipeline.erasure import (
    Place,
    Trace,
    contact_in,
    everyone_who_is,
    in_words,
    key_of,
    letter_about,
    traces_in,
    warnings,
    whom,
    whom_was_erased,
)
from pipeline.errors import NotFound
from pipeline.registrations import Numbered, registration
from pipeline.settings import Settings
from pipeline.subscribers import Roster, key_record
from pipeline.vault import ContactData
from pipeline.web.signup import name_for, sign_up
from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Record, Undecodable
from schemas.delivery import DeliveriesEnded, Outcome, Result
from schemas.subscriber import Choices, Erased, Subscribed
from tests.test_subscribers import AT, VAULT

OURS = Settings(_env_file=None, twilio_account_sid="AC1")


def enrolled(roster: Roster, **fields: object) -> object:
    [planned] = plan_import(
        [Numbered(1, {"audiences": ["customers"], **fields})], roster, VAULT, AT, Terms(consent="contract")
    )
    return planned.refused


def two_made_one() -> Roster:
    roster = Roster()
    enrolled(roster, id="mail", email="ada@example.com")
    enrolled(roster, id="phone", phone="+14155552671")
    enrolled(roster, id="mail", email="ada@example.com", phone="+14155552671")
    return roster


@pytest.mark.parametrize("said", ["mail", "phone", "ada@example.com", "Ada@EXAMPLE.com", "+1 415 555 2671"])
def test_a_person_is_found_by_any_id_or_address_and_is_erased_with_who_was_made_one_with_them(said: str) -> None:
    assert whom(two_made_one(), VAULT, said) == ("mail", "phone")


def signed_up(roster: Roster, hour: int, email: str = "ada@example.com") -> str:
    """Somebody gave the address in the form on the web, and nobody has confirmed it yet."""
    row = registration({"audiences": ["customers"], "email": email, "channels": ["email"]})
    at = AT + timedelta(hours=hour)
    made = sign_up(VAULT, row, name_for(VAULT, row, at), at, "/t")
    for topic, outgoing in ((topics.SUBSCRIBER_KEYS, made.key), (topics.SUBSCRIBER_EVENTS_TOPIC, made.event)):
        roster.read(Record(topic.name, 0, hour, at, outgoing.key, outgoing.value, outgoing.headers))
    return made.id


@pytest.mark.parametrize("said", ["mail", "phone", "ada@example.com", "+14155552671"])
@pytest.mark.parametrize("first", ["known", "waiting"])
def test_whoever_signed_up_with_their_address_and_waits_is_forgotten_with_them(said: str, first: str) -> None:
    """Each holds the address under a key of its own: an erasure that leaves one of them leaves the address."""
    roster = two_made_one()
    waiting = [signed_up(roster, hour) for hour in (1, 2)]
    other = signed_up(roster, 1, "eve@example.com")
    if first == "waiting":
        roster.subscribers = dict(reversed(roster.subscribers.items()))
    roster.settle()
    named = whom(roster, VAULT, said)
    assert named[0] == "mail"
    assert set(named) == {"mail", "phone", *waiting}
    for name in named:
        roster.apply(name, Erased(), AT)
    assert set(whom_was_erased(roster, "mail")) == set(named)
    assert not roster.subscribers[other].erased


def test_who_is_erased_by_an_event_is_erased_with_everyone_who_is_the_same() -> None:
    roster = two_made_one()
    waiting = signed_up(roster, 1)
    roster.settle()
    planned = list(plan_events([b'{"event": "erased", "id": "phone"}'], roster, VAULT, AT))
    assert [(one.line, one.subscriber_id) for one in planned] == [(1, "mail"), (1, "phone"), (1, waiting)]
    assert all(isinstance(one.event, Erased) and one.records(AT)[-1] for one in planned)
    assert all(roster.subscribers[name].erased for name in ("mail", "phone", waiting))


def test_who_came_back_by_themselves_is_not_forgotten_because_an_old_id_is_erased_once_more() -> None:
    roster = two_made_one()
    for name in whom(roster, VAULT, "mail"):
        roster.apply(name, Erased(), AT)
    again = signed_up(roster, 5)
    roster.settle()
    assert set(whom(roster, VAULT, "mail")) == {"mail", "phone"}
    assert whom(roster, VAULT, "ada@example.com") == (again,)


def test_an_import_finds_who_is_told_and_not_who_only_waits() -> None:
    roster = two_made_one()
    waiting = signed_up(roster, 1)
    roster.settle()
    enrolled(roster, email="ada@example.com", name="Ada L")
    assert roster.subscribers["mail"].contact is not None
    assert roster.contact(VAULT, "mail").name == "Ada L"
    assert roster.contact(VAULT, waiting).name is None


def test_who_is_not_known_is_named_nowhere() -> None:
    with pytest.raises(NotFound) as caught:
        whom(two_made_one(), VAULT, "eve@example.com")
    assert "eve" not in str(caught.value)


def test_two_who_are_told_as_each_other_end_no_search() -> None:
    roster = two_made_one()
    roster.apply("mail", subscribers.Merged(into="phone"), AT)
    assert set(everyone_who_is(roster, "mail")) == {"mail", "phone"}


def test_whoever_was_one_with_them_is_still_known_as_such_when_all_are_erased() -> None:
    roster = two_made_one()
    for name in ("mail", "phone"):
        roster.apply(name, Erased(), AT)
    assert everyone_who_is(roster, "mail") == ("mail", "phone")


def test_no_file_brings_an_erased_person_back_by_either_of_their_addresses() -> None:
    roster = two_made_one()
    roster.apply("mail", Erased(), AT)
    for field in ({"email": "ada@example.com"}, {"phone": "+14155552671"}):
        assert "by the web form" in str(enrolled(roster, **field))
    assert enrolled(roster, email="other@example.com") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "call.14155552671"},
        {"consent": "by phone, +1 415 555 2671"},
        {"consent": "Ada@example.com said so"},
        {"consent": "agreed with ada lovelace"},
    ],
)
def test_what_is_kept_for_ever_in_clear_must_not_say_who_they_are(fields: dict[str, str]) -> None:
    said = {"name": "Ada Lovelace", "email": "ada@example.com", "phone": "+14155552671", **fields}
    refused = str(enrolled(Roster(), **said))
    assert "it says who they are" in refused
    assert "ovelace" not in refused
    assert "4155" not in refused


def record(topic: topics.Topic, outgoing: codec.Outgoing, offset: int = 0) -> Record:
    return Record(topic.name, 2, offset, AT, outgoing.key, outgoing.value, outgoing.headers)


def test_a_key_that_still_stands_somewhere_is_named_by_its_place() -> None:
    stands = record(topics.SUBSCRIBER_KEYS, key_record("mail", VAULT.wrap("mail", VAULT.new_key()), AT), 7)
    gone = record(topics.SUBSCRIBER_KEYS, key_record("mail", None, AT), 8)
    assert key_of(stands, ("mail", "phone")) == Place("subscriber.keys", 2, 7)
    assert key_of(stands, ("phone",)) is None
    assert key_of(gone, ("mail",)) is None
    assert "subscriber.keys/2@7" in next(in_words(OURS, [Place("subscriber.keys", 2, 7)], []))


def test_what_a_provider_still_knows_is_said_with_the_call_that_deletes_it() -> None:
    outcomes = tuple(
        Outcome(recipient=name, result=Result.ACCEPTED, reason="provider_accepted", provider_id=f"SM-{name}")
        for name in ("mail", "other")
    )
    ended = DeliveriesEnded(
        batch_id="b", notice_id="n", incident="i", seq=0, channel=Channel.SMS, at=AT, attempt=1, outcomes=outcomes
    )
    outgoing = codec.encode(topics.DELIVERY_RECORDS_TOPIC, ended, id="1", source="/t", subject="i", partition=2)
    traces = list(traces_in(record(topics.DELIVERY_RECORDS_TOPIC, outgoing), ("mail",)))
    assert traces == [Trace(Channel.SMS, "SM-mail")]
    _, line = in_words(OURS, [], traces)
    assert line.endswith("DELETE https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/SM-mail.json")


def test_a_dead_letter_that_names_an_address_of_before_is_found_too() -> None:
    """Of whoever was made one with another the roster holds no contact data any more: the topic does, until it goes."""
    key = VAULT.new_key()
    keys = {"phone": VAULT.wrap("phone", key)}
    gave = ContactData(email="old@example.com", phone="+14155552671")
    said = Subscribed(
        choices=Choices(audiences=("customers",), channels=(Channel.EMAIL,)),
        contact=VAULT.seal("phone", key, gave),
        address_tokens={},
    )
    event = codec.encode(topics.SUBSCRIBER_EVENTS_TOPIC, said, id="e", source="/t", subject="phone")
    at_their_topic = record(topics.SUBSCRIBER_EVENTS_TOPIC, event)
    assert contact_in(at_their_topic, VAULT, keys) == gave
    assert contact_in(at_their_topic, VAULT, {}) is None
    assert contact_in(at_their_topic, VAULT, {"phone": VAULT.wrap("phone", VAULT.new_key())}) is None

    bad = Record("subscriber.events", 1, 4, AT, b"k", b'{"email": "Old@example.com"}', ())
    letter = dead_letter(bad, Undecodable("unknown_type", "no type"), "deliver", VAULT)
    written = record(
        topics.DEAD_LETTERS, codec.encode(topics.DEAD_LETTERS, letter, id="d", source="/t", subject="deliver"), 9
    )
    found = letter_about(written, VAULT, [ContactData(email="new@example.com"), gave])
    assert found is not None
    assert "subscriber.events/1@4" in next(warnings([found]))
    assert letter_about(written, VAULT, [ContactData(email="new@example.com")]) is None
