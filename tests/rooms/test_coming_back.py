"""From a mail that was sent to the bounce that came back and what follows: real SMTP both ways, a real broker."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipeline.broker import connect
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.receipts.desk import Desk
from pipeline.receipts.listener import Listener
from pipeline.sandbox import Sandbox
from schemas import codec, topics
from schemas.base import Severity
from schemas.codec import Outgoing
from schemas.deadletter import DeadLetter
from schemas.delivery import ReceiptRecorded
from schemas.incident import IncidentOpened
from tests.receipts.mails import complaint, report
from tests.system import System, eventually, running

BOUNCES = "bounce@bounces.example.com"
OPENED = IncidentOpened(title="Logins fail", severity=Severity.MAJOR, summary="Half of all logins fail.")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """The rooms, with mails that carry a signed return path."""
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path), sandbox, ("decide",)) as found:
        await found.start("deliver", env={"TOCSIN_MAIL_RETURN_PATH": BOUNCES})
        yield found


@asynccontextmanager
async def return_path(system: System) -> AsyncIterator[int]:
    async with connect.open_producer(system.settings) as producer:

        async def publish(outgoing: Outgoing) -> None:
            await connect.send(producer, outgoing)

        listener = Listener(Desk(system.vault, system.settings.partitions, publish), BOUNCES)
        yield await listener.start("127.0.0.1", 0)
        await listener.stop()


async def send(port: int, raw: bytes, to: str) -> None:
    def session() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.sendmail("", [to], raw)

    await asyncio.to_thread(session)


async def receipts(system: System, count: int) -> list[ReceiptRecorded]:
    async def there() -> list[ReceiptRecorded] | None:
        found = [codec.decode(record).data for record in await system.read(topics.DELIVERY_RECORDS_TOPIC)]
        kept = [data for data in found if isinstance(data, ReceiptRecorded)]
        return kept if len(kept) >= count else None

    return await eventually(there, 30, f"{count} receipts")


async def sender_of(system: System, address: str) -> str:
    [mail] = [mail for mail in system.sandbox.mails if mail.recipients == (address,)]
    return mail.sender


async def test_what_came_back_holds_before_the_next_mail(system: System) -> None:
    await system.subscribe("gone", email="gone@example.com")
    await system.subscribe("angry", email="angry@example.com")
    await system.subscribe("full", email="full@example.com")
    await system.subscribe("team", email="team@example.com", kind="list")
    await system.publish("INC-1", OPENED)
    await system.all_settled(4)
    returned = {name: await sender_of(system, f"{name}@example.com") for name in ("gone", "angry", "full", "team")}
    async with return_path(system) as port:
        await send(port, report(to=returned["gone"], recipients=("gone@example.com",)), returned["gone"])
        await send(port, complaint(return_path=returned["angry"]), BOUNCES)
        full = report("failed", "5.2.2", "smtp; 552 quota", returned["full"], 3, ("full@example.com",))
        await send(port, full, returned["full"])
        member = report(to=returned["team"], number=4, recipients=("member@example.com",))
        await send(port, member, returned["team"])
        forged = returned["full"].replace("@", "a@")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await send(port, report(to=forged), forged)
    statuses = sorted(receipt.status for receipt in await receipts(system, 4))
    assert statuses == ["bounced_hard", "bounced_of_a_list_member", "bounced_soft", "complained"]
    await system.publish("INC-2", OPENED)
    found = await system.all_settled(8)
    again = [mail.recipients for mail in system.sandbox.mails[4:]]
    assert sorted(again) == [("full@example.com",), ("team@example.com",)]
    assert (found.reasons["bounced"], found.reasons["complained"]) == (1, 1)


async def test_so_many_soft_bounces_in_a_row_suppress(system: System) -> None:
    await system.subscribe("full", email="full@example.com")
    async with return_path(system) as port:
        for number in range(1, 6):
            await system.publish(f"INC-{number}", OPENED)
            await system.all_settled(number)
            sender = system.sandbox.mails[-1].sender
            await send(port, report("delayed", "4.2.2", "smtp; 452 full", sender, number), sender)
            await receipts(system, number)
    await system.publish("INC-6", OPENED)
    found = await system.all_settled(6)
    assert len(system.sandbox.mails) == 5
    assert found.reasons["bounced"] == 1


async def test_an_address_that_is_refused_at_once_is_a_bounce_too(system: System) -> None:
    await system.subscribe("gone", email="gone@example.com")
    system.sandbox.fault("smtp", "refuse", stage="rcpt", code=550)
    await system.publish("INC-1", OPENED)
    await system.all_settled(1)
    await system.publish("INC-2", OPENED)
    found = await system.all_settled(2)
    assert system.sandbox.mails == []
    assert found.reasons["bounced"] == 1


async def test_a_receipt_for_nothing_that_was_sent_is_a_dead_letter(system: System) -> None:
    token = system.vault.return_token("f" * 32, 1)
    async with return_path(system) as port:
        to = f"bounce+{token}@bounces.example.com"
        await send(port, report(to=to), to)

    async def buried() -> list[DeadLetter]:
        return [codec.decode(record, DeadLetter).data for record in await system.read(topics.DEAD_LETTERS)]

    [letter] = await eventually(buried, 30, "a dead letter")
    assert letter.reason == "unknown_intent"
