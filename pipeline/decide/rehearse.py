"""A rehearsal: what a policy would say and do is tried before anybody hangs on its words.

First the words: every kind of notice, sparse, full, and in the safe text, in every language and at every level that can
read it. Then the rules: every kind of event told to its end, with the clock called whenever it asks to be.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jinja2 import Template

from pipeline.decide.compose import compose
from pipeline.decide.incident import decide, evolve
from pipeline.decide.occasion import Occasion, Readers, Telling
from pipeline.decide.state import IncidentState
from pipeline.decide.turn import ENDS, MAINTENANCE
from pipeline.decide.view import Known
from pipeline.errors import PolicyError
from pipeline.policy import Policy
from pipeline.policy.wording import PREFIX
from pipeline.policy.words import in_words
from schemas import incident as events
from schemas.base import Channel, Lane, Level, Message, Severity, State
from schemas.census import AudienceCount
from schemas.command import Wake
from schemas.journal import JournaledInput, NoticeKind, Surroundings, WakeScheduled

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
APART = timedelta(hours=5)
"""From one event to the next: long enough for silences, offices and deadlines to come between them."""
LAST = BEGIN + timedelta(days=400)
"""Whatever a policy may ask for is due by then: its spans are at most a year."""
CALLS = 100
"""So often the clock is called between two events, and after the last."""

_LEVELS = tuple(Level)
_FULL = events.Facts(
    title="Rehearsal",
    severity=Severity.MAJOR,
    state=State.IDENTIFIED,
    components=("Component",),
    regions=("Region",),
    summary="A summary.",
    consequences=events.Consequences(now="Now.", expected=events.NONE, lasting="Lasting.", data_loss="Some data."),
    workaround="A workaround.",
    good_news="Good news.",
    next_update_at=BEGIN + timedelta(days=30),
    contact=events.Contact(name="Contact", reach="contact@example.com"),
    crew=events.Crew(who="Crew", until=BEGIN + timedelta(days=30)),
    technical_detail="Technical detail.",
    internal_notes="Internal notes.",
    ownership="Ownership.",
    began_at=BEGIN,
    ended_at=BEGIN + timedelta(hours=1),
    done="What was done.",
    planned="What is planned.",
    root_cause="A root cause.",
)
_EVERYTHING = Known(
    **{name: getattr(_FULL, name) for name in events.Facts.model_fields},
    milestone="A milestone.",
    review="A review.",
    starts_at=BEGIN,
    ends_at=BEGIN + timedelta(hours=2),
    explanation="What was wrong.",
    held_since=BEGIN,
    earlier=("earlier-1: Something else",),
)
_OTHERWISE = _EVERYTHING.model_copy(update={"severity": Severity.NONE, "components": ("Another",)})
_SAID = (
    (Known(), Known(), False),
    (_EVERYTHING, Known(), False),
    (_EVERYTHING, _OTHERWISE, False),
    (_EVERYTHING, Known(), True),
)
"""What is known, what was told before, and whether the safe text is asked for."""


def rehearse(policy: Policy) -> int:
    """How many texts were spoken without fault. Raises `PolicyError`, which names the template and line that failed."""
    spoken = 0
    for telling, occasion in _occasions(policy):
        try:
            spoken += len(compose(telling, occasion, policy))
        except Exception as error:  # what a template hands on may fail only when it is used
            raise PolicyError(_placed(error, telling)) from error
    for severity in Severity:
        for said in ({}, _FULL.model_dump(exclude_none=True, exclude={"severity", "state"})):
            _Played(policy).tell(_story(severity, said))
    return spoken


# --- the words


def _occasions(policy: Policy) -> Iterator[tuple[Telling, Occasion]]:
    for level in _LEVELS:
        audience, channels = _readers(level, policy)
        for kind in NoticeKind if channels else ():
            for known, before, safe in _SAID:
                telling = Telling(audience, level, kind, Lane.FIRST, channels, "a rehearsal", safe=safe)
                yield telling, _occasion(kind, known, before, policy)


def _readers(level: Level, policy: Policy) -> tuple[str, tuple[Channel, ...]]:
    """An audience whose members may choose to read at `level`, and on which channels any of those could."""
    groups = {name: group for name, group in policy.audiences.items() if _rank(group.level) >= _rank(level)}
    there = {channel for group in groups.values() for channel in group.channels}
    # A post is read by everybody: what only an account on X gets is said at its own level.
    own = {channel for group in groups.values() if group.level is level for channel in group.channels}
    return next(iter(groups), ""), tuple(channel for channel in Channel if channel in there - {Channel.X} | own)


def _occasion(kind: NoticeKind, known: Known, before: Known, policy: Policy) -> Occasion:
    return Occasion(
        incident="rehearsal",
        seq=2,
        at=BEGIN + timedelta(hours=3),
        known=known,
        before=before,
        over=kind in ENDS or kind is NoticeKind.REVIEW,
        maintenance=kind in MAINTENANCE,
        worst=known.severity,
        subject="Rehearsal",
        reported_at=BEGIN,
        components_ever=tuple(known.components or ()),
        regions_ever=tuple(known.regions or ()),
        since=BEGIN,
        revision=1,
        released=frozenset(Known.model_fields) if known.title else frozenset(),
        readers=Readers(policy.languages.languages, (), ("Europe/Berlin",), frozenset(Channel)),
    )


def _rank(level: Level) -> int:
    return _LEVELS.index(level)


def _placed(error: Exception, telling: Telling) -> str:
    """What failed, with the template and the line in it that was being spoken last."""
    cause = error.__cause__ or error
    where, trace = "templates", cause.__traceback__
    while trace is not None:
        if (name := trace.tb_frame.f_code.co_filename).startswith(PREFIX):
            # The line of the program that Jinja made of the template, unless Jinja put the template's own in its place.
            made: Template | None = trace.tb_frame.f_globals.get("__jinja_template__")
            line = made.get_corresponding_lineno(trace.tb_lineno) if made else trace.tb_lineno
            where = f"{name}:{line}"
        trace = trace.tb_next
    what = f"a notice {in_words(telling.kind)!r} cannot be spoken for level {telling.level}"
    return f"{where}: {what} ({type(cause).__name__}: {cause}); mend the template"


# --- the rules


@dataclass
class _Played:
    """An incident that is told to nobody: only the rules are asked, no words are made."""

    policy: Policy
    state: IncidentState = field(default_factory=lambda: IncidentState("rehearsal"))
    calls: list[Wake] = field(default_factory=list)

    def tell(self, story: list[events.IncidentEvent]) -> None:
        """One event after another, with the calls of the clock between them, and those after the last."""
        at = BEGIN
        for event in story:
            self._take(event, at)
            at += APART
            self._called(until=at)
        self._called(until=LAST)

    def _called(self, until: datetime) -> None:
        for _ in range(CALLS):
            due = [wake for wake in self.calls if wake.due < until]
            if not due:
                break
            wake = min(due, key=lambda one: one.due)
            self.calls.remove(wake)
            self._take(wake, wake.due)

    def _take(self, data: Message, at: datetime) -> None:
        decided = decide(self.state, self._given(data, at), self.policy, channels=())
        self.state = evolve(self.state, decided.entry)
        asked = [one for one in decided.entry.decisions if isinstance(one, WakeScheduled)]
        self.calls += [Wake(due=one.due, reason=one.reason) for one in asked]

    def _given(self, data: Message, at: datetime) -> JournaledInput:
        return JournaledInput(
            id=f"rehearsal-{self.state.seq}",
            source="/rehearsal",
            type=data.TYPE,  # type: ignore[attr-defined]  # events and commands name their type
            topic="incident.events",
            partition=0,
            offset=self.state.seq,
            appended_at=at,
            surroundings=None if self.state.seq else _surroundings(self.policy),
            data=data.model_dump(mode="json", exclude_none=True),
        )


def _surroundings(policy: Policy) -> Surroundings:
    """A thousand readers of each audience, here and there."""
    zones, languages = {"Europe/Berlin": 600, "America/New_York": 400}, dict.fromkeys(policy.languages.languages, 500)
    count = AudienceCount(total=1000, zones=zones, languages=languages)
    return Surroundings(census=dict.fromkeys(policy.audiences, count), usual=dict.fromkeys(policy.audiences, 1000))


def _story(severity: Severity, said: dict[str, object]) -> list[events.IncidentEvent]:
    """Every kind of event in a plausible order; `said` fills every field, or none."""
    title = {"title": "Rehearsal"} | said
    other = Severity.MAJOR if severity is not Severity.MAJOR else Severity.CRITICAL

    def make(model: type[events.IncidentEvent], **more: object) -> events.IncidentEvent:
        return model.model_validate(said | more)

    return [
        make(events.MaintenanceScheduled, **title, starts_at=BEGIN + APART / 2, ends_at=BEGIN + APART),
        make(events.MaintenanceStarted),
        make(events.MaintenanceCompleted),
        make(events.IncidentOpened, **title, severity=severity),
        *(make(events.IncidentUpdated, state=state, good_news=f"It is {state}.") for state in list(State)[:3]),
        make(events.MilestoneReached, milestone="A milestone."),
        make(events.ImpactChanged, severity=other),
        make(events.MonitoringStarted),
        make(events.IncidentResolved),
        make(events.IncidentReopened),
        make(events.IncidentResolved),
        make(events.IncidentUpdated, done="Something more."),
        make(events.ReviewPublished, review="A review."),
    ]
