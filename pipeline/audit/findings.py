"""What a verification says."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What was done to the log, or to what vouches for it."""

    CHANGED = "changed"
    MISSING = "missing"
    MOVED = "out of order"
    REPEATED = "repeated"
    FOREIGN = "foreign"
    UNREADABLE = "unreadable"
    CUT = "cut off"
    FORKED = "forked"
    ROOT = "wrong root"
    CHECKPOINT = "checkpoint"
    KEY = "key"
    COMMITMENT = "commitment"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: with which entry (None: with the log as a whole), what was expected, what was found."""

    kind: Kind
    index: int | None
    expected: str
    found: str

    def __str__(self) -> str:
        where = "the log" if self.index is None else f"entry {self.index}"
        return f"{where}: {self.kind}: expected {self.expected}; found {self.found}"


@dataclass(frozen=True, slots=True)
class Result:
    """What stands in the log, how much of it is signed for (None: nothing vouches for it), and what is wrong.

    `cosigned`: how many entries the witness has seen; `cosigned_at`: when, in seconds since 1970.
    """

    entries: int
    voids: int
    root: bytes | None
    signed: int | None
    findings: tuple[Finding, ...]
    cosigned: int | None = None
    cosigned_at: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
