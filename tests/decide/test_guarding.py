"""The guard at work: what its rules find in what an audience is told, and the words in its place."""

from dataclasses import replace
from hashlib import sha256

import pytest

from pipeline.decide.guarding import found, mended, texts_of, together, view_names
from pipeline.decide.occasion import Telling
from pipeline.decide.state import Phase
from pipeline.decide.step import Step
from pipeline.decide.turn import Turn
from pipeline.decide.view import Known
from pipeline.policy import Policy
from pipeline.policy.guard import Guard
from schemas.base import Channel, Lane, Level
from schemas.incident import Consequences, Contact, IncidentUpdated
from schemas.journal import GuardFound, NoticeKind
from tests.decide.stories import default_policy

CALM = {"contact": Contact(name="Desk", reach="desk@example.com"), "consequences": Consequences(now="A.", lasting="B.")}
"""Said, so that the rules about what is unsaid find nothing."""
BLAME, END, GUESS = "Our provider caused this.", "It will be fixed by 14:00.", "Probably the network."


def guarded(rules: dict[str, str] | None = None, own: tuple[str, ...] = (), **languages: object) -> Policy:
    guard = Guard.model_validate({"rules": rules or {}, "never told outside": own})
    name = sha256(f"{rules}{own}{languages}".encode()).hexdigest()
    ours = default_policy()
    return replace(ours, hash=name, guard=guard, languages=ours.languages.model_copy(update=languages))


def telling(level: Level = Level.CUSTOMER, kind: NoticeKind = NoticeKind.UPDATED, safe: bool = False) -> Telling:
    return Telling("customers", level, kind, Lane.UPDATE, (Channel.EMAIL,), "", safe=safe)


def findings(
    to: Telling, policy: Policy, before: Known | None = None, promised: bool = True, **said: object
) -> set[str]:
    return {one.rule for one in all_found(to, policy, before, promised, **said)}


def all_found(
    to: Telling, policy: Policy, before: Known | None = None, promised: bool = True, **said: object
) -> tuple[GuardFound, ...]:
    event = IncidentUpdated.model_validate(said)
    known = Known.model_validate({**CALM, **said})
    step = Step(Turn(to.kind, Phase.OPEN), known, event)
    return found(to, step, known, before or Known(), promised, policy)


def test_a_finding_says_by_which_rule_where_in_which_words_and_what_becomes_of_it():
    [one] = all_found(telling(), guarded(), summary=BLAME)
    assert (one.rule, one.action, one.audiences) == ("blame", "hold", ("customers",))
    assert (one.field, one.words) == ("summary", "Our provider caused")
    assert one.why
    assert findings(telling(), guarded(), summary="It works in shops.") == set()


def test_what_becomes_of_a_finding_is_the_policys_to_say_and_what_is_off_is_not_looked_for():
    [one] = all_found(telling(), guarded({"blame": "refuse"}), summary=BLAME)
    assert one.action == "refuse"
    assert findings(telling(), guarded({"blame": "off"}), summary=f"{BLAME} {END}") == {"promised-end"}


@pytest.mark.parametrize("kind", ["unchanged", "reminder", "maintenance_soon", "retraction"])
def test_what_repeats_or_says_nothing_of_its_own_is_not_looked_at(kind):
    assert findings(telling(kind=NoticeKind(kind)), guarded(), summary=BLAME) == set()
    assert findings(telling(safe=True), guarded(), summary=BLAME) == set()


def test_those_who_work_on_it_wait_for_nobody():
    said = {"summary": f"{BLAME} {END}", "internal_notes": "Ask Bob."}
    assert findings(telling(Level.INTERNAL), guarded(), **said) == {"promised-end"}
    assert findings(telling(Level.TECHNICAL), guarded(), **said) == {"blame", "promised-end"}


def test_the_rules_read_the_language_in_which_events_are_written():
    said = {"summary": "Vermutlich das Netz."}
    assert findings(telling(), guarded(), **said) == set()
    assert findings(telling(), guarded(original="de"), **said) == {"guess"}


def test_readers_outside_are_spared_what_readers_inside_are_not():
    said, policy = {"summary": f"{GUESS} The Falcon is down."}, guarded(own=("falcon",))
    for level, outside in ((Level.PUBLIC, 1), (Level.EXECUTIVE, 1), (Level.CUSTOMER, 1), (Level.TECHNICAL, 0)):
        assert findings(telling(level), policy, **said) == ({"guess", "internal-name"} if outside else set())


