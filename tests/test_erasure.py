"""Erasure: everyone who is the person is meant, and what is left of them is said with what to do about it."""

import pytest

from pipeline import subscribers
from pipeline.enrolment import Terms, plan_import
from pipeline.erasure import Place, Trace, everyone_who_is, in_words, key_of, traces_in, whom
from pipeline.errors import NotFound
from pipeline.registrations import Numbered
from pipeline.settings import Settings
from pipeline.subscribers import Roster, key_record
from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Record
from schemas.delivery import DeliveriesEnded, Outcome, Result
from schemas.subscriber import Erased
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
