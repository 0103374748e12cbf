"""Reading an archive: the log with what vouches for it, and the records of topics, from nothing but its objects."""

from collections.abc import Iterator

from pipeline.archive import layout
from pipeline.archive.lines import record_of
from pipeline.archive.store import Store
from schemas.codec import Record


class Archive:
    """An archive as it lies there. All of it raises ArchiveUnreachable, and AuditError where an object is damaged."""

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError where nobody knows such an address."""
        self._store = Store(url)
        self.url = url

    @property
    def public_key(self) -> bytes | None:
        """The key that its checkpoints were signed with, as a line; None if it is not there."""
        return self._store.get(layout.PUBLIC_KEY)

    @property
    def witness_key(self) -> bytes | None:
        """The key of the witness that the log was shown to, as a line; None without one."""
        return self._store.get(layout.WITNESS_KEY)

    @property
    def checkpoint(self) -> bytes | None:
        """The checkpoint over the most entries; None if there is none."""
        return self._last(layout.CHECKPOINTS)

    @property
    def cosigned(self) -> bytes | None:
        """The checkpoint over the most entries that a witness signed as well; None if there is none."""
        return self._last(layout.COSIGNED)

    @property
    def size(self) -> int:
        """How many entries it holds."""
        return max((piece.after for piece in layout.pieces(self._store.names(layout.LOG))), default=0)

    def log(self) -> Iterator[list[bytes]]:
        """The sealed entries, piece by piece, in order. What stands in two pieces comes once."""
        reached = 0
        for piece in layout.pieces(self._store.names(layout.LOG)):
            lines = self._lines(piece.name)[max(0, reached - piece.first) :]
            reached = max(reached, piece.after)
            yield lines

    def log_backwards(self) -> Iterator[tuple[int, list[bytes]]]:
        """The same from its end, piece by piece: each with the number of its first entry, its entries in order."""
        lowest: int | None = None
        for piece in sorted(layout.pieces(self._store.names(layout.LOG)), key=lambda piece: piece.after, reverse=True):
            lines = self._lines(piece.name)
            yield piece.first, lines if lowest is None else lines[: max(0, lowest - piece.first)]
            lowest = piece.first if lowest is None else min(lowest, piece.first)

    def records(self, topic: str) -> Iterator[Record]:
        """The archived records of a topic, partition by partition."""
        reached: dict[tuple[str, int], int] = {}
        for piece in layout.pieces(self._store.names(f"records/{topic}")):
            part = piece.name.rpartition("/")[0], piece.generation
            for line in self._lines(piece.name):
                record = record_of(line)
                if record.offset >= reached.get(part, 0):
                    yield record
            reached[part] = max(reached.get(part, 0), piece.after)

    def _last(self, folder: str) -> bytes | None:
        names = self._store.names(folder)
        return self._store.get(names[-1]) if names else None

    def _lines(self, name: str) -> list[bytes]:
        return (self._store.get(name) or b"").split(b"\n")[:-1]
