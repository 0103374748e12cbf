"""Incident events: what upstream says happened. Past tense, immutable, each field marked with who it is for.

A field that is `None` was not said; it is told as "not yet known" or keeps what was said before, never invented.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from schemas.base import Id, Instant, Level, Line, Message, Severity, State, Text

NONE: Literal["none"] = "none"
"""Said of a consequence: explicitly there is none. Not the same as not having said anything."""


@dataclass(frozen=True)
class For:
    """Marks a field with the levels of detail that may see it, and the approval it needs, if any, to be told."""

    levels: frozenset[Level]
    approval: str | None = None


def _for(*levels: Level, approval: str | None = None) -> For:
    return For(frozenset(levels), approval)


EVERYONE = _for(*Level)
READERS = _for(Level.CUSTOMER, Level.EXECUTIVE, Level.TECHNICAL, Level.INTERNAL)
TECHNICIANS = _for(Level.TECHNICAL, Level.INTERNAL)
INSIDERS = _for(Level.INTERNAL)
NEEDS_LEGAL = _for(*Level, approval="legal")


class Contact(Message):
    """The one person or desk that has time during the outage, and how to reach them."""

    name: Line
    reach: Line


class Crew(Message):
    """Who is working on it, and until when ("through the night")."""

    who: Line
    until: Instant | None = None


class Consequences(Message):
    """What it means for those who use the service; `"none"` states that there are none."""

    now: Annotated[Text | None, EVERYONE] = None
    expected: Annotated[Text | None, EVERYONE] = None
    lasting: Annotated[Text | None, EVERYONE] = None
    data_loss: Annotated[Text | None, EVERYONE] = Field(default=None, description="what was lost, or none")


Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]
"""ISO 639-1."""


class Translation(Message):
    """The texts of an event in another language; each is for those whom the text itself is for."""

    title: Annotated[Line | None, EVERYONE] = None
    summary: Annotated[Text | None, EVERYONE] = None
    consequences: Annotated[Consequences | None, EVERYONE] = None
    workaround: Annotated[Text | None, EVERYONE] = None
    good_news: Annotated[Text | None, EVERYONE] = None
    milestone: Annotated[Text | None, EVERYONE] = None
    technical_detail: Annotated[Text | None, TECHNICIANS] = None
    done: Annotated[Text | None, EVERYONE] = None
    planned: Annotated[Text | None, READERS] = None
    root_cause: Annotated[Text | None, READERS] = None
    review: Annotated[Text | None, READERS] = None


class Facts(Message):
    """Everything an event may say about an incident; each event repeats only what is new."""

    title: Annotated[Line | None, EVERYONE] = None
    severity: Annotated[Severity | None, EVERYONE] = None
    state: Annotated[State | None, EVERYONE] = None
    components: Annotated[tuple[Line, ...] | None, EVERYONE] = Field(default=None, max_length=100)
    regions: Annotated[tuple[Line, ...] | None, EVERYONE] = Field(default=None, max_length=100)
    summary: Annotated[Text | None, EVERYONE] = Field(
        default=None, description="executive summary: two or three sentences that anyone may forward"
    )
    consequences: Annotated[Consequences | None, EVERYONE] = None
    workaround: Annotated[Text | None, EVERYONE] = None
    good_news: Annotated[Text | None, EVERYONE] = None
    next_update_at: Annotated[Instant | None, EVERYONE] = Field(
        default=None, description="a promise: watched, kept or broken on record"
    )
    contact: Annotated[Contact | None, READERS] = None
    crew: Annotated[Crew | None, READERS] = None
    technical_detail: Annotated[Text | None, TECHNICIANS] = None
    internal_notes: Annotated[Text | None, INSIDERS] = None
    ownership: Annotated[Text | None, NEEDS_LEGAL] = Field(
        default=None,
        description="admission of a fault, or an apology; told only with the approval the policy names",
    )
    began_at: Annotated[Instant | None, EVERYONE] = None
    ended_at: Annotated[Instant | None, EVERYONE] = None
    done: Annotated[Text | None, EVERYONE] = Field(default=None, description="what was done, short-term")
    planned: Annotated[Text | None, READERS] = Field(
        default=None, description="what is planned so that it does not happen again"
    )
    root_cause: Annotated[Text | None, READERS] = None
    translations: Annotated[dict[Language, Translation] | None, EVERYONE] = Field(
        default=None, description="the texts in other languages; a reader whose language is missing gets the original"
    )
    private_to: Annotated[tuple[Id, ...] | None, INSIDERS] = Field(
        default=None, description="a private incident: only these audiences of the policy may hear of it"
    )


class IncidentEvent(Facts):
    """An event about an incident or a maintenance; the CloudEvent's `subject` is the incident's id."""

    TYPE: ClassVar[str]


class IncidentOpened(IncidentEvent):
    """Something is wrong, and people should hear of it."""

    TYPE = "io.tocsin.incident.opened.v1"
    title: Annotated[Line, EVERYONE]
    severity: Annotated[Severity, EVERYONE]


class IncidentUpdated(IncidentEvent):
    """There is news, without a change of impact or a milestone."""

    TYPE = "io.tocsin.incident.updated.v1"


class ImpactChanged(IncidentEvent):
    """It became better or worse, or reaches others than before."""

    TYPE = "io.tocsin.incident.impact_changed.v1"

    @model_validator(mode="after")
    def _says_what_changed(self) -> "ImpactChanged":
        if self.severity is None and self.consequences is None and self.components is None and self.regions is None:
            raise ValueError("says none of severity, consequences, components, regions: what changed?")
        return self


class MilestoneReached(IncidentEvent):
    """A step of the repair is done."""

    TYPE = "io.tocsin.incident.milestone_reached.v1"
    milestone: Annotated[Text, EVERYONE]


class MonitoringStarted(IncidentEvent):
    """The repair is in; whether it holds is being watched."""

    TYPE = "io.tocsin.incident.monitoring_started.v1"


class IncidentResolved(IncidentEvent):
    """It is over. Timing, what was done and what is planned stand in the facts."""

    TYPE = "io.tocsin.incident.resolved.v1"


class IncidentReopened(IncidentEvent):
    """It was not over."""

    TYPE = "io.tocsin.incident.reopened.v1"


class ReviewPublished(IncidentEvent):
    """The post-mortem, after a cool-down, apart from the messages of the outage."""

    TYPE = "io.tocsin.incident.review_published.v1"
    review: Annotated[Text, READERS]


class MaintenanceScheduled(IncidentEvent):
    """Work that will be felt, at a known time."""

    TYPE = "io.tocsin.maintenance.scheduled.v1"
    title: Annotated[Line, EVERYONE]
    starts_at: Annotated[Instant | None, EVERYONE] = None
    ends_at: Annotated[Instant | None, EVERYONE] = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "MaintenanceScheduled":
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValueError("ends_at is not after starts_at")
        return self


class MaintenanceStarted(IncidentEvent):
    """The work has begun."""

    TYPE = "io.tocsin.maintenance.started.v1"


class MaintenanceCompleted(IncidentEvent):
    """The work is done."""

    TYPE = "io.tocsin.maintenance.completed.v1"


EVENTS: tuple[type[IncidentEvent], ...] = (
    IncidentOpened,
    IncidentUpdated,
    ImpactChanged,
    MilestoneReached,
    MonitoringStarted,
    IncidentResolved,
    IncidentReopened,
    ReviewPublished,
    MaintenanceScheduled,
    MaintenanceStarted,
    MaintenanceCompleted,
)
