"""Segment files: the log's exact bytes on our own disk, an entry a line, 10,000 entries a file.

They are written after the broker's acknowledgement. With the embedded broker they are what survives its crash.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.audit.files import sync_directory, writing
from pipeline.errors import AuditError

ENTRIES_EACH = 10_000

log = logging.getLogger("tocsin.audit")


class Segments:
    """The segment files of one data directory. `size` entries are on disk."""

    def __init__(self, directory: Path, entries_each: int = ENTRIES_EACH) -> None:
        self._directory = directory
        self._each = entries_each
        self.size = 0

    def open(self) -> None:
        """Cuts off a line that a crash left half written, and counts. Raises AuditError."""
        with writing(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            files = segment_files(self._directory)
            if [path.name for path in files] != [self._path(number).name for number in range(len(files))]:
                raise AuditError(f"{self._directory} lacks a segment: there are {', '.join(p.name for p in files)}")
            for path in files[-1:]:
                _mend(path)
        self.size = 0
        for number, path in enumerate(files):
            count = sum(1 for _ in _lines(path))
            if count > self._each or (count < self._each and number + 1 < len(files)):
                raise AuditError(f"{path} has {count} entries, expected {self._each}")
            self.size += count

    def __iter__(self) -> Iterator[bytes]:
        """The entries on disk, in order."""
        for path in segment_files(self._directory):
            yield from _lines(path)

    def append(self, values: Sequence[bytes]) -> None:
        """Writes entries to the end; they are on disk when it returns. Raises AuditError."""
        while values:
            number, held = divmod(self.size, self._each)
            part, values = values[: self._each - held], values[self._each - held :]
            path = self._path(number)
            with writing(path):
                _append(path, b"".join(value + b"\n" for value in part))
            self.size += len(part)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08d}.jsonl"


def segment_files(directory: Path) -> list[Path]:
    """The segment files in a directory, in order."""
    return sorted(directory.glob("[0-9]" * 8 + ".jsonl"))


def read_lines(path: Path) -> Iterator[bytes]:
    """The entries of an export, or of a directory of segments. Raises AuditError.

    A line of a segment that has no end is being written at this moment, and is not there yet.
    """
    growing = path.is_dir()
    files = segment_files(path) if growing else [path]
    if not files:
        raise AuditError(f"{path} holds no segments (NNNNNNNN.jsonl)")
    try:
        for file in files:
            yield from _lines(file, whole=growing and file == files[-1])
    except OSError as error:
        raise AuditError(f"{file} cannot be read: {error.strerror}") from error


def _lines(path: Path, whole: bool = False) -> Iterator[bytes]:
    """`whole`: without a last line that has no end."""
    with path.open("rb") as file:
        for line in file:
            if whole and not line.endswith(b"\n"):
                return
            yield line.removesuffix(b"\n")


def _append(path: Path, content: bytes) -> None:
    fresh = not path.exists()
    before = 0 if fresh else path.stat().st_size
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)  # a full disk may have taken half of a line
        raise
    finally:
        os.close(descriptor)
    if fresh:
        sync_directory(path.parent)


def _mend(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        log.warning("%s: a line was left half written by a crash; it is taken from the log again", path)
        os.truncate(path, whole)
