"""The verifier: finds whatever was changed, taken out, put in, moved, repeated, cut off or forked, and says where.

It trusts nothing: it reads bytes, a checkpoint and a public key, and shares no code with what seals. What it cannot
see is a tail that no checkpoint was signed for; the result says how far it is signed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from pipeline.audit.damage import Item, Sequel, drop_voids, examine
from pipeline.audit.findings import Finding, Kind, Result
from pipeline.audit.note import Checkpoint, NoteError, PublicKey, read_checkpoint

Stored = tuple[bytes | None, bytes | None]
"""A value as it stands in the log, and the root that its record carries (hexadecimal; None in an export)."""
FIRST_PREV = bytes(32)
MAX_INDEX = 2**53
"""No log has as many entries; a larger number is not taken for one."""


def verify(
    stored: Iterable[Stored],
    *,
    checkpoint: bytes | None = None,
    key: PublicKey | None = None,
    voids_allowed: bool = False,
) -> Result:
    """Verifies a whole log, from its first entry on.

    `voids_allowed`: in the topic, appends of one who was no longer the appender stay, and readers pass over them; in
    an export there must be none. A checkpoint without a key vouches for nothing, and is refused.
    """
    findings: list[Finding] = []
    signed = _signed(checkpoint, key, findings)
    read = _Reading(keep_ids=voids_allowed)
    read.all(stored)
    aside, voids = drop_voids(read.aside, len(read.leaves), read.ids) if voids_allowed else (read.aside, 0)
    sequel = examine(read.leaves, read.positions(), aside, FIRST_PREV) if aside else Sequel()
    findings += sequel.findings
    size = max(sequel.placed, default=len(read.leaves) - 1) + 1
    root = _check_roots(read, sequel, size, signed, findings)
    if signed is not None and signed.size > size:
        found = f"{size} entries"
        findings.append(Finding(Kind.CUT, size, f"{signed.size} entries, for which the checkpoint is signed", found))
    ordered = sorted(findings, key=lambda finding: -1 if finding.index is None else finding.index)
    return Result(
        entries=len(read.leaves) + len(sequel.placed),
        voids=voids,
        root=root,
        signed=signed.size if signed else None,
        findings=tuple(ordered),
    )


def exported(lines: Iterable[bytes]) -> Iterable[Stored]:
    """The lines of an export or of segments, for `verify`."""
    return ((line, None) for line in lines)


@dataclass
class _Reading:
    """The entries that follow one another, as far as they do, and everything that does not."""

    keep_ids: bool
    leaves: list[bytes] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    aside: list[Item] = field(default_factory=list)
    count: int = 0

    def all(self, stored: Iterable[Stored]) -> None:
        """Reads to the end. Local names, since this loop runs for each of perhaps millions of entries."""
        leaves, prev, size = self.leaves, FIRST_PREV.hex(), 0
        for value, root in stored:
            leaf = sha256(b"\x00" + (value or b"")).digest()
            entry = _parsed(value)
            if entry is not None and entry["prev"] == prev and entry["index"] == size:
                leaves.append(leaf)
                prev = leaf.hex()
                if root is not None:
                    self.roots[size] = root
                if self.keep_ids:
                    self.ids.add(entry["record_id"])
                size += 1
            else:
                self.aside.append(_item(self.count, leaf, entry, root))
            self.count += 1

    def positions(self) -> list[int]:
        """Where the entries of `leaves` stand: everywhere where nothing was put aside."""
        elsewhere = {item.position for item in self.aside}
        return [position for position in range(self.count) if position not in elsewhere]


def _parsed(value: bytes | None) -> dict[str, Any] | None:
    """The entry, or None if it is none."""
    try:
        entry = orjson.loads(value or b"")
        if type(entry["index"]) is int and len(entry["prev"]) == 64 and type(entry["record_id"]) is str:
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


def _signed(note: bytes | None, key: PublicKey | None, findings: list[Finding]) -> Checkpoint | None:
    if note is None:
        return None
    if key is None:
        findings.append(Finding(Kind.CHECKPOINT, None, "a public key to check it with", "none"))
        return None
    try:
        return read_checkpoint(note, key)
    except NoteError as error:
        findings.append(Finding(Kind.CHECKPOINT, None, f"a checkpoint signed by {key}", str(error)))
        return None


def _check_roots(
    read: _Reading, sequel: Sequel, size: int, signed: Checkpoint | None, findings: list[Finding]
) -> bytes | None:  # fmt: skip
    """The root over everything, after a look at those that are signed for or carried; None where leaves are lost."""
    changed = {finding.index for finding in findings}
    roots = {**read.roots, **{i: item.root for i, item in sequel.placed.items() if item.root is not None}}
    peaks = _Peaks()
    doubted = False
    for index in range(size):
        _compare(signed, index, peaks, findings)
        leaf = _sealed_leaf(index, read.leaves, sequel)
        if leaf is None:
            return None
        peaks.push(leaf)
        carried = roots.get(index)
        if carried is not None and not doubted and carried != peaks.root().hex().encode() and index not in changed:
            doubted = True  # all that follow would differ too: the first says where
            found = carried.decode("ascii", "replace")
            findings.append(Finding(Kind.ROOT, index, f"root {peaks.root().hex()} in its record", found))
    _compare(signed, size, peaks, findings)
    return peaks.root()


def _sealed_leaf(index: int, leaves: Sequence[bytes], sequel: Sequel) -> bytes | None:
    if index in sequel.sealed:
        return sequel.sealed[index]
    if index < len(leaves):
        return leaves[index]
    return sequel.placed[index].leaf if index in sequel.placed else None


def _compare(signed: Checkpoint | None, size: int, peaks: "_Peaks", findings: list[Finding]) -> None:
    if signed is not None and signed.size == size and signed.root != peaks.root():
        expected = f"root {signed.root.hex()} over the first {size} entries, as signed"
        findings.append(Finding(Kind.FORKED, None, expected, f"root {peaks.root().hex()}"))


class _Peaks:
    """RFC 6962's tree once more, as the roots of its perfect subtrees with their heights."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, bytes]] = []

    def push(self, node: bytes) -> None:
        height, stack = 0, self._stack
        while stack and stack[-1][0] == height:
            node = sha256(b"\x01" + stack.pop()[1] + node).digest()
            height += 1
        stack.append((height, node))

    def root(self) -> bytes:
        if not self._stack:
            return sha256(b"").digest()
        root = self._stack[-1][1]
        for _, node in self._stack[-2::-1]:
            root = sha256(b"\x01" + node + root).digest()
        return root
