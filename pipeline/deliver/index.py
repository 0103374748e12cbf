"""An index of half keys: eight bytes of something that names one thing, and a number that stands for that thing.

Sixteen bytes an entry, in buckets short enough to be looked through. Half of a SHA-256 does not name two things by
accident, but the index does not promise it: who asks compares the whole.
"""

from array import array
from collections.abc import Iterator

BUCKETS = 4096


class Index:
    """Entries are added and never taken away: what no longer holds is for the asker to see."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[array[int], array[int]]] = {}

    def add(self, half: int, value: int) -> None:
        """Writes down an entry; both below 2**64."""
        bucket = half % BUCKETS
        halves, values = self._buckets.get(bucket) or self._buckets.setdefault(bucket, (array("Q"), array("Q")))
        halves.append(half)
        values.append(value)

    def find(self, half: int) -> Iterator[int]:
        """The values of every entry whose half key this is, in the order in which they came."""
        halves, values = self._buckets.get(half % BUCKETS, (array("Q"), array("Q")))
        start = 0
        while True:
            try:
                start = halves.index(half, start)
            except ValueError:
                return
            yield values[start]
            start += 1
