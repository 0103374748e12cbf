"""Corrections and retractions: they reach exactly those who got the wrong text, and say what was wrong."""

from datetime import timedelta

import pytest

from schemas.base import Channel, Lane, Severity
from schemas.command import Approve, Correct, Edit, Hold, PublishNow, Reject, Release, Retract
from schemas.incident import (
    Consequences,
    Facts,
    ImpactChanged,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceScheduled,
    MaintenanceStarted,
    MonitoringStarted,
)
from schemas.journal import CommandRefused, DraftVoided, FieldWithheld, NoticeHeld, NoticeKind, PromiseMade
from tests.decide.saying import decisions, of, opened
from tests.decide.stories import START, Operator, Story, a_policy, email_to, notice_to, told

NOW = Consequences(now="Cards are declined.")
MANAGER = Operator("maria", ("incident-manager",))
INTERN = Operator("ines", ("intern",))


def wrong() -> Story:
    story = Story()
    story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0)
    return story


def correction(seq: int = 1, **facts: object) -> Correct:
    said = Facts.model_validate(facts or {"summary": "Cards fail in America."})
    return Correct(seq=seq, facts=said, explanation="We named the wrong region.")


def test_a_correction_names_the_entry_whose_readers_it_reaches():
    story = wrong()
    story.take(IncidentUpdated(summary="Something else."), after=10)
    out = story.take(correction(), after=1, by=MANAGER)
    assert {n.corrects for n in out.notices} == {1}
    assert {n.kind for n in out.notices} == {NoticeKind.CORRECTION}
    assert told(out)["customers"].reason == "ordered by maria: it reaches those who got the wrong text"
    assert told(out)["customers"].approved_by == (), "nobody had to approve it"


def test_a_correction_says_what_was_wrong_and_what_is_right_on_every_channel_they_were_told_on():
    out = wrong().take(correction(), after=1, by=MANAGER)
    text = email_to("customers", out).text
    assert "We named the wrong region." in text
    assert "Cards fail in America." in text
    assert set(told(out)["customers"].renderings) == {Channel.EMAIL, Channel.SMS}


def test_later_words_that_said_the_same_wrong_thing_are_corrected_too():
    story = wrong()
    story.passes(44)  # "unchanged" said it again, and to whoever came meanwhile
    out = story.take(correction(), after=1, by=MANAGER)
    seqs = sorted(n.corrects for n in out.notices if n.notice_id and n.audience == "customers")
    assert len(seqs) == 2
    assert len({n.notice_id for n in out.notices}) == len(out.notices)


def test_a_later_word_that_promised_the_same_wrong_time_is_corrected_too():
    story = wrong()
    again = ImpactChanged(severity=Severity.MAJOR, summary="Cards fail in Asia.")
    second = story.take(again, after=0.5)  # promises are made in full minutes
    assert of("customers", second, PromiseMade).due == START + timedelta(minutes=45)
    out = story.take(correction(next_update_at=START + timedelta(minutes=90)), after=1, by=MANAGER)
    assert sorted(n.corrects for n in out.notices if n.audience == "customers") == [1, second.entry.seq]


def test_what_is_right_is_known_from_then_on():
    story = wrong()
    story.take(correction(), after=1, by=MANAGER)
    end = story.ends(IncidentResolved(summary="Cards work again."), after=10)
    assert story.state.known.summary == "Cards work again."
    assert "Europe" not in email_to("customers", end).text


def test_a_correction_of_a_severity_changes_it():
    story = wrong()
    story.take(correction(severity="minor"), after=1, by=MANAGER)
    assert story.state.known.severity is Severity.MINOR


def test_a_retraction_takes_back_what_was_said_and_leaves_what_was_said_before():
    story = wrong()
    story.take(IncidentUpdated(summary="All data is lost."), after=10)
    seq = max(w.seq for w in story.state.told["customers"].words)
    out = story.take(Retract(seq=seq, explanation="That was meant for a drill."), after=1, by=MANAGER)
    assert {n.corrects for n in out.notices if n.audience == "customers"} == {seq}
    assert "That was meant for a drill." in email_to("customers", out).text
    assert story.state.known.summary == "Cards fail in Europe."


