"""Admit: who is told now, who later and who not, each by a named rule; what is left to another record."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.admit import LATER, PUT_OFF_AT_MOST, Admission, Defer, Send, Skip, Suppress, Verdict, admit
from pipeline.deliver.past import NOTHING, Past
from pipeline.deliver.people import People
from pipeline.deliver.roll import Roll
from pipeline.deliver.rules import STARTS_AND_ENDS, Case
from pipeline.deliver.work import Step, Work
from pipeline.links import CONFIRM_WITHIN
from schemas.base import Lane
from schemas.delivery import DeliveryBatch, Request, Result
from schemas.journal import NoticeKind
from schemas.notice import LocalHours, Manners
from schemas.subscriber import Frequency, OptOut, Standing, Subscriber
from tests.deliver.given import AT, EMAIL, HOUR, SMS, batch, group, mail, subscriber

NIGHT = Manners(quiet_hours={SMS: LocalHours(from_=time(22), until=time(7))})
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def verdict(
    someone: Subscriber | None = None,
    of: DeliveryBatch | None = None,
    work: Work | None = None,
    past: Past = NOTHING,
    at: datetime = AT,
) -> Any:
    return admit(someone or subscriber(channels=(SMS,)), of or batch(), work, past, at)


def waiting(attempt: int = 1, result: Result = Result.DEFERRED, **change: Any) -> Work:
    return replace(Work(attempt, Step.PUT_OFF if result is Result.DEFERRED else Step.ENDED, result, AT), **change)


def at_home(zone: ZoneInfo, *clock: int) -> datetime:
    return datetime(*clock, tzinfo=zone).astimezone(UTC)  # type: ignore[arg-type, misc]


def test_whoever_wants_to_be_told_is_told() -> None:
    assert verdict() == Send(1)


# --- what another record brings back


def test_what_is_done_or_under_way_is_left_alone() -> None:
    assert verdict(work=Work(1, Step.ENDED, Result.ACCEPTED)) == Skip("done")
    assert verdict(work=Work(1, Step.ATTEMPTED)) == Skip("under_way")


@pytest.mark.parametrize("result", [Result.RETRYABLE, Result.DEFERRED])
def test_a_redelivered_batch_does_not_overtake_the_waiting_work(result: Result) -> None:
    assert verdict(work=waiting(result=result)) == Skip("waits_for_its_time")
    assert verdict(of=batch(attempt=2), work=waiting(result=result)) == Send(2)


def test_an_unknown_end_is_looked_into_before_anything_is_said_again() -> None:
    unknown = waiting(result=Result.UNKNOWN, unknowns=1, uncertain=True)
    assert verdict(of=batch(attempt=2), work=unknown) == Send(2, reconcile=True)
    put_off = waiting(2, unknowns=1, uncertain=True)
    assert verdict(of=batch(attempt=3), work=put_off) == Send(3, reconcile=True)


def test_waiting_work_of_nobody_is_not_begun() -> None:
    assert verdict(of=batch(attempt=2)) == Skip("never_intended")


# --- not at all


@pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "complained", "stopped"])
def test_an_opt_out_suppresses_and_names_itself(reason: str) -> None:
    out = OptOut.model_validate({"reason": reason, "since": AT})
    assert verdict(subscriber(opted_out={SMS: out})) == Suppress(reason)
    assert verdict(subscriber(opted_out={EMAIL: out})) == Send(1)


def test_an_erased_person_is_not_told() -> None:
    assert verdict(subscriber(erased=True)) == Suppress("erased")
    assert admit(None, batch(), None, NOTHING, AT) == Suppress("unknown_subscriber")
    assert verdict(subscriber(contact=None)) == Suppress("no_contact")


def test_who_must_never_hear_of_it_does_not_however_it_came_to_them() -> None:
    kept = batch(never=(group("nobody", contracts=("press",)),), closing=True, urgent=True)
    assert verdict(subscriber(contract="press"), kept) == Suppress("never_told")
    assert verdict(subscriber(contract="gold"), kept) == Send(1)


def test_what_was_corrected_before_it_was_sent_is_not_said_any_more() -> None:
    assert verdict(past=Past(corrected=True)) == Suppress("retracted_before_it_was_sent")


def test_nothing_is_taken_back_from_whom_it_never_reached() -> None:
    retraction = batch(kind=NoticeKind.RETRACTION, corrects=1, seq=2)
    correction = batch(kind=NoticeKind.CORRECTION, corrects=1, seq=2)
    never_sent, sent = Past(wrong=waiting()), Past(wrong=Work(1, Step.ENDED, Result.ACCEPTED))
    assert verdict(of=retraction, past=never_sent) == Suppress("nothing_to_take_back")
    assert verdict(of=retraction, past=sent) == Send(1)
    assert verdict(of=retraction, past=Past(wrong=Work(1, Step.ATTEMPTED))) == Send(1)
    assert verdict(of=correction, past=never_sent) == Send(1)


def test_what_had_to_wait_and_is_old_meanwhile_is_not_said_any_more() -> None:
    newer = Past(newer=True, begun=True)
    assert verdict(of=batch(attempt=2), work=waiting(), past=newer) == Suppress("superseded_by_newer")
    assert verdict(of=batch(attempt=1), past=newer) == Send(1)


def test_nothing_is_said_of_an_incident_to_whom_its_end_is_told() -> None:
    for past in (Past(ended=True), Past(newer=True, newer_end=True)):
        assert verdict(past=past) == Suppress("superseded_by_the_end")


def test_of_what_may_have_been_told_it_is_found_out_first_however_old_it_is() -> None:
    uncertain = waiting(result=Result.UNKNOWN, uncertain=True)
    for past in (Past(ended=True, begun=True), Past(newer=True, newer_end=True, begun=True)):
        assert verdict(of=batch(attempt=2), work=uncertain, past=past) == Send(2, reconcile=True)


@pytest.mark.parametrize("kind", [NoticeKind.CORRECTION, NoticeKind.RETRACTION, NoticeKind.REVIEW])
def test_what_stays_true_is_not_superseded(kind: NoticeKind) -> None:
    past = Past(ended=True, newer=True, newer_end=True, begun=True)
    assert verdict(of=batch(kind=kind, attempt=2), work=waiting(), past=past) == Send(2)


@pytest.mark.parametrize("kind", NoticeKind)
def test_who_chose_start_and_end_hears_start_and_end(kind: NoticeKind) -> None:
    chose, followed = subscriber(frequency=Frequency.START_AND_END), Past(begun=True)
    expected = Send(1) if kind in STARTS_AND_ENDS else Suppress("chose_start_and_end")
    assert verdict(chose, batch(kind=kind), past=followed) == expected
    assert verdict(chose, batch(kind=kind, closing=True), past=followed) == Send(1)
    assert verdict(chose, batch(kind=kind)) == Send(1), "the first that they hear of it is its start"


# --- later


def test_a_text_message_waits_for_the_morning_of_its_reader() -> None:
    night = at_home(BERLIN, 2026, 3, 4, 1, 30)
    berliner, tokyoite = subscriber(time_zone="Europe/Berlin"), subscriber(time_zone="Asia/Tokyo")
    seven = at_home(BERLIN, 2026, 3, 4, 7)
    assert verdict(berliner, batch(manners=NIGHT), at=night) == Defer(seven, "quiet_hours")
    assert verdict(berliner, batch(manners=NIGHT, urgent=True), at=night) == Send(1)
    assert verdict(berliner, batch(manners=NIGHT, channel=EMAIL), at=night) == Send(1)
    assert verdict(berliner, batch(manners=NIGHT), at=seven) == Send(1)
    assert verdict(tokyoite, batch(manners=NIGHT), at=night) == Send(1)


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2026, 3, 28, 23), 7), ((2026, 10, 24, 23), 9)],  # the clock jumps from 2 to 3, and is set back from 3 to 2
)
def test_a_night_in_which_the_clock_is_changed_ends_at_seven_all_the_same(day: tuple[int, ...], hours: int) -> None:
    night = at_home(BERLIN, *day)
    found = verdict(subscriber(time_zone="Europe/Berlin"), batch(manners=NIGHT), at=night)
    assert found == Defer(night + hours * HOUR, "quiet_hours")
    assert found.until.astimezone(BERLIN).hour == 7


def test_who_wants_office_hours_only_waits_for_the_next_working_day() -> None:
    chose = subscriber(office_hours_only=True, time_zone="Europe/Berlin", country="DE")
    friday = at_home(BERLIN, 2026, 4, 30, 17)  # the first of May is a public holiday, and a Friday
    assert verdict(chose, at=friday) == Defer(at_home(BERLIN, 2026, 5, 4, 9), "office_hours")
    assert verdict(chose, batch(urgent=True), at=friday) == Send(1)
    elsewhere = subscriber(office_hours_only=True, time_zone="Europe/Berlin")
    assert verdict(elsewhere, at=friday) == Defer(at_home(BERLIN, 2026, 5, 1, 9), "office_hours")
    policys = batch(manners=Manners(country="DE"))
    assert verdict(elsewhere, policys, at=friday) == Defer(at_home(BERLIN, 2026, 5, 4, 9), "office_hours")
    unheard_of = subscriber(office_hours_only=True, time_zone="Europe/Berlin", country="XX")
    assert verdict(unheard_of, at=friday) == Defer(at_home(BERLIN, 2026, 5, 1, 9), "office_hours")


def test_hours_that_are_none_keep_nobody_waiting() -> None:
    chose = subscriber(office_hours_only=True)
    overnight = Manners(office_hours=LocalHours(from_=time(22), until=time(6)))
    assert verdict(chose, batch(manners=overnight), at=AT) == Send(1)
    never_quiet = Manners(quiet_hours={SMS: LocalHours(from_=time(9), until=time(9))})
    assert verdict(of=batch(manners=never_quiet), at=AT) == Send(1)


def test_a_zone_that_nobody_knows_is_taken_for_utc() -> None:
    lost = subscriber(time_zone="Mars/Base")
    assert verdict(lost, batch(manners=NIGHT), at=AT.replace(hour=23)).until == AT.replace(hour=7) + 24 * HOUR


def test_a_digest_reader_is_told_at_one_hour_of_the_day() -> None:
    chose = subscriber(frequency=Frequency.DIGEST, time_zone="America/New_York")
    five = at_home(NEW_YORK, 2026, 3, 3, 17)
    assert verdict(chose) == Defer(five, "digest")
    assert verdict(chose, at=five) == Send(1)
    assert verdict(chose, at=five + 9 * HOUR) == Send(1), "its hour has come once, and does not come again"


def test_what_a_digest_reader_cannot_wait_for_is_told_at_once() -> None:
    chose, heard = subscriber(frequency=Frequency.DIGEST), Past(begun=True, heard=True)
    assert verdict(chose, batch(urgent=True)) == Send(1)
    assert verdict(chose, batch(corrects=1, kind=NoticeKind.CORRECTION)) == Send(1)
    assert verdict(chose, batch(kind=NoticeKind.REMINDER)) == Send(1)
    assert verdict(chose, batch(closing=True), past=heard) == Send(1), "they know that something is wrong"
    assert verdict(chose, batch(closing=True)) == Defer(AT.replace(hour=17), "digest"), "they know of nothing"
    assert verdict(chose, batch(kind=NoticeKind.UPDATED), past=heard) == Defer(AT.replace(hour=17), "digest")


CAPPED = Manners(at_most={SMS: 2}, cap_window_s=3600)


def test_a_flood_is_spread_over_time_and_nothing_of_it_is_lost() -> None:
    sends = (AT - 2 * HOUR, AT - 0.5 * HOUR, AT - 0.25 * HOUR)
    assert verdict(of=batch(manners=CAPPED), past=Past(sends=sends)) == Defer(AT + 0.5 * HOUR, "flood_cap")
    more = (AT - 0.75 * HOUR, *sends[1:])
    assert verdict(of=batch(manners=CAPPED), past=Past(sends=more)) == Defer(AT + 0.5 * HOUR, "flood_cap")
    assert verdict(of=batch(manners=CAPPED), past=Past(sends=sends[:2])) == Send(1)
    assert verdict(of=batch(manners=CAPPED), past=Past(sends=sends), at=AT + 0.5 * HOUR) == Send(1)


@pytest.mark.parametrize(
    "passes", [{"closing": True}, {"urgent": True, "lane": Lane.FIRST}, {"corrects": 1, "kind": NoticeKind.CORRECTION}]
)
def test_ends_urgent_first_notices_and_corrections_pass_the_cap(passes: dict[str, Any]) -> None:
    assert verdict(of=batch(manners=CAPPED, **passes), past=Past(sends=(AT, AT))) == Send(1)


def test_an_urgent_update_does_not_pass_the_cap() -> None:
    update = batch(manners=CAPPED, urgent=True, lane=Lane.UPDATE)
    assert verdict(of=update, past=Past(sends=(AT, AT))) == Defer(AT + HOUR, "flood_cap")


def test_of_several_rules_the_one_that_puts_off_longest_is_named() -> None:
    manners = NIGHT.model_copy(update={"at_most": {SMS: 1}, "cap_window_s": 3600})
    chose = subscriber(office_hours_only=True)
    night = AT.replace(hour=3)
    assert verdict(chose, batch(manners=manners), past=Past(sends=(night,)), at=night) == Defer(AT, "office_hours")


def test_rules_that_leave_no_moment_put_off_so_often_and_then_no_more() -> None:
    never_open = Manners(quiet_hours={SMS: LocalHours(from_=time(8), until=time(18))})
    chose, at, turns = subscriber(office_hours_only=True), AT, 0
    work: Work | None = None
    while isinstance(found := verdict(chose, batch(attempt=turns + 1, manners=never_open), work, at=at), Defer):
        assert found.until > at
        at, turns = found.until, turns + 1
        work = waiting(turns, deferred=turns)
    assert turns == PUT_OFF_AT_MOST
    assert found == Send(turns + 1)


# --- what holds for every rule

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
CLOCK = st.times().map(lambda clock: clock.replace(microsecond=0))
HOURS = st.builds(LocalHours, from_=CLOCK, until=CLOCK)
MANNERS = st.builds(
    Manners,
    quiet_hours=st.dictionaries(st.just(SMS), HOURS),
    office_hours=HOURS,
    country=st.sampled_from([None, "DE", "US"]),
    digest_at=CLOCK,
    at_most=st.dictionaries(st.just(SMS), st.integers(1, 3)),
    cap_window_s=st.sampled_from([60, 3600]),
)
PEOPLE = st.builds(
    subscriber,
    channels=st.just((SMS,)),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    frequency=st.sampled_from(Frequency),
    office_hours_only=st.booleans(),
    country=st.sampled_from([None, "DE"]),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Subscriber, DeliveryBatch, Work | None, Past, datetime]:
    at = draw(MOMENTS)
    turns = draw(st.integers(0, 4))
    work = waiting(turns, deferred=turns) if turns else None
    sends = draw(st.lists(st.integers(0, 4000), max_size=5).map(lambda ago: tuple(sorted(ago, reverse=True))))
    past = Past(
        begun=draw(st.booleans()),
        heard=draw(st.booleans()),
        newer=draw(st.booleans()),
        newer_end=draw(st.booleans()),
        sends=tuple(at - timedelta(seconds=ago) for ago in sends),
    )
    of = batch(
        attempt=turns + 1,
        kind=draw(st.sampled_from(NoticeKind)),
        closing=draw(st.booleans()),
        urgent=draw(st.booleans()),
        lane=draw(st.sampled_from(Lane)),
        manners=draw(MANNERS),
        at=at - timedelta(minutes=draw(st.integers(0, 3000))),
    )
    return draw(PEOPLE), of, work, past, at


@given(cases())
def test_the_same_is_decided_of_the_same_whenever_it_is_asked(case: Any) -> None:
    assert admit(*case) == admit(*case)


@given(cases())
def test_what_is_put_off_is_put_off_into_the_future_and_not_by_the_same_rule_again(case: Any) -> None:
    someone, of, work, past, at = case
    found = admit(someone, of, work, past, at)
    if not isinstance(found, Defer):
        return
    assert found.until > at
    for rule in LATER:
        until = rule(Case(someone, of, past, at))
        assert until is None or until <= found.until
        if rule.__name__ == found.reason:
            again = rule(Case(someone, of, past, found.until))
            assert again is None or again <= found.until


@given(cases())
def test_what_is_urgent_or_the_end_is_never_kept_waiting_by_the_cap(case: Any) -> None:
    someone, of, work, past, at = case
    found = admit(someone, of, work, past, at)
    if of.closing or (of.urgent and of.lane is Lane.FIRST):
        assert not (isinstance(found, Defer) and found.reason == "flood_cap")
    if of.urgent:
        assert not (isinstance(found, Defer) and found.reason in ("quiet_hours", "office_hours", "digest"))


@given(cases())
def test_nobody_is_told_in_their_quiet_hours_unless_it_is_urgent(case: Any) -> None:
    someone, of, work, past, at = case
    hours = of.manners.quiet_hours.get(SMS)
    if hours is None or of.urgent or not isinstance(admit(someone, of, work, past, at), Send):
        return
    clock = at.astimezone(ZoneInfo(someone.choices.time_zone)).time()
    wraps = hours.from_ > hours.until
    quiet = (clock >= hours.from_ or clock < hours.until) if wraps else hours.from_ <= clock < hours.until
    assert not quiet


def asking(**change: Any) -> DeliveryBatch:
    return batch("s1", kind=Request.CONFIRMATION, channel=EMAIL, urgent=True, rendering=mail(), **change)


def test_who_has_not_confirmed_is_asked_and_told_nothing() -> None:
    waits = subscriber(standing=Standing(unconfirmed=(EMAIL,)), frequency="digest")
    assert admit(waits, batch("s1", channel=EMAIL), None, NOTHING, AT) == Suppress("unconfirmed")
    assert admit(waits, asking(), None, NOTHING, AT) == Send(1)
    assert isinstance(admit(waits, batch("s1", channel=SMS), None, NOTHING, AT), Defer)  # their digest, as ever


def test_a_request_is_not_sent_once_the_days_are_over_in_which_it_may_be_answered() -> None:
    waits, last = subscriber(standing=Standing(unconfirmed=(EMAIL,))), AT + CONFIRM_WITHIN
    assert admit(waits, asking(), None, NOTHING, last) == Send(1)
    assert admit(waits, asking(), None, NOTHING, last + timedelta(seconds=1)) == Suppress("asked_long_ago")
    told_late = admit(subscriber(), batch("s1", channel=EMAIL), None, NOTHING, last + timedelta(days=1))
    assert told_late != Suppress("asked_long_ago")


def test_who_has_confirmed_is_not_asked_any_more() -> None:
    assert admit(subscriber(), asking(), None, NOTHING, AT) == Suppress("nothing_to_confirm")


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("unsubscribed", Send(1)),
        ("bounced", Send(1)),
        ("complained", Suppress("complained")),
        ("stopped", Suppress("stopped")),
    ],
)
def test_who_left_may_be_asked_again_but_not_who_complained(reason: str, verdict: Verdict) -> None:
    left = subscriber(
        standing=Standing(unconfirmed=(EMAIL,)),
        opted_out={EMAIL: OptOut.model_validate({"reason": reason, "since": AT})},
    )
    assert admit(left, asking(), None, NOTHING, AT) == verdict


def test_who_is_told_as_another_is_not_told_twice() -> None:
    gone = subscriber(standing=Standing(merged_into="s2"), contact=None)
    assert admit(gone, batch("s1", channel=EMAIL), None, NOTHING, AT) == Suppress("told_as_another_subscriber")


# --- many at once


@given(st.lists(st.tuples(st.sampled_from(range(5)), st.sampled_from(range(4)), st.booleans()), max_size=40))
def test_of_many_each_is_decided_on_as_if_alone(chosen: list[tuple[int, int, bool]]) -> None:
    """Who stands alike is decided on once: that must not show."""
    out = OptOut.model_validate({"reason": "unsubscribed", "since": AT})
    kinds = (
        subscriber("a", channels=(SMS,)),
        subscriber("b", channels=(SMS,), frequency=Frequency.DIGEST),
        subscriber("c", channels=(SMS,), opted_out={SMS: out}),
        subscriber("d", channels=(SMS,), contact=None),
        subscriber("e", channels=(SMS,), standing=Standing(unconfirmed=(SMS,))),
    )
    works = (None, Work(0, Step.INTENDED), waiting(), Work(1, Step.ENDED, Result.ACCEPTED))
    people, of = People(Roll()), batch(manners=NIGHT)
    for number, (kind, _, _) in enumerate(chosen):
        people.put(kinds[kind].model_copy(update={"id": f"s{number}"}))
    admission = Admission(of, AT)
    for number, (_, work, begun) in enumerate(chosen):
        person, past = people[f"s{number}"], Past(newer=True, begun=True) if begun else NOTHING
        assert admission.of(person, works[work], past) == admit(person, of, works[work], past, AT)
