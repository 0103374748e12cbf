"""Who may hear of what: rules that keep out, private incidents, the catalogue, other languages."""

from schemas.base import Severity
from schemas.census import AudienceCount
from schemas.incident import Consequences, ImpactChanged, IncidentResolved, IncidentUpdated, Translation
from schemas.journal import Earlier as EarlierIncident
from schemas.journal import FactAdded, Surroundings
from tests.decide.saying import decisions, opened
from tests.decide.stories import START, Story, a_policy, email_to, notice_to, silent, told

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
