"""Whatever upstream says in whatever order, these hold."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.decide.audience import RANK
from pipeline.decide.incident import fold, notices_of
from pipeline.decide.state import Phase
from pipeline.decide.view import MARKS
from schemas import incident as events
from schemas.base import Level, Severity, State
from schemas.journal import InputIgnored, NoticeDecided
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
        events.Consequences, now=st.none() | WORDS, expected=st.none() | WORDS, lasting=st.none() | WORDS
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
    """A story of up to ten inputs whose append times wander, with wakes for whatever was promised."""
    told = Story("generated-1")
    for number in range(draw(st.integers(1, 10))):
        at = START + timedelta(minutes=draw(st.integers(-30, 120)) + number * 30)
        if told.state.promise is not None and draw(st.booleans()):
            told.wake(told.state.promise)
        else:
            told.take_input(journaled(draw(event()), told.state.seq + 1, at))
    return told


def test_the_generated_fields_are_all_fields():
    assert set(FIELDS) == set(events.Facts.model_fields)
    assert set(MARKS) >= set(FIELDS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(story())
def test_every_story_holds_what_is_promised(told: Story):
    entries = [decided.entry for decided in told.decided]
    assert fold(told.incident, entries) == told.state
    assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
    assert all(later.at >= earlier.at for earlier, later in pairwise(entries))
    for number, decided in enumerate(told.decided):
        assert notices_of(fold(told.incident, entries[:number]), decided.entry, told.policy) == decided.notices
        holds_together(decided)
        leaks_nothing(decided)
        accounts_for_everybody(told, decided)
    closes(told)


def holds_together(decided) -> None:
    named = {sha for d in decided.entry.decisions if isinstance(d, NoticeDecided) for sha in d.renderings.values()}
    assert named == {rendering.sha256 for rendering in decided.renderings}
    for rendering in decided.renderings:
        assert rendering_of(rendering.language, rendering.content) == rendering


def leaks_nothing(decided) -> None:
    for notice in decided.notices:
        text = "".join(rendering.model_dump_json() for rendering in notice.renderings)
        assert f"{SECRET}internal" not in text
        assert f"{SECRET}withheld" not in text
        assert notice.level is Level.TECHNICAL or f"{SECRET}technical" not in text
        assert notice.level is not Level.PUBLIC or SECRET not in text


def accounts_for_everybody(told: Story, decided) -> None:
    """Each audience is told or deliberately not told, never both; the outranked are told of it by nobody lower."""
    named = [d.audience for d in decided.entry.decisions if hasattr(d, "audience")]
    ignored = any(isinstance(d, InputIgnored) for d in decided.entry.decisions)
    woken = decided.entry.input.type.startswith("io.tocsin.command")
    assert ignored or woken or sorted(named) == sorted(told.policy.audiences)
    level = {notice.audience: RANK.index(notice.level) for notice in decided.notices}
    for notice in decided.notices:
        assert set(notice.outranked_by) == {name for name in level if level[name] < level[notice.audience]}


def closes(told: Story) -> None:
    """Whoever was told that it is open, or planned, is told its end by the entry that ends it."""
    audiences: set[str] = set()
    phase, entries = Phase.NEW, []
    for decided in told.decided:
        entries.append(decided.entry)
        after = fold(told.incident, entries).phase
        if after is Phase.OVER and phase in {Phase.OPEN, Phase.PLANNED}:
            assert {notice.audience for notice in decided.notices if notice.closing} >= audiences
        audiences |= {notice.audience for notice in decided.notices}
        phase = after
