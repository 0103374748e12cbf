"""Who may hear of what: rules that keep out, private incidents, the catalogue, other languages."""

from datetime import timedelta

from pipeline.decide.audience import outranking
from pipeline.decide.occasion import Telling
from schemas.base import Channel, Lane, Level, Severity
from schemas.census import AudienceCount, Group
from schemas.command import Approve
from schemas.incident import (
    Consequences,
    Crew,
    ImpactChanged,
    IncidentResolved,
    IncidentUpdated,
    MaintenanceScheduled,
    MaintenanceStarted,
    Translation,
)
from schemas.journal import Earlier as EarlierIncident
from schemas.journal import FactAdded, NoticeHeld, NoticeKind, Surroundings
from tests.decide.saying import EVERYBODY, decisions, of, opened
from tests.decide.stories import START, Operator, Story, a_policy, email_to, notice_to, silent, told

NEVER = (
    "private incidents are told to => never tell:\n"
    "  - {audience: public, components: [Fraud], because: it would help whoever attacks us}\n"
    "  - {members: {contracts: [rival]}, components: [Fraud], because: they compete with us}\n"
    "private incidents are told to"
)
CATALOGUE = """components: {} => components:
  Payments:
    also called: [pay, card-gateway]
    when it fails: {en: Card payments are declined., de: Kartenzahlungen werden abgelehnt.}
    on duty: {name: Payments desk, reach: pay@example.com}
  Login: {}"""


CONSENT = "  customers:\n    level: customer => " + (
    "  customers:\n    level: customer\n    needs approval: {by: [communications], of: every notice}"
)
PRESS = Operator("paula", ("communications",))


def test_who_must_never_hear_of_something_does_not_and_the_rule_is_named():
    story = Story(policy=a_policy(audiences=NEVER))
    first = story.take(opened(components=("Fraud",)))
    assert silent(first)["public"] == "never told: it would help whoever attacks us"
    assert [group.contracts for group in notice_to("customers", first).never] == [("rival",)]


def test_the_same_people_hear_of_everything_else():
    first = Story(policy=a_policy(audiences=NEVER)).take(opened())
    assert "public" in told(first)
    assert notice_to("customers", first).never == ()


def test_whoever_was_told_of_the_start_is_told_of_the_end_even_if_they_must_not_hear_of_it_by_now():
    story = Story(policy=a_policy(audiences=NEVER))
    story.take(opened())
    story.take(ImpactChanged(components=("Fraud",), severity=Severity.MAJOR))
    assert "public" in told(story.ends(IncidentResolved(summary="It works again.")))


def test_a_private_incident_is_told_to_those_it_names_and_those_of_the_policy_only():
    first = Story().take(opened(private_to=("executives",)))
    assert told(first).keys() == {"responders", "executives"}
    assert silent(first)["public"] == "a private incident, and they are not among those it is told to"


def never_tell(rule: str) -> Story:
    told_to = "private incidents are told to"
    return Story(policy=a_policy(audiences=f"{told_to} => never tell:\n  - {{{rule}, because: secret}}\n{told_to}"))


def test_a_rule_that_keeps_out_applies_where_all_that_it_names_is_met_and_what_is_unsaid_may_meet_it():
    rule = "audience: public, components: [Fraud], regions: [Asia], severities: [critical]"
    met = {"severity": Severity.CRITICAL, "components": ("fraud", "Payments"), "regions": ("ASIA",)}
    others = ({"components": ("Payments",)}, {"regions": ("Europe",)}, {"severity": Severity.MAJOR})
    for said in (met, met | {"components": None}, met | {"regions": None}):
        assert silent(never_tell(rule).take(opened(**said)))["public"] == "never told: secret"
    assert "public" in silent(never_tell(rule).take(IncidentUpdated(components=("Fraud",), regions=("Asia",))))
    for said in others:
        assert "public" in told(never_tell(rule).take(opened(**(met | said))))


def test_members_of_one_audience_may_be_kept_out_of_it_alone():
    first = never_tell("audience: customers, members: {contracts: [rival]}").take(opened())
    assert [group.contracts for group in notice_to("customers", first).never] == [("rival",)]
    assert notice_to("technical", first).never == ()


