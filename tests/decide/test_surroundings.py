"""What is known outside of one incident: others on the same components, and how many are usually told."""

from datetime import timedelta

from pipeline.decide.state import IncidentState
from pipeline.decide.surroundings import NEARBY, Neighbourhood
from schemas.base import Severity
from schemas.census import AudienceCount, Census
from schemas.incident import IncidentResolved, IncidentUpdated
from schemas.journal import Earlier, Surroundings
from tests.decide.saying import opened
from tests.decide.stories import START, Story, default_policy

HASH = default_policy().hash
NOW = START + timedelta(hours=1)


def neighbourhood(*stories: Story) -> Neighbourhood:
    found = Neighbourhood()
    for story in stories:
        for decided in story.decided:
            found.apply(decided.entry)
    return found


def earlier(around: Neighbourhood, *components: str, at=NOW) -> tuple[Earlier, ...]:
    seen = around.around(IncidentState("asking-1"), components, at, HASH)
    return seen.earlier if seen is not None else ()


def told_of(name: str, minutes: float = 0, **said: object) -> Story:
    story = Story(name)
    story.take(opened(**said), after=minutes)
    return story


def test_an_incident_on_the_same_component_is_named_as_it_was_said_last():
    story = told_of("old-1", minutes=1)
    story.take(IncidentUpdated(summary="It goes on."))
    first, before = START + timedelta(minutes=1), neighbourhood(story)
    assert earlier(before, "payments") == (
        Earlier(
            incident="old-1", title="Card payments fail", severity="major", opened_at=first, components=("Payments",)
        ),
    )
    story.take(IncidentUpdated(title="Shops cannot sell", severity=Severity.CRITICAL, components=("Shops", "Payments")))
    now = Earlier(
        incident="old-1",
        title="Shops cannot sell",
        severity="critical",
        opened_at=first,
        components=("Payments", "Shops"),
    )
    assert earlier(neighbourhood(story), "SHOPS", "else") == (now,)
    story.take(IncidentResolved(summary="It works."))
    assert earlier(neighbourhood(story), "Shops") == (now,)


def test_what_is_private_far_away_in_time_elsewhere_or_itself_is_not_named():
    around = neighbourhood(
        told_of("private-1", private_to=("responders",)),
        told_of("other-1", components=("Search",)),
        told_of("asking-1"),
        told_of("old-1"),
        told_of("later-1", minutes=61),
    )
    assert [one.incident for one in earlier(around, "Payments")] == ["old-1"]
    assert earlier(around, "Payments", at=START + timedelta(hours=24))
    assert not [
        one for one in earlier(around, "Payments", at=START + timedelta(hours=24, seconds=1)) if one.incident == "old-1"
    ]


def test_of_many_the_last_that_began_are_named():
    around = neighbourhood(*(told_of(f"old-{minutes}", minutes=minutes) for minutes in (5, 1, 4, 3, 2)))
    assert [one.incident for one in earlier(around, "Payments")] == [f"old-{minutes}" for minutes in (3, 4, 5)]
    assert NEARBY == 3


def test_what_stands_around_is_asked_once_and_counted_under_the_policy_in_force():
    around = Neighbourhood()
    counted = AudienceCount(total=9)
    around.count(0, Census(policy=HASH, audiences={"customers": counted}))
    around.count(1, Census(policy="0" * 64, audiences={"customers": counted}))
    state = IncidentState("asking-1")
    assert around.around(state, (), NOW, HASH) == Surroundings(census={"customers": counted}, usual={}, earlier=())
    story = Story("asking-1")
    story.around = around.around(state, (), NOW, HASH)
    story.take(opened())
    assert around.around(story.state, (), NOW, HASH) is None


def test_the_usual_number_of_recipients_is_the_median_of_the_beginnings_told():
    around = Neighbourhood()
    for number, total in enumerate((100, 5, 9)):
        story = Story(f"old-{number}")
        story.around = Surroundings(census={"customers": AudienceCount(total=total)}, usual={}, earlier=())
        story.take(opened())
        story.take(IncidentUpdated(summary="It goes on."))
        for decided in story.decided:
            around.apply(decided.entry)
    seen = around.around(IncidentState("asking-1"), (), NOW, HASH)
    assert seen is not None
    assert seen.usual == {"customers": 9}
