"""Reading a log wherever it lies: whether it is sound, and what stands in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from pipeline.audit.entries import entry_of, message_of, understood
from pipeline.audit.findings import Result
from pipeline.audit.held import Held
from pipeline.audit.places import Place
from pipeline.audit.seal import NOTHING_BEFORE
from pipeline.audit.tree import leaf_hash
from pipeline.audit.verify import Stored, Verification, Vouchers
from schemas.audit import AuditEntry


@dataclass
class Linked:
    """Hands on the entries that link, in order, and passes over the voids.

    Raises AuditError for what links and is no entry: whatever follows on that would be passed over as void.
    """

    held: Held = field(default_factory=Held)

    def take(self, values: list[Stored]) -> Iterator[AuditEntry]:
        """The entries among the next values of the log."""
        return map(entry_of, self.lines(values))

    def lines(self, values: list[Stored]) -> Iterator[bytes]:
        """The exact bytes of these."""
        for value, _ in values:
            chain = self.held.chain
            if value is not None and self.held.take(value):
                yield value
            elif value is not None and _linking(value, chain.size, chain.last.hex()) is not None:
                entry_of(value)


async def verified(
    place: Place,
    vouched: Vouchers | None = None,
    read: Callable[[int], object] = lambda _: None,
    people: bool = False,
) -> Result:
    """Verifies the log. The checkpoint is read before it, so that the log can only have grown since.

    `read` is told how many records more were read. `people`: as of `verify`.
    """
    vouched = vouched or place.vouchers()
    verification = Verification(place.voids_allowed, people)
    async for batch in place.stored():
        verification.read(batch)
        read(len(batch))
    return verification.result(vouched)


@dataclass(frozen=True, slots=True)
class Kept:
    """A sealed entry with the exact bytes that it stands in the log with."""

    entry: AuditEntry
    value: bytes


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was looked for in a log: the entries, the leaves of all, whether it is sound, what vouches for it."""

    kept: list[Kept]
    leaves: list[bytes]
    result: Result
    vouchers: Vouchers


class Looking(Protocol):
    """What is looked for. It is shown the entries in the log's order, and may remember."""

    @property
    def words(self) -> Sequence[str]:
        """One of these stands in the bytes of every entry that it wants; none where nothing is known beforehand."""
        ...

    def may(self, entry: Mapping[str, Any]) -> bool:
        """Whether an entry, as JSON, is worth looking at."""
        ...

    def wants(self, entry: AuditEntry) -> bool:
        """Whether it is one."""
        ...


async def gather(place: Place, looking: Looking) -> Gathered:
    """Reads the whole log once and keeps what is looked for, and the leaves of all."""
    vouched, words = place.vouchers(), [word.encode() for word in looking.words]
    verification = Verification(place.voids_allowed)
    kept: list[Kept] = []
    leaves: list[bytes] = []
    last = NOTHING_BEFORE.hex()
    async for batch in place.stored():
        verification.read(batch)
        for value, _ in batch:
            entry = _linking(value, len(leaves), last)
            if entry is None or value is None:
                continue
            leaves.append(leaf_hash(value))
            last = leaves[-1].hex()
            if words and not any(word in value for word in words):
                continue
            with understood(len(leaves) - 1):
                if looking.may(entry) and looking.wants(whole := entry_of(value)):
                    message_of(whole)  # who reads on takes it for what its type says
                    kept.append(Kept(whole, value))
    return Gathered(kept, leaves, verification.result(vouched), vouched)


def _linking(value: bytes | None, index: int, last: str) -> dict[str, Any] | None:
    """The entry, if it is the next one; voids, and what is no entry, are the verification's to report."""
    try:
        entry: dict[str, Any] = orjson.loads(value or b"")
        return entry if (entry["index"], entry["prev"]) == (index, last) else None
    except (ValueError, KeyError, TypeError):
        return None


async def select(place: Place, wanted: Callable[[AuditEntry], bool]) -> tuple[list[AuditEntry], Result]:
    """The entries that link and are `wanted`, and whether the log they stand in is sound."""
    vouched = place.vouchers()
    verification, linked = Verification(place.voids_allowed), Linked()
    found: list[AuditEntry] = []
    async for batch in place.stored():
        verification.read(batch)
        found += filter(wanted, linked.take(batch))
    return found, verification.result(vouched)
