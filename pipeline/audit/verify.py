"""The verifier: finds whatever was changed, taken out, put in, moved, repeated, cut off or forked, and says where.

It trusts nothing: it reads bytes, checkpoints and public keys, and shares no code with what seals and signs. What it
cannot see is a tail that no checkpoint was signed for; the result says how far it is signed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from pipeline.audit.commitments import Commitments
from pipeline.audit.damage import Item, Sequel, drop_voids, examine
from pipeline.audit.findings import Finding, Kind, Result
from pipeline.audit.roots import reckon, sealed_leaves, told_apart
from pipeline.audit.vouching import (
    INTRODUCTION,
    Change,
    Distrusted,
    Head,
    Key,
    change_of,
    head_signed,
    key_at,
    published,
    size_said,
)

Stored = tuple[bytes | None, bytes | None]
"""A value as it stands in the log, and the root that its record carries (hexadecimal; None in an export)."""
FIRST_PREV = bytes(32)
MAX_INDEX = 2**53
"""No log has as many entries; a larger number is not taken for one."""


@dataclass(frozen=True, slots=True)
class Vouchers:
    """What is to vouch for a log, as bytes; whatever is missing vouches for nothing.

    `checkpoint` is signed by the log's key. `key` holds its public keys, a line each, as many as are known: each must
    have been the log's at some time. `cosigned` is a checkpoint that a witness signed with `witness`, its key. `leaves`
    are the hashes of the entries as they were sealed, one after another: they vouch for nothing, and where they lead to
    a signed root they help to tell what was changed.
    """

    checkpoint: bytes | None = None
    key: str | None = None
    cosigned: bytes | None = None
    witness: str | None = None
    leaves: bytes | None = None


NOTHING = Vouchers()


def verify(
    stored: Iterable[Stored], vouchers: Vouchers = NOTHING, *, voids_allowed: bool = False, people: bool = False
) -> Result:
    """Verifies a whole log, from its first entry on.

    `voids_allowed`: in the topic, appends of one who was no longer the appender stay, and readers pass over them; in
    an export there must be none. A checkpoint without a key vouches for nothing, and is refused. `people`: whether what
    is committed to of each person is reckoned again as well, which takes longer.
    """
    verification = Verification(voids_allowed, people)
    verification.read(stored)
    return verification.result(vouchers)


def exported(lines: Iterable[bytes]) -> Iterable[Stored]:
    """The lines of an export or of segments, for `verify`."""
    return ((line, None) for line in lines)


class Verification:
    """A verification that takes the log in pieces, in order."""

    def __init__(self, voids_allowed: bool = False, people: bool = False) -> None:
        self._voids_allowed = voids_allowed
        self._commitments = Commitments() if people else None
        self._leaves: list[bytes] = []
        self._roots: dict[int, bytes] = {}
        self._ids: set[str] = set()
        self._aside: list[Item] = []
        self._introductions: list[dict[str, Any]] = []
        self._count = 0

    def read(self, stored: Iterable[Stored]) -> None:
        """Reads on: keeps the leaves of what follows one another, and puts aside whatever does not."""
        # Local names, since this loop runs for each of perhaps millions of entries.
        leaves, size, prev = self._leaves, len(self._leaves), (self._leaves or [FIRST_PREV])[-1].hex()
        for value, root in stored:
            leaf = sha256(b"\x00" + (value or b"")).digest()
            entry = _parsed(value)
            if entry is not None and entry["prev"] == prev and entry["index"] == size:
                leaves.append(leaf)
                prev = leaf.hex()
                if root is not None:
                    self._roots[size] = root
                if self._voids_allowed:
                    self._ids.add(entry["record_id"])
                if self._commitments is not None:
                    self._commitments.take(entry)
                if entry["record_type"] == INTRODUCTION:
                    self._introductions.append(entry)
                size += 1
            else:
                self._aside.append(_item(self._count, leaf, entry, root))
            self._count += 1

    def result(self, vouchers: Vouchers = NOTHING) -> Result:
        """What is to be said of everything read so far."""
        findings = list(self._commitments.findings) if self._commitments else []
        signed = _signed(vouchers, _changes(self._introductions, findings), findings)
        cosigned, cosigned_at = _cosigned(vouchers, findings)
        heads = [head for head in (signed, cosigned) if head is not None]
        aside, voids = self._aside, 0
        if self._voids_allowed:
            aside, voids = drop_voids(aside, len(self._leaves), self._ids)
        sequel = examine(self._leaves, self._positions(), aside, FIRST_PREV) if aside else Sequel()
        findings += sequel.findings
        size = max(sequel.placed, default=len(self._leaves) - 1) + 1
        carried = {**self._roots, **{i: item.root for i, item in sequel.placed.items() if item.root is not None}}
        reckoned = reckon(lambda index: _sealed_leaf(index, self._leaves, sequel), size, heads, carried, findings)
        if findings or reckoned.wrong:
            sealed = sealed_leaves(vouchers.leaves, heads)
            findings = told_apart(findings, reckoned, lambda index: _leaf(index, self._leaves, sequel), size, sealed)
        if (largest := max((head.size for head in heads), default=0)) > size:
            expected = f"{largest} entries, for which the checkpoint is signed"
            findings.append(Finding(Kind.CUT, size, expected, f"{size} entries"))
        return Result(
            entries=len(self._leaves) + len(sequel.placed),
            voids=voids,
            root=reckoned.root,
            signed=signed.size if signed else None,
            cosigned=cosigned.size if cosigned else None,
            cosigned_at=cosigned_at,
            findings=tuple(sorted(findings, key=lambda found: -1 if found.index is None else found.index)),
        )

    def _positions(self) -> list[int]:
        """Where the entries of the sound part stand: everywhere where nothing was put aside."""
        elsewhere = {item.position for item in self._aside}
        return [position for position in range(self._count) if position not in elsewhere]


def _parsed(value: bytes | None) -> dict[str, Any] | None:
    """The entry, or None if it is none."""
    try:
        entry = orjson.loads(value or b"")
        if (
            type(entry["index"]) is int
            and len(entry["prev"]) == 64
            and type(entry["record_id"]) is str
            and type(entry["record_type"]) is str
        ):
            found: dict[str, Any] = entry
            return found
    except (ValueError, KeyError, TypeError):
        pass  # whatever it is, it is no entry; the caller says so
    return None


def _item(position: int, leaf: bytes, entry: dict[str, Any] | None, root: bytes | None) -> Item:
    try:
        if entry is not None:
            prev = bytes.fromhex(str(entry["prev"]))
            index: int = entry["index"]
            if 0 <= index < MAX_INDEX and prev.hex() == entry["prev"]:
                return Item(position, leaf, index, prev, str(entry["record_id"]), root)
    except ValueError:
        pass  # `prev` is no hexadecimal: no entry of ours
    return Item(position, leaf)


def _changes(introductions: Sequence[Mapping[str, Any]], findings: list[Finding]) -> list[Change]:
    found: list[Change] = []
    for entry in introductions:
        try:
            found.append(change_of(entry))
        except Distrusted as error:
            expected = "a new key, introduced by the one before it"
            findings.append(Finding(Kind.KEY, entry["index"], expected, str(error)))
    return found


def _signed(vouchers: Vouchers, changes: Sequence[Change], findings: list[Finding]) -> Head | None:
    """The checkpoint, if it counts: under the key that was the log's when it had that many entries."""
    note = vouchers.checkpoint
    expected = "a public key to check it with"
    if note is None:
        return None
    try:
        if not (pinned := [line.key for line in published(vouchers.key or "")]):
            raise Distrusted("none")
        size = size_said(note)
        key = key_at(size, pinned, changes)
        expected = f"a checkpoint of {size} entries signed by {key}"
        return head_signed(note, key)
    except Distrusted as error:
        findings.append(Finding(Kind.CHECKPOINT, None, expected, str(error)))
        return None


def _cosigned(vouchers: Vouchers, findings: list[Finding]) -> tuple[Head | None, int | None]:
    """What the witness saw, and when (seconds since 1970)."""
    if vouchers.witness is None:
        return None, None
    try:
        if vouchers.cosigned is None:
            raise Distrusted("none")
        text, moment = Key.parse(vouchers.witness).open(vouchers.cosigned)
        return Head.parse(text), moment
    except Distrusted as error:
        findings.append(Finding(Kind.CHECKPOINT, None, "a checkpoint that the witness cosigned", str(error)))
        return None, None


def _sealed_leaf(index: int, leaves: Sequence[bytes], sequel: Sequel) -> bytes | None:
    """The leaf over which the next entry was sealed, by its own word; else that of what stands there."""
    return sequel.sealed[index] if index in sequel.sealed else _leaf(index, leaves, sequel)


def _leaf(index: int, leaves: Sequence[bytes], sequel: Sequel) -> bytes | None:
    if index < len(leaves):
        return leaves[index]
    return sequel.placed[index].leaf if index in sequel.placed else None
