"""Incidents, orders, clocks and policies at random: what must hold, holds after every single entry."""

import ast
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from schemas import command as commands
from schemas import incident as events
from schemas.base import Level
from schemas.command import WakeReason
from schemas.incident import Facts
from tests.decide.machine import INCIDENTS, PEOPLE, STARTS, Line, Person, World, a_count
from tests.decide.machine_policies import policies
from tests.decide.machine_saying import said_events, said_facts
from tests.paths import REPOSITORY

LINES = st.sampled_from((*INCIDENTS[:1], *INCIDENTS))
BOSS = PEOPLE[4]
ANYBODY = st.sampled_from((BOSS, BOSS, BOSS, *PEOPLE))
NOBODY_OR_ANYBODY = st.sampled_from((None, None, None, None, *PEOPLE))
WRONG = st.sampled_from([*[""] * 12, "unsigned", "forged", "replayed", "other incident"])
MINUTES = st.sampled_from([0, 0.1, 1, 2, 3, 5, 6, 8, 11, 16, 25, 45, 61, 100, 150, 400])
AUDIENCES = ("responders", "technical", "executives", "customers", "public", "partners", "premium", "authority")
GROUPS = st.lists(st.sampled_from(AUDIENCES), max_size=2, unique=True)
BEGINNINGS = (events.IncidentOpened, events.MaintenanceScheduled, events.MaintenanceStarted, events.IncidentReopened)
NEWS = (events.IncidentUpdated, events.ImpactChanged, events.MilestoneReached, events.MonitoringStarted)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


