"""The policy ready for use."""

from dataclasses import dataclass
from datetime import timedelta

from jinja2.sandbox import SandboxedEnvironment

from pipeline.policy.audiences import Audience, Audiences
from pipeline.policy.cadence import Cadence
from pipeline.policy.catalogue import Catalogue
from pipeline.policy.guard import Guard
from pipeline.policy.languages import Languages


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

    def safe_after(self, audience: str, *, ends: bool) -> timedelta | None:
        """How long a first notice (`ends`: a last one) to them waits until the safe text goes out; None: for ever."""
        group = self.audiences.get(audience)
        if group is not None and group.consent is not None and group.consent.safe_after is not None:
            return group.consent.safe_after
        return self.cadence.last_notice if ends else self.cadence.first_notice
