"""What the machine over decide once found, each as its own small story."""

from collections import Counter
from datetime import timedelta

from pipeline.decide.surroundings import Neighbourhood
from schemas.command import Approve, Correct, Edit, Hold, Release, Retract
from schemas.incident import (
    Consequences,
    Crew,
    Facts,
    IncidentOpened,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceCompleted,
    MaintenanceStarted,
    MilestoneReached,
)
from schemas.journal import (
    CommandRefused,
    DraftApproved,
    DraftVoided,
    FieldReleased,
    FieldWithheld,
    NoticeDecided,
    NoticeHeld,
    NoticeKind,
    PromiseMade,
    ResolutionConfirmed,
    ResolutionHeld,
)
from tests.decide.machine_policies import policies
from tests.decide.saying import decisions, of, opened
from tests.decide.stories import START, Operator, Story, a_policy, notices_told, told

CONSENT = "  customers:\n    level: customer => " + (
    "  customers:\n    level: customer\n    needs approval: {by: [communications], of: every notice}"
)
AT_ONCE = "a resolution must have held for: {critical: 15m, major: 10m} => a resolution must have held for: {}"
NOW = Consequences(now="Cards are declined.", lasting="none")
PRESS = Operator("paula", ("communications",))
BOSS = Operator("maria", ("incident-manager", "communications"))
LAWYER = Operator("lara", ("legal",))


def asking() -> Story:
    """Customers are told with an approval only; an end is told at once."""
    return Story(policy=a_policy(audiences=CONSENT, cadence=AT_ONCE))


def approved(held: NoticeHeld) -> Approve:
    return Approve(draft=held.draft, content=held.content)


def forbidden_to_the_public() -> Story:
    """What waits for approval, and a newer policy that lets the public not hear of it."""
    story = Story(policy=policies()[3])
    story.take(IncidentOpened(title="Cards fail", severity="major"), after=0)
    story.policy = policies()[1]
    return story


def refusal(decided) -> str:
    return decisions(decided, CommandRefused)[0].reason


# --- one entry tells a recipient one thing


def test_whoever_is_told_something_is_reminded_right_after_it_and_not_by_the_same_entry():
    story = Story()
    story.take(opened(components=()), after=0)
    story.take(IncidentUpdated(summary="News of it."), after=1)
    called = story.passes(5)
    for decided in called:
        ids = [notice.notice_id for notice in decided.notices]
        assert len(set(ids)) == len(ids)
    kinds = [kind for name, kind in notices_told(called) if name == "responders"]
    assert kinds == ["updated", "reminder"]


def test_each_wrong_word_is_corrected_by_a_draft_of_its_own():
    story = Story()
    story.take(opened(summary="Some cards fail.", consequences=NOW), after=0)
    story.take(IncidentUpdated(summary="Some cards fail.", workaround="Pay in cash."), after=10)
    story.take(Hold(audiences=("customers",)), after=1, by=BOSS)
    order = Correct(seq=1, facts=Facts(summary="All cards fail."), explanation="It was all of them.")
    made = story.take(order, after=1, by=BOSS)
    drafts = {d.draft for d in decisions(made, NoticeHeld)}
    assert len(drafts) == 2
    assert {draft.id for draft in story.state.drafts.values()} == drafts
    out = story.take(Release(), after=1, by=BOSS)
    assert {d.corrects for d in decisions(out, NoticeDecided)} == {1, 2}


def test_a_correction_of_several_words_makes_one_promise():
    story = Story()
    story.take(opened(summary="Some cards fail.", consequences=NOW), after=0)
    story.take(IncidentUpdated(summary="Some cards fail.", workaround="Pay in cash."), after=10)
    order = Correct(seq=1, facts=Facts(summary="All cards fail."), explanation="It was all of them.")
    promises = Counter(d.audience for d in decisions(story.take(order, after=1, by=BOSS), PromiseMade))
    assert set(promises.values()) == {1}


# --- holds


