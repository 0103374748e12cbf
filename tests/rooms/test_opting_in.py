"""Double opt-in and lists on their whole way: from being added to the first message, over real parts."""

import re
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.clock import now
from pipeline.enrolment import Planned, Terms, plan_import
from pipeline.registrations import Numbered
from pipeline.sandbox import Sandbox
from pipeline.subscribers import Roster, event_record
from schemas import codec, topics
from schemas.base import Channel, Severity
from schemas.incident import IncidentOpened
from schemas.receipt import KeywordReceived
from schemas.subscriber import Complained, Confirmed, Subscriber, Unsubscribed
from tests.system import System, eventually, running

OPENED = IncidentOpened(title="Logins fail", severity=Severity.MAJOR, summary="Half of all logins fail.")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """A fresh system for one test."""
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path), sandbox, ("decide", "deliver")) as found:
        yield found


async def add(system: System, roster: Roster, confirm: bool = True, **fields: object) -> Planned:
    terms = Terms(confirm=True) if confirm else Terms(consent="contract")
    lines = [Numbered(1, {"audiences": ["customers"], **fields})]
    [planned] = plan_import(lines, roster, system.vault, now(), terms)
    for stage in planned.records(now()):
        await system.write(*stage)
    return planned


async def state(system: System, subscriber: str) -> Subscriber | None:
    found = [codec.decode(record, Subscriber).data for record in await system.read(topics.SUBSCRIBERS)]
    return next((one for one in reversed(found) if one.id == subscriber), None)


async def open_to(system: System, subscriber: str) -> None:
    async def opened() -> bool:
        one = await state(system, subscriber)
        return one is not None and not one.unconfirmed

    await eventually(opened, 30, f"{subscriber} is confirmed")


async def test_who_subscribes_hears_nothing_until_their_address_is_confirmed(system: System) -> None:
    roster = Roster()
    await add(system, roster, id="ada", email="ada@example.com", language="de")
    await system.all_settled(1)
    [request] = system.sandbox.mails
    assert request.subject.startswith("Bitte bestätigen")
    assert request.header("List-Unsubscribe") is None
    await system.publish("INC-1", OPENED)
    found = await system.all_settled(2)
    assert found.reasons["unconfirmed"] == 1
    assert len(system.sandbox.mails) == 1
    [token] = re.findall(r"/c/([\w-]+)", request.text)
    read = system.vault.read_confirm_token(token, datetime.now(UTC))
    assert read is not None
    subscriber, channel, address = read
    confirmed = Confirmed(channels=(channel,), address_tokens={channel: address})
    await system.write(event_record(subscriber, confirmed, now()))
    await open_to(system, "ada")
    await system.publish("INC-2", OPENED)
    await system.all_settled(3)
    assert len(system.sandbox.mails) == 2
    # Given again within the hour, nobody is written to twice; given by someone else, nobody is silenced.
    await add(system, roster, id="ada", email="ada@example.com", language="en")
    await system.publish("INC-3", OPENED)
    await system.all_settled(4)
    assert len(system.sandbox.mails) == 3


async def test_a_phone_confirms_by_answering_yes(system: System) -> None:
    await add(system, Roster(), id="ada", phone="+14155552671")
    await system.all_settled(1)
    [request] = system.sandbox.texts
    assert "reply YES" in request.body
    token = system.vault.address_token(Channel.SMS, "+14155552671")
    heard = KeywordReceived(channel=Channel.SMS, address_token=token, keyword="START", provider_id="SM1", at=now())
    for partition in range(system.settings.partitions):
        receipts = topics.PROVIDER_RECEIPTS
        await system.write(
            codec.encode(receipts, heard, id=f"k{partition}", source="/t", subject="SM1", partition=partition)
        )
    await open_to(system, "ada")
    await system.publish("INC-1", OPENED)
    await system.all_settled(2)
    assert len(system.sandbox.texts) == 2


async def test_a_mail_to_a_list_offers_no_way_out_for_all(system: System) -> None:
    await add(system, Roster(), confirm=False, id="team", kind="list", email="team@example.com")
    await system.write(event_record("team", Unsubscribed(channel=Channel.EMAIL, via="one-click"), now()))
    await system.publish("INC-1", OPENED)
    await system.all_settled(1)
    [mail] = system.sandbox.mails
    assert mail.header("List-Unsubscribe") is None
    assert mail.header("List-Unsubscribe-Post") is None
    assert "/l/" in mail.text
    assert "/u/" not in mail.text


async def test_who_was_made_one_with_another_is_told_once_and_leaves_by_an_old_link(system: System) -> None:
    roster = Roster()
    await add(system, roster, confirm=False, id="mail", email="ada@example.com")
    await add(system, roster, confirm=False, id="phone", phone="+14155552671")
    planned = await add(system, roster, confirm=False, id="mail", email="ada@example.com", phone="+14155552671")
    assert list(planned.absorbed) == ["phone"]

    async def merged() -> bool:
        one = await state(system, "phone")
        return one is not None and one.merged_into == "mail"

    await eventually(merged, 30, "phone is mail now")
    await system.write(event_record("phone", Unsubscribed(channel=Channel.SMS, via="one-click"), now()))

    async def left() -> bool:
        one = await state(system, "mail")
        return one is not None and Channel.SMS in one.opted_out

    await eventually(left, 30, "the old link holds for mail")
    await system.publish("INC-1", OPENED)
    await system.all_settled(2)
    assert (len(system.sandbox.mails), len(system.sandbox.texts)) == (1, 0)


async def test_who_leaves_while_they_are_being_made_one_has_left(system: System) -> None:
    roster = Roster()
    await add(system, roster, confirm=False, id="mail", email="ada@example.com")
    await add(system, roster, confirm=False, id="phone", phone="+14155552671", email="old@example.com")
    # The command has read who is there; this it does not know.
    for channel in (Channel.SMS, Channel.EMAIL):
        await system.write(event_record("phone", Unsubscribed(channel=channel, via="one-click"), now()))
    await add(system, roster, confirm=False, id="mail", email="ada@example.com", phone="+14155552671")

    async def left() -> bool:
        one = await state(system, "mail")
        return one is not None and Channel.SMS in one.opted_out

    await eventually(left, 30, "the number has left")
    one = await state(system, "mail")
    assert one is not None
    assert Channel.EMAIL not in one.opted_out  # that was another address


async def test_the_compacted_state_is_the_fold_of_the_events_whatever_restarts(system: System) -> None:
    roster = Roster()
    for number in range(6):
        await add(system, roster, confirm=number % 2 == 0, id=f"s{number}", email=f"s{number}@example.com")
    await system.write(event_record("s1", Complained(channel=Channel.EMAIL), now()))
    assert await system.stop("deliver", signal.SIGKILL) != 0
    await system.write(event_record("s3", Unsubscribed(channel=Channel.EMAIL, via="one-click"), now()))
    await add(system, roster, confirm=False, id="s5", email="s5@example.com", phone="+14155552671")
    await system.start("deliver")

    async def same() -> bool:
        folded, compacted = Roster(), {}
        for record in await system.read(topics.SUBSCRIBER_EVENTS_TOPIC):
            folded.read(record)
        for record in await system.read(topics.SUBSCRIBERS):
            one = codec.decode(record, Subscriber).data
            compacted[one.id] = one
        return len(folded.subscribers) == 6 and compacted == folded.subscribers

    await eventually(same, 30, "the compacted topic says what the events come to")
