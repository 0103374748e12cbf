"""What is held of a subscriber is all that was said of them, in fewer bytes."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.people import EPOCH, MICROSECOND, People, Wrapped
from pipeline.deliver.roll import Roll
from schemas.base import Channel
from schemas.subscriber import Choices, OptOut, Profile, SealedContact, Subscriber, SubscriberKey, SubscriberKind
from tests.deliver.given import AT, subscriber

TOKENS = st.dictionaries(st.sampled_from(Channel), st.text("abcXYZ019_-", min_size=1, max_size=70))
BASE64 = st.text("abcXYZ019+/", max_size=90)
MOMENTS = st.integers(0, 2**52).map(lambda us: EPOCH + us * MICROSECOND)
OPT_OUTS = st.dictionaries(
    st.sampled_from(Channel),
    st.builds(OptOut, reason=st.sampled_from(["unsubscribed", "bounced", "complained", "stopped"]), since=MOMENTS),
)
SUBSCRIBERS = st.builds(
    Subscriber,
    id=st.sampled_from(["s1", "s2", "s3"]),
    kind=st.sampled_from(SubscriberKind),
    choices=st.builds(
        Choices,
        audiences=st.just(("customers",)),
        channels=st.lists(st.sampled_from(Channel), unique=True).map(tuple),
        components=st.lists(st.sampled_from(["Search", "Größe\u2028"]), unique=True).map(tuple),
    ),
    profile=st.builds(Profile, roles=st.sampled_from([(), ("admin",)])),
    contact=st.none() | st.builds(SealedContact, nonce=BASE64, ciphertext=BASE64.filter(bool)),
    address_tokens=TOKENS,
    opted_out=OPT_OUTS,
    erased=st.booleans(),
    at=MOMENTS,
)


@given(st.lists(SUBSCRIBERS, max_size=12))
def test_everybody_is_found_as_they_were_put_in_last(given_ones):
    people, plain = People(Roll()), {}
    for one in given_ones:
        people.put(one)
        plain[one.id] = one
        assert {id_: person.whole() for id_, person in people.items()} == plain
        assert len(people) == len(plain)
        for channel in Channel:
            tokens = {p.address_tokens[channel] for p in given_ones if channel in p.address_tokens}
            for token in tokens:
                theirs = sorted(p.id for p in plain.values() if p.address_tokens.get(channel) == token)
                assert people.of_address(channel, token) == theirs


def test_those_who_chose_alike_share_what_they_chose():
    people = People(Roll())
    one, two = people.put(subscriber("s1")), people.put(subscriber("s2"))
    assert one.choices is two.choices


def test_a_key_is_kept_until_it_is_destroyed():
    people = People(Roll())
    assert people.key("s1") is None
    people.put_key("s1", SubscriberKey(nonce="bm9uY2U=", wrapped="d3JhcHBlZA=="))
    assert people.key("s1") == Wrapped(nonce="bm9uY2U=", wrapped="d3JhcHBlZA==")
    assert "s1" not in people, "a key alone makes nobody a subscriber"
    people.put_key("s1", None)
    assert people.key("s1") is None


def test_nobody_is_found_by_what_is_no_id_of_theirs():
    people = People(Roll())
    people.put(subscriber("s1"))
    assert people.get("s2") is None
    assert people.get("s2", people["s1"]).id == "s1"
    assert people["s1"].whole().at == AT
