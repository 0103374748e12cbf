"""Logs to test with: real records, sealed by the real seal."""

import resource
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.audit.checkpoint import checkpoint_path, cosigned_path, witness_key_path
from pipeline.audit.note import Checkpoint, PublicKey, sign
from pipeline.audit.seal import Chain, Sealed, seal, source_of
from pipeline.audit.verify import Vouchers
from pipeline.audit.vouching import published
from pipeline.audit.witness import Witness, request_for
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.codec import Outgoing, Record
from schemas.delivery import ReceiptRecorded
from schemas.ids import derived
from schemas.subscriber import Choices, SealedContact, Subscribed, Unsubscribed
from schemas.topics import Topic

START = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
NAME = "tocsin/log/test"


def record_of(outgoing: Outgoing, offset: int, at: datetime = START, partition: int = 0) -> Record:
    """`outgoing` as it comes back from a broker."""
    return Record(
        outgoing.topic, outgoing.partition or partition, offset, at, outgoing.key, outgoing.value, outgoing.headers
    )


def record(
    topic: Topic, data: Message, *, id: str, subject: str, offset: int, at: datetime = START, partition: int = 0
) -> Record:
    return record_of(codec.encode(topic, data, id=id, source="test", subject=subject), offset, at, partition)


def receipt(number: int, offset: int | None = None) -> Record:
    at = START + timedelta(seconds=number)
    data = ReceiptRecorded(intent_id=derived("i", number), channel=Channel.SMS, status="delivered", at=at)
    return record(
        topics.DELIVERY_RECORDS_TOPIC,
        data,
        id=derived("receipt", number),
        subject=data.intent_id,
        offset=number if offset is None else offset,
        at=at,
    )


def subscribed(subscriber: str, offset: int) -> Record:
    data = Subscribed(
        choices=Choices(audiences=("customers",), channels=(Channel.EMAIL,)),
        contact=SealedContact(nonce="bm9uY2U=", ciphertext="c2VjcmV0"),
        address_tokens={Channel.EMAIL: "token"},
    )
    return record(
        topics.SUBSCRIBER_EVENTS_TOPIC, data, id=derived("subscribed", subscriber), subject=subscriber, offset=offset
    )


def unsubscribed(subscriber: str, offset: int, id: str = "u-1") -> Record:
    data = Unsubscribed(channel=Channel.EMAIL, via="one-click")
    return record(topics.SUBSCRIBER_EVENTS_TOPIC, data, id=id, subject=subscriber, offset=offset)


def seal_all(records: Iterable[Record], chain: Chain | None = None) -> list[Sealed]:
    chain, found = chain or Chain(), []
    for one in records:
        found.append(seal(chain, one, source_of(one)))
        chain = found[-1].chain
    return found


@dataclass(frozen=True)
class Log:
    """A sealed log with what vouches for it."""

    sealed: Sequence[Sealed]
    private: Ed25519PrivateKey

    @property
    def values(self) -> list[bytes]:
        return [one.value for one in self.sealed]

    @property
    def stored(self) -> list[tuple[bytes | None, bytes | None]]:
        return [(one.value, dict(one.outgoing.headers)["ce_root"]) for one in self.sealed]

    @property
    def key(self) -> PublicKey:
        return PublicKey(NAME, self.private.public_key().public_bytes_raw())

    def vouchers(self, checkpoint: bytes | None = None) -> Vouchers:
        return Vouchers(checkpoint or self.checkpoint(), str(self.key))

    def checkpoint(self, size: int | None = None) -> bytes:
        chain = self.sealed[-1 if size is None else size - 1].chain
        return sign(Checkpoint(NAME, chain.size, chain.tree.root()).text, NAME, self.private)


def a_log(size: int = 10) -> Log:
    return Log(seal_all(receipt(number) for number in range(size)), Ed25519PrivateKey.from_private_bytes(bytes(32)))


SEEN_AT = datetime(2026, 3, 4, 3, tzinfo=UTC)


def witness_follows(data_dir: Path, seen: int) -> None:
    """A data directory whose log has ten entries, signed for, of which a witness has seen so many at `SEEN_AT`."""
    log = a_log()
    public = published(str(log.key))
    witness = Witness(data_dir / "witness", lambda: public, lambda: int(SEEN_AT.timestamp()))
    line = witness.add_checkpoint(request_for(0, (), log.checkpoint(seen))).body
    for path, content in (
        (checkpoint_path(data_dir), log.checkpoint()),
        (cosigned_path(data_dir), log.checkpoint(seen) + line.encode()),
        (witness_key_path(data_dir), f"{witness.line}\n".encode()),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


@contextmanager
def no_file_larger_than(limit: int) -> Iterator[None]:
    """As on a full disk: a write beyond `limit` bytes of a file ends half way, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
