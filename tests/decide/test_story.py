"""What is told when: incidents told event by event under the policy that ships."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.incident import decide, evolve, fold, moment, notices_of
from pipeline.decide.occasion import Telling
from pipeline.decide.occasions import occasion_of, readers_of
from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.step import standing
from pipeline.decide.view import Known
from schemas.base import Channel, Lane, Level, Severity, State
from schemas.census import AudienceCount
from schemas.command import Correct
from schemas.incident import (
    Consequences,
    Facts,
    ImpactChanged,
    IncidentOpened,
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
from schemas.journal import NoticeKind, PromiseMade, VirtualClock
from tests.decide.stories import START, Operator, Story, a_policy, email_to, given, notice_to, silent, told

EVERYBODY = {"responders", "technical", "executives", "customers", "public"}
PROMISED = START + timedelta(hours=1)


def opened(severity: Severity = Severity.MAJOR, **more: object) -> IncidentOpened:
    facts = {"title": "Card payments fail", "severity": severity, "components": ("Payments",)} | more
    return IncidentOpened.model_validate(facts)


def decisions(decided, kind):
    return [d for d in decided.entry.decisions if isinstance(d, kind)]


def test_a_start_is_told_to_everybody_by_the_first_lane():
    first = Story().take(opened())
    assert told(first).keys() == EVERYBODY
    assert {n.kind for n in first.notices} == {NoticeKind.OPENED}
    assert {n.lane for n in first.notices} == {Lane.FIRST}
    assert set(told(first)["customers"].renderings) == {Channel.EMAIL, Channel.SMS}
    assert set(told(first)["public"].renderings) == {Channel.X}


def test_who_belongs_to_two_audiences_is_told_at_the_higher_level():
    first = Story().take(opened())
    above = {a: {group.audience for group in notice_to(a, first).outranked_by} for a in EVERYBODY}
    assert above["responders"] == set()
    assert above["technical"] == {"responders"}
    assert above["customers"] == {"responders", "technical", "executives"}
    assert above["public"] == EVERYBODY - {"public"}


def test_a_small_incident_is_told_at_its_start_and_its_end_only():
    story = Story()
    story.take(opened(Severity.MINOR))
    second = story.take(IncidentUpdated(summary="We found the cause."))
    assert not second.notices
    assert set(silent(second).values()) == {"small incidents are told at start and end only"}
    assert told(story.take(IncidentResolved(summary="It is over."))).keys() == EVERYBODY


def test_what_an_incident_is_told_of_hangs_on_its_size_as_the_policy_has_it():
    small = (
        "severities: [none, minor]\n    told at: [opened, => severities: [none, minor]\n    told at: [opened, updated,"
    )
    large = "told at: every change => told at: [opened, unchanged, resolved]"
    for severity, reason in ((Severity.MINOR, "small incidents are told at every change"), (Severity.MAJOR, None)):
        story = Story(policy=a_policy(cadence=f"{small} && {large}"))
        story.take(opened(severity))
        update = story.take(IncidentUpdated(summary="We found the cause."))
        assert {notice.reason for notice in told(update).values()} == ({reason} if reason else set())
        if reason is None:
            assert set(silent(update).values()) == {"large incidents are told at start and end only"}


def test_a_large_incident_is_told_at_every_change():
    story = Story()
    story.take(opened())
    assert told(story.take(IncidentUpdated(summary="We found the cause."))).keys() == EVERYBODY
    assert told(story.take(MilestoneReached(milestone="The database is back."))).keys() == EVERYBODY
    assert told(story.take(MonitoringStarted())).keys() == EVERYBODY


def test_a_changed_impact_is_told_at_once_whatever_the_size():
    story = Story()
    story.take(opened(Severity.MINOR))
    second = story.take(ImpactChanged(severity=Severity.MINOR, components=("Payments", "Refunds")))
    assert told(second).keys() == EVERYBODY
    assert Channel.SMS in told(second)["executives"].renderings
    assert Channel.SMS not in told(second)["customers"].renderings


def test_an_update_that_changes_the_severity_is_a_changed_impact():
    story = Story()
    story.take(opened(Severity.MINOR))
    second = story.take(IncidentUpdated(severity=Severity.MAJOR, summary="It is worse than thought."))
    assert {n.kind for n in second.notices} == {NoticeKind.IMPACT_CHANGED}
    assert email_to("customers", second).text.splitlines()[0] == "Worse than before (now a major incident)"


def test_data_loss_found_after_the_end_is_told_even_of_a_small_incident():
    story = Story()
    story.take(opened(Severity.MINOR))
    story.take(IncidentResolved())
    late = story.take(IncidentUpdated(consequences=Consequences(lasting="Two orders were lost.")))
    assert told(late).keys() == EVERYBODY
    assert "Two orders were lost." in email_to("customers", late).text
    assert story.state.phase is Phase.OVER


def test_a_severity_of_none_is_told_to_technical_readers_and_those_who_work_on_it_only():
    story = Story()
    first = story.take(opened(Severity.NONE))
    assert told(first).keys() == {"responders", "technical"}
    assert silent(first)["customers"] == "they hear of severity minor and worse; this is none"
    assert told(story.take(IncidentResolved())).keys() == {"responders", "technical"}


def test_who_first_hears_of_it_when_it_grows_is_told_of_a_start():
    story = Story()
    story.take(opened(Severity.NONE))
    grown = story.take(ImpactChanged(severity=Severity.CRITICAL))
    assert notice_to("technical", grown).kind is NoticeKind.IMPACT_CHANGED
    assert notice_to("customers", grown).kind is NoticeKind.OPENED
    assert notice_to("customers", grown).lane is Lane.FIRST
    assert Channel.SMS in told(grown)["customers"].renderings


def test_the_end_is_told_to_everyone_who_was_told_of_the_start_and_for_every_component_ever():
    story = Story()
    story.take(opened(components=("Payments", "Refunds")))
    story.take(ImpactChanged(components=("Invoices",), severity=Severity.NONE))
    end = story.ends(IncidentResolved())
    assert told(end).keys() == EVERYBODY
    assert all(n.closing for n in end.notices)
    assert notice_to("customers", end).components == ("Payments", "Refunds", "Invoices")


def test_the_end_of_something_large_goes_by_the_first_lane_and_of_something_small_does_not():
    for severity, lane in ((Severity.CRITICAL, Lane.FIRST), (Severity.MINOR, Lane.UPDATE)):
        story = Story()
        story.take(opened(severity))
        assert {n.lane for n in story.ends(IncidentResolved()).notices} == {lane}


def test_an_audience_that_the_policy_no_longer_names_still_hears_the_end():
    story = Story()
    story.take(opened())
    narrower = {name: group for name, group in story.policy.audiences.items() if name != "customers"}
    audience = story.policy.audience.model_copy(update={"audiences": narrower})
    story.policy = replace(story.policy, audience=audience, hash="1" * 64)
    end = story.ends(IncidentResolved())
    assert told(end).keys() == EVERYBODY
    assert set(told(end)["customers"].renderings) == {Channel.EMAIL, Channel.SMS}
    assert told(end)["customers"].reason.startswith("the policy no longer names them")


def test_every_notice_names_the_rule_that_told_it():
    story = Story()
    mild = story.take(opened(Severity.NONE))
    assert told(mild)["technical"].reason == "a start is told at once"
    grown = story.take(IncidentUpdated(severity=Severity.CRITICAL))
    why = "the severity went from none to critical"
    assert told(grown)["technical"].reason == f"a changed impact is told at once, whatever the size: {why}"
    assert told(grown)["customers"].reason == f"they had not heard of it yet: {why}"
    update = story.take(IncidentUpdated(summary="We found the cause."))
    assert told(update)["customers"].reason == "large incidents are told at every change"
    end = story.ends(IncidentResolved())
    assert told(end)["customers"].reason == "whoever was told of the start is told of the end: it has held"


def test_an_audience_that_says_itself_what_it_hears_of_hears_of_nothing_else():
    mine = "  customers:\n    level: customer => "
    mine += "  customers:\n    level: customer\n    told at: [opened, resolved]"
    story = Story(policy=a_policy(audiences=mine))
    story.take(opened())
    update = story.take(IncidentUpdated(summary="We found the cause."))
    assert silent(update) == {"customers": "they are told at start and end only"}
    assert "customers" in told(story.ends(IncidentResolved()))


@pytest.mark.parametrize("severity", [Severity.MINOR, Severity.MAJOR])
def test_a_first_word_that_is_the_end_is_told_once_as_resolved(severity):
    story = Story()
    only = story.take(IncidentResolved(title="Brief outage", severity=severity))
    assert {n.kind for n in only.notices} == {NoticeKind.RESOLVED}
    assert "the first word of it is its end" in told(only)["customers"].reason


@pytest.mark.parametrize("event", [IncidentUpdated(), MilestoneReached(milestone="Half done."), IncidentReopened()])
def test_a_first_word_of_any_other_kind_opens_it(event):
    first = Story().take(event)
    assert {n.kind for n in first.notices} == {NoticeKind.OPENED}
    assert "the first word of it" in told(first)["technical"].reason


def test_a_reopening_is_told_to_everybody_at_once():
    story = Story()
    story.take(opened(Severity.MINOR))
    story.take(IncidentResolved())
    again = story.take(IncidentReopened(summary="It fails again."))
    assert {n.kind for n in again.notices} == {NoticeKind.REOPENED}
    assert {n.lane for n in again.notices} == {Lane.FIRST}
    assert told(story.take(IncidentResolved())).keys() == EVERYBODY


def test_the_same_text_again_is_not_told():
    story = Story()
    story.take(opened())
    story.take(IncidentUpdated(summary="We found the cause."))
    again = story.take(IncidentUpdated(summary="We found the cause.", next_update_at=PROMISED))
    assert set(silent(again).values()) == {"same text as before"}
    assert not decisions(again, PromiseMade), "a time that nobody hears of is no promise"


def test_what_only_technicians_may_see_is_news_to_nobody_else():
    story = Story()
    story.take(opened())
    detail = story.take(IncidentUpdated(technical_detail="The primary of shard 7 does not answer."))
    assert told(detail).keys() == {"responders", "technical"}
    assert silent(detail)["customers"] == "same text as before"


def test_a_resolution_told_twice_is_told_once():
    story = Story()
    story.take(opened())
    story.ends(IncidentResolved(summary="It is over."))
    assert not story.take(IncidentResolved(summary="It is over.")).notices


def test_a_review_is_told_to_all_who_read_and_not_as_a_post():
    story = Story()
    story.take(opened())
    story.ends(IncidentResolved())
    review = story.take(ReviewPublished(review="What happened, step by step."), after=2 * 24 * 60)
    assert told(review).keys() == EVERYBODY - {"public"}
    assert silent(review)["public"] == "no channel of theirs carries a notice of kind 'review'"


def test_maintenance_is_told_when_planned_begun_and_completed():
    story = Story("upgrade-1")
    planned = story.take(
        MaintenanceScheduled(title="Upgrade", starts_at=PROMISED, ends_at=PROMISED + timedelta(hours=2))
    )
    assert told(planned).keys() == EVERYBODY
    assert "23:00 UTC on 3 March 2026" in email_to("customers", planned).text
    begun = story.take(MaintenanceStarted(), 60)
    assert {n.lane for n in begun.notices} == {Lane.FIRST}
    assert Channel.SMS in told(begun)["customers"].renderings
    done = story.take(MaintenanceCompleted(), 60)
    assert all(n.closing for n in done.notices)
    assert Channel.SMS in told(done)["customers"].renderings, "who was told by SMS that it began is told that it ended"


def test_good_news_is_told_at_once_even_of_a_small_incident():
    story = Story()
    story.take(opened(Severity.MINOR))
    assert told(story.take(IncidentUpdated(good_news="Refunds work again."))).keys() == EVERYBODY


def test_time_never_runs_backwards():
    story = Story()
    story.take(opened(), after=60)
    earlier = given(IncidentUpdated(summary="Late record."), 2, START)
    assert story.take_input(earlier).entry.at == START + timedelta(minutes=60)


def test_a_played_incident_follows_its_virtual_clock():
    one = given(opened(), 1, START).model_copy(update={"virtual": VirtualClock(time=START - timedelta(days=900))})
    assert moment(IncidentState("x"), one) == START - timedelta(days=900)


def test_when_it_occurred_decides_nothing():
    one = given(opened(), 1, START, occurred_at=START - timedelta(days=3))
    assert Story().take_input(one).entry.at == START


def test_an_input_seen_before_is_known_by_its_source_and_id():
    story = Story()
    story.take(opened())
    assert story.state.entry_of("/tests", "event-1") == 1
    assert story.state.entry_of("/elsewhere", "event-1") is None


def test_notices_are_made_again_from_the_journal_byte_for_byte():
    story, entries = Story(), []
    for event in (opened(next_update_at=PROMISED), IncidentUpdated(summary="News."), IncidentResolved()):
        story.take(event)
    story.passes(60)
    for decided in story.decided:
        before = fold(story.incident, entries)
        assert notices_of(before, decided.entry, story.policy) == decided.notices
        entries.append(decided.entry)
    assert fold(story.incident, entries) == story.state


def test_an_entry_that_does_not_follow_is_refused():
    decided = Story().take(opened())
    with pytest.raises(ValueError, match="does not follow"):
        evolve(evolve(IncidentState("payments-1"), decided.entry), decided.entry)


def test_the_same_input_in_the_same_state_gives_the_same_bytes():
    one = given(opened(), 1, START)
    policy = Story().policy
    first, second = (decide(IncidentState("payments-1"), one, policy) for _ in range(2))
    assert first.entry.model_dump_json() == second.entry.model_dump_json()
    assert [r.sha256 for r in first.renderings] == [r.sha256 for r in second.renderings]


def test_the_subject_stays_while_the_title_changes():
    story = Story()
    first = story.take(opened())
    second = story.take(IncidentUpdated(title="Card payments fail in Europe", summary="News."))
    assert email_to("customers", first).subject == email_to("customers", second).subject
    assert email_to("customers", first).subject == "Card payments fail [payments-1]"
    assert "Card payments fail in Europe" in email_to("customers", second).text


def test_a_mail_begins_with_where_it_stands_and_what_may_be_forwarded():
    mail = email_to("executives", Story().take(opened(summary="Cards are declined.", state=State.INVESTIGATING)))
    assert mail.text.split("\n\n")[0] == "Major incident, being investigated\nCard payments fail"
    assert mail.text.split("\n\n")[1] == "Cards are declined."


def test_a_notice_says_whose_public_holidays_count_where_the_policy_does():
    german = a_policy(cadence="working days: Mon to Fri => country: DE")
    for policy, country in ((german, "DE"), (a_policy(), None)):
        assert notice_to("customers", Story(policy=policy).take(opened())).manners.country == country


def test_that_nothing_changed_repeats_nothing_that_was_said_of_one_moment():
    story = Story()
    story.take(opened(summary="It is the card network."), after=0)
    story.take(ReviewPublished(review="So far."), after=1)
    reviewed = still(story)
    assert (reviewed.summary, reviewed.review) == ("It is the card network.", None)
    wrong = Correct(seq=1, facts=Facts(summary="It is the power."), explanation="It was another part.")
    story.take(wrong, after=1, by=Operator("maria", ("incident-manager",)))
    assert story.state.told["customers"].known.explanation == "It was another part."
    assert (still(story).summary, still(story).explanation) == ("It is the power.", None)


def still(story: Story) -> Known:
    """What customers would be told now, if nothing had changed."""
    telling = Telling("customers", Level.CUSTOMER, NoticeKind.UNCHANGED, Lane.UPDATE, (Channel.EMAIL,), "")
    return occasion_of(story.state, standing(story.state), telling, 9, story.now, None, frozenset()).known


def test_the_clocks_of_most_readers_go_first():
    telling = Telling("customers", Level.CUSTOMER, NoticeKind.UPDATED, Lane.UPDATE, (Channel.EMAIL,), "")
    count = AudienceCount(total=9, zones={"Asia/Tokyo": 1, "UTC": 2, "Europe/Berlin": 5, "America/Lima": 1})
    readers = readers_of(telling, count, None, a_policy())
    assert readers.zones == ("Europe/Berlin", "UTC", "America/Lima", "Asia/Tokyo")