def test_an_entry_that_told_nobody_cannot_be_corrected():
    refused = wrong().take(correction(seq=99), after=1, by=MANAGER)
    assert decisions(refused, CommandRefused)[0].reason == "entry 99 told nobody anything"
    assert not refused.notices


def test_who_may_not_correct_changes_nothing():
    story = wrong()
    refused = story.take(correction(), after=1, by=INTERN)
    assert "incident-manager" in decisions(refused, CommandRefused)[0].reason
    assert story.state.known.summary == "Cards fail in Europe."


def test_there_may_be_nothing_to_publish_now():
    refused = wrong().take(PublishNow(), after=1, by=MANAGER)
    assert decisions(refused, CommandRefused)[0].reason == "nothing is put off or held back"


def test_those_told_at_a_level_are_corrected_at_that_level():
    out = wrong().take(correction(technical_detail="Shard 7."), after=1, by=MANAGER)
    assert "Shard 7." in email_to("technical", out).text
    assert "Shard 7." not in str(notice_to("customers", out).renderings)


# --- fields that need an approval, and who said them


def test_who_corrects_with_an_apology_does_not_approve_it_and_it_is_not_told_before():
    both = Operator("maria", ("incident-manager", "legal"))
    out = wrong().take(correction(ownership="A mistake.", summary="Cards fail in America."), after=1, by=both)
    (field,) = decisions(out, FieldWithheld)
    assert (field.field, field.author) == ("ownership", "maria")
    assert "A mistake." not in email_to("customers", out).text


def test_a_correction_may_not_promise_what_has_passed():
    out = wrong().take(correction(next_update_at=START), after=1, by=MANAGER)
    assert [field.field for field in decisions(out, FieldWithheld)] == ["next_update_at"]


def test_an_end_that_is_told_by_order_still_withholds_what_nobody_approved():
    lawyer, story = Operator("lara", ("legal",)), wrong()
    story.take(IncidentResolved(ownership="A mistake.", next_update_at=START + timedelta(days=3)), after=10, by=lawyer)
    story.take(IncidentUpdated(ownership="A crime."), after=1)
    out = story.take(PublishNow(), after=1, by=MANAGER)
    assert told(out)["customers"].kind is NoticeKind.RESOLVED
    (field,) = decisions(out, FieldWithheld)
    assert (field.field, field.author) == ("ownership", "lara")


def test_only_those_who_may_see_it_are_told_once_a_field_is_approved():
    line = "  ownership: legal"
    story = Story(policy=a_policy(audiences=f"{line} => {line}\n  technical_detail: legal"))
    (field,) = decisions(
        story.take(opened(technical_detail="A pool was full.", consequences=NOW), after=0), FieldWithheld
    )
    order = Approve(draft=field.draft or "", content=field.content or "")
    out = story.take(order, after=10, by=Operator("lara", ("legal",)))
    assert told(out).keys() == {"responders", "technical"}


def test_who_did_not_hear_that_a_maintenance_began_hears_it_with_the_field_that_is_approved():
    line = "  customers:\n    level: customer"
    consent = f"{line} => {line}\n    needs approval: {{by: [communications], of: every notice}}"
    press, lawyer = Operator("paula", ("communications",)), Operator("lara", ("legal",))
    story, hour = Story(policy=a_policy(audiences=consent)), timedelta(hours=1)
    plan = MaintenanceScheduled(title="Upgrade", starts_at=START + hour, ends_at=START + 3 * hour)
    held = of("customers", story.take(plan, after=0), NoticeHeld)
    story.take(Approve(draft=held.draft, content=held.content), after=1, by=press)
    (field,) = decisions(story.take(MaintenanceStarted(ownership="We chose badly."), after=60), FieldWithheld)
    out = story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=lawyer)
    assert of("customers", out, NoticeHeld).kind is NoticeKind.MAINTENANCE_STARTED


def test_a_refusal_names_whose_order_it_was():
    lawyer, story = Operator("lara", ("legal",)), wrong()
    story.take(IncidentUpdated(ownership="A crime."), after=1)
    (field,) = decisions(story.take(IncidentResolved(ownership="A mistake."), after=10), FieldWithheld)
    refused = story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=lawyer)
    (found,) = decisions(refused, CommandRefused)
    assert (found.operator, found.reason.partition(":")[0]) == ("lara", "this text is not told yet")


# --- drafts