class Machine(RuleBasedStateMachine):
    """One example: up to three incidents under changing policies."""

    @initialize(
        start=st.sampled_from(STARTS),
        policy=st.sampled_from(range(5)),
        said=said_events(BEGINNINGS),
        played=st.booleans(),
    )
    def begins(self, start: datetime, policy: int, said: Any, played: bool) -> None:
        self.world = World(start, played)
        self.world.rules_by(policies()[policy])
        self._says(INCIDENTS[0], said, None, 0)

    def line(self, name: str) -> Line:
        return self.world.lines[name]

    # --- upstream

    def _says(self, name: str, said: Any, by: Person | None, early_s: int) -> None:
        model, data = said
        filled = self.world.marks.filled(data, name, self.world.now)
        self.world.say(self.line(name), model.model_validate(filled), by, early_s)

    @rule(name=LINES, said=said_events(BEGINNINGS), by=NOBODY_OR_ANYBODY)
    def it_begins(self, name: str, said: Any, by: Person | None) -> None:
        self._says(name, said, by, 0)

    @rule(name=LINES, said=said_events(NEWS), by=NOBODY_OR_ANYBODY, early_s=st.sampled_from([0, 0, 60, 3600]))
    def there_is_news(self, name: str, said: Any, by: Person | None, early_s: int) -> None:
        self._says(name, said, by, early_s)

    @rule(name=LINES, said=said_events(), by=NOBODY_OR_ANYBODY, early_s=st.sampled_from([0, 0, 60, 3600]))
    def something_is_said(self, name: str, said: Any, by: Person | None, early_s: int) -> None:
        self._says(name, said, by, early_s)

    @rule(name=LINES, said=said_events((events.IncidentResolved, events.MaintenanceCompleted)))
    def it_is_over(self, name: str, said: Any) -> None:
        self._says(name, said, None, 0)

    @precondition(lambda self: any(line.entries for line in self.world.lines.values()))
    @rule(name=LINES, number=st.integers(0, 30))
    def an_input_comes_again(self, name: str, number: int) -> None:
        if self.line(name).entries:
            self.world.comes_again(self.line(name), number)

    # --- time

    @rule(minutes=MINUTES)
    def time_passes(self, minutes: float) -> None:
        self.world.passes(timedelta(minutes=minutes))

    @rule(minutes=st.sampled_from([4, 30, 200]))
    def time_passes_and_the_clock_sleeps(self, minutes: int) -> None:
        self.world.sleeps_for(timedelta(minutes=minutes))

    @rule(name=LINES, ago_s=st.sampled_from([0, 1, 60, 5000]), reason=st.sampled_from(WakeReason))
    def the_clock_calls_unasked(self, name: str, ago_s: int, reason: WakeReason) -> None:
        world = self.world
        world.call(self.line(name), world.now - timedelta(seconds=ago_s), reason, world.now)

    # --- people

    def _drafts(self) -> list[tuple[Line, str, str, tuple[str, ...], str | None]]:
        """What can be approved: where, its id, its content, the roles that must, and whose words it is."""
        found: list[tuple[Line, str, str, tuple[str, ...], str | None]] = []
        for line in self.world.lines.values():
            found += [(line, d.id, d.content, d.needs, d.author) for d in line.state.drafts.values()]
            found += [(line, f.draft, f.content, (f.needs,), f.author) for f in line.state.withheld.values()]
        return found

    def _right(self, needs: tuple[str, ...], author: str | None) -> Person:
        wanted = set(needs)
        able = [p for p in PEOPLE if p.name != author and (wanted & set(p.roles) or not wanted)]
        return max(able, key=lambda p: len(wanted & set(p.roles)), default=PEOPLE[0])

    @precondition(lambda self: self._drafts())
    @rule(number=st.integers(0, 20), who=NOBODY_OR_ANYBODY, wrong=WRONG, content=st.sampled_from([0, 0, 0, 0, 1]))
    def somebody_approves(self, number: int, who: Person | None, wrong: str, content: int) -> None:
        """Without `who`, somebody who may."""
        drafts = self._drafts()
        line, id, right, needs, author = drafts[number % len(drafts)]
        order = commands.Approve(draft=id, content=("0" * 64) if content else right)
        self.world.say(line, order, who or self._right(needs, author), bad=wrong)

    @precondition(lambda self: any(line.state.withheld for line in self.world.lines.values()))
    @rule(number=st.integers(0, 20), who=st.sampled_from(PEOPLE))
    def somebody_approves_a_field(self, number: int, who: Person) -> None:
        fields = [(line, field) for line in self.world.lines.values() for field in line.state.withheld.values()]
        line, field = fields[number % len(fields)]
        self.world.say(line, commands.Approve(draft=field.draft, content=field.content), who)

    @precondition(lambda self: self._drafts())
    @rule(number=st.integers(0, 20))
    def two_who_may_approve_one_after_the_other(self, number: int) -> None:
        drafts = self._drafts()
        line, id, content, needs, author = drafts[number % len(drafts)]
        for person in PEOPLE:
            if person.name != author and set(person.roles) & set(needs):
                self.world.say(line, commands.Approve(draft=id, content=content), person)

    @precondition(lambda self: any(author for *_, author in self._drafts()))
    @rule(number=st.integers(0, 20))
    def somebody_approves_their_own_words(self, number: int) -> None:
        drafts = [draft for draft in self._drafts() if draft[-1]]
        line, id, content, _, author = drafts[number % len(drafts)]
        self.world.say(line, commands.Approve(draft=id, content=content), next(p for p in PEOPLE if p.name == author))

    @precondition(lambda self: self._drafts())
    @rule(number=st.integers(0, 20), who=NOBODY_OR_ANYBODY, wrong=WRONG)
    def somebody_rejects(self, number: int, who: Person | None, wrong: str) -> None:
        drafts = self._drafts()
        line, id, _, needs, author = drafts[number % len(drafts)]
        order = commands.Reject(draft=id, because="not so")
        self.world.say(line, order, who or self._right(needs, author), bad=wrong)

    @precondition(lambda self: self._drafts())
    @rule(number=st.integers(0, 20), said=said_facts(), who=NOBODY_OR_ANYBODY, wrong=WRONG)
    def somebody_edits(self, number: int, said: dict[str, Any], who: Person | None, wrong: str) -> None:
        drafts = self._drafts()
        line, id, _, needs, author = drafts[number % len(drafts)]
        facts = Facts.model_validate(self.world.marks.filled(said, line.incident, self.world.now))
        order = commands.Edit(draft=id, facts=facts)
        self.world.say(line, order, who or self._right(needs, author), bad=wrong)

    @rule(name=LINES, who=ANYBODY, groups=GROUPS, wrong=WRONG)
    def somebody_holds(self, name: str, who: Person, groups: list[str], wrong: str) -> None:
        self.world.say(self.line(name), commands.Hold(audiences=tuple(groups)), who, bad=wrong)

    @precondition(lambda self: any(line.state.held for line in self.world.lines.values()))
    @rule(name=LINES, who=ANYBODY, groups=GROUPS)
    def somebody_releases(self, name: str, who: Person, groups: list[str]) -> None:
        self.world.say(self.line(name), commands.Release(audiences=tuple(groups)), who)

    @rule(name=LINES, who=ANYBODY, wrong=WRONG)
    def somebody_publishes_now(self, name: str, who: Person, wrong: str) -> None:
        self.world.say(self.line(name), commands.PublishNow(), who, bad=wrong)

    @rule(name=LINES, seq=st.integers(1, 12), who=ANYBODY, said=said_facts(), wrong=WRONG)
    def somebody_corrects(self, name: str, seq: int, who: Person, said: dict[str, Any], wrong: str) -> None:
        facts = Facts.model_validate(self.world.marks.filled(said, name, self.world.now))
        why = self.world.marks.text("It was otherwise @.", "explanation", name)
        self.world.say(self.line(name), commands.Correct(seq=seq, facts=facts, explanation=why), who, bad=wrong)

    @rule(name=LINES, seq=st.integers(1, 12), who=ANYBODY, wrong=WRONG)
    def somebody_retracts(self, name: str, seq: int, who: Person, wrong: str) -> None:
        why = self.world.marks.text("It was not so @.", "explanation", name)
        self.world.say(self.line(name), commands.Retract(seq=seq, explanation=why), who, bad=wrong)

    # --- what is around, and what breaks

    @rule(
        audience=st.sampled_from(AUDIENCES),
        total=st.sampled_from([0, 3, 90, 400, 40_000]),
        zones=st.lists(st.sampled_from(ZONES), max_size=2, unique=True).map(tuple),
        languages=st.lists(st.sampled_from(["en", "de", "fr"]), max_size=2, unique=True).map(tuple),
        levels=st.lists(st.sampled_from(Level), max_size=2, unique=True).map(tuple),
    )
    def people_are_counted(
        self,
        audience: str,
        total: int,
        zones: tuple[str, ...],
        languages: tuple[str, ...],
        levels: tuple[Level, ...],
    ) -> None:
        self.world.counts(audience, a_count(total, zones, languages, levels))

    @rule(policy=st.integers(0, 4))
    def the_policy_changes(self, policy: int) -> None:
        self.world.rules_by(policies()[policy])

    @rule(name=LINES)
    def a_worker_takes_over(self, name: str) -> None:
        self.world.restarts(self.line(name))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.ends()


MANY = settings(
    max_examples=45,
    stateful_step_count=25,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.mark.hypothesis
@pytest.mark.timeout(900)  # a failing example is made small, which takes its time
def test_whatever_happens_what_must_hold_holds():
    run_state_machine_as_test(Machine, settings=MANY)


@pytest.mark.hypothesis
@pytest.mark.slow
def test_it_holds_in_many_more_and_longer_examples():
    run_state_machine_as_test(Machine, settings=settings(MANY, max_examples=250, stateful_step_count=50))


def test_no_part_of_deciding_looks_at_a_clock_or_rolls_dice():
    for path in (REPOSITORY / "pipeline" / "decide").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            names |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
            assert not names & {"time", "random", "secrets", "uuid", "os", "socket", "pipeline.clock"}, path
            assert ast.unparse(node) not in {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}, path
