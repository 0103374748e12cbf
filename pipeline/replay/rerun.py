"""One incident of the past, decided on again under a policy, in virtual time. Nothing here can send.

The clock is the incident's own: whenever a decision asks to be woken, the wake is fed when its moment comes, after
what upstream said at that very moment and before anything it said later. After upstream's last word the clock goes on
until no wake is left, or until `BOUND` has passed; an incident that upstream never ends would go on for ever.
"""

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.decide.incident import Decided, decide
from pipeline.decide.state import IncidentState
from pipeline.policy import Policy
from pipeline.recorded import RecordedEvent
from pipeline.replay.past import Past
from pipeline.replay.signing import SOURCE as APPROVALS
from pipeline.replay.signing import approvals
from schemas import topics
from schemas.base import Channel
from schemas.census import AudienceCount
from schemas.command import Approve, Wake
from schemas.ids import derived
from schemas.journal import JournaledInput, Surroundings, WakeScheduled
from schemas.operator import Signature

BOUND = timedelta(days=45)
"""How long the clock goes on after upstream's last word: longer than a month's final report (NIS2, Art. 23)."""
CLOCK = "tocsin/clock"
UPSTREAM = "/tocsin/backtest"
MEASURED = (Channel.SMS, Channel.X)
"""What is rendered: a mail costs the same whatever its length, and rendering it would take most of the time."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What all incidents are run under: the policy, whom it would reach, and who approves after how long, if anyone."""

    policy: Policy
    census: Mapping[str, AudienceCount]
    approvals: timedelta | None = None
    channels: Collection[Channel] = MEASURED


@dataclass(frozen=True, slots=True)
class Rerun:
    """Everything that was decided on one incident; `cut_off`: the clock was stopped with wakes left."""

    past: Past
    turns: tuple[Decided, ...]
    cut_off: bool


def rerun(past: Past, conditions: Conditions) -> Rerun:
    """Decides on `past` once more. Raises `PolicyError` where a template of the policy fails."""
    run = _Run(past, conditions)
    for event in past.events:
        run.clock_until(event.at)
        run.say(event)
    run.clock_until(past.events[-1].at + BOUND)
    return Rerun(past, tuple(run.turns), run.pending)


@dataclass(frozen=True, slots=True)
class _Order:
    """What the clock, or a person, will order once its moment has come."""

    source: str
    id: str
    command: Wake | Approve
    signed: Signature | None = None

    def given(self, at: datetime, offset: int) -> JournaledInput:
        """As it is journaled at `at`."""
        return JournaledInput(
            id=self.id,
            source=self.source,
            type=self.command.TYPE,
            topic=topics.INCIDENT_COMMANDS.name,
            partition=0,
            offset=offset,
            appended_at=at,
            signed=self.signed,
            data=self.command.model_dump(mode="json", exclude_none=True),
        )


@dataclass
class _Run:
    """The incident on its way. Mutable; only `_take` changes the state."""

    past: Past
    conditions: Conditions
    turns: list[Decided] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._state = IncidentState(self.past.incident)
        self._due: list[tuple[datetime, int, _Order]] = []
        self._asked = 0
        self._surrounded = False

    @property
    def pending(self) -> bool:
        """Whether anything is still to come."""
        return bool(self._due)

    def say(self, event: RecordedEvent) -> None:
        """What upstream said."""
        data = event.event.model_dump(mode="json", exclude_none=True)
        self._take(
            JournaledInput(
                id=event.id,
                source=UPSTREAM,
                type=event.event.TYPE,
                topic=topics.INCIDENT_EVENTS.name,
                partition=0,
                offset=self._state.seq,
                appended_at=event.at,
                occurred_at=event.at,
                surroundings=self._surroundings(),
                data=data,
            )
        )

    def clock_until(self, moment: datetime) -> None:
        """Everything that falls due before `moment`, in order; what falls due meanwhile as well."""
        while self._due and self._due[0][0] < moment:
            at, _, order = heapq.heappop(self._due)
            if self._state.entry_of(order.source, order.id) is None:
                self._take(order.given(at, self._state.seq))

    def _take(self, given: JournaledInput) -> None:
        conditions = self.conditions
        decided = decide(self._state, given, conditions.policy, conditions.channels)
        self._state = decided.after
        self.turns.append(decided)
        for decision in decided.entry.decisions:
            if isinstance(decision, WakeScheduled):
                self._ask(decision.due, _wake(self.past.incident, decision))
            elif conditions.approvals is not None:
                for one in approvals(self.past.incident, decision):
                    order = _Order(APPROVALS, one.id, one.command, one.signed)
                    self._ask(decided.entry.at + conditions.approvals, order)

    def _ask(self, at: datetime, order: _Order) -> None:
        self._asked += 1  # of what is due at one moment, what was asked for first comes first
        heapq.heappush(self._due, (at, self._asked, order))

    def _surroundings(self) -> Surroundings | None:
        """Once is enough: they stay as they are."""
        if self._surrounded:
            return None
        self._surrounded = True
        return Surroundings(census=dict(self.conditions.census), earlier=self.past.earlier)


def _wake(incident: str, asked: WakeScheduled) -> _Order:
    """As the running system's clock names it (`agents.clockwork`)."""
    return _Order(
        CLOCK, derived("wake", incident, asked.reason, asked.due.isoformat()), Wake(due=asked.due, reason=asked.reason)
    )
