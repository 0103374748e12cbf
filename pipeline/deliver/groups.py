"""Groups: who belongs to one. A subscriber does by choosing its audience, or by being selected by it."""

from dataclasses import dataclass
from functools import lru_cache

from pipeline.deliver.people import Someone
from schemas.census import Group


@dataclass(frozen=True, slots=True)
class Membership:
    """A group made ready for being asked about a million subscribers."""

    audience: str
    selects: bool
    roles: frozenset[str]
    contracts: frozenset[str]
    regions: frozenset[str]
    components: frozenset[str]

    def has(self, subscriber: Someone) -> bool:
        """Whether they chose the audience, or have one of each kind that the group names."""
        return self.audience in subscriber.choices.audiences or (self.selects and self._selected(subscriber))

    def _selected(self, subscriber: Someone) -> bool:
        profile = subscriber.profile
        return (
            (not self.roles or not self.roles.isdisjoint(profile.roles))
            and (not self.contracts or profile.contract in self.contracts)
            and (not self.regions or not self.regions.isdisjoint(folded(profile.regions)))
            and (not self.components or not self.components.isdisjoint(folded(subscriber.choices.components)))
        )


@lru_cache(maxsize=256)
def membership(group: Group) -> Membership:
    """Who belongs to `group`."""
    return Membership(
        group.audience,
        group.selects,
        frozenset(group.roles),
        frozenset(group.contracts),
        folded(group.regions),
        folded(group.components),
    )


@lru_cache(maxsize=4096)
def folded(names: tuple[str, ...]) -> frozenset[str]:
    """Names as they are compared: components and regions are spelled as people spell them."""
    return frozenset(name.casefold() for name in names)
