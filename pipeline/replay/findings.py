"""What a back-test found, complete: the results under one policy or two, and under which conditions."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.policy import Policy
from pipeline.replay.difference import IncidentDifference, differences
from pipeline.replay.results import Prices, Result
from pipeline.replay.sums import Sums
from schemas.census import AudienceCount


@dataclass(frozen=True, slots=True)
class Found:
    """One policy's results."""

    policy: Policy
    census: Mapping[str, AudienceCount]
    results: list[Result]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is shown, in whatever form."""

    new: Found
    old: Found | None
    census_from: str
    approvals: str
    prices: Prices

    @property
    def difference(self) -> list[IncidentDifference]:
        """How the new policy differs from the old one; empty without an old one."""
        return differences(self.old.results, self.new.results) if self.old else []
