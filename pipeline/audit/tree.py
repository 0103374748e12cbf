"""The Merkle tree of RFC 6962 section 2.1 over SHA-256: roots, inclusion proofs and consistency proofs.

Hashes are 32 bytes, proofs go from the leaf upwards, indices count from 0. What verifies takes nothing on trust and
raises `ProofError`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


class ProofError(ValueError):
    """A proof that proves nothing; says why."""


def leaf_hash(value: bytes) -> bytes:
    """The hash of a leaf; the 0x00 before it keeps an inner node from being passed off as one."""
    return sha256(b"\x00" + value).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class CompactRange:
    """A tree of `size` leaves, reduced to the roots of its perfect subtrees, the largest first: enough to go on."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> "CompactRange":
        """The tree with one leaf more; O(log n), and one hash on average."""
        peaks = list(self.peaks)
        carry = self.size
        while carry & 1:  # as in binary addition: equal subtrees merge
            leaf = node_hash(peaks.pop(), leaf)
            carry >>= 1
        return CompactRange(self.size + 1, (*peaks, leaf))

    def extend(self, leaves: Iterable[bytes]) -> "CompactRange":
        """The tree with all of `leaves` more."""
        tree = self
        for leaf in leaves:
            tree = tree.append(leaf)
        return tree

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self.peaks:
            return EMPTY_ROOT
        *larger, root = self.peaks
        for peak in reversed(larger):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaf hashes. A node without a neighbour goes up as it is, which is RFC 6962's own shape."""
    level = list(leaves)
    while len(level) > 1:
        above = [sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = [*above, level[-1]] if len(level) % 2 else above
    return level[0] if level else EMPTY_ROOT


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """PATH(index, leaves) of RFC 6962 section 2.1.1. Raises IndexError when there is no such leaf."""
    return _inclusion(index, len(leaves), lambda begin, end: root_of(leaves[begin:end]))


class Levels:
    """The whole tree, for whoever needs many proofs from it: 64 bytes a leaf, and each proof a few hashes."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        self._levels = [leaves]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """As the function of this name."""
        return _inclusion(index, self.size, self._root)

    def _root(self, begin: int, end: int) -> bytes:
        height = (end - begin - 1).bit_length()
        if end - begin == 1 << height:
            return self._levels[height][begin >> height]
        middle = begin + _left_size(end - begin)
        return node_hash(self._root(begin, middle), self._root(middle, end))


def _inclusion(index: int, size: int, root: Callable[[int, int], bytes]) -> tuple[bytes, ...]:
    """`root` gives the root over the leaves from one to before another."""
    if not 0 <= index < size:
        raise IndexError(f"there is no leaf {index} in a tree of {size}")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _left_size(end - begin)
        if index < middle:
            proof.append(root(middle, end))
            end = middle
        else:
            proof.append(root(begin, middle))
            begin = middle
    return tuple(reversed(proof))


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Returns if `leaf` stands at `index` in the tree of `size` leaves with `root`; raises ProofError otherwise."""
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a tree of {size}")
    _check_lengths((leaf, *proof))
    inner, border = _parts(index, size)
    if len(proof) != inner + border:
        raise ProofError(f"the proof has {len(proof)} hashes; leaf {index} of {size} takes {inner + border}")
    found = _climb(leaf, proof[:inner], index)
    _match(_along_border(found, proof[inner:]), root)


def consistency_proof(leaves: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """PROOF(first, leaves) of RFC 6962 section 2.1.2: that the tree of `first` leaves is a prefix of this one."""
    return _consistency(first, len(leaves), lambda begin, end: root_of(leaves[begin:end]))


def consistency_since(before: CompactRange, since: Sequence[bytes]) -> tuple[bytes, ...]:
    """The same of the tree `before` with the leaves `since` more: what lies before is needed by its peaks only."""

    def root(begin: int, end: int) -> bytes:
        if begin >= before.size:
            return root_of(since[begin - before.size : end - before.size])
        at, rest = 0, list(before.peaks)
        while at < begin:
            at += _largest(before.size - at)
            rest.pop(0)
        if end < before.size:
            return rest[0]  # the proof asks for whole subtrees of what lies before, or for all that is left of it
        return CompactRange(before.size - begin, tuple(rest)).root()

    return _consistency(before.size, before.size + len(since), root)


def _consistency(first: int, size: int, root: Callable[[int, int], bytes]) -> tuple[bytes, ...]:
    """`root` as of an inclusion."""
    if not 0 < first <= size:
        raise IndexError(f"a tree of {first} leaves is no prefix of a tree of {size}")
    proof: list[bytes] = []
    begin, end, whole = 0, size, True
    while first != end:
        middle = begin + _left_size(end - begin)
        if first <= middle:
            proof.append(root(middle, end))
            end = middle
        else:
            proof.append(root(begin, middle))
            begin, whole = middle, False
    if not whole:
        proof.append(root(begin, end))
    return tuple(reversed(proof))


def verify_consistency(
    first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes
) -> None:  # fmt: skip
    """Returns if the tree of `first` leaves is a prefix of the tree of `second`; raises ProofError otherwise."""
    if not 0 < first <= second:
        raise ProofError(f"a tree of {first} leaves is no prefix of a tree of {second}")
    _check_lengths(proof)
    if first == second:
        if proof:
            raise ProofError("the sizes are equal, but the proof is not empty")
        _match(first_root, second_root)
        return
    level = (first & -first).bit_length() - 1  # the lowest perfect subtree at the border of the first tree
    inner, border = _parts(first - 1, second)
    inner -= level
    seeded = first != 1 << level  # otherwise the first tree is that very subtree, and its root the seed
    if len(proof) != seeded + inner + border:
        raise ProofError(f"the proof has {len(proof)} hashes; {first} in {second} takes {seeded + inner + border}")
    seed = proof[0] if seeded else first_root
    path, over = proof[seeded : seeded + inner], proof[seeded + inner :]
    position = (first - 1) >> level
    before = _along_border(seed, [h for i, h in enumerate(path) if position >> i & 1])
    _match(_along_border(before, over), first_root)
    _match(_along_border(_climb(seed, path, position), over), second_root)


def _left_size(size: int) -> int:
    """The largest power of two below `size`: where RFC 6962 splits a tree."""
    return 1 << (size - 1).bit_length() - 1


def _largest(size: int) -> int:
    """The largest power of two in `size`: how many leaves the first peak of such a tree covers."""
    return 1 << size.bit_length() - 1


def _parts(index: int, size: int) -> tuple[int, int]:
    """How many hashes of a path lie below, and how many above, the point where it meets the tree's right border."""
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _climb(seed: bytes, path: Sequence[bytes], index: int) -> bytes:
    for level, sibling in enumerate(path):
        seed = node_hash(sibling, seed) if index >> level & 1 else node_hash(seed, sibling)
    return seed


def _along_border(seed: bytes, path: Iterable[bytes]) -> bytes:
    for left in path:
        seed = node_hash(left, seed)
    return seed


def _check_lengths(hashes: Iterable[bytes]) -> None:
    for one in hashes:
        if len(one) != HASH_BYTES:
            raise ProofError(f"a hash has {len(one)} bytes, not {HASH_BYTES}")


def _match(found: bytes, expected: bytes) -> None:
    if found != expected:
        raise ProofError(f"the proof leads to the root {found.hex()}, not to {expected.hex()}")
