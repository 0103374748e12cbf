"""Incidents told to the decider without any broker: inputs as they would be journaled, and what follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeVar

from pipeline import policy
from pipeline.decide.incident import Decided, decide, evolve
from pipeline.decide.state import IncidentState
from pipeline.policy import Policy
from pipeline.recorded import RecordedEvent
from schemas.base import Message
from schemas.command import Wake, WakeReason
from schemas.journal import AudienceSilent, JournaledInput, NoticeDecided, VirtualClock
from schemas.notice import Notice
from schemas.rendering import EmailContent, PostContent, SmsContent
from tests.paths import REPOSITORY

C = TypeVar("C")
START = datetime(2026, 3, 3, 22, 0, tzinfo=UTC)


@cache
def default_policy() -> Policy:
    """The policy that ships."""
    return policy.compile(policy.load(REPOSITORY / "deploy" / "policies" / "default"))


def given(
    data: Message, number: int, at: datetime, virtual: bool = False, occurred_at: datetime | None = None
) -> JournaledInput:
    """`data` as the `number`th input of an incident, appended at `at`."""
    return JournaledInput(
        id=f"event-{number}",
        source="/tests",
        type=data.TYPE,  # type: ignore[attr-defined]
        topic="incident.events",
        partition=0,
        offset=number,
        appended_at=at,
        occurred_at=occurred_at,
        virtual=VirtualClock(time=at, speed=60.0) if virtual else None,
        data=data.model_dump(mode="json", exclude_none=True),
    )


@dataclass
class Story:
    """One incident from its first word on."""

    incident: str = "payments-1"
    policy: Policy = field(default_factory=default_policy)
    state: IncidentState = field(init=False)
    decided: list[Decided] = field(default_factory=list)
    minutes: float = 0

    def __post_init__(self) -> None:
        self.state = IncidentState(self.incident)

    def take(self, data: Message, after: float = 10) -> Decided:
        """The next event, `after` minutes later."""
        self.minutes += after
        return self.take_input(given(data, self.state.seq + 1, START + timedelta(minutes=self.minutes)))

    def take_input(self, one: JournaledInput) -> Decided:
        decided = decide(self.state, one, self.policy)
        self.state = evolve(self.state, decided.entry)
        self.decided.append(decided)
        return decided

    def wake(self, due: datetime) -> Decided:
        """The clock calls at `due`."""
        command = Wake(due=due, reason=WakeReason.PROMISE_DUE)
        return self.take_input(given(command, self.state.seq + 1, due))


def told(decided: Decided) -> dict[str, NoticeDecided]:
    """Who was told, by audience."""
    return {d.audience: d for d in decided.entry.decisions if isinstance(d, NoticeDecided)}


def silent(decided: Decided) -> dict[str, str]:
    """Who was not told, and why."""
    return {d.audience: d.reason for d in decided.entry.decisions if isinstance(d, AudienceSilent)}


def notice_to(audience: str, decided: Decided) -> Notice:
    return next(notice for notice in decided.notices if notice.audience == audience)


def email_to(audience: str, decided: Decided) -> EmailContent:
    return _content(audience, decided, EmailContent)


def sms_to(audience: str, decided: Decided) -> SmsContent:
    return _content(audience, decided, SmsContent)


def post_to(audience: str, decided: Decided) -> PostContent:
    return _content(audience, decided, PostContent)


def _content(audience: str, decided: Decided, kind: type[C]) -> C:
    return next(r.content for r in notice_to(audience, decided).renderings if isinstance(r.content, kind))


def play(events: Iterable[RecordedEvent], policy: Policy | None = None) -> dict[str, Story]:
    """Recorded events told one by one, each to its own incident."""
    stories: dict[str, Story] = {}
    for number, recorded in enumerate(events):
        story = stories.setdefault(recorded.incident, Story(recorded.incident, policy or default_policy()))
        story.take_input(given(recorded.event, number, recorded.at, virtual=True, occurred_at=recorded.at))
    return stories
