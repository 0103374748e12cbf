"""Incidents told to the decider without any broker: inputs as they would be journaled, and what follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import authority, policy
from pipeline.decide.incident import Decided, decide, evolve
from pipeline.decide.state import IncidentState
from pipeline.policy import Policy
from pipeline.recorded import RecordedEvent
from schemas.base import Message
from schemas.command import Wake, WakeReason
from schemas.journal import (
    AudienceSilent,
    JournaledInput,
    NoticeDecided,
    Surroundings,
    VirtualClock,
    WakeScheduled,
)
from schemas.notice import Notice
from schemas.operator import Signature
from schemas.policy import PolicyPublished, hash_of
from schemas.rendering import UTC as UTC_ROW
from schemas.rendering import EmailContent, PostContent, SmsContent, content_in
from tests.paths import REPOSITORY

C = TypeVar("C")
START = datetime(2026, 3, 3, 22, 0, tzinfo=UTC)


@cache
def default_policy() -> Policy:
    """The policy that ships."""
    return policy.compile(policy.load(REPOSITORY / "deploy" / "policies" / "small-saas"))


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


def a_policy(name: str = "small-saas", **changes: str | None) -> Policy:
    """A policy that ships, with lines of its documents replaced: `a_policy(cadence="old line => new line")`."""
    return _a_policy(name, tuple(sorted((document, change) for document, change in changes.items() if change)))


@cache
def _a_policy(name: str, changes: tuple[tuple[str, str], ...]) -> Policy:
    published = policy.load(REPOSITORY / "deploy" / "policies" / name)
    documents = dict(published.documents)
    for document, change in changes:
        for line in change.split(" && "):
            old, new = line.split(" => ")
            assert old in documents[f"{document}.yaml"], f"{document}.yaml has no {old!r}"
            documents[f"{document}.yaml"] = documents[f"{document}.yaml"].replace(old, new, 1)
    return policy.compile(PolicyPublished(name=name, hash=hash_of(documents), documents=documents))


@dataclass
class Operator:
    """Somebody who signs what they order."""

    name: str
    roles: tuple[str, ...]
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def signature(self, one: JournaledInput, incident: str) -> Signature:
        text = authority.sign(self.key, incident, one.id, one.source, one.type, one.data)
        public = authority.base64url(self.key.public_key().public_bytes_raw())
        return Signature(operator=self.name, public_key=public, roles=self.roles, signature=text)


@dataclass
class Story:
    """One incident from its first word on. Its clock calls whenever a decision asked for it."""

    incident: str = "payments-1"
    policy: Policy = field(default_factory=default_policy)
    state: IncidentState = field(init=False)
    decided: list[Decided] = field(default_factory=list)
    minutes: float = 0
    around: Surroundings | None = None
    _wakes: dict[datetime, WakeReason] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = IncidentState(self.incident)

    @property
    def now(self) -> datetime:
        return START + timedelta(minutes=self.minutes)

    def take(self, data: Message, after: float = 10, by: Operator | None = None) -> Decided:
        """The next event or order, `after` minutes later; until then the clock calls when something is due."""
        self.passes(after)
        one = given(data, self.state.seq + 1, self.now)
        if by is not None:
            one = one.model_copy(update={"signed": by.signature(one, self.incident)})
        return self.take_input(one)

    def passes(self, minutes: float) -> list[Decided]:
        """Time goes by; what the clock called for meanwhile."""
        self.minutes += minutes
        called = []
        while due := min((moment for moment in self._wakes if moment <= self.now), default=None):
            called.append(self.wake(due, self._wakes[due]))
        return called

    def ends(self, data: Message, after: float = 10) -> Decided:
        """An end, and the entry that tells it: held back, it is told once it has held."""
        decided = self.take(data, after)
        while self.state.ending is not None:
            self.minutes += 1
            called = self.passes(0)
            decided = called[-1] if called else decided
        return decided

    def take_input(self, one: JournaledInput) -> Decided:
        if self.around is not None:
            one, self.around = one.model_copy(update={"surroundings": self.around}), None
        decided = decide(self.state, one, self.policy)
        self.state = evolve(self.state, decided.entry)
        self.decided.append(decided)
        for decision in decided.entry.decisions:
            if isinstance(decision, WakeScheduled):
                self._wakes[decision.due] = decision.reason
        return decided

    def wake(self, due: datetime, reason: WakeReason = WakeReason.PROMISE_DUE) -> Decided:
        """The clock calls at `due`."""
        self._wakes.pop(due, None)
        return self.take_input(given(Wake(due=due, reason=reason), self.state.seq + 1, due))


def notices_told(called: Iterable[Decided]) -> list[tuple[str, str]]:
    """Who was told what by several entries, in order."""
    return [(notice.audience, str(notice.kind)) for decided in called for notice in decided.notices]


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
    """As English readers get it whose time zone is not known."""
    made = (content_in(r, UTC_ROW) for r in notice_to(audience, decided).renderings if r.language == "en")
    return next(content for content in made if isinstance(content, kind))


def play(events: Iterable[RecordedEvent], policy: Policy | None = None) -> dict[str, Story]:
    """Recorded events told one by one, each to its own incident, the clock calling in between and for a day after."""
    stories: dict[str, Story] = {}
    for number, recorded in enumerate(events):
        story = stories.setdefault(recorded.incident, Story(recorded.incident, policy or default_policy()))
        story.passes((recorded.at - story.now).total_seconds() / 60)
        story.take_input(given(recorded.event, number, recorded.at, virtual=True, occurred_at=recorded.at))
    for story in stories.values():
        story.passes(24 * 60)
    return stories
