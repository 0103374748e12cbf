"""What several test files say in the same words."""

from typing import TypeVar

from pipeline.decide.incident import Decided
from schemas.base import Severity
from schemas.incident import IncidentOpened

D = TypeVar("D")
EVERYBODY = {"responders", "technical", "executives", "customers", "public"}
UPDATED = EVERYBODY - {"public"}
"""Whom small-saas tells that nothing changed."""


def opened(severity: Severity = Severity.MAJOR, **more: object) -> IncidentOpened:
    facts = {"title": "Card payments fail", "severity": severity, "components": ("Payments",)} | more
    return IncidentOpened.model_validate(facts)


def decisions(decided: Decided, kind: type[D]) -> list[D]:
    return [d for d in decided.entry.decisions if isinstance(d, kind)]


def of(audience: str, decided: Decided, kind: type[D]) -> D:
    """The one decision of this kind about this audience."""
    (one,) = [d for d in decisions(decided, kind) if d.audience == audience]  # type: ignore[attr-defined]
    return one
