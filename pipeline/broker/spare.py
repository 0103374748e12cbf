"""The spare copy: what this machine writes to the embedded broker stands in files of our own as well.

The embedded broker keeps its data across an orderly stop, and loses what it acknowledged last in a crash. So a record
counts as written once it is on disk here too (`connect.send`): an attempt stands here before anybody is called. After a
crash `pipeline.broker.putback` writes again what the topics lack. An orderly stop makes the copy superfluous; it goes.

Keys of subscribers stand in a table of their own, where an erasure overwrites them at once.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from pipeline.archive.lines import line_of, record_of
from pipeline.errors import BrokerError
from schemas import topics
from schemas.codec import Record

KEEP_S = 24 * 60 * 60.0
"""A file that nobody wrote to for so long is dropped: the broker saves every second, however slowly. No topic that is
put back keeps its records for less."""
WORTH_A_THREAD = 20
"""So few records are written at once where they are: on a busy machine a thread's turn takes longer than the disk."""
FILE_BYTES = 32 * 1024 * 1024
PUT_BACK = frozenset(
    topic.name
    for topic in topics.ALL
    if topic.cleanup == "delete" and topic not in (topics.AUDIT_LOG, topics.AUDIT_TURN)
)
"""What is kept of. The log has its segments; compacted topics are made anew from these, keys apart."""


def folder(data_dir: Path) -> Path:
    """Where the copy of a data directory lies."""
    return data_dir / "spare"


class Spare:
    """One process's part of the copy. Records that come together go to disk together."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = folder(data_dir)
        self._waiting: list[tuple[Record, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._file: int | None = None

    async def keep(self, record: Record) -> None:
        """Returns when the record is on disk. Raises BrokerError when it cannot be."""
        keys = record.topic == topics.SUBSCRIBER_KEYS.name
        if not keys and record.topic not in PUT_BACK:
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((record, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await done

    def close(self) -> None:
        """Gives the file back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                error: BrokerError | None = None
                try:
                    records = [record for record, _ in batch]
                    if len(records) < WORTH_A_THREAD:
                        self._to_disk(records)
                    else:
                        await asyncio.to_thread(self._to_disk, records)
                except (OSError, sqlite3.Error) as caught:
                    error = BrokerError(
                        f"{self._folder} cannot be written ({caught}): the embedded broker may lose what it has taken, "
                        "so nothing goes on; free space or mend the disk"
                    )
                for _, done in batch:
                    if not done.done():
                        done.set_result(None) if error is None else done.set_exception(error)
        finally:
            self._writing = None

    def _to_disk(self, records: Sequence[Record]) -> None:
        keys = [record for record in records if record.topic == topics.SUBSCRIBER_KEYS.name]
        if keys:
            _put_keys(self._folder, keys)
        if len(keys) < len(records):
            self._append(b"".join(line_of(record) + b"\n" for record in records if record not in keys))

    def _append(self, content: bytes) -> None:
        while True:
            if self._file is None:
                self._file = self._opened()
            before = os.fstat(self._file).st_size
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(self._file, view) :]
                os.fdatasync(self._file)
            except OSError:
                os.ftruncate(self._file, before)  # a full disk may have taken half of a line
                raise
            found = os.fstat(self._file)
            if found.st_nlink == 0:  # dropped meanwhile, after an orderly stop of the broker: this came later
                self.close()
                continue
            if found.st_size > FILE_BYTES:
                self.close()
            return

    def _opened(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = time.time()
        for old in _files(self._folder):
            if now - old.stat().st_mtime > KEEP_S:
                old.unlink(missing_ok=True)
        path = self._folder / f"{time.time_ns():020d}-{os.getpid()}.jsonl"
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def spared(data_dir: Path) -> Iterator[Record]:
    """Every record in the copy, file by file. A last line that a crash cut off was never acknowledged to anybody."""
    for path in _files(folder(data_dir)):
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield record_of(line)


def spared_keys(data_dir: Path) -> list[Record]:
    """The last record of each subscriber's key; a value of None is a tombstone."""
    path = folder(data_dir) / "keys.sqlite"
    if not path.is_file():
        return []
    with closing(_keys(path)) as table:
        return [record_of(line) for (line,) in table.execute("SELECT line FROM keys")]


def is_there(data_dir: Path) -> bool:
    """Whether anything is in the copy: the broker was not stopped in order."""
    return bool(_files(folder(data_dir))) or (folder(data_dir) / "keys.sqlite").is_file()


def drop(data_dir: Path) -> None:
    """The broker has saved everything: the copy is not needed any more."""
    for path in (*_files(folder(data_dir)), folder(data_dir) / "keys.sqlite"):
        path.unlink(missing_ok=True)


def _files(where: Path) -> list[Path]:
    return sorted(where.glob("*.jsonl"))


def _put_keys(where: Path, records: Iterable[Record]) -> None:
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(_keys(where / "keys.sqlite")) as table, table:
        table.executemany(
            "INSERT OR REPLACE INTO keys VALUES (?, ?)", [(record.key, line_of(record)) for record in records]
        )


def _keys(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    table = sqlite3.connect(path, timeout=30)
    table.execute("PRAGMA secure_delete = ON")
    table.execute("CREATE TABLE IF NOT EXISTS keys (subscriber BLOB PRIMARY KEY, line BLOB NOT NULL) WITHOUT ROWID")
    return table
