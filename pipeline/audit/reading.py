"""Reading the log where it stands: from its topic, with what vouches for it in the data directory."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import TopicPartition

from pipeline.audit.checkpoint import checkpoint_path, cosigned_path, public_key_path, witness_key_path
from pipeline.audit.findings import Result
from pipeline.audit.held import Held
from pipeline.audit.verify import Stored, Verification, Vouchers
from pipeline.broker import connect
from pipeline.errors import AuditError
from pipeline.settings import Settings
from schemas import topics
from schemas.audit import AuditEntry

AT_ONCE = 1000


@dataclass
class Linked:
    """Hands on the entries that link, in order, and passes over the voids."""

    held: Held = field(default_factory=Held)

    def take(self, values: list[Stored]) -> Iterator[AuditEntry]:
        """The entries among the next values of the log."""
        for value, _ in values:
            if self.held.take(value):
                yield AuditEntry.model_validate_json(value or b"")


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


async def stored(settings: Settings) -> AsyncIterator[list[Stored]]:
    """What stands in the topic as of the call, a thousand at a time: values with the roots that their records carry."""
    batch: list[Stored] = []
    async for record in connect.read_all(settings, topics.AUDIT_LOG.name):
        batch.append((record.value, dict(record.headers).get("ce_root")))
        if len(batch) >= AT_ONCE:
            yield batch
            batch = []
    yield batch


async def end_of_log(settings: Settings) -> int:
    """How many records stand in the topic."""
    part = TopicPartition(topics.AUDIT_LOG.name, 0)
    async with connect.open_reader(settings) as reader:
        return int((await reader.end_offsets([part]))[part])


async def verified(
    settings: Settings, vouched: Vouchers | None = None, read: Callable[[int], object] = lambda _: None
) -> Result:
    """Verifies the topic. The checkpoint is read before it, so that the log can only have grown since.

    `read` is told how many records more were read.
    """
    vouched = vouched or vouchers(settings.data_dir)
    verification = Verification(voids_allowed=True)
    async for batch in stored(settings):
        verification.read(batch)
        read(len(batch))
    return verification.result(vouched)


async def select(settings: Settings, wanted: Callable[[AuditEntry], bool]) -> tuple[list[AuditEntry], Result]:
    """The entries that link and are `wanted`, and whether the log they stand in is sound."""
    vouched = vouchers(settings.data_dir)
    verification, linked = Verification(voids_allowed=True), Linked()
    found: list[AuditEntry] = []
    async for batch in stored(settings):
        verification.read(batch)
        found += filter(wanted, linked.take(batch))
    return found, verification.result(vouched)


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "replace")


def _bytes(path: Path, must_exist: bool) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        if must_exist or not isinstance(error, FileNotFoundError):
            raise AuditError(f"{path} cannot be read: {error.strerror}") from error
        return None
