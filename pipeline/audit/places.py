"""Where a log can be read: its topic, an export or a folder of segments, an archive. Who asks sees no difference."""

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import orjson

from pipeline.archive.layout import STOCK
from pipeline.archive.reading import Archive
from pipeline.audit.checkpoint import checkpoint_path, cosigned_path, witness_key_path
from pipeline.audit.entries import entry_of
from pipeline.audit.keys import public_key_path
from pipeline.audit.seal import UNREADABLE
from pipeline.audit.segments import read_lines, segment_files
from pipeline.audit.verify import Stored, Vouchers, exported
from pipeline.errors import AuditError, ConfigurationError, NotFound
from pipeline.settings import Settings
from schemas.audit import AuditEntry
from schemas.codec import Record
from schemas.topics import Topic

AT_ONCE = 1000


class Place(Protocol):
    """Where a log lies. Everything raises AuditError, or BrokerError, where it cannot be read."""

    voids_allowed: bool
    """Whether appends that do not link may stand there (in the topic alone): readers pass over them."""

    def vouchers(self) -> Vouchers:
        """What vouches for this log. Read before it, which can only grow meanwhile."""
        ...

    async def extent(self) -> int:
        """How many entries stand there, about: for whoever shows how far reading has come."""
        ...

    def stored(self) -> AsyncIterator[list[Stored]]:
        """What stands there as of the call, a thousand at a time: values, and the roots that their records carry."""
        ...

    def records(self, topic: Topic, key: str | None = None, kind: str | None = None) -> AsyncIterator[Record]:
        """The records of a topic, in order within each partition; of `key` alone, and of the type `kind`, if given.

        Raises NotFound where this place has none of that topic.
        """
        ...


class InFiles:
    """An export, with FILE.checkpoint and FILE.leaves beside it, or a folder of segments."""

    voids_allowed = False

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings

    def vouchers(self) -> Vouchers:
        """The checkpoint and the leaves beside it: the log's present checkpoint vouches for entries that came later."""
        beside = checkpoint_beside(self._path)
        own = beside.is_file()
        found = vouchers(self._settings.data_dir, beside if own else None)
        leaves = _bytes(leaves_beside(self._path), must_exist=False)
        return Vouchers(checkpoint=found.checkpoint if own else None, key=found.key, leaves=leaves)

    async def extent(self) -> int:
        """As many as there are lines."""
        files = segment_files(self._path) if self._path.is_dir() else [self._path]
        return sum(_lines_in(file) for file in files if file.is_file())

    async def stored(self) -> AsyncIterator[list[Stored]]:
        """The lines."""
        for batch in batched(read_lines(self._path)):
            yield list(exported(batch))

    async def records(self, topic: Topic, key: str | None = None, kind: str | None = None) -> AsyncIterator[Record]:
        """Those of the sealed topics that stand whole in their entries."""
        if topic in STOCK:
            raise NotFound(f"{self._path} holds the log alone, no {topic.name}: ask the broker, or an archive")
        for record in sealed_records(read_lines(self._path), topic, key, kind):
            yield record


class InArchive:
    """An archive, and nothing else: neither the broker nor the data directory is asked."""

    voids_allowed = False

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError where nobody knows such an address."""
        self._archive = Archive(url)

    def vouchers(self) -> Vouchers:
        """The archive's own; whoever trusts it no further gives a key and a checkpoint of their own keeping."""
        archive = self._archive
        key, witness = archive.public_key, archive.witness_key
        return Vouchers(archive.checkpoint, _text(key), archive.cosigned if witness else None, _text(witness))

    async def extent(self) -> int:
        """As its last piece says."""
        return self._archive.size

    async def stored(self) -> AsyncIterator[list[Stored]]:
        """Piece by piece. Raises NotFound where nothing of a log lies: nothing is not a log that is sound."""
        empty = True
        for lines in self._archive.log():
            empty = False
            yield list(exported(lines))
        if empty:
            raise NotFound(f"the archive {self._archive.url} holds no log: is the address right, and is it mounted?")

    async def records(self, topic: Topic, key: str | None = None, kind: str | None = None) -> AsyncIterator[Record]:
        """Of the archived topics, or of the sealed ones."""
        lines = (line for piece in self._archive.log() for line in piece)
        found = self._archive.records(topic.name) if topic in STOCK else sealed_records(lines, topic, key, kind)
        for record in found:
            if wanted(record, key, kind):
                yield record


