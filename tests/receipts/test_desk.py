"""At the desk: only what carries a token that we signed becomes a record, and a record holds no address."""

from datetime import UTC, datetime

import pytest

from pipeline.errors import BrokerUnreachable
from pipeline.receipts.desk import FORGED, Desk
from pipeline.receipts.status import Verdict
from schemas import codec
from schemas.base import Channel, Message
from schemas.codec import Event, Outgoing, Record
from schemas.receipt import BounceReceived, ComplaintReceived, DeliveryReported
from tests.receipts import mails
from tests.receipts.mails import INTENT, PARTITION, RETURN_PATH, VAULT, complaint, report

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Counter:
    """A desk, and what it published."""

    def __init__(self, partitions: int = 3) -> None:
        self.published: list[Outgoing] = []
        self.desk = Desk(VAULT, partitions, self._publish, lambda: AT)

    async def _publish(self, outgoing: Outgoing) -> None:
        self.published.append(outgoing)

    def event(self) -> Event[Message]:
        [outgoing] = self.published
        assert (outgoing.topic, outgoing.partition) == ("provider.receipts", PARTITION)
        return codec.decode(Record(outgoing.topic, 0, 0, AT, outgoing.key, outgoing.value, outgoing.headers))


async def test_a_bounce_becomes_a_record_in_the_partition_of_its_token() -> None:
    counter = Counter()
    assert await counter.desk.take(report(), (RETURN_PATH,)) == Verdict.HARD
    event = counter.event()
    assert isinstance(event.data, BounceReceived)
    assert (event.data.intent_id, event.data.kind, event.data.code) == (INTENT, "hard", "5.1.1")
    assert event.data.address_token == VAULT.address_token(Channel.EMAIL, "ada@customer.example")
    assert b"ada@" not in (counter.published[0].value or b"")


async def test_a_complaint_and_a_proof_of_delivery_become_records() -> None:
    counter = Counter()
    await counter.desk.take(complaint("opt-out"))
    data = counter.event().data
    assert isinstance(data, ComplaintReceived)
    assert data.feedback == "opt-out"
    counter = Counter()
    await counter.desk.take(report("delivered", "2.1.5", "smtp; 250 OK"))
    data = counter.event().data
    assert isinstance(data, DeliveryReported)
    assert data.status == "delivered"


@pytest.mark.parametrize(
    "to", [mails.FORGED, "bounce@bounces.example.com", f"bounce+{INTENT}.{PARTITION}@bounces.example.com"]
)
async def test_without_a_token_of_ours_nothing_changes(to: str) -> None:
    counter = Counter()
    assert await counter.desk.take(report(to=to), (to,)) == FORGED
    assert counter.published == []


async def test_a_partition_that_is_not_there_takes_nothing() -> None:
    counter = Counter(partitions=PARTITION)
    assert await counter.desk.take(report()) == FORGED


async def test_who_answers_changes_nothing() -> None:
    counter = Counter()
    for raw in (mails.HOLIDAY, mails.ANSWER):
        assert await counter.desk.take(raw, (RETURN_PATH,)) == Verdict.NOTHING
    assert counter.published == []


async def test_the_same_mail_again_is_the_same_record() -> None:
    counter = Counter()
    for number in (1, 1, 2):
        await counter.desk.take(report(number=number))
    ids = [dict(outgoing.headers)["ce_id"] for outgoing in counter.published]
    assert ids[0] == ids[1] != ids[2]


async def test_what_the_broker_did_not_take_is_an_error() -> None:
    async def nowhere(_: Outgoing) -> None:
        raise BrokerUnreachable("no broker in this test")

    with pytest.raises(BrokerUnreachable):
        await Desk(VAULT, 3, nowhere).take(report())
