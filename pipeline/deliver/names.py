"""Names: which notice and recipient an intent id stands for. What a provider reports later names the intent only.

Sixteen bytes an intent: the first half of its id and where it belongs, in buckets short enough to be looked through.
The first half of a SHA-256 does not name two of them by accident; who asks compares the whole.
"""

from array import array
from collections.abc import Iterator

BUCKETS = 4096


class Names:
    """Half of each intent's id, and the two numbers that it stands for."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[array[int], array[int]]] = {}

    def add(self, intent: str, told: int, recipient: int) -> None:
        """Writes down an intent by the numbers of its notice and of its recipient (each below 2**32)."""
        half = int(intent[:16], 16)
        halves, places = self._buckets.get(half % BUCKETS) or self._bucket(half % BUCKETS)
        halves.append(half)
        places.append(told << 32 | recipient)

    def find(self, intent: str) -> Iterator[tuple[int, int]]:
        """What may stand behind `intent`: the numbers of notice and recipient of each whose id begins alike."""
        try:
            half = int(intent[:16], 16)
        except ValueError:
            return
        halves, places = self._buckets.get(half % BUCKETS, (array("Q"), array("Q")))
        start = 0
        while True:
            try:
                start = halves.index(half, start)
            except ValueError:
                return
            yield places[start] >> 32, places[start] & 0xFFFFFFFF
            start += 1

    def _bucket(self, number: int) -> tuple["array[int]", "array[int]"]:
        return self._buckets.setdefault(number, (array("Q"), array("Q")))
