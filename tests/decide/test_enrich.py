"""What is known after an event: what was said stays, what no longer holds goes, and the catalogue adds its part."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.enrich import added, components_after, known_after, regions_after
from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.turn import Turn
from pipeline.decide.view import Known
from pipeline.policy import Policy
from pipeline.policy.catalogue import Catalogue
from schemas.base import Severity, State
from schemas.incident import (
    Consequences,
    Contact,
    IncidentEvent,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MilestoneReached,
    MonitoringStarted,
    Translation,
)
from schemas.journal import Earlier, NoticeKind
from tests.decide.stories import START, default_policy

OPEN, OVER = Phase.OPEN, Phase.OVER
UPDATE = Turn(NoticeKind.UPDATED, OPEN)
END = Turn(NoticeKind.RESOLVED, OVER)
AGAIN = Turn(NoticeKind.REOPENED, OPEN)
FELT = Consequences(now="Cards fail.", expected="More will.", lasting="Two orders.", data_loss="None.")
DESK = Contact(name="Card desk", reach="cards@example.com")
CATALOGUE = {
    "components": {
        "Payments": {
            "also called": ["pay"],
            "when it fails": {"en": "You cannot pay.", "de": "Sie können nicht zahlen."},
            "on duty": {"name": DESK.name, "reach": DESK.reach},
        },
        "Search": {"when it fails": {"en": "You find nothing."}},
        "Shops": {"when it fails": {"en": "Shops are shut.", "de": "Läden sind zu."}},
        "Mail": {},
    },
    "regions": {"Europe": {"also called": ["EU"]}},
}


def state(phase: Phase = OPEN, added: dict[str, object] | None = None, **said: object) -> IncidentState:
    return IncidentState("payments-1", phase=phase, known=Known.model_validate(said), added=added or {})


def after(before: IncidentState, event: IncidentEvent, turn: Turn = UPDATE) -> Known:
    return known_after(before, event, turn)


# --- what was said


def test_what_is_said_stays_until_it_is_said_otherwise_and_news_of_a_moment_does_not():
    stays = {"title": "Cards", "severity": "minor", "state": "identified", "workaround": "Pay in cash."}
    passes = {"good_news": "G.", "next_update_at": START, "milestone": "M.", "review": "R.", "explanation": "E."}
    known = after(state(summary="Old.", **stays, **passes), IncidentUpdated(summary="New."))
    assert known == Known.model_validate({"summary": "New.", **stays})
    assert (
        after(state(**passes), MilestoneReached(milestone="The switch is replaced.")).milestone
        == "The switch is replaced."
    )


def test_consequences_are_said_part_by_part():
    before = state(consequences=FELT)
    said = after(before, IncidentUpdated(consequences=Consequences(now="Cards work in shops."))).consequences
    assert said == FELT.model_copy(update={"now": "Cards work in shops."})
    assert after(before, IncidentUpdated(summary="S.")).consequences == FELT
    assert after(state(), IncidentUpdated(consequences=FELT)).consequences == FELT


@pytest.mark.parametrize(("event", "turn"), [(IncidentResolved(), END), (IncidentReopened(), AGAIN)])
def test_what_was_felt_while_it_lasted_holds_no_longer_once_it_ends_or_begins_again(event, turn):
    before = state(OPEN if turn is END else OVER, consequences=FELT, summary="It is the network.")
    known = after(before, event, turn)
    assert known.consequences == Consequences(lasting="Two orders.", data_loss="None.")
    assert known.summary is None
    assert after(state(summary="Old."), event.model_copy(update={"summary": "New."}), turn).summary == "New."
    assert after(state(), event, turn).consequences is None


def test_after_the_end_its_severity_is_what_it_was():
    event = IncidentUpdated(severity=Severity.NONE)
    late = Turn(NoticeKind.UPDATED, OVER)
    assert after(state(OVER, severity="major"), event, late).severity is Severity.MAJOR
    assert after(state(OPEN, severity="major"), IncidentResolved(severity=Severity.NONE), END).severity is Severity.NONE
    assert after(state(OVER, severity="major"), event, AGAIN).severity is Severity.NONE


def test_what_begins_again_has_not_ended_unless_it_says_so_itself():
    before = state(OVER, ended_at=START, held_since=START)
    again = after(before, IncidentReopened(), AGAIN)
    assert (again.ended_at, again.held_since) == (None, None)
    later = START + timedelta(hours=1)
    assert after(before, IncidentReopened(ended_at=later), AGAIN).ended_at == later
    kept = after(before, IncidentUpdated(), Turn(NoticeKind.UPDATED, OVER))
    assert (kept.ended_at, kept.held_since) == (START, START)


@pytest.mark.parametrize(
    ("event", "turn", "stands"),
    [
        (IncidentUpdated(), UPDATE, State.IDENTIFIED),
        (IncidentUpdated(state=State.MONITORING), UPDATE, State.MONITORING),
        (IncidentUpdated(state=State.RESOLVED), UPDATE, None),
        (MonitoringStarted(), UPDATE, State.MONITORING),
        (MonitoringStarted(state=State.IDENTIFIED), UPDATE, State.IDENTIFIED),
        (IncidentReopened(), AGAIN, None),
        (IncidentReopened(state=State.INVESTIGATING), AGAIN, State.INVESTIGATING),
        (IncidentResolved(state=State.MONITORING), END, State.RESOLVED),
    ],
)
def test_where_the_work_stands_after_each_kind_of_event(event, turn, stands):
    assert after(state(state="identified"), event, turn).state is stands


# --- translations


def test_a_translation_stays_as_long_as_the_text_that_it_translates():
    german = Translation(title="Karten", summary="Alt.", workaround="Bar zahlen.", good_news="Gut.", consequences=FELT)
    before = state(translations={"de": german})
    known = after(before, IncidentUpdated(summary="New.", translations={"fr": Translation(summary="Neuf.")}))
    assert known.translations == {
        "de": Translation(title="Karten", workaround="Bar zahlen.", consequences=FELT),
        "fr": Translation(summary="Neuf."),
    }
    newer = after(before, IncidentUpdated(summary="New.", translations={"de": Translation(summary="Neu.")}))
    assert newer.translations == {
        "de": Translation(title="Karten", summary="Neu.", workaround="Bar zahlen.", consequences=FELT)
    }
    assert list(after(before, IncidentUpdated(translations={"ar": german})).translations or ()) == ["ar", "de"]


@pytest.mark.parametrize(("event", "turn"), [(IncidentResolved(), END), (IncidentReopened(), AGAIN)])
def test_the_translation_of_what_no_longer_holds_goes_with_it(event, turn):
    german = Translation(title="Karten", summary="Alt.", consequences=FELT)
    assert after(state(translations={"de": german}), event, turn).translations == {"de": Translation(title="Karten")}
    assert after(state(translations={"de": german}), event.model_copy(update={"title": "C"}), turn).translations is None
    only = state(translations={"de": Translation(summary="Alt.")})
    assert after(only, event, turn).translations is None


# --- what the catalogue adds


@pytest.fixture(scope="module")
def policy() -> Policy:
    return replace(default_policy(), catalogue=Catalogue.model_validate(CATALOGUE))


def facts(before: IncidentState, known: Known, policy: Policy, turn: Turn = UPDATE) -> dict[str, tuple[object, str]]:
    return {fact.field: (fact.value, fact.reason) for fact in added(before, known, turn, policy)}


def test_parts_and_regions_go_by_the_names_that_the_catalogue_has(policy):
    names = "the catalogue knows them by these names"
    found = facts(
        state(), Known(components=("pay", "Payments", "Else"), regions=("eu", "Asia"), consequences=FELT), policy
    )
    assert found["components"] == (["Payments", "Else"], names)
    assert found["regions"] == (["Europe", "Asia"], names)
    assert facts(state(), Known(components=("Else",), regions=("Europe",)), policy) == {}
    assert facts(state(), Known(), policy) == {}


def test_who_is_on_duty_for_the_first_part_that_has_somebody_is_the_contact_where_none_is_named(policy):
    duty = ({"name": "Card desk", "reach": "cards@example.com"}, "on duty for the component by the catalogue")
    assert facts(state(), Known(components=("Else", "Mail", "Payments"), consequences=FELT), policy) == {
        "contact": duty
    }
    assert "contact" not in facts(state(), Known(components=("Payments",), contact=DESK), policy)
    assert "contact" not in facts(state(), Known(components=("Mail",)), policy)


def test_what_the_failing_of_a_part_means_is_said_where_the_event_does_not(policy):
    why = "what the failing of the component means, by the catalogue"
    one = facts(state(), Known(components=("pay",), contact=DESK, consequences=Consequences(lasting="L.")), policy)
    assert one["consequences"] == ({"now": "You cannot pay.", "lasting": "L."}, why)
    assert one["translations"] == ({"de": {"consequences": {"now": "Sie können nicht zahlen."}}}, why)
    two = facts(state(), Known(components=("Payments", "Mail", "Search", "Else")), policy)
    assert two["consequences"] == ({"now": "You cannot pay. You find nothing."}, why)
    assert "translations" not in two, "in German it would be half of it"
    both = facts(state(), Known(components=("Payments", "Shops")), policy)
    assert both["translations"][0] == {"de": {"consequences": {"now": "Sie können nicht zahlen. Läden sind zu."}}}
    for known, turn in (
        (Known(components=("Payments",), consequences=Consequences(now="It is slow.")), UPDATE),
        (Known(components=("Mail",)), UPDATE),
        (Known(components=("Payments",)), END),
        (Known(components=("Payments",)), Turn(NoticeKind.MAINTENANCE_STARTED, OPEN, maintenance=True)),
    ):
        assert "consequences" not in facts(state(), known, policy, turn)


def test_what_is_added_stands_beside_what_was_translated_before(policy):
    before = {
        "fr": Translation(title="Cartes"),
        "de": Translation(title="Karten", consequences=Consequences(lasting="L.")),
    }
    found = facts(state(), Known(components=("Payments",), translations=before), policy)
    assert found["translations"][0] == {
        "de": {"title": "Karten", "consequences": {"now": "Sie können nicht zahlen.", "lasting": "L."}},
        "fr": {"title": "Cartes"},
    }
    assert list(found["translations"][0]) == ["de", "fr"]
    [german_first] = [replace(policy, languages=policy.languages.model_copy(update={"original": "de"}))]
    turned = facts(state(), Known(components=("Payments",)), german_first)
    assert turned["consequences"][0] == {"now": "Sie können nicht zahlen."}
    assert turned["translations"][0] == {"en": {"consequences": {"now": "You cannot pay."}}}


def test_what_the_catalogue_added_is_added_anew_for_the_parts_of_now():
    meant = {"now": "You cannot pay."}
    german = Translation(title="Karten", consequences=Consequences(now="Sie können nicht zahlen."))
    before = state(added={"consequences": meant}, consequences={"now": "You cannot pay.", "lasting": "L."},
                   translations={"de": german})  # fmt: skip
    known = after(before, IncidentUpdated(components=("Search",)))
    assert known.consequences == Consequences(lasting="L.")
    assert known.translations == {"de": Translation(title="Karten")}
    said = state(added={"consequences": meant}, consequences={"now": "Cards fail."})
    assert after(said, IncidentUpdated()).consequences == Consequences(now="Cards fail.")


def test_incidents_on_the_same_parts_are_named_as_people_would(policy):
    one = Earlier(
        incident="old-1", title="Cards fail", severity=Severity.MAJOR, opened_at=START, components=("Payments",)
    )
    two = Earlier(incident="old-2", opened_at=START, components=("Payments",))
    before = replace(state(), earlier=(one, two))
    found = facts(before, Known(), policy)
    assert found["earlier"] == (
        [
            "old-1 (Cards fail, major), first told 2026-03-03 22:00 UTC",
            "old-2 (untitled), first told 2026-03-03 22:00 UTC",
        ],
        "incidents on the same components within 24 hours",
    )
    assert "earlier" not in facts(before, Known(earlier=("old-1",)), policy)


def test_every_part_and_region_ever_named_stands_once_in_the_order_of_their_mention():
    before = replace(state(), components=("B", "A"), regions=("Y", "X"))
    assert components_after(before, Known(components=("C", "A"))) == ("B", "A", "C")
    assert regions_after(before, Known(regions=("Z", "X"))) == ("Y", "X", "Z")
    assert (components_after(before, Known()), regions_after(before, Known())) == (("B", "A"), ("Y", "X"))
