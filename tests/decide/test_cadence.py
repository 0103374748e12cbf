"""Each rule of the clock: what is due when, and what it changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.decide.cadence.at_once import with_put_off
from pipeline.decide.step import standing
from schemas.base import Severity, State
from schemas.census import AudienceCount
from schemas.command import PublishNow
from schemas.incident import (
    Consequences,
    ImpactChanged,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceCompleted,
    MaintenanceScheduled,
    MaintenanceStarted,
    MilestoneReached,
    MonitoringStarted,
    ReviewPublished,
)
from schemas.journal import (
    AudiencePutOff,
    NoticeKind,
    PromiseMade,
    Reminded,
    ResolutionConfirmed,
    ResolutionHeld,
    ResolutionUndone,
    Surroundings,
    WakeScheduled,
)
from tests.decide.saying import EVERYBODY, decisions, of, opened
from tests.decide.stories import (
    START,
    Operator,
    Story,
    a_policy,
    default_policy,
    email_to,
    given,
    notice_to,
    notices_told,
    silent,
    told,
)

NOW = Consequences(now="Cards are declined.")
MANAGER = Operator("maria", ("incident-manager",))
DAYS = 24 * 60


# --- scope


def test_who_could_say_what_is_concerned_is_reminded_five_minutes_after_the_first_notice():
    story = Story()
    story.take(opened(components=None), after=0)
    (reminded,) = story.passes(5)
    assert notices_told([reminded]) == [("responders", "reminder")]
    assert [r.rule for r in decisions(reminded, Reminded)] == ["scope"]
    assert not [d for d in story.passes(20) if decisions(d, Reminded)], "once"


@pytest.mark.parametrize(
    "said",
    [{"components": None, "consequences": NOW}, {}, {"consequences": Consequences(lasting="Two orders are lost.")}],
)
def test_either_half_of_the_scope_that_is_unsaid_is_asked_for_while_it_lasts(said):
    story, over = Story(), Story()
    story.take(opened(**said), after=0)
    assert [r.rule for d in story.passes(5) for r in decisions(d, Reminded)] == ["scope"]
    over.take(opened(Severity.MINOR, **said), after=0)
    over.take(IncidentResolved(), after=1)
    assert not [r for d in over.passes(30) for r in decisions(d, Reminded)]


def test_nobody_is_reminded_of_what_was_said():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    assert story.passes(6) == []


# --- a burst


def test_what_comes_within_the_minimum_gap_is_told_together():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    first = story.take(MilestoneReached(milestone="The database is back."), after=1)
    second = story.take(MilestoneReached(milestone="The queue is empty."), after=1)
    assert not first.notices
    assert not second.notices
    assert of("customers", first, AudiencePutOff).until == START + timedelta(minutes=5)
    (both,) = story.passes(5)
    assert both.entry.at == START + timedelta(minutes=5)
    text = email_to("customers", both).text
    assert "The database is back." in text
    assert "The queue is empty." in text


def test_a_changed_impact_waits_for_no_gap_and_takes_along_what_waited():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(MilestoneReached(milestone="The database is back."), after=1)
    worse = story.take(ImpactChanged(severity=Severity.CRITICAL), after=1)
    assert told(worse).keys() == EVERYBODY
    assert "The database is back." in email_to("customers", worse).text
    assert notices_told(story.passes(5)) == []


def test_once_the_minimum_gap_has_passed_nothing_waits():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    assert "customers" in told(story.take(MilestoneReached(milestone="The database is back."), after=5))


def test_news_of_a_moment_that_waited_are_told_beside_those_of_what_they_waited_for():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    assert not story.take(IncidentUpdated(good_news="Refunds work again."), after=1).notices
    grown = story.take(ImpactChanged(severity=Severity.CRITICAL, good_news="Invoices work again."), after=1)
    assert "Refunds work again." in email_to("customers", grown).text
    assert "Invoices work again." in email_to("customers", grown).text


def test_news_of_a_moment_that_waited_stand_on_lines_of_their_own_and_stay_within_what_a_field_holds():
    story = Story()
    story.take(opened(), after=0)
    story.take(MilestoneReached(milestone="A" * 4000), after=1)
    story.take(MilestoneReached(milestone="B" * 4000), after=1)
    story.take(MilestoneReached(milestone="C" * 4000), after=1)
    waiting = story.state.put_off["customers"]
    put = with_put_off(standing(story.state), waiting).known.milestone or ""
    assert put.startswith("A" * 4000 + "\n" + "B" * 4000 + "\nC")
    assert len(put) == 10_000


def test_what_was_put_off_and_is_no_news_any_more_is_not_told():
    story = Story()
    story.take(opened(consequences=NOW, summary="A."), after=0)
    story.take(IncidentUpdated(summary="B."), after=1)
    story.take(IncidentUpdated(summary="A."), after=1)
    (due,) = story.passes(5)
    assert set(silent(due).values()) == {"same text as before"}
    assert not story.state.put_off


# --- the end


def test_an_end_is_told_when_it_has_held():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    said = story.take(IncidentResolved(summary="All cards work again."), after=20)
    assert decisions(said, ResolutionHeld)[0].until == START + timedelta(minutes=30)
    assert {n.kind for n in said.notices} == {NoticeKind.MONITORING}
    assert "All cards work again." not in email_to("customers", said).text, "the words of the end wait for the end"
    (end,) = story.passes(10)
    assert decisions(end, ResolutionConfirmed)
    assert {n.kind for n in end.notices} == {NoticeKind.RESOLVED}
    assert told(end).keys() == EVERYBODY
    assert "All cards work again." in email_to("customers", end).text


def test_the_time_in_which_the_repair_was_watched_counts():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(MonitoringStarted(), after=20)
    end = story.take(IncidentResolved(), after=10)
    assert {n.kind for n in end.notices} == {NoticeKind.RESOLVED}


def test_an_end_that_is_undone_while_it_is_held_was_never_told():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(IncidentResolved(), after=20)
    again = story.take(IncidentReopened(summary="Cards fail again."), after=6)
    assert decisions(again, ResolutionUndone)
    assert {n.kind for n in again.notices} == {NoticeKind.UPDATED}, "one story: nobody was told that it was over"
    assert "the repair did not hold" in told(again)["customers"].reason
    kinds = {kind for _, kind in notices_told(story.passes(120))}
    assert "resolved" not in kinds
    assert "resolved" in {kind for _, kind in notices_told([story.ends(IncidentResolved(summary="Over."))])}


@pytest.mark.parametrize(
    ("said", "undone"),
    [
        (IncidentUpdated(severity=Severity.CRITICAL), True),
        (IncidentUpdated(state=State.INVESTIGATING), True),
        (IncidentUpdated(state=State.IDENTIFIED), True),
        (IncidentUpdated(summary="We watch it."), False),
        (IncidentUpdated(state=State.MONITORING), False),
    ],
)
def test_an_end_that_is_held_is_undone_by_what_says_that_it_goes_on(said, undone):
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(IncidentResolved(), after=20)
    assert bool(decisions(story.take(said, after=2), ResolutionUndone)) is undone
    assert (story.state.ending is None) is undone


def test_a_small_incident_ends_at_once():
    story = Story()
    story.take(opened(Severity.MINOR))
    assert {n.kind for n in story.take(IncidentResolved()).notices} == {NoticeKind.RESOLVED}


def test_a_maintenance_that_is_said_to_be_resolved_ends_at_once():
    story = Story("upgrade-1")
    story.take(MaintenanceStarted(title="Upgrade", severity=Severity.MAJOR))
    assert {n.kind for n in story.take(IncidentResolved()).notices} == {NoticeKind.RESOLVED}


def test_a_person_may_order_not_to_wait():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(IncidentResolved(), after=20)
    now = story.take(PublishNow(), after=1, by=MANAGER)
    assert {n.kind for n in now.notices} == {NoticeKind.RESOLVED}
    assert notices_told(story.passes(60)) == []


# --- offices


@pytest.fixture
def at_three_in_the_afternoon() -> Story:
    """A Tuesday, 14:00 UTC: 15:00 in Berlin, 9:00 in New York."""
    story = Story()
    story.minutes = -8 * 60
    story.around = Surroundings(
        census={"customers": AudienceCount(total=9, zones={"Europe/Berlin": 5, "America/New_York": 4})}
    )
    return story


def of_office(called):
    return [
        (decided.entry.at, notice.zones)
        for decided in called
        for notice in decided.notices
        if notice.audience == "customers" and notice.zones
    ]


def test_each_office_is_told_before_it_closes_and_when_it_opens_by_its_own_clock(at_three_in_the_afternoon):
    story = at_three_in_the_afternoon
    story.take(opened(consequences=NOW, next_update_at=START + timedelta(days=5)), after=0)
    moments = of_office(story.passes(24 * 60))
    assert moments == [
        (datetime(2026, 3, 3, 15, 30, tzinfo=UTC), ("Europe/Berlin",)),
        (datetime(2026, 3, 3, 21, 30, tzinfo=UTC), ("America/New_York",)),
        (datetime(2026, 3, 4, 8, 0, tzinfo=UTC), ("Europe/Berlin",)),
        (datetime(2026, 3, 4, 14, 0, tzinfo=UTC), ("America/New_York",)),
    ]
    promise = story.state.promises["customers"]
    assert promise.due == START + timedelta(days=5), "a word to one office keeps no promise to everybody"


def test_offices_that_close_at_the_same_moment_are_told_in_one_notice(at_three_in_the_afternoon):
    story = at_three_in_the_afternoon
    zones = {"Europe/Berlin": 5, "Europe/Paris": 3, "America/New_York": 2}
    story.around = Surroundings(census={"customers": AudienceCount(total=10, zones=zones)})
    story.take(opened(consequences=NOW, next_update_at=START + timedelta(days=5)), after=0)
    assert told(story.decided[-1])["customers"].expected == 10
    called = story.passes(120)
    assert of_office(called) == [(datetime(2026, 3, 3, 15, 30, tzinfo=UTC), ("Europe/Berlin", "Europe/Paris"))]
    (decision,) = [told(decided)["customers"] for decided in called if told(decided).get("customers")]
    assert (decision.zones, decision.expected) == (("Europe/Berlin", "Europe/Paris"), 8)


def test_an_office_that_was_told_just_before_it_closes_is_not_told_again(at_three_in_the_afternoon):
    story = at_three_in_the_afternoon
    story.take(opened(consequences=NOW, next_update_at=START + timedelta(days=5)), after=0)
    story.take(IncidentUpdated(summary="News.", next_update_at=START + timedelta(days=5)), after=70)
    assert of_office(story.passes(60)) == []


def test_no_office_is_told_on_a_weekend(at_three_in_the_afternoon):
    story = at_three_in_the_afternoon
    story.minutes += 4 * DAYS  # Saturday
    story.take(opened(consequences=NOW, next_update_at=START + timedelta(days=9)), after=0)
    assert min(at for at, _ in of_office(story.passes(3 * DAYS))) == datetime(2026, 3, 9, 8, 0, tzinfo=UTC)


def test_the_office_follows_its_clock_over_the_change_to_summer_time(at_three_in_the_afternoon):
    story = at_three_in_the_afternoon
    story.minutes += 24 * DAYS  # Friday, 27 March 2026; Berlin changes on Sunday
    story.take(opened(consequences=NOW, next_update_at=START + timedelta(days=40)), after=0)
    berlin = [at for at, zones in of_office(story.passes(4 * DAYS)) if zones == ("Europe/Berlin",)]
    assert berlin == [
        datetime(2026, 3, 27, 15, 30, tzinfo=UTC),
        datetime(2026, 3, 30, 7, 0, tzinfo=UTC),
        datetime(2026, 3, 30, 14, 30, tzinfo=UTC),
        datetime(2026, 3, 31, 7, 0, tzinfo=UTC),
    ]


def as_of_the_office(called):
    reasons = [(d.entry.at, told(d)["customers"].reason) for d in called if "customers" in told(d)]
    return [(at, reason) for at, reason in reasons if "office" in reason]


def test_where_nobodys_zone_is_known_the_office_of_the_policy_counts_for_everybody():
    story = Story(policy=a_policy(cadence="major: {investigating: 45m => major: {investigating: 9d"))
    story.minutes = -8 * 60
    story.take(opened(consequences=NOW), after=0)
    assert as_of_the_office(story.passes(2 * DAYS)) == [
        (datetime(2026, 3, 3, 16, 30, tzinfo=UTC), "before their office closes"),
        (datetime(2026, 3, 4, 9, 0, tzinfo=UTC), "as their office opens"),
        (datetime(2026, 3, 4, 16, 30, tzinfo=UTC), "before their office closes"),
        (datetime(2026, 3, 5, 9, 0, tzinfo=UTC), "as their office opens"),
    ]


def test_an_office_that_was_told_nothing_yet_keeps_the_others_from_nothing():
    mild = "  executives:\n    level: executive\n    hears from severity: minor"
    story = Story(policy=a_policy(audiences=f"{mild} => {mild.replace('minor', 'critical')}"))
    first = story.take(opened(consequences=NOW, next_update_at=START + timedelta(days=5)), after=0)
    assert "executives" not in told(first)
    assert as_of_the_office(story.passes(DAYS))


@pytest.mark.parametrize(
    ("line", "hours"),
    [("  told at opening: true => ", {16}), ("  told this long before closing: 30m => ", {9})],
)
def test_offices_are_told_at_those_moments_only_that_the_policy_names(line, hours):
    story = Story(policy=a_policy(cadence=line))
    story.take(opened(consequences=NOW, next_update_at=START + timedelta(days=5)), after=0)
    assert {at.hour for at, _ in as_of_the_office(story.passes(2 * DAYS))} == hours


def test_no_office_is_told_of_a_maintenance_or_after_the_end(at_three_in_the_afternoon):
    story = at_three_in_the_afternoon
    story.take(MaintenanceStarted(title="Upgrade", next_update_at=START + timedelta(days=5)), after=0)
    assert of_office(story.passes(DAYS)) == []
    story.take(IncidentResolved(), after=0)
    assert of_office(story.passes(DAYS)) == []


def test_who_was_told_nothing_or_that_it_is_over_hears_nothing_of_it_from_their_office():
    asked = (
        "  customers:\n    level: customer => "
        "  customers:\n    level: customer\n    needs approval: {by: [communications], of: [reopened]}"
    )
    story = Story(policy=a_policy(audiences=asked))
    story.minutes = -8 * 60
    story.take(opened(Severity.MINOR, consequences=NOW, private_to=("customers",)), after=0)
    assert ("customers", "unchanged") in notices_told(story.passes(150.5)), "at half past four"
    story.minutes = -8 * 60 + DAYS
    story.take(IncidentResolved(), after=90)
    story.take(IncidentReopened(), after=58)
    assert "customers" not in dict(notices_told(story.passes(4))), "that it is open again waits for approval"


# --- the review


def test_a_review_before_the_cool_down_waits_for_it():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(MonitoringStarted(), after=20)
    story.take(IncidentResolved(), after=20)
    early = story.take(ReviewPublished(review="What happened."), after=60)
    assert not early.notices
    assert of("customers", early, AudiencePutOff).reason == "a review comes after the cool-down"
    (told_later,) = [d for d in story.passes(DAYS) if d.notices]
    assert {n.kind for n in told_later.notices} == {NoticeKind.REVIEW}
    assert told_later.entry.at == START + timedelta(minutes=40, days=1)
    assert "What happened." in email_to("customers", told_later).text


def test_reviews_that_come_in_pieces_before_the_cool_down_are_told_together():
    story = Story()
    story.take(opened(Severity.MINOR, consequences=NOW), after=0)
    story.take(IncidentResolved(), after=20)
    story.take(ReviewPublished(review="What happened."), after=60)
    story.take(ReviewPublished(review="What we do now."), after=60)
    (told_later,) = [d for d in story.passes(DAYS) if d.notices]
    assert told_later.entry.at == START + timedelta(minutes=20, days=1)
    for words in ("What happened.", "What we do now."):
        assert words in email_to("customers", told_later).text


def test_a_review_after_the_cool_down_or_before_the_end_waits_for_nothing():
    story = Story()
    story.take(opened(Severity.MINOR, consequences=NOW), after=0)
    assert story.take(ReviewPublished(review="What we know so far."), after=60).notices
    story.take(IncidentResolved(), after=10)
    assert story.take(ReviewPublished(review="What happened."), after=DAYS).notices


def test_a_review_that_waits_is_told_whatever_else_is_told_meanwhile():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.ends(IncidentResolved(summary="Cards work again."))
    story.take(ReviewPublished(review="What happened."), after=60)
    late = story.take(IncidentUpdated(consequences=Consequences(lasting="Two orders were lost.")), after=60)
    assert "What happened." not in email_to("customers", late).text
    reviews = [d for d in story.passes(2 * DAYS) if any(n.kind is NoticeKind.REVIEW for n in d.notices)]
    assert len(reviews) == 1
    assert "What happened." in email_to("customers", reviews[0]).text


def test_a_review_that_is_missing_is_asked_for_in_time():
    story = Story()
    story.take(opened(Severity.CRITICAL, consequences=NOW), after=0)
    end = story.ends(IncidentResolved())
    reminded = [(d.entry.at, r.rule) for d in story.passes(5 * DAYS) for r in decisions(d, Reminded)]
    due = end.entry.at + timedelta(days=3)
    assert reminded == [(due - timedelta(days=1), "review soon"), (due, "review")]


@pytest.mark.parametrize("office", [default_policy().cadence.office, None])
def test_working_days_are_counted_for_a_major_incident_with_and_without_an_office(office):
    cadence = default_policy().cadence.model_copy(update={"office": office})
    story = Story(policy=replace(default_policy(), cadence=cadence, hash="1" * 64))
    story.minutes = 3 * DAYS  # Friday
    story.take(opened(consequences=NOW), after=0)
    end = story.ends(IncidentResolved())
    due = [d.entry.at for d in story.passes(12 * DAYS) for r in decisions(d, Reminded) if r.rule == "review"]
    assert due == [end.entry.at + timedelta(days=7)]


@pytest.mark.parametrize("severity", [Severity.MINOR, Severity.NONE])
def test_of_a_small_incident_no_review_is_asked_for(severity):
    story = Story()
    story.take(opened(severity, consequences=NOW), after=0)
    story.take(IncidentResolved(), after=10)
    assert not [r for d in story.passes(20 * DAYS) for r in decisions(d, Reminded)]


def test_of_a_maintenance_or_once_it_was_published_no_review_is_asked_for():
    story, upgrade = Story(), Story("upgrade-1")
    story.take(opened(Severity.CRITICAL, consequences=NOW), after=0)
    story.ends(IncidentResolved())
    assert story.take(ReviewPublished(review="What happened."), after=DAYS + 1).notices
    assert not [r for d in story.passes(20 * DAYS) for r in decisions(d, Reminded)]
    upgrade.take(MaintenanceStarted(title="Upgrade", severity=Severity.CRITICAL, consequences=NOW), after=0)
    upgrade.take(MaintenanceCompleted(), after=30)
    assert not [r for d in upgrade.passes(20 * DAYS) for r in decisions(d, Reminded) if r.rule.startswith("review")]


# --- maintenance


def test_a_planned_maintenance_is_announced_again_a_day_and_an_hour_before():
    story = Story("upgrade-1")
    starts = START + timedelta(days=3)
    story.take(MaintenanceScheduled(title="Upgrade", starts_at=starts, ends_at=starts + timedelta(hours=2)), after=0)
    called = [d for d in story.passes(3 * DAYS - 30) if d.notices]
    assert [d.entry.at for d in called] == [starts - timedelta(days=1), starts - timedelta(hours=1)]
    assert {n.kind for d in called for n in d.notices} == {NoticeKind.MAINTENANCE_SOON}
    assert story.take(MaintenanceStarted(), after=30).notices


def test_a_maintenance_that_does_not_begin_when_planned_is_asked_for():
    story = Story("upgrade-1")
    story.take(MaintenanceScheduled(title="Upgrade", starts_at=START + timedelta(hours=1)), after=0)
    assert ("responders", "reminder") in notices_told(story.passes(60))


def test_a_maintenance_that_is_not_over_when_planned_is_asked_for_once():
    story = Story("upgrade-1")
    ends = START + timedelta(hours=2)
    story.take(MaintenanceScheduled(title="Upgrade", starts_at=START + timedelta(hours=1), ends_at=ends), after=0)
    story.take(MaintenanceStarted(components=("Payments",), consequences=NOW), after=60)
    asked = [(d.entry.at, r.rule) for d in story.passes(DAYS) for r in decisions(d, Reminded)]
    assert asked == [(ends, "maintenance ends")]


def test_a_maintenance_that_was_announced_just_before_it_begins_is_not_announced_again():
    story = Story("upgrade-1")
    story.take(MaintenanceScheduled(title="Upgrade", starts_at=START + timedelta(hours=1)), after=0)
    assert {kind for _, kind in notices_told(story.passes(59))} == set()


def test_a_plan_that_changes_is_told_with_a_higher_revision():
    story = Story("upgrade-1")
    for number, hours in enumerate((24, 48)):
        starts = START + timedelta(hours=hours)
        planned = MaintenanceScheduled(title="Upgrade", starts_at=starts, ends_at=starts + timedelta(hours=1))
        calendar = email_to("customers", story.take(planned)).calendar
        assert calendar is not None
        assert f"SEQUENCE:{number}" in calendar
    (again, *_) = [d for d in story.passes(2 * DAYS) if {n.kind for n in d.notices} == {NoticeKind.MAINTENANCE_SOON}]
    assert "SEQUENCE:1" in (email_to("customers", again).calendar or ""), "announced again, the plan is the same"


# --- who must be told within days


DUTIES = (
    "  customers:\n    level: customer => "
    "  customers:\n    level: customer\n    must be told within: {early warning: 24h, notification: 72h, report: 30d}\n"
    "    told at: [opened, unchanged, resolved]"
)


def test_an_authority_is_told_at_every_stage_and_those_who_see_to_it_are_reminded_before():
    nobody = "audiences: [executives, customers] => audiences: [executives]"
    story = Story(policy=a_policy(audiences=DUTIES, cadence=nobody))
    story.take(opened(consequences=NOW, next_update_at=START + timedelta(days=40)), after=0)
    called = story.passes(4 * DAYS)
    rules = [r.rule for d in called for r in decisions(d, Reminded)]
    assert "early warning to customers" not in rules, "the first notice was one"
    assert "notification to customers" in rules
    (given_at,) = [
        d.entry.at for d in called if "customers" in told(d) and "notification" in told(d)["customers"].reason
    ]
    assert given_at == START + timedelta(hours=72, minutes=-2)


def test_those_who_see_to_a_duty_are_asked_when_a_quarter_of_its_span_is_left_and_a_day_before_at_the_latest():
    quiet = "major: {investigating: 45m => major: {investigating: 9d"
    nobody = f"{quiet} && audiences: [executives, customers] => audiences: []"
    asked = {}
    for private_to in (None, ("executives",)):
        story = Story(policy=a_policy(audiences=DUTIES, cadence=nobody))
        story.take(opened(consequences=NOW, private_to=private_to), after=0)
        asked |= {r.rule: d.entry.at for d in story.passes(31 * DAYS) for r in decisions(d, Reminded)}
    assert asked["early warning to customers"] == START + timedelta(hours=18), "they were told nothing"
    assert asked["notification to customers"] == START + timedelta(hours=54)
    assert asked["report to customers"] == START + timedelta(days=29)


def test_the_end_is_the_last_report():
    story = Story(policy=a_policy(audiences=DUTIES))
    story.take(opened(consequences=NOW), after=0)
    story.passes(4 * DAYS)
    story.ends(IncidentResolved(summary="Cards work again."))
    rules = [r.rule for d in story.passes(40 * DAYS) for r in decisions(d, Reminded)]
    assert not [rule for rule in rules if rule.endswith("to customers")]


# --- wakes


def test_the_clock_is_asked_to_call_only_once_at_a_time():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    for minute in range(20):
        story.take(IncidentUpdated(summary=f"News {minute}."), after=1)
        assert len(story.state.wakes) <= 2


def test_what_is_overdue_is_told_as_soon_as_the_clock_calls_again():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    late = given(IncidentUpdated(technical_detail="Shard 7."), 2, START + timedelta(hours=3))
    asked = decisions(story.take_input(late), WakeScheduled)
    assert asked[0].due == START + timedelta(hours=3, milliseconds=1)


def test_the_state_of_the_work_sets_the_longest_silence():
    story = Story()
    first = story.take(opened(Severity.CRITICAL, state=State.INVESTIGATING, consequences=NOW), after=0)
    assert notice_to("customers", first).at == START
    watched = story.take(MonitoringStarted(), after=10)
    assert {p.due for p in decisions(watched, PromiseMade)} == {START + timedelta(minutes=70)}