def test_what_is_approved_while_an_operator_holds_goes_out_with_the_release():
    story = asking()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.take(Hold(audiences=("customers",)), after=1, by=BOSS)
    half = story.take(approved(held), after=1, by=PRESS)
    assert not half.notices
    assert decisions(half, DraftApproved)[0].missing == "the end of an operator's hold"
    out = story.take(Release(), after=1, by=BOSS)
    assert told(out)["customers"].renderings == held.renderings


# --- who is to hear nothing gets no older words either


def test_a_draft_to_those_who_are_not_invited_to_what_became_private_is_void():
    story = asking()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    private = story.take(IncidentUpdated(private_to=("executives",)), after=1)
    assert "private" in of("customers", private, DraftVoided).reason
    assert "no such draft" in refusal(story.take(approved(held), after=1, by=PRESS))
    assert "customers" not in {name for name, _ in notices_told(story.passes(60))}


def test_a_newer_policy_that_never_tells_them_stops_the_draft_and_the_safe_text():
    story = asking()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.policy = a_policy(
        audiences=f"{CONSENT} && private incidents are told to: [responders] => "
        "private incidents are told to: [responders]\nnever tell: [{audience: customers, because: they have left}]"
    )
    assert "they have left" in refusal(story.take(approved(held), after=1, by=PRESS))
    assert "customers" not in {name for name, _ in notices_told(story.passes(60))}


# --- the start and the end reach whoever must hear of them


def test_news_after_the_end_takes_the_place_of_the_unapproved_end_as_an_end():
    story = asking()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.take(approved(held), after=1, by=PRESS)
    story.take(IncidentResolved(summary="It works again.", consequences=NOW), after=20)
    later = of("customers", story.take(IncidentUpdated(done="A disk was replaced."), after=20), NoticeHeld)
    assert later.kind is NoticeKind.RESOLVED
    out = story.take(approved(later), after=1, by=PRESS)
    assert told(out)["customers"].kind is NoticeKind.RESOLVED


def test_news_takes_the_place_of_an_unapproved_reopening_as_one_and_the_safe_text_keeps_its_deadline():
    story = asking()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.take(approved(held), after=1, by=PRESS)
    ended = of("customers", story.take(IncidentResolved(summary="It works again."), after=20), NoticeHeld)
    story.take(approved(ended), after=1, by=PRESS)
    story.take(IncidentReopened(summary="It fails again."), after=20)
    later = of("customers", story.take(IncidentUpdated(summary="It is a disk."), after=1), NoticeHeld)
    assert later.kind is NoticeKind.REOPENED
    called = story.passes(5)
    assert ("customers", "reopened") in notices_told(called)


def test_nobody_hears_that_nothing_changed_who_does_not_know_that_it_is_open_again():
    story = asking()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.take(approved(held), after=1, by=PRESS)
    ended = of("customers", story.take(IncidentResolved(summary="It works again."), after=20), NoticeHeld)
    story.take(approved(ended), after=1, by=PRESS)
    story.take(Hold(audiences=("customers",)), after=1, by=BOSS)
    story.take(IncidentReopened(summary="It fails again."), after=20)
    draft = story.state.drafts["customers"]
    story.passes(120)
    released = story.take(Release(), after=0, by=BOSS)
    heard = notices_told([released, *story.passes(10)])
    assert draft.telling.kind is NoticeKind.REOPENED
    assert [kind for name, kind in heard if name == "customers"] == ["reopened"]


def test_an_apology_that_is_released_after_the_end_leaves_the_unapproved_end_an_end():
    story = asking()
    first = story.take(opened(consequences=NOW, ownership="We made a mistake."), after=0)
    held, field = of("customers", first, NoticeHeld), decisions(first, FieldWithheld)[0]
    story.take(approved(held), after=1, by=PRESS)
    story.take(IncidentResolved(summary="It works again."), after=20)
    out = story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=LAWYER)
    assert decisions(out, FieldReleased)
    assert of("customers", out, NoticeHeld).kind is NoticeKind.RESOLVED


