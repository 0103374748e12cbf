"""The verifier: an exported log of 100,000 entries, as what became of text messages is sealed, with its checkpoint.

Ours reads the file, decodes each entry, follows the links from entry to entry, grows the tree and checks the signed
root. Beside it, over the same file: hashlib alone, which is the least that anybody who checks leaves must do, and
pymerkle, which makes a root of them and looks into none.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.audit.note import Checkpoint, PublicKey, sign
from pipeline.audit.seal import Chain, seal, source_of
from pipeline.audit.segments import read_lines
from pipeline.audit.verify import Vouchers, exported, verify
from pipeline.bench.figures import Measured, medians, rate
from pipeline.errors import ConfigurationError, TocsinError
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.delivery import DeliveriesEnded, DeliveryAttempted, Outcome, ReceiptRecorded, Result
from schemas.ids import derived
from schemas.journal import NoticeKind

ENTRIES: Final = 100_000
LOG: Final = "tocsin/log/bench"
AT: Final = datetime(2026, 3, 3, 9, tzinfo=UTC)


def measure(runs: int) -> Iterator[Measured]:
    """Entries a second, from the file to the last finding."""
    tree = _pymerkle()
    with TemporaryDirectory() as directory:
        export = Path(directory) / "log.jsonl"
        vouchers = write(export, texts(ENTRIES))

        def ours() -> None:
            result = verify(exported(read_lines(export)), vouchers)
            if not result.ok or result.signed != ENTRIES:
                raise TocsinError(f"the log does not verify: {result.findings[:3]}")

        contenders = {
            "ours": ours,
            "hashlib, leaves alone": lambda: _leaves(export),
            "pymerkle, the root alone": lambda: _root(export, tree),
        }
        found = medians([{name: rate(run, ENTRIES) for name, run in contenders.items()} for _ in range(runs)])
    size = {"entries": f"{ENTRIES:,}", "pymerkle": version("pymerkle")}
    yield Measured("verify", "entries/s", found.pop("ours"), found, size)


def write(export: Path, records: Iterable[codec.Record]) -> Vouchers:
    """An exported log of these records; what vouches for it."""
    chain, private = Chain(), Ed25519PrivateKey.generate()
    with export.open("wb") as file:
        for record in records:
            sealed = seal(chain, record, source_of(record))
            file.write(sealed.value + b"\n")
            chain = sealed.chain
    note = sign(Checkpoint(LOG, chain.size, chain.tree.root()).text, LOG, private)
    return Vouchers(note, str(PublicKey(LOG, private.public_key().public_bytes_raw())))


def texts(entries: int) -> Iterator[codec.Record]:
    """What became of text messages, so many records."""
    return map(_record, range(entries))


def _record(number: int) -> codec.Record:
    """Three of one message: attempted, taken, arrived."""
    message, step = divmod(number, 3)
    at = AT + timedelta(milliseconds=number)
    data = _steps(message, at)[step]
    topic = topics.DELIVERY_RECORDS_TOPIC
    given = codec.encode(topic, data, id=derived("bench", number), source="/bench", subject=f"s{message}")
    return codec.Record(topic.name, message % 12, number, at, given.key, given.value, given.headers)


def _steps(message: int, at: datetime) -> tuple[Message, Message, Message]:
    reader, attempt = f"s{message}", {"attempt_id": derived("attempt", message), "attempt": 1}
    named: dict[str, Any] = {"batch_id": "b", "notice_id": "n", "incident": "bench", "seq": 1, "channel": Channel.SMS}
    named |= {"at": at, **attempt}
    outcome = Outcome(recipient=reader, result=Result.ACCEPTED, reason="provider_accepted", code="queued")
    return (
        DeliveryAttempted(**named, kind=NoticeKind.OPENED, rendering="0" * 64, recipients=(reader,), units=2),
        DeliveriesEnded(**named, outcomes=(outcome,)),
        ReceiptRecorded(intent_id=derived("i", message), channel=Channel.SMS, status="delivered", at=at),
    )


def _leaves(export: Path) -> None:
    for line in read_lines(export):
        sha256(b"\x00" + line).digest()


def _root(export: Path, tree: Callable[..., Any]) -> None:
    grown = tree(algorithm="sha256")
    for line in read_lines(export):
        grown.append_entry(line)
    grown.get_root()


def _pymerkle() -> Callable[..., Any]:
    """Its tree in memory; what runs Tocsin does not need it. Raises ConfigurationError."""
    try:
        tree: Callable[..., Any] = importlib.import_module("pymerkle").InmemoryTree
    except ImportError:
        raise ConfigurationError("pymerkle is not installed: pip install pymerkle") from None
    return tree
