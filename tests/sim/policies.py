"""The policies that the simulation changes between: small ones, since records are tried here and not words."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from pipeline import policy
from pipeline.policy import Policy
from schemas.policy import PolicyPublished, hash_of
from tests.decide.machine_policies import WORDS, read_documents
from tests.paths import REPOSITORY

PLAIN = {
    "templates/content.j2": """
        {% set title, status = it.title or incident, kind ~ (", over" if over else "") %}
        {% set lead = joined(it.summary, it.milestone, it.severity, full(it.next_update_at) if it.next_update_at) %}
        {% set news = joined(it.summary, it.milestone, it.severity, soon(it.next_update_at) if it.next_update_at) %}
    """,
    "templates/sms.txt.j2": '{% set head, body, tail, pointer = status, news, incident, "" %}',
    "templates/x.txt.j2": '{% set head, body, tail, pointer = status, news, incident, "" %}',
    "templates/sections.j2": '{% set sections, closing, next, footer = [], "", "", "" %}',
    "templates/email.txt.j2": "{{ title }}\n{{ lead }}\n{{ unsubscribe }}\n",
    "templates/email.html.j2": "<p>{{ title }}</p><p>{{ lead }}</p><p>{{ unsubscribe }}</p>",
}
"""A mail of three lines, a message of one: ours are made, written and read in ten times the time."""
AUDIENCES = ("customers", "public")


def _small(documents: Mapping[str, Any]) -> None:
    """Customers by mail and SMS, the account on X; one language, long silences, no review."""
    audiences, cadence = documents["audiences.yaml"], documents["cadence.yaml"]
    groups = {name: audiences["audiences"][name] for name in AUDIENCES}
    groups["customers"]["channels"] = {"email": "every notice", "sms": "every notice"}
    audiences["audiences"] = groups
    audiences["private incidents are told to"] = ["customers"]
    documents["languages.yaml"] |= {"languages": ["en"], "clocks beside UTC": {}}
    documents["guard.yaml"]["rules"] = dict.fromkeys(documents["guard.yaml"]["rules"], "off")
    cadence["heartbeat"] |= {
        "longest silence": {
            severity: dict.fromkeys(("investigating", "identified", "monitoring"), "6h")
            for severity in ("critical", "major", "minor")
        },
        "slower in a long incident": [],
        "reminders go to": "customers",
    }
    cadence["office"]["audiences"] = []
    cadence["a resolution must have held for"] = {"critical": "10m"}
    cadence["review"] = {"not before": "1h"}
    cadence["one recipient"]["at most"] = {"email": "3", "sms": "3"}


def _asking(documents: Mapping[str, Any]) -> None:
    """What customers hear waits for approval, and goes out in the safe text when nobody gives it."""
    _small(documents)
    documents["audiences.yaml"]["audiences"]["customers"]["needs approval"] = {"by": ["communications"], "of": WORDS}


@cache
def published() -> tuple[PolicyPublished, ...]:
    """Both as documents."""
    shipped = policy.load(REPOSITORY / "deploy" / "policies" / "small-saas")
    return tuple(_changed(shipped, change) for change in (_small, _asking))


@cache
def broken() -> PolicyPublished:
    """One that nobody can use: the last good one stays."""
    documents = {"languages.yaml": "languages: ["}
    return PolicyPublished(name="small-saas", hash=hash_of(documents), documents=documents)


@cache
def by_hash() -> dict[str, Policy]:
    """Both, compiled."""
    return {one.hash: policy.compile(one) for one in published()}


def _changed(shipped: PolicyPublished, change: Any) -> PolicyPublished:
    read = read_documents(shipped)
    change(read)
    written = {path: yaml.dump(value, allow_unicode=True, sort_keys=False) for path, value in read.items()}
    documents = dict(shipped.documents) | written | PLAIN
    return PolicyPublished(name=shipped.name, hash=hash_of(documents), documents=documents)
