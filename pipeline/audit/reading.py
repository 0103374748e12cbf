"""Reading a log wherever it lies: whether it is sound, and what stands in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pipeline.audit.findings import Result
from pipeline.audit.held import Held
from pipeline.audit.places import Place
from pipeline.audit.verify import Stored, Verification, Vouchers
from schemas.audit import AuditEntry


@dataclass
class Linked:
    """Hands on the entries that link, in order, and passes over the voids."""

    held: Held = field(default_factory=Held)

    def take(self, values: list[Stored]) -> Iterator[AuditEntry]:
        """The entries among the next values of the log."""
        for value, _ in values:
            if self.held.take(value):
                yield AuditEntry.model_validate_json(value or b"")


async def verified(
    place: Place, vouched: Vouchers | None = None, read: Callable[[int], object] = lambda _: None
) -> Result:
    """Verifies the log. The checkpoint is read before it, so that the log can only have grown since.

    `read` is told how many records more were read.
    """
    vouched = vouched or place.vouchers()
    verification = Verification(place.voids_allowed)
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


async def gather(place: Place, wanted: Callable[[AuditEntry], bool], having: Sequence[str] = ()) -> Gathered:
    """Reads the whole log once. Only what holds one of the words `having` is looked at, if there are any."""
    vouched, words = place.vouchers(), [word.encode() for word in having]
    verification, held = Verification(place.voids_allowed), Held()
    kept: list[Kept] = []
    leaves: list[bytes] = []
    async for batch in place.stored():
        verification.read(batch)
        for value, _ in batch:
            if value is None or not held.take(value):
                continue
            leaves.append(held.chain.last)
            if words and not any(word in value for word in words):
                continue
            if wanted(entry := AuditEntry.model_validate_json(value)):
                kept.append(Kept(entry, value))
    return Gathered(kept, leaves, verification.result(vouched), vouched)


async def select(place: Place, wanted: Callable[[AuditEntry], bool]) -> tuple[list[AuditEntry], Result]:
    """The entries that link and are `wanted`, and whether the log they stand in is sound."""
    vouched = place.vouchers()
    verification, linked = Verification(place.voids_allowed), Linked()
    found: list[AuditEntry] = []
    async for batch in place.stored():
        verification.read(batch)
        found += filter(wanted, linked.take(batch))
    return found, verification.result(vouched)
