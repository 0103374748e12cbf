"""The store: a partition's people in a file, so that a worker that starts again need not fold a million events anew.

It is a copy of a fold and nothing more: whatever is wrong with it, it is thrown away and made anew from the topics. It
says how far in each topic it goes, and what stood there last, so that the copy of another broker's topic is not
believed. Contact data is in it as sealed as in the topic, and what is overwritten is overwritten with zeros.
"""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline import failpoints
from pipeline.broker.locks import Lock
from pipeline.deliver.people import Kept, People
from pipeline.deliver.roll import Roll
from pipeline.errors import AlreadyRunning
from schemas.base import Channel
from schemas.codec import Record
from schemas.subscriber import OptOut, Subscriber

VERSION = 1
TABLES = """
CREATE TABLE places (topic TEXT PRIMARY KEY, next INTEGER NOT NULL, proof BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE alike (name TEXT PRIMARY KEY, subscriber TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE people (id TEXT PRIMARY KEY, alike TEXT, opted_out TEXT, own BLOB, key BLOB) WITHOUT ROWID;
"""
UNSHARED = "DELETE FROM alike WHERE name = ? AND NOT EXISTS (SELECT 1 FROM people WHERE alike = ?)"
"""What was known of an erased person alone goes with them."""
LEFT_ALONE_S = 24 * 3600.0
"""A file that its worker may still come back to."""
OPT_OUTS = TypeAdapter(dict[Channel, OptOut])

log = logging.getLogger("tocsin.deliver")


@dataclass(frozen=True, slots=True)
class Place:
    """How far a topic was folded: the next offset, and the hash of the record before it."""

    next: int
    proof: bytes


def place_behind(record: Record) -> Place:
    """The place right behind a record."""
    return Place(record.offset + 1, proof_of(record))


def proof_of(record: Record) -> bytes:
    """What tells a record from any other that could stand at its offset."""
    return hashlib.sha256(b"%d %s" % (record.offset, record.value or b"")).digest()


def forsaken(folder: Path, ours: Collection[int], now_s: float) -> list[int]:
    """Deletes the files of partitions that have long been other workers', and returns which: nothing that happens to
    anybody reaches these files any more, and a key that was destroyed would stand there for ever.
    """
    gone = []
    for path in folder.glob("people-*.sqlite"):
        number = path.stem.removeprefix("people-")
        if not number.isdecimal() or int(number) in ours or now_s - path.stat().st_mtime < LEFT_ALONE_S:
            continue
        lock = Lock(folder / f"people-{number}.lock")
        try:
            lock.acquire(lambda _: "another worker has it")
        except AlreadyRunning:
            continue
        _delete(path)
        lock.release()
        gone.append(int(number))
    return gone


def _delete(path: Path) -> None:
    """The file, and what a killed process left beside it to undo its last change with."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)


class Store:
    """One partition's file. Nothing here is called by two threads at once."""

    def __init__(self, folder: Path, partition: int) -> None:
        self._path = folder / f"people-{partition}.sqlite"
        self._lock = Lock(folder / f"people-{partition}.lock")
        self._file: sqlite3.Connection | None = None

    def open(self) -> bool:
        """Takes the file for this process; False if another one has it."""
        try:
            self._lock.acquire(lambda _: f"{self._path} is another worker's")
        except AlreadyRunning:
            return False
        try:
            self._file = self._connected()
        except sqlite3.DatabaseError as error:
            self._anew(error)
        return True

    def load(self, roll: Roll) -> tuple[People, dict[str, Place]]:
        """Everybody in it, and how far the topics had been folded then: nobody and nowhere if it cannot be read."""
        people = People(roll)
        try:
            return people, self._read(people)
        except (sqlite3.DatabaseError, ValidationError, ValueError, LookupError) as error:
            self._anew(error)
            return People(roll), {}

    def save(self, changed: Iterable[Kept], places: Mapping[str, Place]) -> None:
        """Writes who changed and how far the topics are folded, both or neither. Raises sqlite3.Error, OSError."""
        with self._open() as file:
            for kept in changed:
                name = self._name(file, kept.alike) if kept.alike is not None else None
                opted_out = OPT_OUTS.dump_json(dict(kept.opted_out)).decode() if kept.opted_out else None
                row = (kept.id, name, opted_out, kept.own, kept.key)
                gone = kept.alike is not None and kept.alike.erased
                before = file.execute("SELECT alike FROM people WHERE id = ?", (kept.id,)).fetchone() if gone else None
                file.execute("INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?, ?)", row)
                if before is not None:
                    file.execute(UNSHARED, before * 2)
            failpoints.hit("deliver.in_keeping")
            for topic, place in places.items():
                file.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (topic, place.next, place.proof))

    def clear(self) -> None:
        """Begins an empty file."""
        if self._file is not None:
            self._file.close()
        _delete(self._path)
        self._file = self._connected()

    def close(self) -> None:
        """Gives the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()

    def _anew(self, why: Exception) -> None:
        log.warning("%s is made anew from the topics: %s", self._path, why)
        self.clear()

    def _read(self, people: People) -> dict[str, Place]:
        file = self._open()
        if file.execute("PRAGMA user_version").fetchone() != (VERSION,):
            raise ValueError("it is of another version")
        alike = {
            name: Subscriber.model_validate_json(text)
            for name, text in file.execute("SELECT name, subscriber FROM alike")
        }
        for id_, name, opted_out, own, key in file.execute("SELECT id, alike, opted_out, own, key FROM people"):
            opt_outs = OPT_OUTS.validate_json(opted_out) if opted_out else {}
            people.restore(Kept(id_, alike[name] if name else None, opt_outs, own, key))
        return {topic: Place(next_, proof) for topic, next_, proof in file.execute("SELECT * FROM places")}

    def _name(self, file: sqlite3.Connection, alike: Subscriber) -> str:
        text = alike.model_dump_json()
        name = hashlib.sha256(text.encode()).hexdigest()[:32]
        file.execute("INSERT OR IGNORE INTO alike VALUES (?, ?)", (name, text))
        return name

    def _connected(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        file = sqlite3.connect(self._path, check_same_thread=False)
        file.execute("PRAGMA secure_delete = ON")
        file.execute("PRAGMA synchronous = NORMAL")
        if not file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            file.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        return file

    def _open(self) -> sqlite3.Connection:
        if self._file is None:
            raise RuntimeError("open() comes first")
        return self._file
