"""`cadence.yaml`: when an incident is told of, how urgently, and what becomes of promised times."""

from collections.abc import Iterator
from datetime import time, timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from pipeline.hours.documents import Clock, OfficeHours, Weekday, Weekdays
from pipeline.policy.words import (
    ChannelWord,
    Document,
    Factor,
    Hours,
    Kinds,
    Name,
    Path,
    SeverityWord,
    SomeTime,
    Span,
    Zone,
    refuse,
    shown,
    spelled,
)
from schemas.base import Severity, State

NO_TIME = timedelta(0)
SOFT_BOUNCES = 5
"""Mailman, whose score is five, has served many lists well with it."""
HowMany = Annotated[int, Field(ge=1, le=366)]


def _size(value: object) -> object:
    if value not in ("small", "large"):
        raise ValueError(f"{shown(value)} is no size; write small or large")
    return value


class Size(Document):
    """Which severities make an incident of this size, and at which notices it is told of."""

    severities: tuple[SeverityWord, ...]
    told_at: Kinds = Field(alias="told at")


class Sizes(Document):
    """Small and large; every severity is exactly one of them."""

    small: Size
    large: Size

    @model_validator(mode="after")
    def _cover_every_severity_once(self) -> "Sizes":
        named = [*self.small.severities, *self.large.severities]
        for severity in Severity:
            match named.count(severity):
                case 0:
                    raise ValueError(f"severity {severity.value!r} stands neither in small nor in large; add it to one")
                case count if count > 1:
                    raise ValueError(f"severity {severity.value!r} stands {count} times; keep it once")
        return self


class Lanes(Document):
    """What goes out by the first lane; everything else is an update."""

    first: Kinds
    first_when_large: Kinds = Field(alias="first when large")


class Slower(Document):
    """A long incident's rhythm: from so long after its beginning, so many times the usual silence."""

    after: Span
    times: Factor


class Silence(Document):
    """How long people may be left without a word, by severity and by where the work stands."""

    investigating: SomeTime
    identified: SomeTime
    monitoring: SomeTime

    def at(self, state: State | None) -> timedelta:
        """The longest silence in this state; while it is unsaid, as while the cause is being looked for."""
        match state:
            case State.IDENTIFIED:
                return self.identified
            case State.MONITORING:
                return self.monitoring
            case _:
                return self.investigating


class Heartbeat(Document):
    """What happens when silence grows: first those who could say something are reminded, then "unchanged" is told."""

    silences: dict[SeverityWord, Silence] = Field(alias="longest silence")
    slower: tuple[Slower, ...] = Field(default=(), alias="slower in a long incident")
    reminded_before: Span = Field(alias="reminded this long before")
    reminders_to: Name | None = Field(default=None, alias="reminders go to")
    margin: Span = Field(alias="a promise is kept this long before its time")

    def silence(self, severity: Severity | None, state: State | None, age: timedelta) -> timedelta | None:
        """How long an incident of this age may be silent; None: there is no limit."""
        found = self.silences.get(severity or Severity.NONE)
        if found is None:
            return None
        factor = max((slower.times for slower in self.slower if age >= slower.after), default=1.0)
        return found.at(state) * factor


class Office(OfficeHours):
    """When those who work in an office are told how it stands: before they leave, and when they come."""

    working_days: Weekdays = Field(default=frozenset(list(Weekday)[:5]), alias="working days")
    before_close: SomeTime | None = Field(default=None, alias="told this long before closing")
    at_opening: bool = Field(default=False, alias="told at opening")
    audiences: tuple[Name, ...] = ()
    zones: tuple[Zone, ...] = Field(default=("UTC",), alias="where nobody's zone is known", min_length=1)
    unless_within: Span = Field(default=NO_TIME, alias="unless told within")

    @property
    def days(self) -> tuple[Weekday, ...]:
        """The working days, in order."""
        return tuple(sorted(self.working_days))


class Reviews(Document):
    """The review: not before the cool-down, and not later than this after the end."""

    cool_down: Span = Field(alias="not before")
    due_days: dict[SeverityWord, HowMany] = Field(default_factory=dict, alias="due after days")
    due_working_days: dict[SeverityWord, HowMany] = Field(default_factory=dict, alias="due after working days")

    @model_validator(mode="after")
    def _are_due_once(self) -> "Reviews":
        twice = [severity for severity in self.due_days if severity in self.due_working_days]
        refuse((("due after working days", word), "this is due after days already; keep one of both") for word in twice)
        return self


class OneRecipient(Document):
    """How one recipient is treated, whatever the incident."""

    quiet: dict[ChannelWord, Hours] = Field(default_factory=dict, alias="quiet hours")
    urgent: tuple[SeverityWord, ...] = Field(default=(), alias="woken by severity")
    at_most: dict[ChannelWord, Annotated[int, Field(ge=1)]] = Field(default_factory=dict, alias="at most")
    cap_window: SomeTime = Field(default=timedelta(hours=1), alias="within")
    digest_at: Clock = Field(default=time(17), alias="digest at")
    soft_bounces: Annotated[int, Field(ge=1, le=100)] = Field(
        default=SOFT_BOUNCES, alias="suppressed after soft bounces in a row"
    )


class Cadence(Document):
    """`cadence.yaml`."""

    sizes: Sizes
    unsaid: Annotated[str, BeforeValidator(_size)] = Field(alias="while the severity is unsaid, it is")
    good_news: bool = Field(alias="good news is told at once")
    promised: bool = Field(alias="a promised update is told")
    lanes: Lanes
    first_notice: SomeTime = Field(alias="the first notice goes out within")
    last_notice: Span | None = Field(default=timedelta(hours=1), alias="the last notice goes out within")
    scope: SomeTime | None = Field(default=None, alias="scope is said within")
    heartbeat: Heartbeat
    gap: Span = Field(default=NO_TIME, alias="minimum gap between updates")
    held: dict[SeverityWord, Span] = Field(default_factory=dict, alias="a resolution must have held for")
    office: Office | None = None
    review: Reviews | None = None
    maintenance_warnings: tuple[SomeTime, ...] = Field(
        default=(), alias="maintenance is announced again this long before"
    )
    recipient: OneRecipient = Field(default_factory=OneRecipient, alias="one recipient")

    @model_validator(mode="after")
    def _times_fit_together(self) -> "Cadence":
        refuse(self._too_short())
        return self

    def _too_short(self) -> Iterator[tuple[Path, str]]:
        """A silence in which there is no room for what must happen before it ends."""
        beat = self.heartbeat
        before_its_end = beat.reminded_before + beat.margin
        for severity, silence in beat.silences.items():
            for state in (State.INVESTIGATING, State.IDENTIFIED, State.MONITORING):
                longest, path = silence.at(state), ("heartbeat", "longest silence", severity.value, state.value)
                if longest <= before_its_end:
                    needed, why = spelled(before_its_end), "the reminder and the promise must find room in it"
                    yield path, f"{spelled(longest)} is too short; write more than {needed}: {why}"
                elif longest <= self.gap:
                    needed, why = spelled(self.gap), "the minimum gap between updates"
                    yield path, f"{spelled(longest)} is too short; write more than {needed}, {why}"

    def is_large(self, worst: Severity | None) -> bool:
        """Whether an incident whose worst severity was this counts as large."""
        return self.unsaid == "large" if worst is None else worst in self.sizes.large.severities

    def size(self, worst: Severity | None) -> Size:
        """The size of such an incident."""
        return self.sizes.large if self.is_large(worst) else self.sizes.small
