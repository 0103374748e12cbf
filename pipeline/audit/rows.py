"""The log as a table: a row for what each entry says of one person, or of nobody. For spreadsheets and notebooks.

Only JSONL holds the exact bytes, and can be verified; a table is to be read and counted.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.audit.search import approvers
from pipeline.audit.tree import leaf_hash
from schemas.audit import AuditEntry
from schemas.base import rfc3339

PEOPLE = ("recipients", "outcomes")


class Row(NamedTuple):
    """A row. `said` is the rest of what the entry says, as JSON; `leaf` its hash in the tree (hexadecimal)."""

    entry: int
    appended_at: str
    type: str
    about: str | None
    seq: int | None
    channel: str | None
    audience: str | None
    recipient: str | None
    result: str | None
    reason: str | None
    code: str | None
    provider_id: str | None
    signed_by: str | None
    record_id: str
    leaf: str
    said: str


def rows(entry: AuditEntry, value: bytes) -> Iterator[Row]:
    """The rows of one entry; `value` is its exact bytes."""
    body = entry.body or {}
    people: list[Any] = [one for name in PEOPLE for one in body.get(name) or ()]
    rest = {name: said for name, said in body.items() if name not in PEOPLE}
    for person in people or [None]:
        said = {"recipient": person} if isinstance(person, str) else dict(person or {})
        yield Row(
            entry=entry.index,
            appended_at=rfc3339(entry.appended_at),
            type=entry.record_type.removeprefix("io.tocsin."),
            about=entry.subject,
            seq=_number(body.get("seq")),
            channel=_text(body.get("channel")),
            audience=_text(body.get("audience")),
            recipient=_text(said.get("recipient")),
            result=_text(said.get("result") or body.get("status")),
            reason=_text(said.get("reason")),
            code=_text(said.get("code") or body.get("code")),
            provider_id=_text(said.get("provider_id") or body.get("provider_id")),
            signed_by=", ".join(sorted(approvers(entry))) or None,
            record_id=entry.record_id,
            leaf=leaf_hash(value).hex(),
            said=json.dumps(rest, ensure_ascii=False, separators=(",", ":")),
        )


def _text(said: Any) -> str | None:
    return said if isinstance(said, str) else None


def _number(said: Any) -> int | None:
    return said if isinstance(said, int) else None
