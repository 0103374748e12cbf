"""Works: where everyone's intent of one notice stands, a few bytes for each.

Many stand alike: a window of 64 was tried at one moment, a batch of 500 intended. So each different `Work` is kept
once, with how many stand so, and for each recipient only which one it is. Few recipients among many are a dictionary;
many are an array over the whole roll.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pipeline.deliver.roll import Roll
from pipeline.deliver.work import Work

SPARSE = 64
"""Up to one recipient in so many of the roll, the dictionary is smaller (about 150 bytes each, beside 4)."""
Sparse = dict[int, int]


class Moved(NamedTuple):
    """What came of moving some recipients on: the numbers of those who had no work before, and how many moved."""

    fresh: list[int]
    moves: int


class Works(Mapping[str, Work]):
    """The works of one notice on one channel, by recipient id."""

    def __init__(self, roll: Roll) -> None:
        self._roll = roll
        self._kinds: list[Work | None] = [None]
        self._count = [0]
        self._free: list[int] = []
        self._sparse: Sparse | None = {}
        self._dense = array("I")
        self._length = 0

    def forward(self, recipients: Sequence[str], advance: Callable[[Work | None], Work]) -> Moved:
        """Moves each recipient on. Alike before, alike afterwards."""
        numbers, fresh, moves = self._roll.numbers(recipients), list[int](), 0
        moved: dict[int, int] = {}
        for number in numbers:
            before = self._at(number)
            if before not in moved:
                moved[before] = self._kind(before, advance)
            after = moved[before]
            if after != before:
                moves += 1
                self._put(number, after)
                self._count[after] += 1
                if before:
                    self._count[before] -= 1
                else:
                    fresh.append(number)
        for kind in {*moved, *moved.values()}:
            if kind and not self._count[kind] and self._kinds[kind] is not None:
                self._kinds[kind] = None
                self._free.append(kind)
        self._length += len(fresh)
        if self._sparse is not None and len(self._sparse) * SPARSE > max(len(self._roll), SPARSE * SPARSE):
            self._widen(self._sparse)
        return Moved(fresh, moves)

    def standing(self, which: Callable[[Work], bool]) -> Iterator[tuple[str, Work]]:
        """Those whose work is such; who stands so is looked up only if anybody does."""
        kinds = {kind: work for kind, work in enumerate(self._kinds) if work is not None and which(work)}
        if kinds:
            for number, kind in self._entries():
                if kind in kinds:
                    yield self._roll.id(number), kinds[kind]

    def counted(self) -> Iterator[tuple[Work, int]]:
        """Each different work, and how many stand so."""
        return ((work, self._count[kind]) for kind, work in enumerate(self._kinds) if work is not None)

    def __getitem__(self, recipient: str) -> Work:
        if (work := self.get(recipient)) is None:
            raise KeyError(recipient)
        return work

    def get(self, recipient: str, default: Work | None = None) -> Work | None:  # type: ignore[override]
        """The recipient's work."""
        number = self._roll.find(recipient)
        return default if number is None else self._kinds[self._at(number)] or default

    def __contains__(self, recipient: object) -> bool:
        return isinstance(recipient, str) and self.get(recipient) is not None

    def __iter__(self) -> Iterator[str]:
        return (self._roll.id(number) for number, _ in self._entries())

    def __len__(self) -> int:
        return self._length

    def _entries(self) -> Iterator[tuple[int, int]]:
        entries = self._sparse.items() if self._sparse is not None else enumerate(self._dense)
        return ((number, kind) for number, kind in list(entries) if kind)

    def _at(self, number: int) -> int:
        if self._sparse is not None:
            return self._sparse.get(number, 0)
        return self._dense[number] if number < len(self._dense) else 0

    def _put(self, number: int, kind: int) -> None:
        if self._sparse is not None:
            self._sparse[number] = kind
            return
        if number >= len(self._dense):
            self._dense.frombytes(bytes(4 * (len(self._roll) - len(self._dense))))
        self._dense[number] = kind

    def _kind(self, before: int, advance: Callable[[Work | None], Work]) -> int:
        earlier = self._kinds[before]
        work = advance(earlier)
        if work is earlier:
            return before
        if self._free:
            kind = self._free.pop()
            self._kinds[kind] = work
        else:
            kind = len(self._kinds)
            self._kinds.append(work)
            self._count.append(0)
        return kind

    def _widen(self, sparse: Sparse) -> None:
        dense = array("I", bytes(4 * len(self._roll)))
        for number, kind in sparse.items():
            dense[number] = kind
        self._sparse, self._dense = None, dense