def two_must_agree() -> Story:
    line = "  customers:\n    level: customer"
    consent = f"{line} => {line}\n    needs approval: {{by: [communications, legal], of: every notice}}"
    return Story(policy=a_policy(audiences=consent))


def test_the_end_of_a_hold_lets_nothing_out_that_only_one_of_two_has_approved():
    story, press = two_must_agree(), Operator("paula", ("communications",))
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.take(Approve(draft=held.draft, content=held.content), after=1, by=press)
    story.take(Hold(audiences=("customers",)), after=1, by=MANAGER)
    assert "customers" not in told(story.take(Release(audiences=("customers",)), after=1, by=MANAGER))


def test_a_rejection_without_a_reason_names_its_author_only():
    story = two_must_agree()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    out = story.take(Reject(draft=held.draft), after=1, by=MANAGER)
    assert [voided.reason for voided in decisions(out, DraftVoided)] == ["rejected by maria"]


def test_a_correction_puts_no_words_in_front_of_those_who_may_not_hear_of_it_by_now():
    story, told_to = two_must_agree(), "private incidents are told to"
    story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0)
    never = f"never tell: [{{audience: customers, because: they compete}}]\n{told_to}"
    story.policy = a_policy(audiences=f"{told_to} => {never}")
    out = story.take(correction(), after=1, by=MANAGER)
    assert "customers" not in {held.audience for held in decisions(out, NoticeHeld)}
    assert not told(out).get("customers")


def test_a_correction_of_something_large_is_first_where_the_policy_says_so_of_large_ones_only():
    lanes = "first: [opened, reopened, maintenance started, correction, retraction] => first: [opened]"
    large = "first when large: [resolved] => first when large: [resolved, correction]"
    for severity, lane in ((Severity.MAJOR, Lane.FIRST), (Severity.MINOR, Lane.UPDATE)):
        story = Story(policy=a_policy(cadence=f"{lanes} && {large}"))
        story.take(opened(severity, summary="Cards fail in Europe.", consequences=NOW), after=0)
        assert told(story.take(correction(), after=1, by=MANAGER))["customers"].lane is lane


def test_a_correction_of_what_is_being_corrected_keeps_the_deadline_and_the_readers_of_its_own_draft():
    story, press = two_must_agree(), Operator("paula", ("communications",))
    lawyer = Operator("lara", ("legal",))
    held = of("customers", story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0), NoticeHeld)
    for who in (press, lawyer):
        out = story.take(Approve(draft=held.draft, content=held.content), after=0, by=who)
    assert "customers" in told(out)
    first = of("customers", story.take(correction(seq=out.entry.seq), after=0, by=MANAGER), NoticeHeld)
    edit = Edit(draft=first.draft, facts=Facts(summary="Cards fail in Asia."))
    again = of("customers", story.take(edit, after=3, by=press), NoticeHeld)
    assert again.corrects == first.corrects == out.entry.seq
    draft = next(draft for draft in story.state.drafts.values() if draft.id == again.draft)
    assert (draft.since, draft.occasion.at) == (story.now - timedelta(minutes=3), story.now)


@pytest.mark.parametrize(("minutes", "goes_out"), [(19, True), (20, False), (25, False)])
def test_words_that_promise_what_has_passed_are_asked_about_anew_when_they_are_approved(minutes, goes_out):
    line = "  customers:\n    level: customer"
    consent = "{by: [communications], of: every notice, or the safe text goes out after: 2h}"
    story = Story(policy=a_policy(audiences=f"{line} => {line}\n    needs approval: {consent}"))
    promised = START + timedelta(minutes=20)
    held = of("customers", story.take(opened(consequences=NOW, next_update_at=promised), after=0), NoticeHeld)
    press = Operator("paula", ("communications",))
    out = story.take(Approve(draft=held.draft, content=held.content), after=minutes, by=press)
    assert ("customers" in told(out)) is goes_out
    assert bool([again for again in decisions(out, NoticeHeld) if again.audience == "customers"]) is not goes_out


