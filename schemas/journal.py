"""The journal: per incident, in order, each accepted input and the decisions that followed from it.

One record holds the input and all its decisions: no half decision exists. Every decision names its reason.
"""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.base import Channel, Id, Instant, Lane, Level, Line, Message, Sha256
from schemas.command import WakeReason


class NoticeKind(StrEnum):
    """What a notice tells."""

    OPENED = "opened"
    UPDATED = "updated"
    IMPACT_CHANGED = "impact_changed"
    MILESTONE = "milestone"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    REVIEW = "review"
    MAINTENANCE_SCHEDULED = "maintenance_scheduled"
    MAINTENANCE_STARTED = "maintenance_started"
    MAINTENANCE_COMPLETED = "maintenance_completed"


class NoticeDecided(Message):
    """One audience is told one thing."""

    decision: Literal["notice_decided"] = "notice_decided"
    notice_id: Id
    audience: Id
    level: Level
    kind: NoticeKind
    lane: Lane
    reason: str
    renderings: dict[Channel, Sha256]


class AudienceSilent(Message):
    """One audience is deliberately not told; the rule is named."""

    decision: Literal["audience_silent"] = "audience_silent"
    audience: Id
    reason: str


class InputIgnored(Message):
    """The input changes nothing; why."""

    decision: Literal["input_ignored"] = "input_ignored"
    reason: str


class FieldWithheld(Message):
    """A field that was said is not told, for want of the approval it needs."""

    decision: Literal["field_withheld"] = "field_withheld"
    field: str
    reason: str


class PromiseMade(Message):
    """A next update was promised for `due`."""

    decision: Literal["promise_made"] = "promise_made"
    due: Instant


class PromiseKept(Message):
    """Something was told before the promised time had passed."""

    decision: Literal["promise_kept"] = "promise_kept"
    due: Instant


class PromiseBroken(Message):
    """The promised time passed in silence."""

    decision: Literal["promise_broken"] = "promise_broken"
    due: Instant


class WakeScheduled(Message):
    """The clock is asked to call at `due`."""

    decision: Literal["wake_scheduled"] = "wake_scheduled"
    due: Instant
    reason: WakeReason


Decision = Annotated[
    NoticeDecided
    | AudienceSilent
    | InputIgnored
    | FieldWithheld
    | PromiseMade
    | PromiseKept
    | PromiseBroken
    | WakeScheduled,
    Field(discriminator="decision"),
]


class VirtualClock(Message):
    """Played incidents carry their own clock: `time` when the record was appended, running `speed` times as fast."""

    time: Instant
    speed: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class JournaledInput(Message):
    """An input as it was accepted: its identity (CloudEvents `source` and `id`), where it stood, what it said."""

    id: Line
    source: Line
    type: str
    topic: str
    partition: int
    offset: int
    appended_at: Instant
    occurred_at: Instant | None = None
    virtual: VirtualClock | None = None
    data: dict[str, Any]


class JournalEntry(Message):
    """One input and everything decided on it. `at` never runs backwards within an incident."""

    TYPE: ClassVar[str] = "io.tocsin.journal.entry.v1"
    incident: Id
    seq: Annotated[int, Field(ge=1)]
    at: Instant
    policy: Sha256
    input: JournaledInput
    decisions: tuple[Decision, ...]
