"""Notices: the decision to tell one audience one thing about an incident at one revision, with its renderings."""

from datetime import datetime, time, timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from schemas.base import Channel, Id, Instant, Lane, Level, Line, Message, Severity
from schemas.census import Group
from schemas.journal import NoticeKind, VirtualClock
from schemas.rendering import Rendering


class LocalHours(Message):
    """Hours of the day by the recipient's own clock; `until` before `from_` means past midnight."""

    from_: time
    until: time


class Manners(Message):
    """How one recipient is treated, whatever the incident: the policy's rules for `admit`, as the notice was decided.

    `urgent` ones are sent whatever the hour. `at_most` counts the messages of a channel to one recipient within
    `cap_window_s` seconds, for which the ends of incidents do not count.
    """

    quiet_hours: dict[Channel, LocalHours] = Field(default_factory=dict)
    office_hours: LocalHours = LocalHours(from_=time(9), until=time(17))
    country: str | None = None
    digest_at: time = time(17)
    at_most: dict[Channel, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    cap_window_s: Annotated[int, Field(ge=1)] = 3600


class PlayedClock(VirtualClock):
    """The clock of a played incident: when ours showed `real`, it showed `time`, and it runs `speed` times as fast."""

    real: Instant

    def shown(self, real: datetime) -> datetime:
        """What it shows when ours shows `real`."""
        return self.time + (real - self.real) * self.speed

    def real_at(self, shown: datetime) -> datetime:
        """What ours shows once it shows `shown`; a millisecond late rather than early."""
        return self.real + (shown - self.time) / self.speed + timedelta(milliseconds=1)


class Notice(Message):
    """The decision itself.

    `outranked_by` are the audiences that are told of the same revision at a higher level: who belongs to one of them is
    told there and not here, whatever order the notices come in. `never` are groups that must not hear of it, whatever
    else they belong to. A `closing` notice also goes to everyone who was told before, however their choices changed
    since. One that `corrects` goes to exactly those who got the notice of that journal entry. The first rendering of a
    channel is in the language that is read by whoever chose one that is not offered. `clock`: of a played incident.
    """

    notice_id: Id
    incident: Id
    seq: int
    at: Instant
    kind: NoticeKind
    group: Group
    level: Level
    lane: Lane
    closing: bool
    urgent: bool = False
    severity: Severity | None = None
    components: tuple[Line, ...]
    regions: tuple[Line, ...] = ()
    zones: tuple[str, ...] = ()
    corrects: int | None = None
    outranked_by: tuple[Group, ...] = ()
    never: tuple[Group, ...] = ()
    manners: Manners = Manners()
    clock: PlayedClock | None = None
    renderings: tuple[Rendering, ...]

    @property
    def audience(self) -> str:
        """The name of the audience it is for."""
        return self.group.audience


class Notices(Message):
    """What one journal entry tells in one lane, audience by audience; of very large ones a part.

    Copied to every partition; each worker walks the subscribers it owns.
    """

    TYPE: ClassVar[str] = "io.tocsin.notices.v1"
    notices: Annotated[tuple[Notice, ...], Field(min_length=1)]
