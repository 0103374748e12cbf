"""Reading the log where it stands: from its topic, with what vouches for it in the data directory."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.audit.checkpoint import checkpoint_path, public_key_path
from pipeline.audit.findings import Result
from pipeline.audit.held import Held
from pipeline.audit.note import PublicKey
from pipeline.audit.verify import Stored, Verification
from pipeline.broker import connect
from pipeline.errors import AuditError
from pipeline.settings import Settings
from schemas import topics
from schemas.audit import AuditEntry

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Vouchers:
    """A checkpoint as it was signed, and the key to check it with; either may be missing."""

    checkpoint: bytes | None
    key: PublicKey | None


@dataclass
class Linked:
    """Hands on the entries that link, in order, and passes over the voids."""

    held: Held = field(default_factory=Held)

    def take(self, values: list[Stored]) -> Iterator[AuditEntry]:
        """The entries among the next values of the log."""
        for value, _ in values:
            if self.held.take(value):
                yield AuditEntry.model_validate_json(value or b"")


def vouchers(data_dir: Path, checkpoint: Path | None = None, key: Path | None = None) -> Vouchers:
    """What vouches for a log: the files named, which must be there, or else those of the data directory, if any."""
    note = _bytes(checkpoint or checkpoint_path(data_dir), must_exist=checkpoint is not None)
    line = _bytes(key or public_key_path(data_dir), must_exist=key is not None)
    return Vouchers(note, None if line is None else PublicKey.parse(line.decode("utf-8", "replace")))


async def stored(settings: Settings) -> AsyncIterator[list[Stored]]:
    """What stands in the topic as of the call, a thousand at a time: values with the roots that their records carry."""
    batch: list[Stored] = []
    async for record in connect.read_all(settings, topics.AUDIT_LOG.name):
        batch.append((record.value, dict(record.headers).get("ce_root")))
        if len(batch) >= AT_ONCE:
            yield batch
            batch = []
    yield batch


async def verified(settings: Settings, vouched: Vouchers | None = None) -> Result:
    """Verifies the topic. The checkpoint is read before it, so that the log can only have grown since."""
    vouched = vouched or vouchers(settings.data_dir)
    verification = Verification(voids_allowed=True)
    async for batch in stored(settings):
        verification.read(batch)
    return verification.result(vouched.checkpoint, vouched.key)


async def select(settings: Settings, wanted: Callable[[AuditEntry], bool]) -> tuple[list[AuditEntry], Result]:
    """The entries that link and are `wanted`, and whether the log they stand in is sound."""
    vouched = vouchers(settings.data_dir)
    verification, linked = Verification(voids_allowed=True), Linked()
    found: list[AuditEntry] = []
    async for batch in stored(settings):
        verification.read(batch)
        found += filter(wanted, linked.take(batch))
    return found, verification.result(vouched.checkpoint, vouched.key)


def _bytes(path: Path, must_exist: bool) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        if must_exist or not isinstance(error, FileNotFoundError):
            raise AuditError(f"{path} cannot be read: {error.strerror}") from error
        return None
