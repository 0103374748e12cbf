"""Fan-out: each subscriber once, at the highest level they may see, and nobody left without the end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.fanout import NONE, SETTLED_EVERY, STRETCH, channels_for, once_more, walk, why_not
from pipeline.deliver.people import People
from pipeline.deliver.roll import Roll
from schemas.base import Level, Severity
from schemas.delivery import MAX_BATCH
from schemas.journal import NoticeKind
from schemas.notice import Manners, Notice, PlayedClock
from schemas.subscriber import Subscriber
from tests.deliver.given import AT, EMAIL, SMS, X, batches, group, mail, notice, post, subscriber, text

BOTH = (mail(), text())


def test_only_chosen_channels_that_the_notice_offers_are_used() -> None:
    assert channels_for(subscriber(channels=(SMS, X)), notice()) == (SMS,)
    assert why_not(subscriber(channels=(X,)), notice()) == "no_channel_of_theirs"


def test_who_chose_other_components_is_not_told() -> None:
    assert why_not(subscriber(components=("Billing",)), notice()) == "other_components"
    assert why_not(subscriber(components=("search",)), notice()) is None
    assert why_not(subscriber(components=("Billing",)), notice(components=())) is None


def test_who_is_elsewhere_is_not_told() -> None:
    assert why_not(subscriber(regions=("eu-west",)), notice(regions=("us-east",))) == "other_regions"
    assert why_not(subscriber(regions=("EU-West",)), notice(regions=("eu-west", "us-east"))) is None
    assert why_not(subscriber(), notice(regions=("us-east",))) is None
    assert why_not(subscriber(regions=("eu-west",)), notice()) is None


def test_who_lives_in_another_time_zone_is_told_at_another_time() -> None:
    berlin = notice(zones=("Europe/Berlin",))
    assert why_not(subscriber(), berlin) == "other_time_zone"
    assert why_not(subscriber(time_zone="Europe/Berlin"), berlin) is None


SELECTING: dict[str, Any] = {
    "roles": ("responder",), "contracts": ("gold",), "regions": ("EU",), "components": ("Search",),
}  # fmt: skip
SELECTED: dict[str, Any] = {
    "roles": ("oncall", "responder"), "contract": "gold", "regions": ("eu",), "components": ("search",),
}  # fmt: skip


@pytest.mark.parametrize("kind", SELECTING)
def test_an_audience_may_select_who_did_not_choose_it(kind: str) -> None:
    selecting = notice("responders", group=group("responders", **{kind: SELECTING[kind]}), components=())
    profile = "contract" if kind == "contracts" else kind
    assert why_not(subscriber(**{profile: SELECTED[profile]}), selecting) is None
    assert why_not(subscriber(), selecting) == "not_of_this_audience"


@pytest.mark.parametrize("lacking", SELECTED)
def test_who_lacks_one_of_the_kinds_that_an_audience_names_is_not_selected(lacking: str) -> None:
    selecting = notice("responders", group=group("responders", **SELECTING))
    assert why_not(subscriber(**SELECTED), selecting) is None
    assert why_not(subscriber(**{**SELECTED, lacking: None if lacking == "contract" else ()}), selecting) is not None


def test_an_audience_that_selects_nobody_has_only_those_who_chose_it() -> None:
    assert why_not(subscriber(roles=("responder",)), notice("technical")) == "not_of_this_audience"


def test_who_belongs_to_two_audiences_is_told_in_the_higher_one_only() -> None:
    both = subscriber(audiences=("customers", "executives"))
    outranked = notice("customers", outranked_by=(group("executives"),))
    assert why_not(both, outranked) == "told_in_a_higher_audience"
    assert why_not(both, notice("executives")) is None
    by_role = notice("customers", outranked_by=(group("responders", roles=("responder",)),))
    assert why_not(subscriber(roles=("responder",)), by_role) == "told_in_a_higher_audience"


def test_who_must_never_hear_of_it_is_in_a_batch_so_that_their_silence_is_on_record() -> None:
    kept_from = notice(never=(group("nobody", contracts=("press",)),))
    reporter = subscriber(contract="press")
    assert why_not(reporter, kept_from) == "never_told"
    [made] = batches(kept_from, 0, {"s1": reporter}, {})
    assert made.recipients == ("s1",)
    assert made.never == kept_from.never


def test_who_heard_of_it_hears_the_end_whatever_they_chose_since() -> None:
    moved = subscriber(audiences=("technical",))
    assert channels_for(moved, notice(closing=True), frozenset({SMS})) == (SMS,)
    assert channels_for(moved, notice(closing=False), frozenset({SMS})) == ()
    assert channels_for(subscriber(erased=True), notice(closing=True), frozenset({SMS})) == (SMS,)
    assert channels_for(subscriber(), notice(closing=True), frozenset({SMS})) == (EMAIL, SMS)


def test_who_heard_it_on_a_channel_that_is_gone_hears_the_end_on_another() -> None:
    moved = subscriber(audiences=("technical",), channels=(SMS,))
    assert channels_for(moved, notice(closing=True), frozenset({X})) == (SMS,)
    nowhere = subscriber(audiences=(), channels=())
    assert channels_for(nowhere, notice(closing=True), frozenset({X})) == (EMAIL,)


def test_a_correction_goes_to_those_who_got_the_wrong_text_and_to_nobody_else() -> None:
    correction = notice(kind=NoticeKind.CORRECTION, corrects=1, seq=3)
    subscribers = {s.id: s for s in (subscriber("a"), subscriber("b"), subscriber("c", audiences=("technical",)))}
    made = list(batches(correction, 0, subscribers, {"a": frozenset({SMS}), "c": frozenset({EMAIL})}))
    assert {(b.channel, b.recipients) for b in made} == {(EMAIL, ("c",)), (SMS, ("a",))}
    assert why_not(subscribers["b"], correction) == "did_not_get_what_is_corrected"


LEVELS = (
    *(mail(language, level) for language in ("en", "de") for level in (Level.CUSTOMER, Level.TECHNICAL)),
    mail("fr", Level.CUSTOMER), mail("en", Level.INTERNAL),
)  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"language": "de"}, "de technical"),
        ({"language": "de-CH", "level": Level.CUSTOMER}, "de customer"),
        ({"language": "pt"}, "en technical"),
        ({"language": "fr"}, "fr customer"),
        ({"level": Level.EXECUTIVE}, "en technical"),
        ({"level": Level.INTERNAL}, "en technical"),
    ],
)
def test_everyone_reads_their_language_and_no_more_than_their_audience_may_see(
    chosen: dict[str, Any], expected: str
) -> None:
    technical = notice("technical", level=Level.TECHNICAL, renderings=LEVELS)
    [made] = batches(technical, 0, {"s1": subscriber(audiences=("technical",), **chosen)}, {})
    content: Any = made.rendering.content
    assert content.subject == expected


def test_what_is_above_the_notices_level_is_not_even_offered() -> None:
    leaking = notice(renderings=(mail(level=Level.INTERNAL), text()))
    assert channels_for(subscriber(channels=(EMAIL, SMS)), leaking) == (SMS,)


def test_readers_share_a_batch_when_they_read_the_same_bytes() -> None:
    zoned = notice(renderings=(mail(zones=("Europe/Berlin",)),))
    zones = {"a": "Europe/Berlin", "b": "UTC", "c": "Asia/Tokyo", "d": "Europe/Berlin"}
    subscribers = {id_: subscriber(id_, time_zone=zone) for id_, zone in zones.items()}
    made = {b.zone: b.recipients for b in batches(zoned, 0, subscribers, {})}
    assert made == {"Europe/Berlin": ("a", "d"), "UTC": ("b", "c")}


@given(st.lists(st.integers(0, 5000), unique=True, max_size=1300))
def test_every_subscriber_is_in_exactly_one_batch_of_at_most_500(numbers: list[int]) -> None:
    subscribers = {f"s{n}": subscriber(f"s{n}") for n in numbers}
    made = list(batches(notice(), 3, subscribers, {}))
    assert sorted(r for b in made for r in b.recipients) == sorted(subscribers)
    assert all(len(b.recipients) <= MAX_BATCH for b in made)
    assert len({b.batch_id for b in made}) == len(made)


def test_a_second_fan_out_writes_the_same_batches() -> None:
    subscribers = {f"s{n}": subscriber(f"s{n}", channels=(EMAIL, SMS)) for n in range(700)}
    once = list(batches(notice(), 3, subscribers, {}))
    again = list(batches(notice(), 3, dict(reversed(subscribers.items())), {}))
    assert once == again
    assert len({batch.batch_id for batch in once}) == len(once) == 4


def test_whoever_takes_over_goes_on_where_all_were_settled_and_writes_what_the_dead_one_would_have() -> None:
    zones = ("UTC", "Europe/Berlin", "Asia/Tokyo")
    zoned = notice(renderings=(mail(zones=zones), text()))
    many = STRETCH * SETTLED_EVERY + 1500
    subscribers = {
        f"s{n:06}": subscriber(f"s{n:06}", time_zone=zones[n % 3] if n % 50 == 0 else "UTC") for n in range(many)
    }
    stretches = list(walk(zoned, 0, subscribers, {}))
    assert [s.settled for s in stretches] == [
        n in (SETTLED_EVERY, SETTLED_EVERY + 2) for n in range(1, len(stretches) + 1)
    ]
    whole = [made for stretch in stretches for made in stretch.batches]
    assert sorted(r for b in whole for r in b.recipients) == sorted(subscribers)
    first = next(stretch for stretch in stretches if stretch.settled)
    rest = [made for stretch in walk(zoned, 0, subscribers, {}, first.up_to) for made in stretch.batches]
    before = [made for stretch in stretches[:SETTLED_EVERY] for made in stretch.batches]
    assert before + rest == whole


def test_nobody_is_left_over_where_the_last_stretch_is_full() -> None:
    subscribers = {f"s{n:06}": subscriber(f"s{n:06}", time_zone="UTC") for n in range(STRETCH)}
    subscribers["s000000"] = subscriber("s000000", language="de")
    (only,) = walk(notice(renderings=(mail(), mail("de"))), 0, subscribers, {})
    assert only.settled
    assert sorted(r for b in only.batches for r in b.recipients) == sorted(subscribers)


def test_a_batch_is_as_urgent_as_its_notice_and_has_a_name_that_no_other_has() -> None:
    urgent = notice(urgent=True, severity=Severity.CRITICAL, renderings=(mail(zones=("Asia/Tokyo",)), text()))
    people = {
        "a": subscriber("a", channels=(EMAIL, SMS)),
        "b": subscriber("b", time_zone="Asia/Tokyo"),
    }
    made = [batch for partition in (0, 1) for batch in batches(urgent, partition, people, {})]
    made += batches(notice(seq=2), 0, people, {})
    assert {(batch.urgent, batch.severity) for batch in made[:6]} == {(True, Severity.CRITICAL)}
    assert len({batch.batch_id for batch in made}) == len(made)


def test_a_batch_carries_what_its_recipients_are_treated_by() -> None:
    carried: dict[str, Any] = {
        "kind": NoticeKind.CORRECTION,
        "corrects": 1,
        "manners": Manners(at_most={SMS: 2}, cap_window_s=3600),
        "never": (group("technical"),),
        "clock": PlayedClock(time=AT, speed=60.0, real=AT),
    }
    [made] = batches(notice(seq=3, **carried), 0, {"a": subscriber("a")}, {"a": frozenset({SMS})})
    assert {name: getattr(made, name) for name in carried} == carried


def test_a_correction_goes_on_where_it_was_left_as_well() -> None:
    correction = notice(kind=NoticeKind.CORRECTION, corrects=1, seq=3)
    heard = {id_: frozenset({EMAIL}) for id_ in ("a", "b", "c")}
    (left,) = walk(correction, 0, {id_: subscriber(id_) for id_ in heard}, heard, after="b")
    assert [made.recipients for made in left.batches] == [("c",)]


def test_who_was_told_and_is_not_known_any_more_is_put_on_record() -> None:
    [made] = batches(notice(closing=True), 0, {}, {"gone": frozenset({SMS})})
    assert (made.channel, made.recipients) == (SMS, ("gone",))


def test_who_is_erased_is_told_nothing_and_the_rule_says_so() -> None:
    assert why_not(subscriber(erased=True), notice()) == "erased"


def test_a_fan_out_begins_with_whoever_comes_first_whatever_their_id() -> None:
    subscribers = {id_: subscriber(id_) for id_ in ("0", "A", "a")}
    assert [made.recipients for made in batches(notice(), 0, subscribers, {})] == [("0", "A", "a")]


# --- what a person orders once more


def test_what_is_ordered_once_more_comes_to_each_at_their_own_turn_and_in_the_words_that_they_chose() -> None:
    offered = notice(renderings=(mail(zones=("Asia/Tokyo",)), mail("de"), text()))
    people = {
        "a": subscriber("a"),
        "b": subscriber("b", time_zone="Asia/Tokyo"),
        "c": subscriber("c", language="de"),
        "d": subscriber("d"),
        "e": subscriber("e"),
    }
    turns = {"gone": 2, "e": 2, "d": 2, "c": 2, "b": 2, "a": 3}
    made = list(once_more(offered, EMAIL, turns, people, "order-1"))
    assert [batch.attempt for batch in made] == [2, 2, 2, 3], "whoever waited for fewer turns goes first"
    assert {(batch.attempt, batch.rendering.language, batch.zone, batch.recipients) for batch in made} == {
        (2, "en", "UTC", ("d", "e", "gone")),
        (2, "en", "Asia/Tokyo", ("b",)),
        (2, "de", "UTC", ("c",)),
        (3, "en", "UTC", ("a",)),
    }
    assert {(batch.channel, batch.ordered, batch.notice_id) for batch in made} == {
        (EMAIL, "order-1", offered.notice_id)
    }


def test_what_is_ordered_once_more_has_names_that_no_other_has_and_the_same_ones_again() -> None:
    turns = {f"s{n:04}": 2 for n in range(2 * MAX_BATCH + 1)}
    people = {id_: subscriber(id_) for id_ in turns}

    def ordered(seq: int, channel: Any) -> list[Any]:
        return list(once_more(notice(seq=seq), channel, turns, people, "order-1"))

    made = [batch for seq in (1, 2) for channel in (EMAIL, SMS) for batch in ordered(seq, channel)]
    assert len({batch.batch_id for batch in made}) == len(made) == 12
    assert [len(batch.recipients) for batch in made[:3]] == [MAX_BATCH, MAX_BATCH, 1]
    assert [id_ for batch in made[:3] for id_ in batch.recipients] == list(turns)
    assert ordered(1, EMAIL) == made[:3]


NAMES = st.lists(st.sampled_from(["customers", "technical", "Search", "Billing", "EU", "US"]), max_size=2).map(tuple)
ANYONE = st.builds(
    subscriber,
    audiences=NAMES,
    components=NAMES,
    regions=NAMES,
    roles=NAMES,
    channels=st.sampled_from([(EMAIL,), (SMS, EMAIL), (X,), ()]),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin"]),
    erased=st.booleans(),
)
GROUPS = st.builds(group, st.sampled_from(["customers", "technical"]), roles=NAMES, components=NAMES)
NOTICES = st.builds(
    notice,
    components=NAMES,
    regions=NAMES,
    group=GROUPS,
    outranked_by=st.lists(GROUPS, max_size=1).map(tuple),
    never=st.lists(GROUPS, max_size=1).map(tuple),
    zones=st.sampled_from([(), ("UTC",)]),
    closing=st.booleans(),
    corrects=st.sampled_from([None, 1]),
    renderings=st.sampled_from([BOTH, (text(),), (mail(), post())]),
)
HEARD = st.sampled_from([NONE, frozenset({SMS}), frozenset({EMAIL, X})])


@given(ANYONE, NOTICES, HEARD)
def test_whoever_is_in_no_batch_has_a_reason_and_nobody_else(someone: Any, told: Notice, heard: frozenset[Any]) -> None:
    """`explain` computes the reason again: fan-out itself goes by the same function."""
    made = list(batches(told, 0, {someone.id: someone}, {someone.id: heard} if heard else {}))
    reason = why_not(someone, told, heard)
    assert bool(made) == (reason in (None, "never_told"))
    assert {b.channel for b in made} == set(channels_for(someone, told, heard))


KINDS = (
    subscriber("a"),
    subscriber("b", channels=(SMS,), time_zone="Europe/Berlin"),
    subscriber("c", channels=(EMAIL, SMS), components=("Billing",)),
    subscriber("d", components=("search",), language="de"),
    subscriber("e", audiences=("technical",)),
    subscriber("f", erased=True),
)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), max_size=30), st.booleans())
def test_those_who_chose_alike_are_told_as_if_each_were_looked_at_alone(
    chosen: list[tuple[Subscriber, bool]], closing: bool
) -> None:
    """The people of a worker share what they have in common, and the walk finds the way to them once."""
    everyone = {f"s{n:02}": one.model_copy(update={"id": f"s{n:02}"}) for n, (one, _) in enumerate(chosen)}
    people = People(Roll())
    for one in everyone.values():
        people.put(one)
    heard = {f"s{n:02}": frozenset({SMS}) for n, (_, was_told) in enumerate(chosen) if was_told}
    said = notice(closing=closing, renderings=(*BOTH, mail(language="de")))
    assert list(walk(said, 0, people, heard)) == list(walk(said, 0, everyone, heard))