def test_however_mild_a_maintenance_is_everybody_hears_of_it_and_of_what_nobody_called_mild():
    planned = MaintenanceScheduled(title="Upgrade", severity=Severity.NONE, starts_at=START)
    assert told(Story("upgrade-1").take(planned)).keys() == EVERYBODY
    assert told(Story().take(IncidentUpdated(summary="Something is wrong."))).keys() == EVERYBODY


def test_whoever_was_told_nothing_while_it_went_on_is_told_nothing_after_its_end():
    story = Story()
    story.take(opened(Severity.NONE))
    story.take(IncidentResolved())
    late = story.take(IncidentUpdated(consequences=Consequences(lasting="Two orders were lost.")))
    assert silent(late)["customers"] == "never told of it"


def test_between_audiences_of_one_level_whoever_stands_first_is_told_as_that_one():
    more = "  partners:\n    level: customer\n    hears from severity: minor\n    channels: {email: every notice}\n"
    first = Story(policy=a_policy(audiences=f"  customers:\n => {more}  customers:\n")).take(opened())
    above = {a: {group.audience for group in notice_to(a, first).outranked_by} for a in ("partners", "customers")}
    assert above["customers"] - above["partners"] == {"partners"}
    assert "customers" not in above["partners"]


def test_whoever_came_in_by_a_newer_policy_hears_of_it_as_of_a_start_and_whoever_left_it_only_the_end():
    story = Story()
    story.take(opened())
    offices = "audiences: [executives, customers] => audiences: [executives]"
    story.policy = a_policy(audiences="  customers:\n =>   partners:\n", cadence=offices)
    update = story.take(IncidentUpdated(summary="We found the cause."))
    assert notice_to("partners", update).kind is NoticeKind.OPENED
    assert "customers" not in told(update)
    end = story.ends(IncidentResolved())
    assert notice_to("customers", end).lane is Lane.FIRST
    assert notice_to("customers", end).group == Group(audience="customers")
    assert told(end)["customers"].level is Level.CUSTOMER


def test_the_catalogue_says_what_the_failing_means_where_the_event_does_not_and_it_is_on_record():
    first = Story(policy=a_policy(catalogue=CATALOGUE)).take(opened(components=("card-gateway",)))
    added = {fact.field for fact in decisions(first, FactAdded)}
    assert added == {"components", "consequences", "translations", "contact"}
    text = email_to("customers", first).text
    assert "Card payments are declined." in text
    assert "Payments desk (pay@example.com)" in text
    assert "card-gateway" not in text


def test_what_the_event_says_is_not_replaced_by_the_catalogue():
    said = opened(components=("pay",), consequences=Consequences(now="Only refunds fail."))
    text = email_to("customers", Story(policy=a_policy(catalogue=CATALOGUE)).take(said)).text
    assert "Only refunds fail." in text
    assert "Card payments are declined." not in text


def test_what_the_catalogue_added_goes_with_its_component():
    story = Story(policy=a_policy(catalogue=CATALOGUE))
    story.take(opened(components=("pay",)))
    moved = story.take(ImpactChanged(components=("Login",), severity=Severity.MAJOR))
    assert "Card payments are declined." not in email_to("customers", moved).text


def german(story: Story, event) -> str:
    story.around = Surroundings(census={"customers": AudienceCount(total=1, languages={"de": 1})})
    made = notice_to("customers", story.take(event)).renderings
    return next(r.content.text for r in made if r.language == "de" and r.content.channel == "email")


def test_a_reader_of_another_language_reads_the_translation_and_the_original_where_there_is_none():
    translated = {"de": Translation(title="Kartenzahlungen gestört", summary="Karten werden abgelehnt.")}
    event = opened(summary="Cards are declined.", workaround="Pay by invoice.", translations=translated)
    text = german(Story(), event)
    assert "Kartenzahlungen gestört" in text
    assert "Karten werden abgelehnt." in text
    assert "Pay by invoice." in text
    assert "Cards are declined." not in text