def test_a_correction_that_promises_what_has_passed_is_asked_about_anew_though_no_rule_asks_any_more():
    story = wrong()
    story.policy = two_must_agree().policy
    promised = START + timedelta(minutes=20)
    order = correction(summary="Cards fail in America.", next_update_at=promised)
    held = of("customers", story.take(order, after=1, by=MANAGER), NoticeHeld)
    press, lawyer = Operator("paula", ("communications",)), Operator("lara", ("legal",))
    approve = Approve(draft=held.draft, content=held.content)
    story.take(approve, after=1, by=press)
    story.policy = a_policy()
    out = story.take(approve, after=25, by=lawyer)
    assert "customers" not in told(out)
    anew = of("customers", out, NoticeHeld)
    assert (anew.corrects, anew.needs) == (1, held.needs)


@pytest.mark.parametrize("watched", [True, False])
def test_an_end_says_since_when_it_has_held(watched):
    story = wrong()
    if watched:
        story.take(MonitoringStarted(), after=10)
    else:
        story.passes(10)
    story.take(IncidentResolved(summary="It works again."), after=5)
    story.passes(20)
    assert story.state.known.held_since == START + timedelta(minutes=10 if watched else 15)


# --- edits


def waiting() -> tuple[Story, NoticeHeld]:
    line = "  customers:\n    level: customer"
    story = Story(
        policy=a_policy(audiences=f"{line} => {line}\n    needs approval: {{by: [communications], of: every notice}}")
    )
    held = of("customers", story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0), NoticeHeld)
    return story, held


def refusal(decided) -> tuple[str | None, str]:
    (one,) = decisions(decided, CommandRefused)
    return one.operator, one.reason


def test_an_edit_is_refused_to_whom_it_is_not_for_and_says_to_whom_and_why():
    story, held = waiting()
    edit = Edit(draft=held.draft, facts=Facts(summary="Cards fail in Asia."))
    roles = "holds none of the roles that decide on this draft"
    assert refusal(story.take(edit, after=0, by=INTERN)) == (INTERN.name, roles)
    gone = "there is no such draft (any more)"
    assert refusal(story.take(Edit(draft="0" * 32, facts=edit.facts), after=0, by=MANAGER)) == ("maria", gone)
    sorry = edit.model_copy(update={"facts": Facts(ownership="Our mistake.")})
    by_event = "ownership needs the approval of legal: it is said by an event"
    assert refusal(story.take(sorry, after=0, by=MANAGER)) == ("maria", by_event)
    story.policy = a_policy(audiences="may hold => never tell: [{audience: customers, because: too small}]\nmay hold")
    assert refusal(story.take(edit, after=0, by=MANAGER)) == ("maria", "never told: too small")
    assert held.draft in {draft.id for draft in story.state.drafts.values()}


def test_whoever_commands_may_edit_and_what_they_edited_waits_for_the_same_people():
    story, held = waiting()
    edited = story.take(Edit(draft=held.draft, facts=Facts(summary="Cards fail in Asia.")), after=0, by=MANAGER)
    anew = of("customers", edited, NoticeHeld)
    assert (anew.needs, anew.people, anew.refused, anew.by_operator) == (held.needs, held.people, False, False)
    assert anew.reason.startswith("edited by maria")


def test_the_end_of_a_hold_lets_no_draft_out_that_somebody_edited_though_no_rule_asks_about_it_any_more():
    story, held = waiting()
    story.policy = a_policy()
    story.take(Edit(draft=held.draft, facts=Facts(summary="Cards fail in Asia.")), after=0, by=MANAGER)
    story.take(Hold(audiences=("customers",)), after=0, by=MANAGER)
    assert "customers" not in told(story.take(Release(), after=0, by=MANAGER))


def test_an_edit_of_a_correction_that_was_held_waits_for_an_approval_though_no_rule_asks_for_one_any_more():
    story, plain = two_must_agree(), a_policy()
    story.policy = plain
    first = story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0)
    story.policy = two_must_agree().policy
    held = of("customers", story.take(correction(seq=first.entry.seq), after=1, by=MANAGER), NoticeHeld)
    story.policy = plain
    edit = Edit(draft=held.draft, facts=Facts(summary="Cards fail in Asia."))
    out = story.take(edit, after=1, by=MANAGER)
    anew = of("customers", out, NoticeHeld)
    assert "customers" not in told(out)
    assert (anew.corrects, anew.needs) == (first.entry.seq, ("communications", "legal"))


