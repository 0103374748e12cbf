"""What messages cost, counted, and the caps on it: SMS segments and posts on X, for an incident and for a day (UTC).

What counts is what was attempted, since an attempt stands on record before its call: never less than the provider may
charge. What the provider certainly did not take is taken off again; what nobody knows stays counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from pipeline.settings import Settings
from schemas.base import Channel
from schemas.delivery import SpendingCounted, SpentOn
from schemas.rendering import PostContent, Rendering, SmsContent

REASON: Final = "spending_cap"
KEPT: Final = timedelta(days=7)
"""For how long after its last message an incident's sum is told to other workers."""
Purpose = tuple[Channel, str | date]
"""What something was spent for: a channel, and an incident or a day."""


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that may be spent on a channel, in `unit`."""

    unit: str
    incident: int
    day: int


def caps(settings: Settings) -> Mapping[Channel, Cap]:
    """The caps that are set; a channel without one costs nothing by the message."""
    return {
        Channel.SMS: Cap("SMS segments", settings.sms_cap_per_incident, settings.sms_cap_per_day),
        Channel.X: Cap("posts", settings.x_cap_per_incident, settings.x_cap_per_day),
    }


def units_of(rendering: Rendering) -> int:
    """What one message of it costs at most."""
    content = rendering.content
    if isinstance(content, SmsContent):
        return content.segments
    return 1 if isinstance(content, PostContent) else 0


def purposes(channel: Channel, incident: str, at: datetime) -> tuple[Purpose, Purpose]:
    """What a message of this incident at this moment is counted for."""
    return (channel, incident), (channel, at.date())


@dataclass(slots=True)
class Spent:
    """The sums of one partition, or of what a worker is about to attempt. Mutable; only `add` changes it."""

    sums: Counter[Purpose] = field(default_factory=Counter)
    last: dict[Purpose, datetime] = field(default_factory=dict)
    changes: int = 0
    """How often anything was added: the sums stay while it does."""

    def add(self, channel: Channel, incident: str, at: datetime, units: int) -> None:
        """So many more; fewer, if below 0."""
        if not units:
            return
        self.changes += 1
        for purpose in purposes(channel, incident, at):
            self.sums[purpose] += units
            self.last[purpose] = max(at, self.last.get(purpose, at))

    def counted(self, at: datetime) -> SpendingCounted:
        """The sums that may still be added to, for other workers."""
        fresh = [purpose for purpose, last in self.last.items() if last > at - KEPT]
        return SpendingCounted(
            spent=tuple(
                SpentOn(channel=channel, incident=what, units=self.sums[channel, what])
                if isinstance(what, str)
                else SpentOn(channel=channel, day=what, units=self.sums[channel, what])
                for channel, what in sorted(fresh, key=str)
            )
        )


def sums_in(counted: SpendingCounted) -> Mapping[Purpose, int]:
    """The sums that another worker told."""
    found: dict[Purpose, int] = {}
    for one in counted.spent:
        what = one.incident if one.incident is not None else one.day
        if what is not None:
            found[one.channel, what] = one.units
    return found


@dataclass(frozen=True, slots=True)
class Over:
    """A cap that would be exceeded: of the incident, or of the day."""

    of: str
    spent: int
    limit: int
    unit: str

    def __str__(self) -> str:
        return f"{self.spent} of {self.limit} {self.unit} of the {self.of} are spent"


def why_not(cap: Cap, units: int, incident: Iterable[int], day: Iterable[int]) -> Over | None:
    """Which cap `units` more would exceed; None: they may be spent. Sums are of every partition."""
    for of, limit, spent in (("incident", cap.incident, sum(incident)), ("day", cap.day, sum(day))):
        if spent + units > limit:
            return Over(of, spent, limit, cap.unit)
    return None