def test_no_word_that_nothing_changed_stands_in_for_held_news_after_the_end():
    story = Story(policy=a_policy(cadence=AT_ONCE))
    story.take(opened(consequences=NOW), after=0)
    story.take(IncidentResolved(summary="It works again.", consequences=NOW), after=20)
    story.take(IncidentUpdated(done="Acme, our provider, caused this."), after=1)
    kinds = {kind for _, kind in notices_told(story.passes(30))}
    assert "unchanged" not in kinds


# --- an end that is held back


def test_a_milestone_that_says_resolved_may_be_followed_by_a_plain_end():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(MilestoneReached(milestone="The disk is replaced.", state="resolved"), after=20)
    story.take(IncidentResolved(summary="It works again."), after=1)
    called = story.passes(20)
    assert ("customers", "resolved") in notices_told(called)


def test_an_end_that_is_held_back_is_told_once_whatever_kind_of_end_follows():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(IncidentResolved(summary="It works again."), after=20)
    story.take(MaintenanceStarted(), after=1)
    again = story.take(MaintenanceCompleted(), after=1)
    assert decisions(again, ResolutionHeld)
    ends = [kind for name, kind in notices_told(story.passes(120)) if name == "customers" and kind != "unchanged"]
    assert ends.count("resolved") + ends.count("maintenance_completed") == 1
    assert sum(bool(decisions(decided, ResolutionConfirmed)) for decided in story.decided) == 1


# --- what needs an approval has it, by whatever way it came in


def test_an_edit_cannot_bring_in_what_only_the_lawyer_may_let_out():
    story = asking()
    first = story.take(opened(consequences=NOW, ownership="A mistake."), after=0)
    held, field = of("customers", first, NoticeHeld), decisions(first, FieldWithheld)[0]
    story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=LAWYER)
    order = Edit(draft=held.draft, facts=Facts(ownership="A crime."))
    assert "ownership needs the approval of legal" in refusal(story.take(order, after=1, by=PRESS))


def test_a_correction_of_an_apology_waits_for_the_lawyer_as_the_apology_did():
    story = Story()
    first = story.take(opened(consequences=NOW, ownership="A mistake."), after=0)
    (field,) = decisions(first, FieldWithheld)
    story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=LAWYER)
    order = Correct(seq=2, facts=Facts(ownership="A crime."), explanation="It was worse.")
    out = story.take(order, after=1, by=BOSS)
    assert all("A crime" not in rendering.model_dump_json() for rendering in out.renderings)
    (again,) = decisions(out, FieldWithheld)
    late = story.take(Approve(draft=again.draft or "", content=again.content or ""), after=10, by=LAWYER)
    assert "A crime." in "".join(rendering.model_dump_json() for rendering in late.renderings)


def test_an_approval_of_a_text_that_is_another_by_now_lets_nothing_out():
    story = Story(policy=a_policy(audiences="ownership: legal => ownership: legal\n  root_cause: legal"))
    first = story.take(opened(consequences=NOW, root_cause="A disk."), after=0)
    (field,) = decisions(first, FieldWithheld)
    strict, story.policy = story.policy, Story().policy
    story.take(IncidentUpdated(root_cause="A thief."), after=10)
    story.policy = strict
    order = Approve(draft=field.draft or "", content=field.content or "")
    assert "no such draft" in refusal(story.take(order, after=1, by=LAWYER))


def test_a_text_that_changed_while_no_approval_was_asked_for_is_not_released_by_the_old_one():
    story = Story(policy=a_policy(audiences="ownership: legal => ownership: legal\n  root_cause: legal"))
    first = story.take(opened(consequences=NOW, root_cause="A disk."), after=0)
    (field,) = decisions(first, FieldWithheld)
    story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=LAWYER)
    strict, story.policy = story.policy, Story().policy
    story.take(IncidentUpdated(root_cause="A thief."), after=10)
    story.policy = strict
    later = story.take(IncidentUpdated(summary="News."), after=10)
    assert all("A thief" not in rendering.model_dump_json() for rendering in later.renderings)


