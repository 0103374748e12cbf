"""The SQL projection made anew: an exported log of text messages, from the file into SQLite's tables.

Each message is four entries: it was to be told, it was attempted, taken, it arrived; each changes a row of one person
and the counts of its notice. Beside it, over the same file: the verifier, since what is read must follow on; and
SQLite alone, as Python brings it, with one row for each entry and nothing made of it.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pipeline.audit.places import InFiles
from pipeline.audit.segments import read_lines
from pipeline.audit.verify import exported, verify
from pipeline.bench.figures import Measured, medians, rate
from pipeline.bench.verify import AT, write
from pipeline.errors import TocsinError
from pipeline.projection import rebuilding
from pipeline.projection.homes import home
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.delivery import (
    DeliveriesEnded,
    DeliveriesIntended,
    DeliveryAttempted,
    Outcome,
    ReceiptRecorded,
    Result,
)
from schemas.ids import derived, intent_id
from schemas.journal import NoticeKind

MESSAGES: Final = 5_000


def measure(runs: int) -> Iterator[Measured]:
    """Entries a second."""
    with TemporaryDirectory() as directory:
        export, scratch = Path(directory) / "log.jsonl", Path(directory) / "rows.sqlite"
        vouchers = write(export, records(MESSAGES))
        entries = MESSAGES * 4
        settings = Settings(_env_file=None, data_dir=Path(directory), database_url=None)

        def verifier() -> None:
            if not verify(exported(read_lines(export)), vouchers).ok:
                raise TocsinError("the log does not verify")

        contenders = {
            "ours": lambda: _rebuilt(settings, export, entries),
            "our verifier alone": verifier,
            "sqlite3, a row an entry": lambda: _rows(export, scratch),
        }
        found = medians([{name: rate(run, entries) for name, run in contenders.items()} for _ in range(runs)])
    size = {"entries": f"{entries:,}", "sqlite": sqlite3.sqlite_version}
    yield Measured("rebuild", "entries/s", found.pop("ours"), found, size)


def records(messages: int) -> Iterator[codec.Record]:
    """What became of so many text messages of one notice, as it stands in their topic."""
    for number in range(messages):
        for step, data in enumerate(_steps(number)):
            topic, reader = topics.DELIVERY_RECORDS_TOPIC, f"s{number}"
            given = codec.encode(topic, data, id=derived("rebuild", number, step), source="/bench", subject=reader)
            at = AT + timedelta(milliseconds=number)
            yield codec.Record(topic.name, number % 12, number * 4 + step, at, given.key, given.value, given.headers)


def _steps(number: int) -> tuple[Message, ...]:
    reader, at = f"s{number}", AT + timedelta(milliseconds=number)
    named: dict[str, Any] = {"batch_id": "b", "notice_id": "n", "incident": "bench", "seq": 1, "channel": Channel.SMS}
    named |= {"at": at}
    attempt = {"attempt_id": derived("attempt", number), "attempt": 1}
    told = {"kind": NoticeKind.OPENED, "rendering": "0" * 64, "recipients": (reader,)}
    outcome = Outcome(recipient=reader, result=Result.ACCEPTED, reason="provider_accepted", code="queued")
    intent = intent_id("bench", 1, reader, Channel.SMS)
    return (
        DeliveriesIntended(**named, **told, audience="customers"),
        DeliveryAttempted(**named, **attempt, **told, units=2),
        DeliveriesEnded(**named, **attempt, outcomes=(outcome,)),
        ReceiptRecorded(intent_id=intent, channel=Channel.SMS, status="delivered", at=at),
    )


def _rebuilt(settings: Settings, export: Path, entries: int) -> None:
    log = rebuilding.from_place(InFiles(export, settings))
    made = asyncio.run(rebuilding.rebuild(settings, home(settings), log))
    if made != entries:
        raise TocsinError(f"the projection holds {made} entries of {entries}")


def _rows(export: Path, scratch: Path) -> None:
    scratch.unlink(missing_ok=True)
    connection = sqlite3.connect(scratch)
    connection.execute("pragma journal_mode=wal")
    connection.execute("create table entry (number integer primary key, said blob)")
    lines = enumerate(read_lines(export))
    while batch := [one for one, _ in zip(lines, range(rebuilding.AT_ONCE), strict=False)]:
        with connection:
            connection.executemany("insert into entry values (?, ?)", batch)
    connection.close()
