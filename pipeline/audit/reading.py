"""Reading a log wherever it lies: whether it is sound, and what stands in it."""

from collections.abc import Callable, Iterator
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


async def select(place: Place, wanted: Callable[[AuditEntry], bool]) -> tuple[list[AuditEntry], Result]:
    """The entries that link and are `wanted`, and whether the log they stand in is sound."""
    vouched = place.vouchers()
    verification, linked = Verification(place.voids_allowed), Linked()
    found: list[AuditEntry] = []
    async for batch in place.stored():
        verification.read(batch)
        found += filter(wanted, linked.take(batch))
    return found, verification.result(vouched)