def test_a_retraction_reaches_everybody_who_heard_the_word_though_each_of_them_is_held():
    story = Story()
    story.take(IncidentOpened(title="Cards fail", severity="major", consequences=NOW), after=0)
    story.take(Hold(), after=1, by=BOSS)
    story.take(Retract(seq=1, explanation="It was a test."), after=1, by=BOSS)
    out = story.take(Release(), after=1, by=BOSS)
    assert {d.kind for d in decisions(out, NoticeDecided)} == {NoticeKind.RETRACTION}
    assert told(out).keys() == {"responders", "technical", "executives", "customers", "public"}


def test_a_text_that_waited_is_not_told_again_as_what_was_told_before_once_another_is_approved():
    story = Story(policy=a_policy(audiences="ownership: legal => ownership: legal\n  root_cause: legal"))
    story.take(opened(consequences=NOW, root_cause="A thief."), after=0)
    story.take(Hold(audiences=("customers",)), after=1, by=BOSS)
    (field,) = decisions(story.take(IncidentUpdated(root_cause="A disk."), after=1), FieldWithheld)
    story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=LAWYER)
    called = [story.take(Release(), after=1, by=BOSS), *story.passes(120)]
    words = "".join(r.model_dump_json() for decided in called for n in decided.notices for r in n.renderings)
    assert "A disk." in words
    assert "A thief." not in words


def test_a_crew_that_has_gone_home_is_no_news_that_the_clock_tells_again_and_again():
    story = Story()
    crew = Crew(who="The night shift", until=START + timedelta(minutes=5))
    story.take(opened(consequences=NOW, crew=crew, next_update_at=START + timedelta(minutes=31)), after=0)
    called = notices_told(story.passes(60))
    assert Counter(called)["customers", "unchanged"] == 1
    assert ("customers", "updated") not in called


def test_a_promise_at_short_notice_is_kept_and_not_in_the_same_moment():
    story = Story()
    story.take(opened(consequences=NOW, next_update_at=START + timedelta(minutes=1)), after=0)
    told_at = [decided.entry.at for decided in story.passes(5) for n in decided.notices if n.audience == "customers"]
    assert told_at == [START + timedelta(seconds=30)]


def test_a_draft_of_an_end_is_void_once_it_goes_on_though_no_policy_names_its_audience_meanwhile():
    _, asks, slow, *_ = policies()
    story = Story(policy=asks)
    held = of("public", story.take(opened(severity="minor", consequences=NOW), after=0), NoticeHeld)
    story.take(approved(held), after=1, by=PRESS)
    story.take(IncidentResolved(summary="It works again."), after=20)
    story.passes(6)
    assert "public" in story.state.drafts
    story.policy = slow
    assert of("public", story.take(IncidentReopened(summary="It fails again."), after=1), DraftVoided)
    story.policy = asks
    assert ("public", "resolved") not in notices_told(story.passes(90))


def test_a_correction_reaches_those_who_heard_the_wrong_word_later_from_a_draft_that_had_waited():
    story = asking()
    first = story.take(opened(summary="Some cards fail.", consequences=NOW), after=0)
    story.take(approved(of("customers", first, NoticeHeld)), after=2, by=PRESS)
    order = Correct(seq=1, facts=Facts(summary="All cards fail."), explanation="It was all of them.")
    out = story.take(order, after=1, by=BOSS)
    assert of("customers", out, NoticeHeld).corrects == 2
    assert told(out)["technical"].corrects == 1


def test_a_draft_that_says_what_was_corrected_is_put_in_the_right_words_and_asked_about_anew():
    story = asking()
    first = story.take(opened(summary="Some cards fail.", consequences=NOW), after=0)
    old = of("customers", first, NoticeHeld)
    order = Correct(seq=1, facts=Facts(summary="All cards fail."), explanation="It was all of them.")
    out = story.take(order, after=1, by=BOSS)
    new = of("customers", out, NoticeHeld)
    assert new.kind is NoticeKind.OPENED
    assert "no such draft" in refusal(story.take(approved(old), after=1, by=PRESS))
    told_now = story.take(approved(new), after=1, by=PRESS)
    assert "All cards fail." in "".join(r.model_dump_json() for n in told_now.notices for r in n.renderings)


