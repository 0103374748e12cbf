"""Promised next updates: stated, watched, warned of before they are missed, kept or broken on record."""

from datetime import timedelta

from pipeline.decide.incident import moment
from schemas.base import Channel, Lane, Severity
from schemas.command import Approve, Correct, Hold, Retract, Wake, WakeReason
from schemas.incident import (
    Consequences,
    Facts,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceScheduled,
    MaintenanceStarted,
    MonitoringStarted,
    ReviewPublished,
)
from schemas.journal import (
    FieldWithheld,
    InputIgnored,
    NoticeHeld,
    NoticeKind,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    PromiseWarned,
    WakeScheduled,
)
from tests.decide.saying import EVERYBODY, UPDATED, decisions, of, opened
from tests.decide.stories import START, Operator, Story, a_policy, email_to, given, notices_told, post_to, sms_to, told

SCOPE = {"consequences": Consequences(now="Cards are declined.")}
"""Said, so that nobody is reminded of it."""
PROMISED = START + timedelta(hours=1)


def test_upstreams_promise_is_made_to_everyone_who_will_be_told_when_it_comes():
    first = Story().take(opened(next_update_at=PROMISED))
    assert {p.audience for p in decisions(first, PromiseMade)} == UPDATED
    assert {(p.due, p.by) for p in decisions(first, PromiseMade)} == {(PROMISED, "upstream")}


def test_where_upstream_promises_nothing_the_cadence_does_and_states_it():
    first = Story().take(opened(**SCOPE), after=0)
    assert {(p.due, p.by) for p in decisions(first, PromiseMade)} == {(START + timedelta(minutes=45), "cadence")}
    assert "Next update: by 22:45 UTC" in email_to("customers", first).text


def test_a_channel_that_carries_no_updates_states_no_time_for_one():
    first = Story().take(opened(next_update_at=PROMISED))
    assert Channel.SMS in told(first)["customers"].renderings
    assert "23:00" not in sms_to("customers", first).text


def test_a_post_of_a_small_incident_says_that_the_next_is_its_end_and_one_of_a_large_incident_does_not():
    assert "Next message when it is over." in post_to("public", Story().take(opened(Severity.MINOR))).text
    assert "Next message when it is over." not in post_to("public", Story().take(opened())).text


def test_a_promise_is_kept_by_whatever_is_told_in_time():
    story = Story()
    story.take(opened(next_update_at=PROMISED))
    second = story.take(IncidentUpdated(summary="We found the cause."), 30)
    assert {(p.audience, p.due) for p in decisions(second, PromiseKept)} == {(name, PROMISED) for name in UPDATED}


def test_a_word_at_the_very_moment_that_was_promised_is_in_time():
    story = Story()
    story.take(opened(next_update_at=PROMISED), after=0)
    late = story.take_input(given(IncidentUpdated(summary="We found the cause."), 2, PROMISED))
    assert {p.audience for p in decisions(late, PromiseKept)} == UPDATED
    assert not decisions(late, PromiseBroken)


def test_the_cadence_promises_full_minutes_as_they_are_told():
    first = Story().take(opened(**SCOPE), after=0.7502)
    assert {p.due for p in decisions(first, PromiseMade)} == {START + timedelta(minutes=45)}


def test_what_is_only_planned_promises_nothing_and_neither_does_a_review_or_what_takes_words_back():
    plan = MaintenanceScheduled(title="Upgrade", starts_at=PROMISED, next_update_at=PROMISED)
    assert not decisions(Story("upgrade-1").take(plan), PromiseMade)
    story = Story()
    story.take(opened(next_update_at=PROMISED), after=0)
    assert not decisions(story.take(ReviewPublished(review="So far.", next_update_at=PROMISED)), PromiseMade)
    taken_back = Retract(seq=1, explanation="That was a drill.")
    assert not decisions(story.take(taken_back, by=Operator("maria", ("incident-manager",))), PromiseMade)


def test_a_time_that_is_all_but_there_when_the_clock_tells_what_was_put_off_is_not_promised_once_more():
    for minutes, by in ((6, "cadence"), (7, "cadence"), (8, "upstream")):
        story = Story()
        story.take(opened(**SCOPE), after=0)
        promised = START + timedelta(minutes=minutes)
        assert not story.take(IncidentUpdated(summary="News.", next_update_at=promised), after=1).notices
        (due,) = story.passes(4)
        assert {p.by for p in decisions(due, PromiseMade)} == {by}


def test_a_time_promised_at_such_short_notice_that_no_margin_is_left_is_kept_half_way():
    for seconds in (60, 61):
        story = Story()
        story.take(opened(next_update_at=START + timedelta(seconds=seconds), **SCOPE), after=0)
        kept = [d.entry.at for d in story.passes(2) if decisions(d, PromiseKept)]
        assert kept == [START + timedelta(seconds=30)]


def test_upstream_may_promise_the_very_next_minute():
    first = Story().take(opened(next_update_at=START + timedelta(minutes=1)), after=0)
    assert {p.by for p in decisions(first, PromiseMade)} == {"upstream"}


