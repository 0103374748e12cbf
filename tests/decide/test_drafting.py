"""What waits for approval: by what name, for how many, and what takes its place."""

from dataclasses import replace

import pytest

from pipeline import authority
from pipeline.decide.drafting import content_of, expected, overtaken
from pipeline.decide.planning import Plan
from pipeline.decide.state import Draft, IncidentState, Phase, draft_key
from pipeline.decide.step import Step, standing
from pipeline.decide.turn import Turn
from schemas import ids
from schemas.census import AudienceCount
from schemas.incident import IncidentResolved, IncidentUpdated
from schemas.journal import AudienceSilent, DraftVoided, NoticeHeld, NoticeKind, Surroundings
from tests.decide.saying import of, opened
from tests.decide.stories import Story, a_policy

KIND = NoticeKind
CONSENT = (
    "  customers:\n    level: customer => "
    "  customers:\n    level: customer\n    needs approval: {by: [communications], of: every notice}"
)


@pytest.fixture(scope="module")
def waiting() -> Story:
    """A beginning that customers are not told before somebody has approved it."""
    story = Story(policy=a_policy(audiences=CONSENT))
    zones = {"Europe/Berlin": 5, "Asia/Tokyo": 3, "America/Lima": 1}
    story.around = Surroundings(census={"customers": AudienceCount(total=9, zones=zones)})
    story.take(opened(), after=0)
    return story


def held(story: Story) -> NoticeHeld:
    return of("customers", story.decided[0], NoticeHeld)


def draft(story: Story, audience: str, kind: NoticeKind = KIND.OPENED, corrects: int | None = None) -> Draft:
    one = story.state.drafts["customers"]
    telling = replace(one.telling, audience=audience, kind=kind, corrects=corrects)
    return replace(one, id=f"{audience}-{corrects or 0}", telling=telling)


def with_drafts(story: Story, *drafts: Draft, told: tuple[str, ...] = ()) -> IncidentState:
    by_key = {draft_key(one.telling.audience, one.telling.corrects): one for one in drafts}
    words = story.state.told["technical"]
    return replace(story.state, drafts=by_key, told=dict.fromkeys(told, words))


def voided(state: IncidentState, story: Story, plan: Plan, *tellings) -> list[tuple[str, str, str]]:
    found = overtaken(state, plan, tellings, story.policy)
    return [(one.draft, one.audience, one.reason) for one in found]


def test_a_draft_has_a_name_of_its_own_and_its_content_one_that_changes_with_whom_it_is_for(waiting):
    one, draft = held(waiting), waiting.state.drafts["customers"]
    assert one.draft == draft.id == ids.derived("draft", "payments-1", 1, "customers", 0)
    by, telling = one.renderings, draft.telling
    assert one.content == authority.content_of("customers", telling.level, KIND.OPENED, by, (), None)
    made = waiting.decided[0].drafts
    others = [
        replace(telling, audience="others"),
        replace(telling, kind=KIND.UPDATED),
        replace(telling, zones=("UTC",)),
        replace(telling, corrects=1),
    ]
    assert len({content_of(other, made) for other in (telling, *others)}) == 5


def test_how_many_are_expected_is_counted_in_the_zones_that_are_told(waiting):
    assert held(waiting).expected == 9
    telling = replace(waiting.state.drafts["customers"].telling, zones=("Asia/Tokyo", "America/Lima", "Africa/Cairo"))
    assert expected(waiting.state, telling) == 4
    assert expected(waiting.state, replace(telling, audience="nobody")) is None


def test_newer_words_take_the_place_of_a_draft_and_repeated_ones_do_not(waiting):
    state = with_drafts(waiting, draft(waiting, "customers"), draft(waiting, "public"), told=("customers", "public"))
    plan, newer = Plan(standing(state)), replace(state.drafts["public"].telling, kind=KIND.UPDATED)
    overtakes = [("public-0", "public", "overtaken by newer words")]
    mine = state.drafts["customers"].telling
    for other in (
        replace(mine, kind=KIND.UNCHANGED),
        replace(mine, kind=KIND.REMINDER),
        replace(mine, safe=True),
        replace(mine, draft="customers-0"),
        replace(mine, audience="technical"),
        replace(mine, corrects=1),
    ):
        assert voided(state, waiting, plan, other, newer) == overtakes
    assert voided(state, waiting, plan, newer, newer) == overtakes
    gone = replace(plan, decisions=(DraftVoided(draft="public-0", audience="public", reason="rejected"),))
    assert voided(state, waiting, gone, newer) == []


def test_who_is_to_hear_nothing_gets_no_older_words_either(waiting):
    state = with_drafts(waiting, draft(waiting, "customers"), draft(waiting, "public"), draft(waiting, "partners"))
    silent = AudienceSilent(audience="public", reason="never told: too small")
    step = Step(Turn(KIND.UPDATED, Phase.OPEN), state.known, IncidentUpdated())
    newer = replace(state.drafts["public"].telling, kind=KIND.UPDATED)
    gone = ("partners-0", "partners", "the policy does not name them (any more)")
    assert voided(state, waiting, Plan(step, decisions=(silent,))) == [("public-0", "public", silent.reason), gone]
    assert voided(state, waiting, Plan(step, decisions=(silent,)), newer) == [
        ("public-0", "public", "overtaken by newer words"),
        gone,
    ]
    assert voided(state, waiting, Plan(standing(state), decisions=(silent,))) == []
    ended = with_drafts(waiting, draft(waiting, "public", KIND.RESOLVED))
    assert voided(ended, waiting, Plan(step, decisions=(silent,))) == [("public-0", "public", silent.reason)]
    heard = replace(state, told=dict.fromkeys(("public", "partners"), waiting.state.told["technical"]))
    assert voided(heard, waiting, Plan(step, decisions=(silent,))) == []


def test_an_end_makes_what_was_not_approved_before_pointless_but_no_end_and_no_correction(waiting):
    names = ("customers", "public", "technical", "executives")
    drafts = (
        draft(waiting, "customers"),
        draft(waiting, "public", KIND.RESOLVED),
        draft(waiting, "technical", KIND.CORRECTION, corrects=1),
        draft(waiting, "executives", KIND.UPDATED),
    )
    state = with_drafts(waiting, *drafts, told=names)
    known = state.known.model_copy(update={"summary": "It works again."})
    end = Step(Turn(KIND.RESOLVED, Phase.OVER), known, IncidentResolved())
    late = "it was over before anybody approved it"
    newer = replace(state.drafts["executives"].telling, kind=KIND.RESOLVED)
    assert voided(state, waiting, Plan(end), newer) == [
        ("executives-0", "executives", "overtaken by newer words"),
        ("customers-0", "customers", late),
    ]
    assert voided(state, waiting, Plan(end)) == [
        ("customers-0", "customers", late),
        ("executives-0", "executives", late),
    ]
    assert voided(state, waiting, Plan(replace(end, known=state.known))) == []
    goes_on = Step(Turn(KIND.UPDATED, Phase.OPEN), known, IncidentUpdated())
    assert voided(state, waiting, Plan(goes_on)) == [("public-0", "public", "it goes on")]
    newer = replace(state.drafts["public"].telling, kind=KIND.UPDATED)
    assert voided(state, waiting, Plan(goes_on), newer) == [("public-0", "public", "overtaken by newer words")]
