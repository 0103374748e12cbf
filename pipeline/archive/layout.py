"""What stands where in an archive. Everything but the public keys is written once and never again.

    log/000000000000-000000000123.jsonl        sealed entries, an entry a line, from the first number up to the second
    checkpoints/000000000123                   a checkpoint over so many of them, as it was signed
    cosigned/000000000123                      the same with a witness's signature
    log.pub, witness.pub                       the keys that these were signed with
    records/TOPIC/0003/00-000000000000-000000000045.jsonl
                                               records of one partition, by offset; the first number counts how often
                                               its broker had lost records, after which offsets begin anew

Keys of subscribers are never archived: an erasure must reach every copy there is of them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas import topics

LOG = "log"
CHECKPOINTS = "checkpoints"
COSIGNED = "cosigned"
PUBLIC_KEY = "log.pub"
WITNESS_KEY = "witness.pub"
STOCK = (topics.RENDERINGS, topics.POLICIES, topics.SUBSCRIBER_EVENTS_TOPIC)
"""The topics whose records are archived themselves. Journal and delivery records stand whole in the sealed entries."""

_PIECE = re.compile(r"(?:(\d{2})-)?(\d{12})-(\d{12})\.jsonl$")


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """One object of lines: those from `first` up to, and without, `after`."""

    generation: int
    first: int
    after: int
    name: str


def log_piece(first: int, after: int) -> str:
    """The name of a piece of the log."""
    return f"{LOG}/{first:012d}-{after:012d}.jsonl"


def record_folder(topic: str, partition: int) -> str:
    """Where the records of a partition lie."""
    return f"records/{topic}/{partition:04d}"


def record_piece(topic: str, partition: int, generation: int, first: int, after: int) -> str:
    """The name of a piece of a partition."""
    return f"{record_folder(topic, partition)}/{generation:02d}-{first:012d}-{after:012d}.jsonl"


def note_name(folder: str, size: int) -> str:
    """The name of a signed note over the first `size` entries."""
    return f"{folder}/{size:012d}"


def pieces(names: Iterable[str]) -> Iterator[Piece]:
    """Those among the names that are pieces, in order."""
    found = ((name, _PIECE.search(name)) for name in names)
    return iter(sorted(Piece(int(m[1] or 0), int(m[2]), int(m[3]), name) for name, m in found if m is not None))
