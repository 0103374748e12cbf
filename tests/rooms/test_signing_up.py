"""From the form to the first message: the whole way, over the running web service and rooms."""

import re
from pathlib import Path

import pytest

from pipeline.clock import now
from pipeline.subscribers import event_record
from schemas import codec, topics
from schemas.base import Channel, Severity
from schemas.incident import IncidentOpened
from schemas.subscriber import SIGNED_UP, Erased, Subscriber
from tests.security.whole import Whole, whole
from tests.system import eventually
from tests.web.test_signup import ADA

pytestmark = pytest.mark.slow  # a broker, two rooms and the web service

OPENED = IncidentOpened(title="Logins fail", severity=Severity.MAJOR, summary="Half of all logins fail.")


async def signed_up(it: Whole, **form: str) -> str:
    """Fills in the form; the text of the page."""
    async with it.client.post(
        f"{it.web_url}/subscribe", data={**ADA, "level": "", "office_hours_only": "", **form}
    ) as answer:
        assert answer.status == 200
        return await answer.text()


async def confirmed(it: Whole, address: str) -> None:
    """Opens the link of the last request to an address, and presses its button."""

    async def asked() -> str | None:
        texts = [mail.text for mail in it.sandbox.mails if mail.recipients == (address,)]
        links = [found[0] for text in texts if (found := re.search(r"http\S+/c/[\w-]+", text))]
        return links[-1] if links else None

    link = await eventually(asked, 60, f"a request to {address}")
    async with it.client.post(link, data={"confirm": "yes"}) as answer:
        assert answer.status == 200


async def states(it: Whole) -> dict[str, Subscriber]:
    """Everybody, as the compacted topic has them."""
    found = [codec.decode(record, Subscriber).data for record in await it.system.read(topics.SUBSCRIBERS)]
    return {one.id: one for one in found}


async def test_who_signs_up_is_asked_told_and_made_one_with_whom_we_know(tmp_path: Path) -> None:
    async with whole(tmp_path, ("decide", "deliver"), TOCSIN_SIGNUP_AUDIENCE="customers") as it:
        await it.system.subscribe("known", email="bob@example.com", phone="+14155552671", channels="email;sms")
        await it.system.subscribe("erased", email="eve@example.com")
        await it.system.write(event_record("erased", Erased(), now()))
        pages = {await signed_up(it, email=f"{name}@example.com") for name in ("ada", "bob", "eve")}
        assert len(pages) == 1, "nobody learns who is known"
        for name in ("ada", "bob", "eve"):
            await confirmed(it, f"{name}@example.com")

        async def settled() -> dict[str, Subscriber] | None:
            found = await states(it)
            fresh = [one for one in found.values() if one.id.startswith(SIGNED_UP)]
            there = len(fresh) == 3 and not any(one.unconfirmed for one in fresh)
            return found if there and any(one.merged_into == "known" for one in fresh) else None

        found = await eventually(settled, 60, f"all are confirmed, and bob is known; {it.system.log('deliver')}")
        bob = found["known"]
        assert (bob.choices.language, bob.choices.channels) == ("de", (Channel.EMAIL, Channel.SMS))
        assert found["erased"].erased
        await it.system.publish("INC-1", OPENED)
        await it.system.all_settled(3 + 4)
        told = sorted(mail.recipients[0] for mail in it.sandbox.mails if "Logins fail" in mail.subject)
        assert told == ["ada@example.com", "bob@example.com", "eve@example.com"]
        keys = {(record.key or b"").decode(): record.value for record in await it.system.read(topics.SUBSCRIBER_KEYS)}
        [merged] = [one.id for one in found.values() if one.merged_into is not None]
        assert keys[merged] is None
        assert keys["erased"] is None, "deliver destroys the key, whoever wrote the event"
