"""The policy ready for use."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from jinja2.sandbox import SandboxedEnvironment

from pipeline.policy.audiences import Audience, Audiences
from pipeline.policy.cadence import Cadence
from pipeline.policy.catalogue import Catalogue
from pipeline.policy.guard import Guard
from pipeline.policy.languages import Languages
from schemas.census import Group
from schemas.notice import LocalHours, Manners


@dataclass(frozen=True)
class Policy:
    """One version of everything that a decision hangs on, named by `hash`."""

    name: str
    hash: str
    audience: Audiences
    cadence: Cadence
    guard: Guard
    catalogue: Catalogue
    languages: Languages
    templates: SandboxedEnvironment

    @property
    def audiences(self) -> dict[str, Audience]:
        """The audiences by name, in the document's order."""
        return self.audience.audiences

    @property
    def approvals(self) -> dict[str, str]:
        """The fields that the policy tells only with somebody's approval."""
        return self.audience.field_approvals

    @cached_property
    def groups(self) -> dict[str, Group]:
        """Who belongs to each audience, as every notice to it says."""
        return {name: audience.group(name) for name, audience in self.audiences.items()}

    @cached_property
    def manners(self) -> Manners:
        """How one recipient is treated, as every notice says."""
        rules, office = self.cadence.recipient, self.cadence.office
        hours = {} if office is None else {"office_hours": LocalHours(from_=office.opens, until=office.closes)}
        return Manners(
            quiet_hours={c: LocalHours(from_=begins, until=ends) for c, (begins, ends) in rules.quiet.items()},
            country=office.country if office else None,
            digest_at=rules.digest_at,
            at_most=rules.at_most,
            cap_window_s=round(rules.cap_window.total_seconds()),
            **hours,
        )

    def safe_after(self, audience: str, *, ends: bool) -> timedelta | None:
        """How long a first notice (`ends`: a last one) to them waits until the safe text goes out; None: for ever."""
        group = self.audiences.get(audience)
        if group is not None and group.consent is not None and group.consent.safe_after is not None:
            return group.consent.safe_after
        return self.cadence.last_notice if ends else self.cadence.first_notice
