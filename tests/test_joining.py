"""Who signed up and has confirmed is made one with whoever has that address, from whichever side it is seen."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.joining import joined, stays
from pipeline.subscribers import Roster
from schemas.base import Channel, Level
from schemas.receipt import AddressConfirmed
from schemas.subscriber import Choices, Complained, Erased, Frequency, Merged, Unsubscribed
from tests.test_erasure import enrolled
from tests.test_subscribers import AT, VAULT

EMAIL = Channel.EMAIL
TOKEN = VAULT.address_token(EMAIL, "ada@example.com")
CHOSEN = Choices(
    audiences=("customers",), channels=(EMAIL,), level=Level.PUBLIC, language="de", frequency=Frequency.DIGEST
)


def heard(subscriber: str = "signup.b") -> AddressConfirmed:
    return AddressConfirmed(channel=EMAIL, address_token=TOKEN, subscriber=subscriber, choices=CHOSEN, at=AT)


def ada(id_: str = "ada", **fields: object) -> Roster:
    roster = Roster()
    assert enrolled(roster, id=id_, email="ada@example.com", **fields) is None
    return roster


def made_one(roster: Roster, id_: str, by: AddressConfirmed) -> list[str]:
    names = []
    for name, event in joined(roster.subscribers[id_], by):
        roster.apply(name, event, AT)
        names.append(f"{name} {event.TYPE.split('.')[-2]}")
    return names


def test_who_was_brought_in_stays_and_is_told_as_they_chose_now_and_of_all_they_were_to_hear() -> None:
    roster = ada(phone="+14155552671", audiences=["premium"], components=["API"], contract="gold")
    roster.apply("ada", Unsubscribed(channel=EMAIL, via="one-click"), AT)
    assert enrolled(roster, id="signup.b", email="eve@example.com") is None
    assert made_one(roster, "ada", heard()) == ["ada changed", "ada confirmed", "signup.b merged"]
    one = roster.subscribers["ada"]
    assert one.choices.audiences == ("premium", "customers")
    assert one.choices.channels == (EMAIL, Channel.SMS)
    assert (one.choices.language, one.choices.frequency, one.choices.level) == ("de", Frequency.DIGEST, Level.PUBLIC)
    assert one.choices.components == ("API",)
    assert one.profile.contract == "gold"
    assert one.opted_out == {}, "they confirmed the address anew"
    assert roster.subscribers["signup.b"].merged_into == "ada"


def test_of_two_who_signed_up_one_stays_whichever_is_heard_of_first() -> None:
    assert made_one(ada("signup.a"), "signup.a", heard("signup.b"))[-1] == "signup.b merged"
    assert made_one(ada("signup.b"), "signup.b", heard("signup.a")) == ["signup.b merged"]


@given(st.sampled_from(["ada", "signup.a", "zoe", "signup.z"]), st.sampled_from(["bob", "signup.b", "signup.y"]))
def test_of_two_exactly_one_stays(one: str, other: str) -> None:
    assert stays(one, other) != stays(other, one)


def test_a_complaint_goes_with_the_address() -> None:
    roster = ada("signup.b")
    roster.apply("signup.b", Complained(channel=EMAIL), AT)
    [(whom, event), (gone, merged)] = joined(roster.subscribers["signup.b"], heard("signup.a"))
    assert (whom, event) == ("signup.a", Complained(channel=EMAIL))
    assert (gone, merged) == ("signup.b", Merged(into="signup.a", channels=(EMAIL,)))


def test_who_was_erased_or_is_a_list_or_is_themselves_is_left_alone() -> None:
    roster = ada()
    roster.apply("ada", Erased(), AT)
    assert list(joined(roster.subscribers["ada"], heard())) == []
    assert list(joined(ada(kind="list").subscribers["ada"], heard())) == []
    assert list(joined(ada("signup.b").subscribers["signup.b"], heard("signup.b"))) == []
