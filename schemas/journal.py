"""The journal: per incident, in order, each accepted input and the decisions that followed from it.

One record holds the input and all its decisions: no half decision exists. Every decision names its reason.
"""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.base import Channel, Id, Instant, Lane, Level, Line, Message, Severity, Sha256
from schemas.census import AudienceCount
from schemas.command import WakeReason
from schemas.operator import Signature


class NoticeKind(StrEnum):
    """What a notice tells."""

    OPENED = "opened"
    UPDATED = "updated"
    IMPACT_CHANGED = "impact_changed"
    MILESTONE = "milestone"
    MONITORING = "monitoring"
    UNCHANGED = "unchanged"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    REVIEW = "review"
    MAINTENANCE_SCHEDULED = "maintenance_scheduled"
    MAINTENANCE_SOON = "maintenance_soon"
    MAINTENANCE_STARTED = "maintenance_started"
    MAINTENANCE_COMPLETED = "maintenance_completed"
    CORRECTION = "correction"
    RETRACTION = "retraction"
    REMINDER = "reminder"
    DIGEST = "digest"


class _OfOneAudience(Message):
    """What a notice is, decided or held back: whom it tells what, at which level, how urgently, and why."""

    audience: Id
    level: Level
    kind: NoticeKind
    lane: Lane
    reason: str
    renderings: dict[Channel, tuple[Sha256, ...]]
    safe: bool = Field(default=False, description="templated words only: nothing of the event's own texts is in it")
    zones: tuple[str, ...] = Field(default=(), description="only for those in these time zones; none: for all")
    corrects: int | None = Field(default=None, description="only for those who got the notice of this journal entry")
    expected: int | None = Field(default=None, description="how many are expected to get it, by the census")


class NoticeDecided(_OfOneAudience):
    """One audience is told one thing."""

    decision: Literal["notice_decided"] = "notice_decided"
    notice_id: Id
    draft: Id | None = Field(default=None, description="the draft that it was, if it was held back before")
    approved_by: tuple[Id, ...] = ()


class NoticeHeld(_OfOneAudience):
    """One audience is to be told one thing, once those who must have approved it. `content` is what they approve."""

    decision: Literal["notice_held"] = "notice_held"
    draft: Id
    content: Sha256
    needs: tuple[Id, ...] = Field(description="the roles of which each must have approved")
    people: int = Field(default=1, ge=1, description="how many different persons must have approved")
    refused: bool = Field(default=False, description="cannot be approved as it is: it must be edited")
    by_operator: bool = Field(default=False, description="it waits for nothing but the end of an operator's hold")
    author: Id | None = None


class DraftApproved(Message):
    """Someone approved a draft; it goes out once nobody's approval is missing."""

    decision: Literal["draft_approved"] = "draft_approved"
    draft: Id
    audience: Id
    by: Id
    missing: str = ""


class DraftVoided(Message):
    """A draft will not go out: rejected, edited, overtaken."""

    decision: Literal["draft_voided"] = "draft_voided"
    draft: Id
    audience: Id
    reason: str


class AudienceSilent(Message):
    """One audience is deliberately not told; the rule is named."""

    decision: Literal["audience_silent"] = "audience_silent"
    audience: Id
    reason: str


class AudiencePutOff(Message):
    """One audience is told later; until when, and by which rule."""

    decision: Literal["audience_put_off"] = "audience_put_off"
    audience: Id
    kind: NoticeKind
    until: Instant
    reason: str


class AudienceHeld(Message):
    """An operator's hold on what goes out to an audience begins, or ends."""

    decision: Literal["audience_held"] = "audience_held"
    audience: Id
    held: bool
    by: Id


class ResolutionHeld(Message):
    """The end is not told before it has held until this moment."""

    decision: Literal["resolution_held"] = "resolution_held"
    until: Instant
    reason: str


class ResolutionUndone(Message):
    """It was not over after all, and nobody had been told that it was."""

    decision: Literal["resolution_undone"] = "resolution_undone"
    reason: str


class ResolutionConfirmed(Message):
    """It has held: the end counts from now on."""

    decision: Literal["resolution_confirmed"] = "resolution_confirmed"
    reason: str


class InputIgnored(Message):
    """The input changes nothing; why."""

    decision: Literal["input_ignored"] = "input_ignored"
    reason: str


class IncidentClosed(Message):
    """Its story is told. What comes of it from now on is refused, and Kafka may forget it: the archive has it."""

    decision: Literal["incident_closed"] = "incident_closed"
    reason: str