def test_a_size_that_is_never_told_that_nothing_changed_is_promised_nothing():
    small = "told at: [opened, impact changed, unchanged, => told at: [opened, impact changed,"
    silence = "    minor: {investigating: 60m, identified: 60m, monitoring: 120m}\n => "
    quiet = a_policy(cadence=f"{small} && {silence}")
    assert not decisions(Story(policy=quiet).take(opened(Severity.MINOR)), PromiseMade)
    assert decisions(Story(policy=quiet).take(opened()), PromiseMade)


def test_a_maintenance_under_way_promises_only_what_upstream_does():
    story = Story("upgrade-1")
    assert not decisions(story.take(MaintenanceStarted(title="Upgrade")), PromiseMade)
    update = story.take(IncidentUpdated(summary="Half done.", severity=Severity.MAJOR, next_update_at=PROMISED))
    assert {(p.due, p.by) for p in decisions(update, PromiseMade)} == {(PROMISED, "upstream")}


def test_a_correction_promises_the_next_word_to_those_only_for_whom_it_goes_on():
    manager = Operator("maria", ("incident-manager",))
    asked = "  customers:\n    level: customer => "
    asked += "  customers:\n    level: customer\n    needs approval: {by: [communications], of: [reopened]}"
    story = Story(policy=a_policy(audiences=asked))
    story.take(opened(summary="Cards fail in Europe.", **SCOPE), after=0)
    correction = Correct(seq=1, facts=Facts(summary="Cards fail in Asia."), explanation="It was the wrong region.")
    assert {p.audience for p in decisions(story.take(correction, by=manager), PromiseMade)} == UPDATED
    story.ends(IncidentResolved())
    story.take(IncidentReopened(summary="It fails again."))
    again = story.take(correction, after=1, by=manager)
    assert "customers" in told(again)
    assert {p.audience for p in decisions(again, PromiseMade)} == UPDATED - {"customers"}


def test_words_that_were_approved_promise_what_they_say_and_nothing_else():
    asked = "  customers:\n    level: customer => "
    asked += "  customers:\n    level: customer\n    needs approval: {by: [communications], of: every notice}"
    for said, promised in ((PROMISED, [(PROMISED, "upstream")]), (None, [])):
        story = Story(policy=a_policy(audiences=asked))
        held = of("customers", story.take(opened(next_update_at=said, **SCOPE), after=0), NoticeHeld)
        order = Approve(draft=held.draft, content=held.content)
        out = story.take(order, after=1, by=Operator("paula", ("communications",)))
        assert "customers" in told(out)
        assert [(p.due, p.by) for p in decisions(out, PromiseMade)] == promised
        correction = Correct(seq=out.entry.seq, facts=Facts(summary="In Asia."), explanation="It was another region.")
        corrected = story.take(correction, after=1, by=Operator("maria", ("incident-manager",)))
        held = of("customers", corrected, NoticeHeld)
        order = Approve(draft=held.draft, content=held.content)
        again = story.take(order, after=1, by=Operator("paula", ("communications",)))
        assert [(p.due, p.by) for p in decisions(again, PromiseMade)] == promised


def test_before_a_promise_is_missed_those_who_can_say_something_are_reminded_and_then_unchanged_is_told():
    story = Story()
    story.take(opened(next_update_at=PROMISED, **SCOPE), after=0)
    called = story.passes(60)
    warned, kept = called
    assert warned.entry.at == PROMISED - timedelta(minutes=12)
    assert decisions(warned, PromiseWarned)
    assert notices_told([warned]) == [("responders", "reminder")]
    assert kept.entry.at == PROMISED - timedelta(minutes=2)
    assert {n.kind for n in kept.notices} == {NoticeKind.UNCHANGED}
    assert {p.audience for p in decisions(kept, PromiseKept)} == UPDATED


def test_where_nobody_is_reminded_it_is_on_record_that_an_update_was_due():
    story = Story(policy=a_policy(cadence="  reminders go to: responders\n => "))
    story.take(opened(Severity.CRITICAL, **SCOPE), after=0)
    warned = [d for d in story.passes(25) if decisions(d, PromiseWarned)]
    assert len(warned) == 1
    assert not warned[0].notices
    assert not decisions(warned[0], InputIgnored)


def test_a_reminder_is_first_where_the_policy_says_so():
    first = "first: [opened, reopened, maintenance started, correction, retraction] => first: [opened, reminder]"
    large = "first when large: [resolved] => first when large: [reminder]"
    for line, severity, lane in (
        (first, Severity.MINOR, Lane.FIRST),
        (large, Severity.MAJOR, Lane.FIRST),
        (large, Severity.MINOR, Lane.UPDATE),
    ):
        story = Story(policy=a_policy(cadence=line))
        story.take(opened(severity, **SCOPE), after=0)
        reminded = [n for d in story.passes(60) for n in d.notices if n.kind is NoticeKind.REMINDER]
        assert {notice.lane for notice in reminded} == {lane}