def test_an_edit_that_makes_it_worse_is_approved_as_the_worse_one_must_be():
    story = Story(policy=policies()[3])
    held = of("customers", story.take(opened(severity="major", consequences=NOW), after=0), NoticeHeld)
    assert held.people == 1
    again = story.take(Edit(draft=held.draft, facts=Facts(severity="critical")), after=1, by=PRESS)
    assert of("customers", again, NoticeHeld).people == 2


def test_an_edit_of_words_from_milder_times_is_approved_as_what_became_worse_must_be():
    story = Story(policy=policies()[3])
    first = of("customers", story.take(IncidentUpdated(title="Cards fail"), after=0), NoticeHeld)
    story.take(approved(first), after=0, by=PRESS)
    order = Correct(seq=2, facts=Facts(title="Some cards fail"), explanation="It was not all of them.")
    held = of("customers", story.take(order, after=0, by=BOSS), NoticeHeld)
    assert held.people == 1
    story.take(opened(severity="critical", consequences=NOW), after=0)
    again = story.take(Edit(draft=held.draft, facts=Facts(title="A few cards fail")), after=0, by=PRESS)
    assert of("customers", again, NoticeHeld).people == 2
    assert of("customers", again, NoticeHeld).reason.startswith("edited by paula")


def test_an_incident_opened_once_more_and_worse_is_told_at_once():
    story = Story()
    story.take(IncidentUpdated(title="Cards fail"), after=0)
    assert told(story.take(opened(severity="critical"), after=0))["customers"].kind is NoticeKind.IMPACT_CHANGED
    assert told(story.take(opened(severity="critical"), after=0)) == {}


def test_nobody_edits_what_the_policy_no_longer_lets_be_told():
    story = forbidden_to_the_public()
    held = next(draft for draft in story.state.drafts.values() if draft.telling.audience == "public")
    edited = story.take(Edit(draft=held.id, facts=Facts(title="Cards fail here")), after=1, by=PRESS)
    assert refusal(edited) == "never told: only our own people use it"


def test_what_waits_for_people_who_may_not_hear_of_it_any_more_is_given_up_on_record_at_its_deadline():
    story = forbidden_to_the_public()
    voided = [d for decided in story.passes(10) for d in decisions(decided, DraftVoided)]
    assert [d.reason for d in voided if d.audience == "public"] == ["never told: only our own people use it"]
    assert "public" not in story.state.drafts


def test_an_apology_said_with_an_end_that_is_held_back_lets_no_older_one_out():
    story = Story()
    story.take(opened(consequences=NOW, ownership="A crime."), after=0)
    (field,) = decisions(story.take(IncidentResolved(ownership="A mistake."), after=10), FieldWithheld)
    order = Approve(draft=field.draft or "", content=field.content or "")
    assert "held back" in refusal(story.take(order, after=1, by=LAWYER))
    story.passes(20)
    out = story.take(order, after=1, by=LAWYER)
    words = "".join(r.model_dump_json() for n in out.notices for r in n.renderings)
    assert "A mistake." in words
    assert "A crime." not in words


def test_an_end_that_has_held_lets_its_own_apology_not_out_by_the_approval_of_another():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(IncidentResolved(ownership="A crime."), after=10)
    (field,) = decisions(story.take(IncidentUpdated(ownership="A mistake."), after=1), FieldWithheld)
    story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=LAWYER)
    called = story.passes(20)
    words = "".join(r.model_dump_json() for decided in called for n in decided.notices for r in n.renderings)
    assert ("customers", "resolved") in notices_told(called)
    assert "A crime." not in words


def test_a_private_incident_is_named_in_no_other_one():
    around, secret, other = Neighbourhood(), Story("secret-1"), IncidentOpened(title="Cards fail", severity="major")
    around.apply(secret.take(opened(title="A break-in", private_to=("executives",)), after=0).entry)
    assert around.around(Story("other-1").state, ("Payments",), secret.now, secret.policy.hash) is None
    around.apply(Story("plain-1").take(other.model_copy(update={"components": ("Payments",)}), after=0).entry)
    found = around.around(Story("other-1").state, ("Payments",), secret.now, secret.policy.hash)
    assert found is not None
    assert [one.incident for one in found.earlier] == ["plain-1"]
