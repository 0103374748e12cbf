"""Files that must be whole and on disk when a call returns."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import AuditError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failure of the disk into an AuditError that says what stops and what to do."""
    try:
        yield
    except OSError as error:
        raise AuditError(
            f"{path} cannot be written ({error.strerror or error}): sealing stops until it can; "
            "free space or mend the disk, and the room goes on where it was"
        ) from error


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replaces `path` at once: no reader sees half of it, and a loss of power leaves the old content or the new."""
    with replacing(path, mode) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """The same of what is written piece by piece: `path` is replaced when the block ends, and not if it fails."""
    scratch = _scratch(path)
    try:
        with _opened(scratch, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def create_file(path: Path, content: bytes, mode: int) -> None:
    """Creates `path` with `content` unless it exists: of two at once one wins, and both then read the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = _scratch(path)
    try:
        with _opened(scratch, mode) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in a directory survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _scratch(path: Path) -> Path:
    """A name beside `path` that is this process's own; one that it left behind when it was killed is taken away."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    return scratch


def _opened(path: Path, mode: int) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")
