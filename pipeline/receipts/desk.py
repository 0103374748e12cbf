"""The desk: a mail that came back becomes a record in the partition that its token names, and nothing else is kept.

Whoever cannot show a token that this deployment signed changes nothing, whatever the mail says.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from pipeline.addresses import BadAddress
from pipeline.channels.mime import token_in
from pipeline.clock import Clock, now
from pipeline.receipts.reading import Reading, read
from pipeline.receipts.status import Verdict
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.codec import Outgoing
from schemas.ids import derived
from schemas.receipt import BounceReceived, ComplaintReceived, DeliveryReported

SOURCE = "/tocsin/receipts"
FORGED = "no token of ours"
"""A bounce or a complaint that names none of our mails."""

Publish = Callable[[Outgoing], Awaitable[None]]
log = logging.getLogger("tocsin.receipts")


class Desk:
    """Takes in mails. `publish` returns once the broker has the record, and raises BrokerError otherwise."""

    def __init__(self, vault: Vault, partitions: int, publish: Publish, clock: Clock = now) -> None:
        self._vault = vault
        self._partitions = partitions
        self._publish = publish
        self._clock = clock
        self.taken: Counter[str] = Counter()
        """How many mails came to what."""

    def expects(self, address: str) -> bool:
        """Whether `address` carries a token of ours."""
        return self._target((address,)) is not None

    async def take(self, raw: bytes, recipients: Iterable[str] = ()) -> str:
        """What the mail came to: a verdict, or `FORGED`. Raises BrokerError: then it is to be brought again."""
        reading = read(raw, recipients)
        target = self._target(reading.candidates)
        came_to = str(reading.verdict)
        if reading.verdict is not Verdict.NOTHING:
            if target is None:
                came_to = FORGED
            else:
                await self._publish(record(reading, *target, self._vault, self._clock()))
        self.taken[came_to] += 1
        log.info("a mail came back", extra={"fields": {"what": came_to, "code": reading.code}})
        return came_to

    def _target(self, addresses: Iterable[str]) -> tuple[str, int] | None:
        tokens = (token for address in addresses if (token := token_in(address)) is not None)
        found = (target for token in tokens if (target := self._vault.read_return_token(token)) is not None)
        return next((target for target in found if target[1] < self._partitions), None)


def record(reading: Reading, intent_id: str, partition: int, vault: Vault, at: datetime) -> Outgoing:
    """The record of a mail that is about one of our own; the same mail again is the same record."""
    data = _receipt(reading, intent_id, vault, at)
    return codec.encode(
        topics.PROVIDER_RECEIPTS,
        data,
        id=derived("mail", reading.name, intent_id),
        source=SOURCE,
        subject=intent_id,
        time=at,
        partition=partition,
    )


def _receipt(reading: Reading, intent_id: str, vault: Vault, at: datetime) -> Message:
    match reading.verdict:
        case Verdict.COMPLAINT:
            return ComplaintReceived(
                channel=Channel.EMAIL,
                intent_id=intent_id,
                feedback=reading.feedback or "abuse",
                provider_id=reading.name,
                at=at,
            )
        case Verdict.DELIVERED:
            return DeliveryReported(
                channel=Channel.EMAIL,
                intent_id=intent_id,
                provider_id=reading.name,
                status="delivered",
                code=reading.code,
                at=at,
            )
        case Verdict.HARD | Verdict.SOFT | Verdict.BLOCKED as kind:
            return BounceReceived(
                channel=Channel.EMAIL,
                intent_id=intent_id,
                kind=kind.value,
                code=reading.code,
                address_token=_token(reading.failed, vault),
                provider_id=reading.name,
                at=at,
            )
        case Verdict.NOTHING:
            raise ValueError("what is no receipt has no record")


def _token(address: str | None, vault: Vault) -> str | None:
    try:
        return vault.address_token(Channel.EMAIL, address) if address else None
    except BadAddress:
        return None  # a report may name a local user, or the mailbox as its server calls it
