"""What is withheld until somebody approved it names who said it, and is asked about once."""

from datetime import timedelta

from schemas.command import Approve
from schemas.incident import Consequences, IncidentResolved, IncidentUpdated
from schemas.journal import CommandRefused, FieldReleased, FieldWithheld, ResolutionConfirmed
from tests.decide.saying import decisions, opened
from tests.decide.stories import Operator, Story

NOW = Consequences(now="Cards are declined.", lasting="none")
LAWYER = Operator("lara", ("legal",))
OTHER_LAWYER = Operator("leo", ("legal",))


def approval_of(field: FieldWithheld) -> Approve:
    return Approve(draft=field.draft or "", content=field.content or "")


def withheld_of(decided) -> FieldWithheld:
    (field,) = decisions(decided, FieldWithheld)
    return field


def test_whoever_signed_an_apology_does_not_approve_it_and_a_colleague_does():
    story = Story()
    field = withheld_of(story.take(opened(ownership="A mistake.", consequences=NOW), after=0, by=LAWYER))
    assert field.author == "lara"
    refused = story.take(approval_of(field), after=1, by=LAWYER)
    assert decisions(refused, CommandRefused)[0].reason == "nobody approves their own words"
    assert decisions(story.take(approval_of(field), after=1, by=OTHER_LAWYER), FieldReleased)


def test_an_apology_with_an_end_that_had_to_hold_still_names_who_said_it():
    story = Story()
    story.take(opened(consequences=NOW, ownership="An error."), after=0)
    story.take(IncidentResolved(ownership="A mistake."), after=10, by=LAWYER)
    story.take(IncidentUpdated(ownership="A crime."), after=1)
    called = [decided for decided in story.passes(20) if decisions(decided, ResolutionConfirmed)]
    field = withheld_of(called[0])
    assert field.author == "lara"
    refused = story.take(approval_of(field), after=1, by=LAWYER)
    assert decisions(refused, CommandRefused)[0].reason == "nobody approves their own words"


def test_an_apology_that_was_approved_while_its_end_was_held_back_is_not_asked_about_again():
    story = Story()
    first = withheld_of(story.take(opened(consequences=NOW, ownership="A mistake."), after=0))
    story.take(IncidentResolved(ownership="A mistake."), after=10)
    again = withheld_of(story.decided[-1])
    assert again.content == first.content
    assert decisions(story.take(approval_of(again), after=1, by=LAWYER), FieldReleased)
    called = [decided for decided in story.passes(20) if decisions(decided, ResolutionConfirmed)]
    assert called
    assert not decisions(called[0], FieldWithheld)


def test_a_next_update_promised_for_this_very_moment_is_withheld():
    story = Story()
    field = withheld_of(story.take(opened(consequences=NOW, next_update_at=story.now), after=0))
    assert (field.field, field.reason) == (
        "next_update_at",
        "the promised time had passed before it could be told",
    )


def test_an_end_that_had_to_hold_may_promise_a_next_word():
    story = Story()
    story.take(opened(consequences=NOW), after=0)
    story.take(IncidentResolved(next_update_at=story.now + timedelta(days=2)), after=10)
    assert any(decisions(decided, ResolutionConfirmed) for decided in story.passes(20))
