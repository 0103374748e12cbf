"""One person's part of what a record says of many: under one root, each leaf salted, so that one can be shown alone.

A leaf is JSON that holds its salt and what is said of that person; the tree is RFC 6962's, like the log's own.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.audit.tree import inclusion_proof, leaf_hash, root_of
from schemas.audit import AuditEntry, RecipientsCommitted
from schemas.delivery import DeliveriesEnded, DeliveriesIntended

SEED_BYTES = 16
COMMITTED = {DeliveriesIntended.TYPE: "recipients", DeliveriesEnded.TYPE: "outcomes"}
"""The records of which one person's part is ever proved, and under which name they say it: what someone is to be told,
in which words; and what came of it."""


@dataclass(frozen=True, slots=True)
class Part:
    """What an entry says of one person, and how it leads to the root over all of them."""

    leaf: str
    position: int
    people: int
    path: tuple[bytes, ...]


def of_many(record_type: str, body: Mapping[str, Any] | None) -> bool:
    """Whether a record speaks of more than one person, in a form that can be committed to."""
    named = (body or {}).get(COMMITTED.get(record_type, ""))
    return isinstance(named, list) and len(named) > 1


def commitment_of(entry: AuditEntry) -> RecipientsCommitted:
    """What is sealed after `entry`, which has a seed."""
    name, body = COMMITTED[entry.record_type], entry.body or {}
    record = {key: value for key, value in body.items() if key != name}
    leaves = _leaves(entry)
    root = root_of(leaf_hash(leaf.encode()) for leaf in leaves)
    return RecipientsCommitted(
        of=entry.index, record_type=entry.record_type, record=record, people=len(leaves), root=root.hex()
    )


def part_of(entry: AuditEntry, recipient: str) -> Part | None:
    """What `entry` says of `recipient`; None where it does not speak of them."""
    for position, one in enumerate(_people(entry)):
        if one.get("recipient") == recipient:
            leaves = _leaves(entry)
            path = inclusion_proof([leaf_hash(leaf.encode()) for leaf in leaves], position)
            return Part(leaves[position], position, len(leaves), path)
    return None


def _people(entry: AuditEntry) -> Sequence[Mapping[str, Any]]:
    named = (entry.body or {}).get(COMMITTED.get(entry.record_type, ""), ())
    return [one if isinstance(one, dict) else {"recipient": one} for one in named]


def _leaves(entry: AuditEntry) -> list[str]:
    seed = bytes.fromhex(entry.seed or "")
    return [
        json.dumps({"salt": _salt(seed, number), **one}, ensure_ascii=False, separators=(",", ":"))
        for number, one in enumerate(_people(entry))
    ]


def _salt(seed: bytes, number: int) -> str:
    return hmac.digest(seed, number.to_bytes(8), "sha256")[:SEED_BYTES].hex()
