"""A log to ask: two incidents, three people, mails and a text message, in words that have moments."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.audit.people import commitment_of
from pipeline.audit.seal import Chain, Sealed, seal, seal_own, source_of
from pipeline.audit.verify import Stored, Vouchers
from schemas import topics
from schemas.base import Channel, Message
from schemas.codec import Record
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, Outcome, ReceiptRecorded, Result
from schemas.ids import derived, intent_id
from schemas.journal import NoticeKind
from schemas.rendering import Rendering
from schemas.topics import Topic
from tests.audit.logs import Log, record, subscribed
from tests.audit.test_timeline import INCIDENT, common, s
from tests.entries import MAIL, TEXT

ANNA, BEN, CORA = "anna-4f1c", "ben-77aa", "cora-90d2"
EVERYONE = (ANNA, BEN, CORA)


def intended(rendering: Rendering, channel: Channel, *people: str, seq: int = 1, incident: str = INCIDENT) -> Record:
    said = {**common(seq, channel, s(seq * 100 + 1)), "incident": incident}
    data = DeliveriesIntended(
        **said, kind=NoticeKind.OPENED, audience="customers", rendering=rendering.sha256, zone="Europe/Berlin",
        recipients=people,
    )  # fmt: skip
    return _delivered(data, derived("intended", incident, seq, channel, *people), incident)


def ended(channel: Channel, result: Result, *people: str, seq: int = 1, incident: str = INCIDENT) -> Record:
    said = {**common(seq, channel, s(seq * 100 + 2)), "incident": incident}
    took = result is Result.ACCEPTED
    outcomes = tuple(
        Outcome(recipient=p, result=result, reason="as it was", provider_id=f"<{p}.{seq}@mail>" if took else None)
        for p in people
    )
    data = DeliveriesEnded(**said, attempt_id="a", attempt=1, outcomes=outcomes)
    return _delivered(data, derived("ended", incident, seq, channel, result, *people), incident)


def _delivered(data: Message, id: str, incident: str) -> Record:
    return record(topics.DELIVERY_RECORDS_TOPIC, data, id=id, subject=incident, offset=0)


def receipt_of(person: str, channel: Channel, seq: int = 1) -> Record:
    said = ReceiptRecorded(
        intent_id=intent_id(INCIDENT, seq, person, channel), channel=channel, status="delivered", at=s(seq * 100 + 9)
    )
    return record(
        topics.DELIVERY_RECORDS_TOPIC, said, id=derived("r", person, channel), subject=said.intent_id, offset=9
    )


def words() -> list[Record]:
    return [
        record(topics.RENDERINGS, one, id=one.sha256, subject=one.sha256, offset=n)
        for n, one in enumerate((MAIL, TEXT))
    ]


RECORDS: tuple[Record, ...] = (
    *(subscribed(person, number) for number, person in enumerate(EVERYONE)),
    intended(MAIL, Channel.EMAIL, *EVERYONE),
    ended(Channel.EMAIL, Result.ACCEPTED, *EVERYONE),
    receipt_of(ANNA, Channel.EMAIL),
    receipt_of(BEN, Channel.EMAIL),
    intended(TEXT, Channel.SMS, ANNA, seq=2),
    ended(Channel.SMS, Result.UNKNOWN, ANNA, seq=2),
    intended(MAIL, Channel.EMAIL, BEN, CORA, incident="inc-2"),
    ended(Channel.EMAIL, Result.SUPPRESSED, BEN, CORA, incident="inc-2"),
)


def sealed(records: Sequence[Record] = RECORDS) -> list[Sealed]:
    """As the appender seals them, with fixed seeds."""
    found, chain = list[Sealed](), Chain()
    for number, one in enumerate(records):
        found.append(seal(chain, one, source_of(one), number.to_bytes(16)))
        chain = found[-1].chain
        if (entry := found[-1].entry).seed is not None:
            found.append(seal_own(chain, commitment_of(entry), entry.appended_at))
            chain = found[-1].chain
    return found


LOG = Log(sealed(), Ed25519PrivateKey.from_private_bytes(bytes(32)))


class Shelf:
    """A place of its own: this log and these words, in memory."""

    voids_allowed = False

    def __init__(self, log: Log = LOG, checkpoint: bytes | None = None, said: Sequence[Record] | None = None) -> None:
        self._log, self._checkpoint = log, checkpoint
        self._words = words() if said is None else said

    def vouchers(self) -> Vouchers:
        return self._log.vouchers(self._checkpoint)

    async def extent(self) -> int:
        return len(self._log.values)

    async def stored(self) -> AsyncIterator[list[Stored]]:
        yield [(value, None) for value in self._log.values]

    async def records(self, topic: Topic, key: str | None = None) -> AsyncIterator[Record]:
        for one in self._words:
            if topic is topics.RENDERINGS and (key is None or one.key == key.encode()):
                yield one


def at(seconds: float) -> datetime:
    return s(seconds)