def place_of(settings: Settings, export: Path | None = None, archive: str | None = None) -> Place:
    """The place that is named, or else the log's topic. Raises ConfigurationError."""
    if export is not None and archive is not None:
        raise ConfigurationError("--export and --archive name two places: give one of them")
    if export is not None:
        return InFiles(export, settings)
    if archive is not None:
        return InArchive(archive)
    from pipeline.audit.in_topics import InTopics  # no broker's client where no broker is asked

    return InTopics(settings)


def vouchers(
    data_dir: Path, checkpoint: Path | None = None, key: Path | None = None, witness: Path | None = None
) -> Vouchers:
    """What vouches for a log: the files named, which must be there, or else those of the data directory, if any."""
    line = _bytes(key or public_key_path(data_dir), must_exist=key is not None)
    seen_by = _bytes(witness or witness_key_path(data_dir), must_exist=witness is not None)
    return Vouchers(
        checkpoint=_bytes(checkpoint or checkpoint_path(data_dir), must_exist=checkpoint is not None),
        key=_text(line),
        cosigned=_bytes(cosigned_path(data_dir), must_exist=False) if seen_by is not None else None,
        witness=_text(seen_by),
    )


def checkpoint_beside(export: Path) -> Path:
    """Where the checkpoint of an export lies."""
    return export.with_name(f"{export.name}.checkpoint")


def leaves_beside(export: Path) -> Path:
    """Where the hashes of an export's entries lie as they were sealed, 32 bytes each."""
    return export.with_name(f"{export.name}.leaves")


def wanted(record: Record, key: str | None, kind: str | None) -> bool:
    """Whether it is one of that key, and of that type, where any are named."""
    return (key is None or record.key == key.encode()) and (
        kind is None or dict(record.headers).get("ce_type") == kind.encode()
    )


def sealed_records(lines: Iterable[bytes], topic: Topic, key: str | None, kind: str | None = None) -> Iterator[Record]:
    """The records of a sealed topic once more, from the entries that hold them whole.

    Their values say what was said in JSON of the same meaning; of their headers id, type and subject are there.
    """
    mark = (kind or topic.name).encode()  # most lines are others', and need not be read for it
    for line in lines:
        if mark not in line:
            continue
        entry = entry_of(line)
        if entry.origin.topic != topic.name or entry.record_type == UNREADABLE or entry.body is None:
            continue
        if (key is None or entry.subject == key) and (kind is None or entry.record_type == kind):
            yield _record(entry)


def _record(entry: AuditEntry) -> Record:
    said = {"id": entry.record_id, "type": entry.record_type, "source": "tocsin/record", "subject": entry.subject}
    return Record(
        topic=entry.origin.topic,
        partition=entry.origin.partition,
        offset=entry.origin.offset,
        timestamp=entry.appended_at,
        key=None if entry.subject is None else entry.subject.encode(),
        value=orjson.dumps(entry.body),
        headers=tuple((f"ce_{name}", value.encode()) for name, value in said.items() if value is not None),
    )


def batched(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    """A thousand lines at a time."""
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if len(batch) >= AT_ONCE:
            yield batch
            batch = []
    yield batch


def _lines_in(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "replace")


def _bytes(path: Path, must_exist: bool) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        if must_exist or not isinstance(error, FileNotFoundError):
            raise AuditError(f"{path} cannot be read: {error.strerror}") from error
        return None