def test_a_draft_that_says_what_is_corrected_waits_anew_for_the_same_people():
    line = "  customers:\n    level: customer"
    asked = "needs approval: {by: [communications], of: [updated, impact changed, milestone]}"
    story = Story(policy=a_policy(audiences=f"{line} => {line}\n    {asked}"))
    story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0)
    held = of("customers", story.take(IncidentUpdated(workaround="Pay in cash."), after=10), NoticeHeld)
    out = story.take(correction(), after=0, by=MANAGER)
    assert told(out)["customers"].kind is NoticeKind.CORRECTION
    (anew,) = [one for one in decisions(out, NoticeHeld) if one.audience == "customers"]
    assert (anew.needs, anew.people, anew.refused, anew.by_operator) == (held.needs, held.people, False, False)
    assert anew.reason.startswith("corrected by maria")


def test_the_end_of_a_hold_lets_no_draft_out_that_was_corrected_though_no_rule_asks_about_it_any_more():
    line = "  customers:\n    level: customer"
    story = Story(policy=a_policy(audiences=f"{line} => {line}\n    needs approval: {{by: [legal], of: [updated]}}"))
    story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0)
    of("customers", story.take(IncidentUpdated(workaround="Pay in cash."), after=10), NoticeHeld)
    story.policy = a_policy()
    anew = of("customers", story.take(correction(), after=0, by=MANAGER), NoticeHeld)
    assert anew.needs == ("legal",)
    story.take(Hold(audiences=("customers",)), after=0, by=MANAGER)
    assert "customers" not in told(story.take(Release(), after=0, by=MANAGER))


def test_a_draft_that_the_guard_refused_may_be_approved_once_a_correction_has_mended_its_words():
    story = Story(policy=a_policy(guard="admission: hold => admission: refuse"))
    story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0)
    held = of("customers", story.take(IncidentUpdated(workaround="This was our mistake."), after=10), NoticeHeld)
    assert held.refused
    mended = correction(summary="Cards fail in America.", workaround="Pay in cash.")
    anew = of("customers", story.take(mended, after=0, by=MANAGER), NoticeHeld)
    out = story.take(Approve(draft=anew.draft, content=anew.content), after=1, by=Operator("paula", anew.needs))
    assert "Pay in cash." in email_to("customers", out).text


def test_a_correction_of_an_entry_that_told_nothing_names_who_ordered_it():
    assert refusal(wrong().take(correction(seq=99), after=1, by=MANAGER)) == ("maria", "entry 99 told nobody anything")


def test_a_correction_of_one_part_of_the_consequences_leaves_the_others():
    story = wrong()
    part = {"consequences": Consequences(lasting="Two orders were lost.")}
    story.take(correction(**part), after=1, by=MANAGER)
    assert story.state.known.consequences == NOW.model_copy(update={"lasting": "Two orders were lost."})


def test_what_is_taken_back_is_known_as_it_was_told_last_before():
    story = Story()
    story.take(opened(summary="First.", consequences=NOW), after=0)
    story.take(IncidentUpdated(summary="Second."), after=10)
    third = story.take(IncidentUpdated(summary="Third.", workaround="Pay in cash."), after=10)
    story.take(Retract(seq=third.entry.seq, explanation="That was a drill."), after=1, by=MANAGER)
    assert (story.state.known.summary, story.state.known.workaround) == ("Second.", None)
    alone = Story()
    alone.take(opened(summary="First.", state="identified", consequences=NOW), after=0)
    alone.take(Retract(seq=1, explanation="That was a drill."), after=1, by=MANAGER)
    known = alone.state.known
    assert (known.title, known.severity, known.state, known.components) == (
        "Card payments fail", Severity.MAJOR, "identified", ("Payments",)
    )  # fmt: skip
    assert known.summary is None


def test_what_is_taken_back_is_forgotten_though_not_everybody_was_told_it():
    story, held = waiting()
    story.take(Approve(draft=held.draft, content=held.content), after=1, by=Operator("paula", ("communications",)))
    seq = story.state.told["customers"].words[-1].seq
    assert next(iter(story.state.told)) != "customers", "others were told before them, by another entry"
    assert not any(
        word.seq == seq for name, one in story.state.told.items() if name != "customers" for word in one.words
    )
    story.take(Retract(seq=seq, explanation="That was a drill."), after=1, by=MANAGER)
    assert story.state.known.summary is None