def test_a_translation_goes_with_the_text_that_it_translates():
    story = Story()
    translated = {"de": Translation(summary="Karten werden abgelehnt.")}
    german(story, opened(summary="Cards are declined.", translations=translated))
    text = german(story, IncidentUpdated(summary="Cards work in shops."))
    assert "Cards work in shops." in text
    assert "abgelehnt" not in text


def test_technical_readers_are_told_of_earlier_incidents_on_the_same_component():
    near = EarlierIncident(incident="INC-1", title="Refunds fail", opened_at=START, components=("Payments",))
    first = Story(around=Surroundings(earlier=(near,))).take(opened())
    assert "INC-1 (Refunds fail), first told 2026-03-03 22:00 UTC" in email_to("technical", first).text
    assert "INC-1" not in str(notice_to("customers", first).renderings)


def test_the_notice_says_who_belongs_to_the_audience():
    first = Story().take(opened())
    assert notice_to("responders", first).group.roles == ("responder",)


def test_only_those_who_are_told_the_same_thing_take_somebody_out_of_a_lower_audience():
    def telling(audience: str, level: Level, corrects: int | None) -> Telling:
        return Telling(audience, level, NoticeKind.UPDATED, Lane.UPDATE, (Channel.EMAIL,), "", corrects=corrects)

    draft, wrong = telling("technical", Level.TECHNICAL, None), telling("technical", Level.TECHNICAL, 1)
    correction = telling("customers", Level.CUSTOMER, 1)
    assert outranking((draft, correction), correction, a_policy()) == ()
    assert [group.audience for group in outranking((wrong, correction), correction, a_policy())] == ["technical"]


def test_whoever_was_not_told_that_a_maintenance_began_is_told_so_by_its_next_news():
    story = Story(policy=a_policy(audiences=CONSENT))
    plan = MaintenanceScheduled(
        title="Upgrade", starts_at=START + timedelta(hours=1), ends_at=START + timedelta(hours=2)
    )
    held = of("customers", story.take(plan, after=0), NoticeHeld)
    story.take(Approve(draft=held.draft, content=held.content), after=1, by=PRESS)
    story.take(MaintenanceStarted(), after=60)
    assert of("customers", story.take(IncidentUpdated(summary="Half done."), after=1), NoticeHeld).kind is (
        NoticeKind.MAINTENANCE_STARTED
    )


def test_those_whom_a_private_incident_names_are_told_once_somebody_approved_it():
    story = Story(policy=a_policy(audiences=CONSENT))
    held = of("customers", story.take(opened(private_to=("customers",)), after=0), NoticeHeld)
    assert "customers" in told(story.take(Approve(draft=held.draft, content=held.content), after=1, by=PRESS))


def test_a_kind_that_no_channel_carries_is_named_in_words():
    line = "      email: every notice\n      sms: [opened, impact changed, reopened, reminder] => "
    story = Story(policy=a_policy(audiences=f"{line}      sms: [opened, reminder]"))
    story.take(opened(), after=0)
    changed = story.take(ImpactChanged(severity=Severity.CRITICAL), after=10)
    assert silent(changed)["responders"] == "no channel of theirs carries a notice of kind 'impact changed'"


def test_a_crew_that_has_gone_home_is_no_news():
    story = Story()
    story.take(opened(), after=0)
    gone = Crew(who="Two people of the night shift", until=START + timedelta(minutes=5))
    assert silent(story.take(IncidentUpdated(crew=gone), after=10))["customers"] == "same text as before"


def test_an_end_that_had_to_hold_says_what_the_catalogue_knows_of_the_parts_that_it_names():
    story = Story(policy=a_policy(catalogue=CATALOGUE))
    story.take(opened(components=None), after=0)
    end = story.ends(IncidentResolved(components=("Payments",), summary="It works again."), after=10)
    assert "Payments desk" in {fact.value.get("name") for fact in decisions(end, FactAdded) if fact.field == "contact"}
    assert "Payments desk" in email_to("customers", end).text
