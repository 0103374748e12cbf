"""The policies that the machine changes between: those that ship, and two that ask for all that one can ask for."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from pipeline import policy
from pipeline.policy import Policy
from schemas.policy import PolicyPublished, hash_of
from tests.paths import REPOSITORY

WORDS = ["opened", "updated", "impact changed", "milestone", "monitoring", "resolved", "reopened", "review",
         "correction", "retraction"]  # fmt: skip
CATALOGUE = {
    "components": {
        "Cards": {
            "also called": ["cards-gw"],
            "in plain words": {"en": "card payments", "de": "Kartenzahlungen"},
            "when it fails": {"en": "Cards are declined.", "de": "Karten werden abgelehnt."},
            "on duty": {"name": "Card desk", "reach": "cards@example.com"},
        },
        "Refunds": {},
        "Vault": {},
    },
    "regions": {"EU": {"also called": ["eu-west-1"], "time zone": "Europe/Berlin"}, "US": {}},
    "contracts": {"premium": {"components": ["Refunds"], "needs approval of": "legal"}},
}


def _asking(documents: Mapping[str, Any]) -> None:
    """Customers and the public wait for approval, of some things some are never told, two people read what many get."""
    audiences, cadence = documents["audiences.yaml"], documents["cadence.yaml"]
    consent = {"by": ["communications"], "of": WORDS}
    for name in ("customers", "public"):
        audiences["audiences"][name]["needs approval"] = consent
    audiences["never tell"] = [
        {"audience": "public", "components": ["Vault"], "because": "only our own people use it"},
        {"audience": "executives", "severities": ["none"], "because": "they have other work"},
        {"members": {"roles": ["rival"]}, "because": "they compete"},
    ]
    audiences["two people must approve"] = {
        "more recipients than": "500",
        "times the usual number of recipients": "3",
        "but never below": "100",
        "by": ["communications"],
    }
    audiences["may hold, correct and retract"] = ["incident-manager", "communications"]
    cadence["a resolution must have held for"] = {"critical": "30m", "major": "10m", "minor": "5m"}


def _slow(documents: Mapping[str, Any]) -> None:
    """No public any more, but partners; a lawyer reads all that customers get; the end waits for people for a day."""
    audiences, cadence = documents["audiences.yaml"], documents["cadence.yaml"]
    documents["catalogue.yaml"].update(CATALOGUE)
    groups = audiences["audiences"]
    del groups["public"]
    groups["customers"]["needs approval"] = {
        "by": ["communications", "legal"],
        "of": WORDS,
        "in incidents that are": ["major", "critical"],
        "or the safe text goes out after": "20m",
    }
    groups["partners"] = {
        "level": "customer",
        "hears from severity": "none",
        "channels": {"sms": "every notice"},
        "must be told within": {"early word": "4h", "report": "30h"},
    }
    audiences["told only with the approval of"] = {"ownership": "legal", "root_cause": "legal"}
    audiences["may hold, correct and retract"] = ["incident-manager", "legal"]
    cadence["the last notice goes out within"] = "1d"
    cadence["minimum gap between updates"] = "15m"
    cadence["a resolution must have held for"] = {}
    cadence["review"] = {"not before": "2h", "due after days": {"critical": "2", "major": "3"}}


@cache
def published() -> tuple[PolicyPublished, ...]:
    """All of them as documents; the one that a small team would use comes first."""
    shipped = [
        policy.load(REPOSITORY / "deploy" / "policies" / name) for name in ("small-saas", "enterprise", "regulated")
    ]
    return (shipped[0], _changed(shipped[0], "asking", _asking), _changed(shipped[0], "slow", _slow), *shipped[1:])


@cache
def policies() -> tuple[Policy, ...]:
    """All of them, compiled."""
    return tuple(map(policy.compile, published()))


def _changed(shipped: PolicyPublished, name: str, change: Any) -> PolicyPublished:
    documents, read = dict(shipped.documents), read_documents(shipped)
    change(read)
    documents |= {path: yaml.dump(value, allow_unicode=True, sort_keys=False) for path, value in read.items()}
    return PolicyPublished(name=name, hash=hash_of(documents), documents=documents)


def read_documents(published: PolicyPublished) -> dict[str, Any]:
    """The documents as they are written, every value a text, for a test to change."""
    return {
        path: _with_nothing(yaml.load(text, Loader=yaml.BaseLoader))
        for path, text in published.documents.items()
        if path.endswith(".yaml")
    }


def _with_nothing(value: Any) -> Any:
    """What YAML's own loader that guesses nothing leaves as the text "null"."""
    match value:
        case dict():
            return {key: _with_nothing(part) for key, part in value.items()}
        case list():
            return [_with_nothing(part) for part in value]
        case _:
            return None if value == "null" else value
