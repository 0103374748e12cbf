"""The roll: everyone a partition has to do with, each with a number, so that what is kept of a million stays small."""

from collections.abc import Iterable


class Roll:
    """Numbers for ids, from 0 upwards, given once and never taken back."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._in_order: list[str] | None = []

    def __len__(self) -> int:
        return len(self._ids)

    def number(self, id_: str) -> int:
        """The number of `id_`, which is written down if it is new."""
        found = self._numbers.get(id_)
        if found is None:
            found = self._numbers[id_] = len(self._ids)
            self._ids.append(id_)
            self._in_order = None
        return found

    def find(self, id_: str) -> int | None:
        """The number of `id_`; None for someone who was never heard of."""
        return self._numbers.get(id_)

    def id(self, number: int) -> str:
        """Whose number it is. Raises IndexError."""
        return self._ids[number]

    def in_order(self) -> list[str]:
        """All ids in their order; not to be changed by the caller."""
        if self._in_order is None:
            self._in_order = sorted(self._ids)
        return self._in_order

    def numbers(self, ids: Iterable[str]) -> list[int]:
        """The numbers of `ids`, in their order; new ones are written down."""
        known = self._numbers
        return [known[id_] if id_ in known else self.number(id_) for id_ in ids]