class CommandRefused(Message):
    """A person's command was not carried out; why."""

    decision: Literal["command_refused"] = "command_refused"
    operator: Id | None = None
    reason: str


class FieldWithheld(Message):
    """A field that was said is not told, for want of the approval it needs, or because its time has passed.

    With a `draft` it can be approved like a notice: `content` is the hash of the text that is approved.
    """

    decision: Literal["field_withheld"] = "field_withheld"
    field: str
    reason: str
    draft: Id | None = None
    content: Sha256 | None = None
    needs: Id | None = None
    author: Id | None = None


class FieldReleased(Message):
    """A field that was withheld may be told from now on, as it was said."""

    decision: Literal["field_released"] = "field_released"
    field: str
    draft: Id
    by: Id


class FactAdded(Message):
    """What the event left unsaid, or called by another name, was taken from the catalogue or from other incidents."""

    decision: Literal["fact_added"] = "fact_added"
    field: str
    value: Any
    reason: str


class GuardFound(Message):
    """A rule of the guard found something in what was to be told to these audiences."""

    decision: Literal["guard_found"] = "guard_found"
    rule: str
    action: Literal["mend", "hold", "refuse"]
    audiences: tuple[Id, ...]
    field: str
    words: str
    why: str


class PromiseMade(Message):
    """A next update was promised to an audience for `due`: by upstream, or by the cadence that keeps it itself."""

    decision: Literal["promise_made"] = "promise_made"
    audience: Id
    due: Instant
    by: Literal["upstream", "cadence"]


class PromiseWarned(Message):
    """The promised time comes near, nothing was said, and those who can say something are told so."""

    decision: Literal["promise_warned"] = "promise_warned"
    due: Instant


class Reminded(Message):
    """Those who can do something were reminded of it, by the rule named; once for each moment it was due."""

    decision: Literal["reminded"] = "reminded"
    rule: str
    due: Instant


class PromiseKept(Message):
    """The audience was told something before the promised time had passed."""

    decision: Literal["promise_kept"] = "promise_kept"
    audience: Id
    due: Instant


class PromiseBroken(Message):
    """The promised time passed in silence."""

    decision: Literal["promise_broken"] = "promise_broken"
    audience: Id
    due: Instant


class WakeScheduled(Message):
    """The clock is asked to call at `due`."""

    decision: Literal["wake_scheduled"] = "wake_scheduled"
    due: Instant
    reason: WakeReason


Decision = Annotated[
    NoticeDecided
    | NoticeHeld
    | DraftApproved
    | DraftVoided
    | AudienceSilent
    | AudiencePutOff
    | AudienceHeld
    | ResolutionHeld
    | ResolutionUndone
    | ResolutionConfirmed
    | InputIgnored
    | IncidentClosed
    | CommandRefused
    | FieldWithheld
    | FieldReleased
    | FactAdded
    | GuardFound
    | PromiseMade
    | PromiseWarned
    | Reminded
    | PromiseKept
    | PromiseBroken
    | WakeScheduled,
    Field(discriminator="decision"),
]


class VirtualClock(Message):
    """Played incidents carry their own clock: `time` when the record was appended, running `speed` times as fast."""

    time: Instant
    speed: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Earlier(Message):
    """Another incident on one of the same components, not long before."""

    incident: Id
    title: Line | None = None
    severity: Severity | None = None
    opened_at: Instant
    components: tuple[Line, ...]


class Surroundings(Message):
    """What was known outside of the incident when the input came. Left out where it is as it was at the last input.

    `usual`: of the notices of the last weeks to each audience, the median of how many were expected to get it.
    """

    census: dict[Id, AudienceCount] = Field(default_factory=dict)
    usual: dict[Id, int] = Field(default_factory=dict)
    earlier: tuple[Earlier, ...] = ()


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
    signed: Signature | None = None
    surroundings: Surroundings | None = None
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


class Opening(Message):
    """That an audience was first told of an incident, and how many were expected to hear it."""

    audience: Id
    at: Instant
    expected: int


class Closed(Message):
    """An incident that was closed, on the compacted topic `incidents.closed`: all that is still known of it.

    `seq`: its last journal entry. `openings`: what later incidents are compared with ("usually told").
    """

    TYPE: ClassVar[str] = "io.tocsin.incident.closed.v1"
    incident: Id
    seq: Annotated[int, Field(ge=1)]
    at: Instant
    openings: tuple[Opening, ...] = ()