def test_news_before_the_reminder_takes_its_place():
    story = Story()
    story.take(opened(next_update_at=PROMISED, **SCOPE), after=0)
    story.take(IncidentUpdated(summary="We found the cause."), after=40)
    assert notices_told(story.passes(20)) == []


def test_every_further_word_carries_its_own_promise_and_the_rhythm_slows_in_a_long_incident():
    story = Story()
    story.take(opened(**SCOPE), after=0)
    called = [d for d in story.passes(8 * 60) if any(n.kind is NoticeKind.UNCHANGED for n in d.notices)]
    gaps = [(of("technical", d, PromiseMade).due - d.entry.at).total_seconds() / 60 for d in called]
    assert set(gaps[:2]) == {45.0}
    assert gaps[-1] == 90.0


def test_news_that_nobody_was_told_of_a_small_incident_is_told_when_its_next_word_is_due():
    story = Story()
    story.take(opened(Severity.MINOR, **SCOPE), after=0)
    assert not story.take(IncidentUpdated(summary="We found the cause."), 20).notices
    (_, due) = story.passes(40)
    assert {n.kind for n in due.notices} == {NoticeKind.UPDATED}
    assert "We found the cause." in email_to("customers", due).text
    assert told(due)["customers"].reason == "the promised update: what was said since"


def test_while_an_operator_holds_them_the_promise_is_broken_on_record():
    manager = Operator("maria", ("incident-manager",))
    story = Story()
    story.take(opened(next_update_at=PROMISED, **SCOPE), after=0)
    story.take(Hold(audiences=("customers",)), by=manager)
    called = story.passes(60)
    broken = [p for decided in called for p in decisions(decided, PromiseBroken)]
    assert [(p.audience, p.due) for p in broken] == [("customers", PROMISED)]
    (passed,) = [decided for decided in called if decisions(decided, PromiseBroken)]
    assert not decisions(passed, InputIgnored), "a call that finds a promise broken found something"


def test_a_call_that_finds_a_promise_broken_and_nothing_to_tell_found_something():
    manager = Operator("maria", ("incident-manager",))
    story = Story()
    story.take(opened(Severity.MINOR, next_update_at=PROMISED, **SCOPE), after=0)
    story.take(Hold(audiences=("customers",)), by=manager)
    story.take(IncidentResolved(summary="Cards work again."), after=10)
    (passed,) = [decided for decided in story.passes(60) if decisions(decided, PromiseBroken)]
    assert not told(passed)
    assert not decisions(passed, InputIgnored)


def test_news_that_comes_too_late_breaks_the_promise_even_before_the_clock_calls():
    story = Story()
    story.take(opened(next_update_at=PROMISED))
    late = given(IncidentUpdated(summary="Late."), 2, PROMISED + timedelta(minutes=1))
    decided = story.take_input(late)
    assert {p.audience for p in decisions(decided, PromiseBroken)} == UPDATED


def test_a_promised_update_of_a_small_incident_is_told_because_it_was_promised():
    story = Story()
    story.take(opened(Severity.MINOR, next_update_at=PROMISED))
    second = story.take(IncidentUpdated(summary="We found the cause."))
    assert told(second)["customers"].reason == "an update was promised"


def test_a_promised_time_that_has_passed_is_neither_told_nor_promised():
    first = Story().take(opened(next_update_at=START - timedelta(hours=1)))
    assert decisions(first, FieldWithheld)[0].field == "next_update_at"
    assert "upstream" not in {p.by for p in decisions(first, PromiseMade)}
    assert "21:00" not in email_to("technical", first).text


def test_the_end_needs_no_further_promise_and_keeps_the_last_one():
    story = Story(policy=a_policy(cadence="{critical: 15m, major: 10m} => {}"))
    story.take(opened(**SCOPE))
    end = story.take(IncidentResolved())
    assert {p.audience for p in decisions(end, PromiseKept)} == UPDATED
    assert not decisions(end, PromiseMade)
    assert notices_told(story.passes(24 * 60)) == []


def test_a_wake_that_finds_everything_told_changes_nothing_and_asks_for_the_next():
    story = Story()
    story.take(opened(next_update_at=PROMISED, **SCOPE), after=0)
    story.take(MonitoringStarted(next_update_at=PROMISED + timedelta(hours=1)), after=10)
    (woken,) = story.passes(40)
    assert decisions(woken, InputIgnored)
    assert decisions(woken, WakeScheduled)[0].due == PROMISED + timedelta(minutes=48)


def test_a_wake_that_the_clock_gave_a_moment_early_counts_as_on_time():
    story = Story()
    story.take(opened(next_update_at=PROMISED))
    early = given(Wake(due=PROMISED, reason=WakeReason.PROMISE_DUE), 2, PROMISED - timedelta(milliseconds=5))
    assert moment(story.state, early) == PROMISED


def test_nobody_is_promised_a_time_that_is_not_theirs():
    assert "public" in EVERYBODY - {p.audience for p in decisions(Story().take(opened()), PromiseMade)}
