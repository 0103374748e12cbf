"""One person's part of what a record says of many: under one root, each leaf salted, so that one can be shown alone.

A leaf is JSON that holds its salt and what is said of that person; the tree is RFC 6962's, like the log's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

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
    root = root_of(map(leaf_hash, leaves))
    return RecipientsCommitted(
        of=entry.index, record_type=entry.record_type, record=record, people=len(leaves), root=root.hex()
    )


def part_of(entry: AuditEntry, recipient: str) -> Part | None:
    """What `entry` says of `recipient`; None where it does not speak of them."""
    for position, one in enumerate(_people(entry)):
        if one.get("recipient") == recipient:
            leaves = _leaves(entry)
            path = inclusion_proof([leaf_hash(leaf) for leaf in leaves], position)
            return Part(leaves[position].decode(), position, len(leaves), path)
    return None


def _people(entry: AuditEntry) -> Sequence[Mapping[str, Any]]:
    named = (entry.body or {}).get(COMMITTED.get(entry.record_type, ""), ())
    return [one if isinstance(one, dict) else {"recipient": one} for one in named]


def _leaves(entry: AuditEntry) -> list[bytes]:
    seed = bytes.fromhex(entry.seed or "")
    return [orjson.dumps({"salt": _salt(seed, number), **one}) for number, one in enumerate(_people(entry))]


def _salt(seed: bytes, number: int) -> str:
    """Seed and number have one length each: no salt leads to another. (HMAC by OpenSSL takes ten times as long.)"""
    return sha256(seed + number.to_bytes(8)).hexdigest()[: 2 * SEED_BYTES]