def test_a_text_that_was_told_before_to_those_very_readers_is_refused():
    said, before = {"technical_detail": "Shard 7 is full."}, Known(technical_detail="Shard 7 is full.")
    assert "same-text" in findings(telling(Level.TECHNICAL), guarded(), before, **said)
    assert "same-text" not in findings(telling(Level.TECHNICAL), guarded(), Known(technical_detail="Else."), **said)
    part = {"consequences": Consequences(now="Cards fail.", lasting="B.")}
    told = Known(consequences=Consequences(now="Cards fail.", lasting="B."))
    assert "same-text" in findings(telling(), guarded(), told, **part)
    assert "same-text" not in findings(telling(), guarded(), told, **part, summary="New.")


def test_only_what_this_event_said_is_said_anew():
    known = Known.model_validate({**CALM, "summary": "Cards fail."})
    for event in (None, IncidentUpdated(state="identified"), IncidentUpdated(contact=CALM["contact"])):
        step = Step(Turn(NoticeKind.UPDATED, Phase.OPEN), known, event)
        rules = {one.rule for one in found(telling(), step, known, known, True, guarded())}
        assert "same-text" not in rules


def test_a_contact_of_the_policy_is_one_and_so_is_one_that_the_event_names():
    unnamed = {"summary": "Cards fail.", "contact": None}
    assert findings(telling(), guarded(contact=None), **unnamed) == {"contact-unsaid"}
    assert findings(telling(), guarded(contact=CALM["contact"]), **unnamed) == set()
    assert findings(telling(), guarded(contact=None), summary="Cards fail.") == set()


def test_an_end_needs_no_next_update():
    assert findings(telling(), guarded(), promised=False, summary="Cards fail.") == {"next-update-unsaid"}
    end = telling(kind=NoticeKind.RESOLVED)
    assert "next-update-unsaid" not in findings(end, guarded(), promised=False, summary="Cards work again.")
    assert "promised-end" not in findings(end, guarded(), summary=f"Cards work again. {END}")


def test_what_is_found_alike_in_what_several_are_told_is_one_record():
    one = GuardFound(rule="blame", action="hold", audiences=("customers",), field="summary", words="w", why="y")
    for_executives, other = one.model_copy(update={"audiences": ("executives",)}), one.model_copy(update={"words": "v"})
    assert together([one, other, for_executives]) == [
        one.model_copy(update={"audiences": ("customers", "executives")}),
        other,
    ]


# --- the words in its place


def put(
    known: Known, policy: Policy, level: Level = Level.CUSTOMER, kind: str = "updated", language: str = "en"
) -> Known:
    return mended(known, level, NoticeKind(kind), language, policy)


def test_what_a_rule_mends_is_taken_out_and_everything_else_stays():
    known = Known(title="Cards", summary=f"Cards fail. {END}", consequences=Consequences(now=f"A. {END}", lasting="B."))
    better = put(known, guarded())
    assert better.summary == "Cards fail."
    assert better.consequences == Consequences(now="A.", lasting="B.")
    assert better.title == "Cards"
    assert put(known, guarded({"promised-end": "hold"})) is known, "a person will look at it"
    alone = Known(summary=END, consequences=Consequences(now=END, expected=END, lasting="B."))
    assert put(alone, guarded()).summary is None
    assert put(alone, guarded()).consequences == Consequences(lasting="B.")


def test_what_is_mended_hangs_on_who_reads_it_of_what_and_in_which_language():
    known = Known(summary=f"Cards fail. {GUESS}")
    assert put(known, guarded()).summary == "Cards fail."
    assert put(known, guarded(), Level.TECHNICAL) is known
    assert put(known, guarded(), kind="review") is known
    assert put(known, guarded(), language="de") is known
    german = Known(summary="Karten gehen nicht. Vermutlich das Netz.")
    assert put(german, guarded(), language="de").summary == "Karten gehen nicht."
    lasts = Known(summary=f"Cards work. {END}")
    assert put(lasts, guarded(), kind="resolved") is lasts
    named = Known(summary="The falcon is down.")
    assert put(named, guarded(own=("falcon",))).summary == "The an internal system is down."
    assert put(named, guarded()) is named


def test_the_texts_of_a_level_are_those_that_it_may_see_released_ones_included():
    known = Known(summary="S.", technical_detail="T.", ownership="O.", consequences=Consequences(now="N."))
    assert texts_of(known, Level.CUSTOMER, guarded()) == {"summary": "S.", "ownership": "O.", "consequences.now": "N."}
    assert texts_of(known, Level.TECHNICAL, guarded())["technical_detail"] == "T."
    asking = replace(
        guarded(), audience=guarded().audience.model_copy(update={"field_approvals": {"summary": "legal"}})
    )
    assert {"summary", "ownership"} <= view_names(Level.CUSTOMER, asking)
