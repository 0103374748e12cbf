"""Approvals: who must agree, bound to the very words, and what nobody's approval may delay."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.approval import missing
from schemas.base import Lane, Severity
from schemas.census import AudienceCount
from schemas.command import Approve, Edit, Hold, Reject, Release
from schemas.incident import (
    Consequences,
    Facts,
    ImpactChanged,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceStarted,
    Translation,
)
from schemas.journal import (
    CommandRefused,
    DraftApproved,
    DraftVoided,
    FieldReleased,
    FieldWithheld,
    NoticeHeld,
    NoticeKind,
    Reminded,
    Surroundings,
)
from tests.decide.saying import decisions, of, opened
from tests.decide.stories import START, Operator, Story, a_policy, email_to, notice_to, notices_told, told

CONSENT = (
    "  customers:\n    level: customer => "
    "  customers:\n    level: customer\n    needs approval: {by: [communications], of: every notice}"
)
NOW = Consequences(now="Cards are declined.")
PRESS = Operator("paula", ("communications",))
MANAGER = Operator("maria", ("incident-manager",))
LAWYER = Operator("lara", ("legal",))
DAY = 24 * 60
NOBODY = Operator("norbert", ("intern",))


def story_with_consent() -> Story:
    return Story(policy=a_policy(audiences=CONSENT))


def approve(draft: NoticeHeld) -> Approve:
    return Approve(draft=draft.draft, content=draft.content)


def refusal(decided) -> str:
    return decisions(decided, CommandRefused)[0].reason


def test_a_notice_that_needs_approval_waits_and_the_others_do_not():
    story = story_with_consent()
    first = story.take(opened(consequences=NOW))
    held = of("customers", first, NoticeHeld)
    assert held.needs == ("communications",)
    assert "customers" not in told(first)
    assert {"technical", "public"} <= told(first).keys()
    assert {r.sha256 for r in first.drafts} == {sha for made in held.renderings.values() for sha in made}


def test_what_was_approved_goes_out_in_the_very_words_that_were_approved():
    story = story_with_consent()
    first = story.take(opened(consequences=NOW))
    held = of("customers", first, NoticeHeld)
    out = story.take(approve(held), after=2, by=PRESS)
    notice = told(out)["customers"]
    assert notice.approved_by == ("paula",)
    assert notice.renderings == held.renderings
    assert [r for n in out.notices for r in n.renderings] == list(first.drafts)
    assert "customers" not in story.state.drafts


def test_an_approval_of_other_words_does_not_count():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW)), NoticeHeld)
    other = story.take(Approve(draft=held.draft, content="0" * 64), by=PRESS)
    assert refusal(other) == "the words of this draft are others than those that were approved"
    assert not other.notices


def test_whoever_holds_none_of_the_roles_cannot_approve_and_neither_can_an_unsigned_order():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    assert "holds none of the roles" in refusal(story.take(approve(held), after=1, by=NOBODY))
    assert "not signed" in refusal(story.take(approve(held), after=1))
    assert "customers" in story.state.drafts


def test_a_signature_for_another_incident_is_none_here():
    story, elsewhere = story_with_consent(), Story("other-1", policy=a_policy(audiences=CONSENT))
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    signed = elsewhere.take(approve(held), after=1, by=PRESS).entry.input
    moved = signed.model_copy(update={"id": "moved"})
    assert "not signed" in refusal(story.take_input(moved))


def test_nobody_approves_their_own_words():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0, by=PRESS), NoticeHeld)
    assert held.author == "paula"
    assert refusal(story.take(approve(held), after=1, by=PRESS)) == "nobody approves their own words"
    other = Operator("peter", ("communications",))
    assert told(story.take(approve(held), after=1, by=other))["customers"].approved_by == ("peter",)


def test_an_edit_makes_a_new_draft_and_voids_every_approval():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    edited = story.take(Edit(draft=held.draft, facts=Facts(summary="Cards fail in shops.")), after=1, by=PRESS)
    assert of("customers", edited, DraftVoided).reason == "edited by paula"
    anew = of("customers", edited, NoticeHeld)
    assert anew.author == "paula"
    assert anew.content != held.content
    assert refusal(story.take(approve(held), after=1, by=PRESS)) == "there is no such draft (any more)"
    out = story.take(approve(anew), after=1, by=Operator("peter", ("communications",)))
    assert "Cards fail in shops." in email_to("customers", out).text
    assert story.state.known.summary is None, "the words of one draft are nobody else's"


def test_a_rejected_draft_is_not_told_and_says_by_whom():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    rejected = story.take(Reject(draft=held.draft, because="Wrong system."), after=1, by=PRESS)
    assert of("customers", rejected, DraftVoided).reason == "rejected by paula: Wrong system."
    assert "customers" not in {name for name, _ in notices_told(story.passes(30))}


def test_newer_words_take_the_place_of_a_draft():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    newer = story.take(IncidentUpdated(summary="It is the card network."), after=2)
    assert of("customers", newer, DraftVoided).draft == held.draft
    assert of("customers", newer, NoticeHeld).kind is NoticeKind.OPENED, "they have not heard of it yet"


# --- what no approval may delay


def test_at_the_deadline_the_first_notice_goes_out_in_templated_words():
    story = story_with_consent()
    first = story.take(opened(summary="Our bank lost everything.", consequences=NOW), after=0)
    held = of("customers", first, NoticeHeld)
    (due,) = [d for d in story.passes(5) if "customers" in told(d)]
    assert due.entry.at == START + timedelta(minutes=5)
    safe = told(due)["customers"]
    assert safe.safe
    assert safe.kind is NoticeKind.OPENED
    assert safe.lane is Lane.FIRST, "it waits behind no large update"
    mail = email_to("customers", due)
    for words in ("bank", "Card payments fail", "declined"):
        assert words not in mail.model_dump_json(), "nothing that somebody wrote, and nobody approved"
    assert story.state.drafts["customers"].id == held.draft, "the full words still wait"


def test_whoever_was_told_the_safe_words_is_told_the_full_ones_once_they_are_approved():
    story = story_with_consent()
    held = of("customers", story.take(opened(summary="Cards fail.", consequences=NOW), after=0), NoticeHeld)
    story.passes(6)
    out = story.take(approve(held), after=1, by=PRESS)
    assert "Cards fail." in email_to("customers", out).text


def test_the_deadline_moves_neither_with_newer_words_nor_with_an_edit():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.take(Edit(draft=held.draft, facts=Facts(summary="A.")), after=2, by=PRESS)
    story.take(IncidentUpdated(summary="B."), after=2)
    assert ("customers", "opened") in notices_told(story.passes(1))


def test_the_end_goes_out_in_templated_words_before_the_promised_update_is_missed():
    story = story_with_consent()
    story.take(opened(Severity.MINOR, consequences=NOW), after=0)
    story.passes(10)
    end = story.take(IncidentResolved(summary="Cards work again."), after=10)
    assert of("customers", end, NoticeHeld).kind is NoticeKind.RESOLVED
    assert ("customers", "resolved") in notices_told(story.passes(60))


@pytest.mark.parametrize(("severity", "lane"), [(Severity.MAJOR, Lane.FIRST), (Severity.MINOR, Lane.UPDATE)])
def test_the_safe_end_of_a_large_incident_is_told_first(severity, lane):
    story = story_with_consent()
    story.take(opened(severity, consequences=NOW), after=0)
    story.passes(10)
    story.ends(IncidentResolved(summary="Cards work again."), after=10)
    (safe,) = [found for found in (told(d).get("customers") for d in story.passes(60)) if found is not None]
    assert (safe.kind, safe.safe, safe.lane) == (NoticeKind.RESOLVED, True, lane)


def test_the_end_that_nobody_approves_waits_an_hour_where_nothing_was_promised_and_as_long_as_the_promise_else():
    moments = []
    for promised in (None, START + timedelta(minutes=90)):
        story = Story(policy=a_policy(audiences=CONSENT.replace("of: every notice", "of: [resolved]")))
        if promised is None:
            story.take(MaintenanceStarted(title="Upgrade"), after=0)
        else:
            story.take(opened(Severity.MINOR, consequences=NOW, next_update_at=promised), after=0)
        story.take(IncidentResolved(), after=60)
        moments += [d.entry.at for d in story.passes(DAY) if ("customers", "resolved") in notices_told([d])]
    assert moments == [START + timedelta(minutes=120), START + timedelta(minutes=88)]


def test_unchanged_needs_no_approval_since_it_says_only_what_was_told():
    story = story_with_consent()
    held = of("customers", story.take(opened(summary="Cards fail.", consequences=NOW), after=0), NoticeHeld)
    story.take(approve(held), after=1, by=PRESS)
    story.take(IncidentUpdated(summary="Nobody approved this."), after=10)
    called = [d for d in story.passes(60) if "customers" in told(d)]
    assert called
    assert {told(d)["customers"].kind for d in called} == {NoticeKind.UNCHANGED}
    assert all("Nobody approved this" not in email_to("customers", d).text for d in called)


def test_whoever_may_approve_is_asked_again():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    rules = [r.rule for d in story.passes(6) for r in decisions(d, Reminded)]
    assert f"draft {held.draft}" in rules


# --- two people


def crowd(total: int, usual: int) -> Surroundings:
    return Surroundings(census={"customers": AudienceCount(total=total)}, usual={"customers": usual})


def test_a_send_to_far_more_than_usual_waits_for_two_people():
    story = Story(around=crowd(36_981, 250))
    first = story.take(opened(consequences=NOW), after=0)
    held = of("customers", first, NoticeHeld)
    assert held.people == 2
    assert held.reason == "36981 recipients are far more than the usual 250"
    half = story.take(approve(held), after=1, by=MANAGER)
    assert decisions(half, DraftApproved)[0].missing == "1 more person"
    assert "has approved it already" in refusal(story.take(approve(held), after=1, by=MANAGER))
    out = story.take(approve(held), after=1, by=Operator("max", ("incident-manager",)))
    assert told(out)["customers"].approved_by == ("maria", "max")


def test_a_send_to_as_many_as_usual_waits_for_nobody():
    assert "customers" in told(Story(around=crowd(36_981, 30_000)).take(opened(consequences=NOW)))


# --- by which rule, and whose


CONTRACTS = (
    "components: {} => components: {Payments: {}, Login: {}} && regions: {} => regions: {Europe: {}, Asia: {}} && "
    "contracts: {} => contracts:\n"
    "  premium: {components: [Payments], regions: [Europe], needs approval of: legal}\n"
    "  plain: {components: [Payments]}"
)


def test_a_contract_that_is_concerned_asks_its_lawyer_before_customers_and_the_public_are_told():
    first = Story(policy=a_policy(catalogue=CONTRACTS)).take(opened(regions=("Europe",), consequences=NOW))
    held = {one.audience: one for one in decisions(first, NoticeHeld)}
    assert held.keys() == {"customers", "public"}
    assert {one.needs for one in held.values()} == {("legal",)}
    assert "premium" in held["customers"].reason
    assert "plain" not in held["customers"].reason


@pytest.mark.parametrize(("components", "regions"), [(("Login",), ("Europe",)), (("Payments",), ("Asia",))])
def test_a_contract_about_another_component_or_region_asks_nobody(components, regions):
    first = Story(policy=a_policy(catalogue=CONTRACTS)).take(opened(components=components, regions=regions))
    assert not decisions(first, NoticeHeld)


def test_words_that_the_guard_holds_wait_for_whom_it_names_and_the_rule_is_on_record():
    story = Story()
    held = of("customers", story.take(opened(summary="This was our mistake.", consequences=NOW)), NoticeHeld)
    assert held.needs == ("communications",)
    assert not held.refused
    assert held.reason == "guard: admission in summary"
    assert "customers" in told(story.take(approve(held), after=1, by=PRESS))


def test_words_that_the_guard_refuses_nobody_can_approve_and_an_edit_mends_them():
    story = Story(policy=a_policy(guard="admission: hold => admission: refuse"))
    first = story.take(opened(summary="This was our mistake.", consequences=NOW), after=0)
    held = of("customers", first, NoticeHeld)
    assert held.refused
    assert "the guard refuses these words" in refusal(story.take(approve(held), after=1, by=PRESS))
    edited = story.take(Edit(draft=held.draft, facts=Facts(summary="Cards fail.")), after=1, by=PRESS)
    anew = of("customers", edited, NoticeHeld)
    assert not anew.refused
    out = story.take(approve(anew), after=1, by=Operator("peter", ("communications",)))
    assert "Cards fail." in email_to("customers", out).text


def test_approval_that_is_asked_for_bad_incidents_only_counts_the_worst_it_ever_was():
    critical = CONSENT.replace("every notice}", "every notice, in incidents that are: [critical]}")
    story = Story(policy=a_policy(audiences=critical))
    assert "customers" in told(story.take(opened(consequences=NOW)))
    worse = story.take(ImpactChanged(severity=Severity.CRITICAL))
    assert of("customers", worse, NoticeHeld).needs == ("communications",)
    milder = story.take(ImpactChanged(severity=Severity.MINOR))
    assert of("customers", milder, NoticeHeld).needs == ("communications",)


def test_every_rule_that_asks_for_approval_is_heard_and_each_is_still_missing_until_its_own_person_agreed():
    both = CONSENT.replace("[communications]", "[communications, legal]")
    story = Story(policy=a_policy(audiences=both), around=crowd(36_981, 250))
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    assert held.needs == ("communications", "legal", "incident-manager")
    assert held.people == 2
    half = story.take(approve(held), after=1, by=MANAGER)
    assert decisions(half, DraftApproved)[0].missing == "the approval of communications, legal and 1 more person"
    assert not story.take(approve(held), after=1, by=PRESS).notices, "two people, but not the lawyer"
    assert told(story.take(approve(held), after=1, by=LAWYER))["customers"].approved_by == ("maria", "paula", "lara")


def test_the_end_of_a_hold_sends_nothing_that_waits_for_somebody_else():
    two = "retract: [incident-manager] => retract: [incident-manager, commander]"
    story = Story(policy=a_policy(audiences=f"{CONSENT} && {two}"))
    story.take(Hold(audiences=("customers",)), after=0, by=MANAGER)
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    assert held.needs == ("incident-manager", "communications")
    assert not held.by_operator
    assert not story.take(Release(), after=1, by=MANAGER).notices
    assert "customers" in story.state.drafts


def test_two_people_may_be_asked_for_by_severity_and_for_some_audiences_only():
    change = (
        "times the usual number of recipients: 10 => severities: [critical]\n  of notices to: [customers]\n"
        "  times the usual number of recipients: 10"
    )
    first = Story(policy=a_policy(audiences=change)).take(opened(Severity.CRITICAL, consequences=NOW))
    assert [(one.audience, one.people) for one in decisions(first, NoticeHeld)] == [("customers", 2)]
    assert not decisions(Story(policy=a_policy(audiences=change)).take(opened(consequences=NOW)), NoticeHeld)


# --- an operator's hold


def test_nothing_goes_out_to_those_whom_an_operator_holds_the_safe_text_included():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(Hold(audiences=("customers",)), after=1, by=MANAGER)
    later = story.take(IncidentUpdated(summary="News."), after=10)
    assert of("customers", later, NoticeHeld).by_operator
    assert "customers" not in {name for name, _ in notices_told(story.passes(120))}
    out = story.take(Release(), after=1, by=MANAGER)
    assert told(out)["customers"].reason.startswith("released by maria")
    assert "News." in email_to("customers", out).text


def test_who_may_not_hold_is_refused_by_name_of_the_role():
    story = Story()
    story.take(opened(consequences=NOW))
    assert "incident-manager" in refusal(story.take(Hold(), by=NOBODY))


# --- fields


def test_an_apology_is_withheld_until_the_lawyer_has_approved_it_and_then_told():
    story = Story()
    first = story.take(opened(ownership="This was our mistake.", consequences=NOW), after=0)
    (field,) = [f for f in decisions(first, FieldWithheld) if f.field == "ownership"]
    assert field.needs == "legal"
    assert all("our mistake" not in rendering.model_dump_json() for rendering in first.renderings)
    order = Approve(draft=field.draft or "", content=field.content or "")
    assert "legal" in refusal(story.take(order, after=1, by=PRESS))
    out = story.take(order, after=1, by=LAWYER)
    assert decisions(out, FieldReleased)[0].by == "lara"
    assert "This was our mistake." in email_to("customers", out).text


def test_what_was_approved_is_told_to_readers_of_every_language_as_it_was_approved():
    story = Story(policy=a_policy(audiences="  ownership: legal =>   ownership: legal\n  root_cause: legal"))
    story.around = Surroundings(census={"customers": AudienceCount(total=1, languages={"de": 1})})
    translated = {"de": Translation(root_cause="Das war alles ganz anders.")}
    first = story.take(opened(root_cause="A key expired.", translations=translated, consequences=NOW), after=0)
    (field,) = [f for f in decisions(first, FieldWithheld) if f.field == "root_cause"]
    out = story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=LAWYER)
    made = notice_to("customers", out).renderings
    german = next(r.content.text for r in made if r.language == "de" and r.content.channel == "email")
    assert "A key expired." in german
    assert all("ganz anders" not in r.model_dump_json() for d in story.decided for r in d.renderings)


def test_another_apology_must_be_approved_anew():
    story = Story()
    (field,) = decisions(story.take(opened(ownership="A mistake.", consequences=NOW), after=0), FieldWithheld)
    story.take(Approve(draft=field.draft or "", content=field.content or ""), after=1, by=LAWYER)
    again = story.take(IncidentUpdated(ownership="A crime.", summary="News."), after=10)
    assert all("A crime" not in rendering.model_dump_json() for rendering in again.renderings)


def test_a_draft_for_those_who_must_not_hear_of_it_by_now_cannot_be_approved():
    names = "private incidents are told to"
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    never = "never tell: [{audience: customers, because: it would help whoever attacks us}]"
    story.policy = a_policy(audiences=f"{CONSENT} && {names} => {never}\n{names}")
    assert refusal(story.take(approve(held), after=1, by=PRESS)).startswith("never told: ")
    assert "customers" not in dict(notices_told(story.passes(30)))


def test_words_that_a_newer_policy_says_otherwise_are_asked_about_again():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.policy = a_policy(audiences=CONSENT, languages="name: Service status => name: Another name")
    out = story.take(approve(held), after=1, by=PRESS)
    assert "customers" not in told(out)
    assert of("customers", out, NoticeHeld).content != held.content


def test_what_waited_is_told_in_the_zones_that_its_readers_had_when_the_words_were_made():
    story = story_with_consent()
    story.around = Surroundings(census={"customers": AudienceCount(total=2, zones={"Asia/Tokyo": 2})})
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    story.around = Surroundings(census={"customers": AudienceCount(total=2, zones={"Europe/Berlin": 2})})
    out = story.take(approve(held), after=1, by=PRESS)
    assert told(out)["customers"].renderings == held.renderings


def test_safe_words_go_out_where_those_that_waited_would_have():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW), after=0), NoticeHeld)
    without = "sms: [opened, resolved, reopened, maintenance => sms: [resolved, reopened, maintenance"
    story.policy = a_policy(audiences=f"{CONSENT} && {without}")
    (safe,) = [decided for decided in story.passes(6) if "customers" in told(decided)]
    assert set(told(safe)["customers"].renderings) == set(held.renderings)


def test_what_is_missing_names_the_roles_and_the_people():
    story = story_with_consent()
    held = of("customers", story.take(opened(consequences=NOW)), NoticeHeld)
    draft = next(draft for draft in story.state.drafts.values() if draft.id == held.draft)
    two = replace(draft, people=2)
    assert missing(two, ()) == "the approval of communications and 2 more people"
    assert missing(two, (("norbert", ("intern",)),)) == "the approval of communications and 1 more person"
    assert missing(two, (("paula", ("communications",)),)) == "1 more person"
    assert not missing(draft, (("paula", ("communications",)),))
