"""Copying the log into an archive: the exact bytes of the segments, then the checkpoint that vouches for them."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pipeline.archive import layout
from pipeline.archive.store import Store
from pipeline.audit.checkpoint import checkpoint_path, cosigned_path, witness_key_path
from pipeline.audit.keys import public_key_path
from pipeline.audit.segments import ENTRIES_EACH, segment_files
from pipeline.errors import ArchiveUnreachable, AuditError

PIECE_ENTRIES = ENTRIES_EACH


class LogCopy:
    """One log's copy in one archive. Nothing here is called by two threads at once.

    The segments are on disk before anything is signed or copied, so that the copy can be behind, and never ahead.
    """

    def __init__(self, store: Store, data_dir: Path, entries_each: int = ENTRIES_EACH) -> None:
        self._store = store
        self._segments = data_dir / "audit" / "segments"
        self._notes = (layout.CHECKPOINTS, checkpoint_path(data_dir)), (layout.COSIGNED, cosigned_path(data_dir))
        self._keys = (layout.PUBLIC_KEY, public_key_path(data_dir)), (layout.WITNESS_KEY, witness_key_path(data_dir))
        self._each = entries_each
        self._put: dict[str, tuple[str, bytes]] = {}
        self._last: str | None = None
        self.size = 0

    def open(self, at_least: int = 0) -> None:
        """Looks how far the archive goes. Raises ArchiveUnreachable, and AuditError if it is another log's.

        `at_least`: so many entries it held before. One that holds fewer is not there: a folder on which nothing is
        mounted must not be taken for an archive that begins.
        """
        self.size = 0
        last: layout.Piece | None = None
        for piece in layout.pieces(self._store.names(layout.LOG)):
            self.size, last = max(self.size, piece.after), piece
        if self.size < at_least:
            raise ArchiveUnreachable(
                f"the archive {self._store.url} holds {self.size} entries, and held {at_least} before: nothing is "
                "copied into what may be another place. Is it mounted? To begin anew, give another address"
            )
        self._last = last.name if last is not None else None
        if last is not None:
            theirs = (self._store.get(last.name) or b"").split(b"\n")[-2:-1]
            ours = list(islice(self._lines(last.after - 1), 1))
            if theirs != ours:
                raise AuditError(
                    f"the archive {self._store.url} holds another log: its entry {last.after - 1} is not ours. "
                    "Nothing is copied, and sealing stops: give another TOCSIN_ARCHIVE, or its log's data directory"
                )

    def copying(self) -> Iterator[int]:
        """Copies what is new, a piece a step: how many entries that were. Raises ArchiveUnreachable."""
        notes = [(folder, path.read_bytes()) for folder, path in self._notes if path.is_file()]
        lines = self._lines(self.size)
        while piece := list(islice(lines, PIECE_ENTRIES)):
            self._look()
            name = layout.log_piece(self.size, self.size + len(piece))
            self._store.put(name, b"".join(line + b"\n" for line in piece))
            self.size, self._last = self.size + len(piece), name
            yield len(piece)
        for folder, note in notes:  # read before the entries, so that there is no note without its entries
            self._put_once(layout.note_name(folder, _size_of(note)), note)
        for name, path in self._keys:
            if path.is_file():
                self._put_once(name, path.read_bytes())

    def _look(self) -> None:
        """Whether it still is the archive that was written to: what was mounted may be gone meanwhile."""
        if self._last is not None and not self._store.holds(self._last):
            raise ArchiveUnreachable(f"the archive {self._store.url} lacks {self._last}, which it had: is it mounted?")

    def _put_once(self, name: str, content: bytes) -> None:
        folder = name.partition("/")[0]
        if self._put.get(folder) != (name, content):
            self._store.put(name, content)
            self._put[folder] = name, content

    def _lines(self, start: int) -> Iterator[bytes]:
        """The whole lines on disk from entry `start` on, up to the first that is not whole."""
        number, skipped = divmod(start, self._each)
        for path in segment_files(self._segments)[number:]:
            with path.open("rb") as file:
                for line in islice(file, skipped, None):
                    if not line.endswith(b"\n"):
                        return  # it is being written at this moment
                    yield line[:-1]
            skipped = 0


def _size_of(note: bytes) -> int:
    """The number of entries that a checkpoint is over: its second line (C2SP tlog-checkpoint)."""
    return int(note.split(b"\n", 2)[1])
