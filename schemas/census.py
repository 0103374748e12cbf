"""The census: what deciding must know of those who can be told, as numbers, never as persons."""

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar, TypeVar

from pydantic import Field

from schemas.base import Channel, Id, Level, Message, Sha256


class Group(Message):
    """Who belongs to an audience: whoever chose it, and whoever has one of each kind that is named here."""

    audience: Id
    roles: tuple[Id, ...] = ()
    contracts: tuple[Id, ...] = ()
    regions: tuple[str, ...] = ()
    components: tuple[str, ...] = ()

    @property
    def selects(self) -> bool:
        """Whether anyone belongs to it without having chosen it."""
        return bool(self.roles or self.contracts or self.regions or self.components)


class AudienceCount(Message):
    """How many belong to an audience, and what they chose."""

    total: int = 0
    channels: dict[Channel, int] = Field(default_factory=dict)
    zones: dict[str, int] = Field(default_factory=dict)
    languages: dict[str, int] = Field(default_factory=dict)
    levels: dict[Level, int] = Field(default_factory=dict)


class Census(Message):
    """One partition's count under one policy, on the compacted topic `subscribers.census`; or the sum of all."""

    TYPE: ClassVar[str] = "io.tocsin.subscribers.census.v1"
    policy: Sha256
    audiences: dict[Id, AudienceCount]


K = TypeVar("K")


def total(parts: Iterable[Census]) -> dict[str, AudienceCount]:
    """The sum of several partitions' counts, by audience."""
    by_name: dict[str, list[AudienceCount]] = {}
    for part in parts:
        for name, count in part.audiences.items():
            by_name.setdefault(name, []).append(count)
    return {name: _sum(counts) for name, counts in sorted(by_name.items())}


def _sum(counts: list[AudienceCount]) -> AudienceCount:
    return AudienceCount(
        total=sum(count.total for count in counts),
        channels=_added(count.channels for count in counts),
        zones=_added(count.zones for count in counts),
        languages=_added(count.languages for count in counts),
        levels=_added(count.levels for count in counts),
    )


def _added(tables: Iterable[dict[K, int]]) -> dict[K, int]:
    found: Counter[K] = Counter()
    for table in tables:
        found.update(table)
    return dict(sorted(found.items(), key=lambda item: str(item[0])))
