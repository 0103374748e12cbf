"""Locks of a data directory. The kernel holds them (flock): they end with their process, however it ends."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import AlreadyRunning


class Lock:
    """One exclusive lock; the file holds the pid of who has it, for the message to who does not get it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, refusal: Callable[[int | None], str]) -> None:
        """Takes the lock or raises AlreadyRunning with `refusal(pid of the holder, if known)`; never waits."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise AlreadyRunning(refusal(int(holder) if holder.isdecimal() else None)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Gives the lock back. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def held(path: Path, refusal: Callable[[int | None], str]) -> Iterator[None]:
    """The lock for the length of a block. Raises AlreadyRunning."""
    lock = Lock(path)
    lock.acquire(refusal)
    try:
        yield
    finally:
        lock.release()
