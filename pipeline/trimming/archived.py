"""Whether the archive has what is to be forgotten: read back from its newest entry, by the chain that links them.

Its newest entry is the one that stands in our own segments, under our own checkpoint. Each entry names the leaf before
it, so that every byte before it is the log's too, as far as it is read: back to the oldest record that is to go.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from pipeline.archive.copying import LogCopy
from pipeline.archive.reading import Archive
from pipeline.archive.store import Store
from pipeline.audit.seal import identity
from pipeline.audit.tree import leaf_hash
from pipeline.errors import AuditError

BY_HASH = {"reason", "size", "sha256"}


def lacking(url: str, data_dir: Path, wanted: Mapping[bytes, bool]) -> set[bytes]:
    """Which of these records, by identity, the archive does not hold: whole, where that is asked for.

    Raises ArchiveUnreachable, and AuditError where the archive is another log's, or damaged.
    """
    left = dict(wanted)
    if left:
        LogCopy(Store(url), data_dir).open()
        for entry in _backwards(Archive(url)):
            origin, body = entry["origin"], entry.get("body") or {}
            who = identity(origin["topic"], entry["record_type"], entry.get("subject"), entry["record_id"])
            if who in left and not (left[who] and body.keys() == BY_HASH):
                del left[who]
                if not left:
                    break
    return set(left)


def _backwards(archive: Archive) -> Iterator[dict[str, Any]]:
    """The entries from the newest on, each proved by the one after it."""
    after: str | None = None
    for first, lines in archive.log_backwards():
        for index, line in reversed(list(enumerate(lines, first))):
            try:
                entry = orjson.loads(line)
            except ValueError:
                entry = {}
            if entry.get("index") != index or after not in (None, leaf_hash(line).hex()):
                raise AuditError(
                    f"entry {index} in the archive {archive.url} is damaged: nothing is forgotten. "
                    "`tocsin audit verify --archive` says more; the segments in the data directory have it"
                )
            after = entry["prev"]
            yield entry
