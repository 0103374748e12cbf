"""The census of one partition: how many can be told in each audience, and what they chose. Numbers, never persons."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.deliver.fanout import RANK
from pipeline.deliver.groups import membership
from pipeline.deliver.people import Someone
from pipeline.policy.audiences import Audiences
from schemas.base import Channel, Level
from schemas.census import AudienceCount, Census

K = TypeVar("K")


@dataclass(slots=True)
class _Count:
    """One audience's numbers while they are being counted."""

    total: int = 0
    channels: Counter[Channel] = field(default_factory=Counter)
    zones: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    levels: Counter[Level] = field(default_factory=Counter)


class Tally:
    """A running count under one policy. A change of one subscriber costs one look at each audience, not a recount."""

    def __init__(self, policy: str, audiences: Audiences) -> None:
        """`policy`: the hash that the census is named by."""
        self.policy = policy
        self.changes = 0
        """How often anything was counted: the numbers stay while it does."""
        self._audiences = [
            (name, audience.level, membership(audience.group(name)), _Count())
            for name, audience in audiences.audiences.items()
        ]

    def change(self, before: Someone | None, after: Someone | None) -> None:
        """Someone is `after` what they were `before`; None: nobody."""
        if before is not None:
            self._count(before, -1)
        if after is not None:
            self._count(after, 1)

    def take(self, subscribers: Iterable[Someone]) -> None:
        """Counts these as well."""
        for subscriber in subscribers:
            self._count(subscriber, 1)

    def census(self) -> Census:
        """The numbers as they stand; what is zero is left out."""
        return Census(policy=self.policy, audiences={name: _told(count) for name, _, _, count in self._audiences})

    def _count(self, subscriber: Someone, by: int) -> None:
        choices = subscriber.choices
        closed = (*subscriber.opted_out, *subscriber.unconfirmed)
        channels = [channel for channel in choices.channels if channel not in closed]
        if not channels or subscriber.erased:
            return
        language = choices.language.partition("-")[0].lower()
        for _, level, members, count in self._audiences:
            if not members.has(subscriber):
                continue
            self.changes += 1
            count.total += by
            count.zones[choices.time_zone] += by
            count.languages[language] += by
            count.levels[_level(choices.level, level)] += by
            for channel in channels:
                count.channels[channel] += by


def _level(chosen: Level | None, at_most: Level) -> Level:
    """Less detail than the audience may see, if they want less; never more."""
    return chosen if chosen is not None and RANK[chosen] < RANK[at_most] else at_most


def _told(count: _Count) -> AudienceCount:
    return AudienceCount(
        total=count.total,
        channels=_positive(count.channels),
        zones=_positive(count.zones),
        languages=_positive(count.languages),
        levels=_positive(count.levels),
    )


def _positive(numbers: Mapping[K, int]) -> dict[K, int]:
    return {name: number for name, number in sorted(numbers.items(), key=lambda item: str(item[0])) if number > 0}
