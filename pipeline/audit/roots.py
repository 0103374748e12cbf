"""The roots over a log as the verifier reckons them, held against those that are signed for and those in the records.

A root that differs says that something before it is another than was signed for, and not what. Which entry it is can be
told where an earlier root is signed for as well, or where the leaves that were sealed are at hand (an export keeps them
beside it): they need no signature, since they are believed only if they lead to a signed root themselves.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from pipeline.audit.findings import Finding, Kind
from pipeline.audit.vouching import Head

LEAF_BYTES = 32


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The root over all entries, None where leaves are lost; the heads that differ, with the root found in their place.

    `sound`: for how many entries a root is signed for and right.
    """

    root: bytes | None
    wrong: tuple[tuple[Head, bytes], ...]
    sound: tuple[int, ...]


def reckon(
    leaf: Callable[[int], bytes | None],
    size: int,
    heads: Sequence[Head],
    carried: Mapping[int, bytes],
    findings: list[Finding],
) -> Reckoned:
    """Grows the tree over `size` leaves. The first root in a record (`carried`) that differs is a finding."""
    peaks, signed_for = _Peaks(), {head.size for head in heads}
    named = {finding.index for finding in findings}
    wrong: list[tuple[Head, bytes]] = []
    sound: list[int] = []
    doubted = False

    def compare(at: int) -> None:
        root = peaks.root()
        for head in dict.fromkeys(head for head in heads if head.size == at):
            if head.root == root:
                sound.append(at)
            else:
                wrong.append((head, root))

    for index in range(size):
        if index in signed_for:
            compare(index)
        one = leaf(index)
        if one is None:
            return Reckoned(None, tuple(wrong), tuple(sound))
        peaks.push(one)
        said = carried.get(index)
        if said is not None and not doubted and said != peaks.root().hex().encode() and index not in named:
            doubted = True  # all that follow would differ too: the first says where
            found = said.decode("ascii", "replace")
            findings.append(Finding(Kind.ROOT, index, f"root {peaks.root().hex()} in its record", found))
    compare(size)
    return Reckoned(peaks.root(), tuple(wrong), tuple(sound))


def sealed_leaves(kept: bytes | None, heads: Iterable[Head]) -> list[bytes]:
    """The leaves that were sealed, of what an export keeps of them: as far as they lead to a signed root, or none."""
    for head in sorted(heads, key=lambda head: -head.size):
        if kept is None or not 0 < head.size * LEAF_BYTES <= len(kept):
            continue
        leaves = [kept[at : at + LEAF_BYTES] for at in range(0, head.size * LEAF_BYTES, LEAF_BYTES)]
        if _root(leaves) == head.root:
            return leaves
    return []


def told_apart(
    findings: list[Finding],
    reckoned: Reckoned,
    ours: Callable[[int], bytes | None],
    size: int,
    sealed: Sequence[bytes],
) -> list[Finding]:
    """The findings with what the signed roots say: exactly where it can be known, else what it can have been.

    `ours`: the leaf of the entry that stands there as a certain one, None if there is none. `sealed`: as of
    `sealed_leaves`; they also clear entries that were suspected on the word of another that was changed itself.
    """
    end = min(size, len(sealed))
    others = [index for index in range(end) if ours(index) not in (None, sealed[index])]
    cleared = {index for index in range(end) if ours(index) == sealed[index]}
    left = [one for one in findings if not (one.kind is Kind.CHANGED and one.index in cleared)]
    named = {one.index for one in left}.union(others)
    for one in findings:
        if one.kind is Kind.CHANGED and one.index in cleared and one.index + 1 not in named:
            expected = f"prev {sealed[one.index].hex()}, the leaf of the entry before it as that was sealed"
            left.append(Finding(Kind.CHANGED, one.index + 1, expected, "another"))
    named = {one.index for one in left}
    for first, last in _runs([index for index in others if index not in named]):
        found = f"leaf {(ours(first) or b'').hex()}"
        if last > first:
            found += f"; the {last - first} after it, up to entry {last}, are others as well, so that they link"
        left.append(Finding(Kind.CHANGED, first, f"leaf {sealed[first].hex()}, as it was sealed", found))
    for head, root in reckoned.wrong:
        if sealed and head.size <= len(sealed) and _root(sealed[: head.size]) == head.root:
            continue  # the entries that differ are named
        left.append(_unexplained(head, root, size, max((at for at in reckoned.sound if at < head.size), default=0)))
    return left


def _unexplained(head: Head, root: bytes, size: int, sound: int) -> Finding:
    expected = f"root {head.root.hex()} over the first {head.size} entries, as signed"
    found, last = f"root {root.hex()}", head.size - 1
    if head.size and sound == last:
        return Finding(Kind.CHANGED, last, expected, f"{found}, and the one over the {sound} before it is right")
    if head.size == size > 1:
        found += (
            f": either entry {last} alone was changed, or one from entry {sound} on and all that follow it, so that "
            "they link. The signed root alone does not tell which; an earlier checkpoint, an export's .leaves or "
            "another copy of the log does"
        )
    elif head.size:
        found += f": one of the entries {sound}-{last} was changed, and all that follow it, so that they link"
    return Finding(Kind.FORKED, None, expected, found)


def _runs(indices: Sequence[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of numbers that follow one another."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index - 1:
            runs[-1] = runs[-1][0], index
        else:
            runs.append((index, index))
    return runs


def _root(leaves: Iterable[bytes]) -> bytes:
    peaks = _Peaks()
    for leaf in leaves:
        peaks.push(leaf)
    return peaks.root()


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
