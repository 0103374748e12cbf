"""Whatever upstream says in whatever order, these hold. Orders, late clocks and other policies: `test_machine.py`."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.decide.audience import RANK
from pipeline.decide.incident import Decided, fold, notices_of
from pipeline.decide.state import Phase
from pipeline.decide.view import MARKS
from schemas import incident as events
from schemas.base import Level, Severity, State
from schemas.command import Wake
from schemas.journal import AudiencePutOff, AudienceSilent, NoticeDecided, NoticeHeld
from schemas.rendering import rendering_of
from tests.decide.stories import START, Story
from tests.decide.stories import given as journaled

WORDS = st.sampled_from(["Cards fail.", "It works again.", "none", "{{7*7}}", "<b>bold</b>", "Größer", "🔥 fire"])
TIMES = st.integers(-600, 6000).map(lambda minutes: START + timedelta(minutes=minutes))
SECRET = "s3cret-"


FIELDS = {
    "title": WORDS,
    "severity": st.sampled_from(Severity),
    "state": st.sampled_from(State),
    "components": st.lists(st.sampled_from(["Cards", "Refunds", "Login"]), max_size=3).map(tuple),
    "regions": st.lists(st.sampled_from(["EU", "US"]), max_size=2).map(tuple),
    "summary": WORDS,
    "consequences": st.builds(
        events.Consequences,
        now=st.none() | WORDS,
        expected=st.none() | WORDS,
        lasting=st.none() | WORDS,
        data_loss=st.none() | WORDS,
    ),
    "workaround": WORDS,
    "good_news": WORDS,
    "next_update_at": TIMES,
    "contact": st.just(events.Contact(name=f"{SECRET}reader", reach=f"{SECRET}reader")),
    "crew": st.just(events.Crew(who=f"{SECRET}reader")),
    "technical_detail": st.just(f"{SECRET}technical"),
    "internal_notes": st.just(f"{SECRET}internal"),
    "ownership": st.just(f"{SECRET}withheld"),
    "began_at": TIMES,
    "ended_at": TIMES,
    "done": WORDS,
    "planned": st.just(f"{SECRET}reader"),
    "root_cause": st.just(f"{SECRET}reader"),
    "translations": st.just({"de": events.Translation(summary="Es geht.", technical_detail=f"{SECRET}technical")}),
    "private_to": st.sampled_from([("executives",), (f"{SECRET}internal",)]),
}
MORE = {
    events.IncidentOpened: {"title": WORDS, "severity": st.sampled_from(Severity)},
    events.ImpactChanged: {"severity": st.sampled_from(Severity)},
    events.MilestoneReached: {"milestone": WORDS},
    events.ReviewPublished: {"review": st.just(f"{SECRET}reader")},
    events.MaintenanceScheduled: {"title": WORDS, "starts_at": TIMES},
}


@st.composite
def event(draw):
    model = draw(st.sampled_from(events.EVENTS))
    names = draw(st.sets(st.sampled_from(sorted(FIELDS)), max_size=6))
    said = {name: draw(FIELDS[name]) for name in sorted(names)}
    return model(**said | {name: draw(strategy) for name, strategy in MORE.get(model, {}).items()})


@st.composite
def story(draw):
    """A story of up to ten inputs whose append times wander, between which the clock calls, or does not."""
    told = Story("generated-1")
    for number in range(draw(st.integers(1, 10))):
        at = START + timedelta(minutes=draw(st.integers(-30, 120)) + number * 30)
        if told.state.wakes and draw(st.booleans()):
            told.wake(min(told.state.wakes))
        else:
            told.take_input(journaled(draw(event()), told.state.seq + 1, at))
    return told


def test_the_generated_fields_are_all_fields():
    assert set(FIELDS) == set(events.Facts.model_fields)
    assert set(MARKS) >= set(FIELDS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(story())
def test_every_story_holds_what_is_promised(told: Story):
    entries = [decided.entry for decided in told.decided]
    assert fold(told.incident, entries) == told.state
    assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
    assert all(later.at >= earlier.at for earlier, later in pairwise(entries))
    state = fold(told.incident, ())
    for decided in told.decided:
        assert notices_of(state, decided.entry, told.policy) == decided.notices
        holds_together(decided)
        leaks_nothing(decided)
        accounts_for_everybody(told, decided)
        state = decided.after
    closes(told)


def holds_together(decided: Decided) -> None:
    decisions = [d for d in decided.entry.decisions if isinstance(d, NoticeDecided | NoticeHeld)]
    named = {sha for d in decisions for hashes in d.renderings.values() for sha in hashes}
    assert named == {rendering.sha256 for rendering in decided.renderings}
    for rendering in decided.renderings:
        assert rendering_of(rendering.language, rendering.level, rendering.content, rendering.moments) == rendering


def leaks_nothing(decided: Decided) -> None:
    for rendering in decided.renderings:
        text, level = rendering.content.model_dump_json(), rendering.level
        assert f"{SECRET}withheld" not in text
        assert level is Level.INTERNAL or f"{SECRET}internal" not in text
        assert level in {Level.TECHNICAL, Level.INTERNAL} or f"{SECRET}technical" not in text
        assert level is not Level.PUBLIC or SECRET not in text


def accounts_for_everybody(told: Story, decided: Decided) -> None:
    """Each audience is told, asked about, put off or deliberately not told, and only one of them."""
    verdicts = NoticeDecided | NoticeHeld | AudiencePutOff | AudienceSilent
    named = Counter(d.audience for d in decided.entry.decisions if isinstance(d, verdicts))
    woken = decided.entry.input.type == Wake.TYPE
    assert woken or (named.keys() == told.policy.audiences.keys() and set(named.values()) == {1})
    for notice in decided.notices:
        among = [n for n in decided.notices if n.zones == notice.zones]
        higher = {n.audience for n in among if RANK.index(n.level) < RANK.index(notice.level)}
        assert higher <= {group.audience for group in notice.outranked_by}


def closes(told: Story) -> None:
    """Whoever was told that it is open is told its end once it is over, or a draft of it waits."""
    if told.state.phase is Phase.OVER:
        for name, heard in told.state.told.items():
            assert not heard.open or name in told.state.drafts
