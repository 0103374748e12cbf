"""The return path over real SMTP, with the standard library's client."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from pipeline.errors import BrokerUnreachable, ConfigurationError
from pipeline.receipts.desk import Desk
from pipeline.receipts.listener import MAX_BYTES, Listener, mailbox_of
from pipeline.settings import Settings
from schemas.codec import Outgoing
from tests.receipts import mails
from tests.receipts.mails import RETURN_PATH, VAULT, complaint, report


@dataclass
class Door:
    """A running listener, and what it published; `broker_up` can be turned off."""

    port: int = 0
    published: list[Outgoing] = field(default_factory=list)
    broker_up: bool = True

    async def publish(self, outgoing: Outgoing) -> None:
        if not self.broker_up:
            raise BrokerUnreachable("no broker in this test")
        self.published.append(outgoing)

    async def send(self, raw: bytes, *to: str) -> None:
        def session() -> None:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=10) as client:
                client.sendmail("", list(to), raw)

        await asyncio.to_thread(session)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    found = Door()
    listener = Listener(Desk(VAULT, 3, found.publish), "bounce@bounces.example.com")
    found.port = await listener.start("127.0.0.1", 0)
    yield found
    await listener.stop()


async def test_a_bounce_is_on_record_when_it_is_answered(door: Door) -> None:
    await door.send(report(), RETURN_PATH)
    assert [outgoing.partition for outgoing in door.published] == [2]


async def test_a_server_that_folds_the_case_of_addresses_is_understood(door: Door) -> None:
    await door.send(report(to=RETURN_PATH.upper()), RETURN_PATH.upper())
    assert len(door.published) == 1


async def test_complaints_come_to_the_bounce_mailbox_itself(door: Door) -> None:
    await door.send(complaint(), "Bounce@bounces.example.com")
    assert len(door.published) == 1


@pytest.mark.parametrize("to", [mails.FORGED, "ada@customer.example", "bounce+x@bounces.example.com"])
async def test_any_other_recipient_is_refused_before_the_content(door: Door, to: str) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        await door.send(report(to=to), to)
    assert refused.value.recipients[to][0] == 550
    assert door.published == []


async def test_an_answering_machine_is_thanked_and_changes_nothing(door: Door) -> None:
    await door.send(mails.HOLIDAY, RETURN_PATH)
    assert door.published == []


async def test_while_the_broker_is_away_the_server_is_told_to_come_again(door: Door) -> None:
    door.broker_up = False
    with pytest.raises(smtplib.SMTPDataError) as later:
        await door.send(report(), RETURN_PATH)
    assert later.value.smtp_code == 451
    door.broker_up = True
    await door.send(report(), RETURN_PATH)
    assert len(door.published) == 1


async def test_a_mail_that_is_too_large_is_refused(door: Door) -> None:
    with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPSenderRefused)):
        await door.send(report() + b"x\r\n" * MAX_BYTES, RETURN_PATH)
    assert door.published == []


async def test_a_port_in_use_is_said_with_the_setting(door: Door) -> None:
    other = Listener(Desk(VAULT, 3, door.publish), "bounce@bounces.example.com")
    with pytest.raises(ConfigurationError, match="TOCSIN_BOUNCE_PORT"):
        await other.start("127.0.0.1", door.port)


def test_a_port_without_a_return_path_is_said_with_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="TOCSIN_MAIL_RETURN_PATH"):
        mailbox_of(Settings(_env_file=None, bounce_port=0))
