"""Fan-out: each subscriber once, at the highest level they may see, and nobody left without the end."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.fanout import batches, channels_for
from pipeline.deliver.ledger import Heard
from schemas.base import Channel, Lane, Level
from schemas.delivery import MAX_BATCH
from schemas.journal import NoticeKind
from schemas.notice import Notice
from schemas.rendering import EmailContent, SmsContent, rendering_of
from schemas.subscriber import Choices, Subscriber, SubscriberKind

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
EMAIL = rendering_of("en", EmailContent(subject="s", text="t", html="<p>t</p>"))
SMS = rendering_of("en", SmsContent(text="t", encoding="GSM-7", segments=1))


def notice(audience: str = "customers", **change: object) -> Notice:
    given: dict[str, object] = {
        "notice_id": f"n-{audience}",
        "incident": "INC-1",
        "seq": 1,
        "at": AT,
        "kind": NoticeKind.OPENED,
        "audience": audience,
        "level": Level.CUSTOMER,
        "lane": Lane.FIRST,
        "closing": False,
        "components": ("Search",),
        "outranked_by": (),
        "renderings": (EMAIL, SMS),
    }
    return Notice.model_validate(given | change)


def subscriber(
    id_: str = "s1",
    audiences: tuple[str, ...] = ("customers",),
    channels: tuple[Channel, ...] = (Channel.EMAIL,),
    components: tuple[str, ...] = (),
) -> Subscriber:
    choices = Choices(audiences=audiences, channels=channels, components=components)
    return Subscriber(id=id_, kind=SubscriberKind.PERSON, choices=choices, at=AT)


def test_only_chosen_channels_that_the_notice_offers_are_used() -> None:
    chosen = subscriber(channels=(Channel.SMS, Channel.X))
    assert channels_for(chosen, notice(), None) == (Channel.SMS,)


def test_who_chose_other_components_is_not_told() -> None:
    assert channels_for(subscriber(components=("Billing",)), notice(), None) == ()
    assert channels_for(subscriber(components=("search",)), notice(), None) == (Channel.EMAIL,)
    assert channels_for(subscriber(components=("Billing",)), notice(components=()), None) == (Channel.EMAIL,)


def test_who_belongs_to_two_audiences_is_told_in_the_higher_one_only() -> None:
    both = subscriber(audiences=("customers", "executives"))
    assert channels_for(both, notice("customers", outranked_by=("executives",)), None) == ()
    assert channels_for(both, notice("executives"), None) == (Channel.EMAIL,)


def test_who_heard_of_it_hears_the_end_whatever_they_chose_since() -> None:
    moved = subscriber(audiences=("technical",), channels=(Channel.EMAIL,))
    heard = Heard("customers", frozenset({Channel.SMS}))
    assert channels_for(moved, notice(closing=True), heard) == (Channel.SMS,)
    assert channels_for(moved, notice(closing=False), heard) == ()


@given(st.lists(st.integers(0, 5000), unique=True, max_size=1300))
def test_every_subscriber_is_in_exactly_one_batch_of_at_most_500(numbers: list[int]) -> None:
    subscribers = [subscriber(f"s{n}") for n in numbers]
    made = list(batches(notice(), 3, subscribers, {}))
    assert sorted(r for b in made for r in b.recipients) == sorted(s.id for s in subscribers)
    assert all(len(b.recipients) <= MAX_BATCH for b in made)
    assert len({b.batch_id for b in made}) == len(made)


def test_a_second_fan_out_writes_the_same_batches() -> None:
    subscribers = [subscriber(f"s{n}", channels=(Channel.EMAIL, Channel.SMS)) for n in range(700)]
    once = list(batches(notice(), 3, subscribers, {}))
    again = list(batches(notice(), 3, reversed(subscribers), {}))
    assert once == again
