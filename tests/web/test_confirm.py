"""Double opt-in, and the links of lists: a GET changes nothing, and each link does its one thing."""

import re
from datetime import timedelta

import pytest

from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Record
from schemas.subscriber import Confirmed
from tests.web.conftest import AT, Service

TOKEN = "kxFDUdy-1Afj5rYFuZ6DBg"
YES = {"confirm": "yes"}


def link(service: Service, days: int = 7) -> str:
    until = AT + timedelta(days=days)
    return f"{service.url}/c/{service.vault.confirm_token('anna', Channel.EMAIL, TOKEN, until)}"


async def test_opening_the_link_changes_nothing_and_its_button_confirms_that_address(service: Service) -> None:
    async with service.client.get(link(service)) as answer:
        page = await answer.text()
    assert answer.status == 200
    assert service.published == []
    [(name, value)] = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', page)
    async with service.client.post(link(service), data={name: value}) as answer:
        assert "You will be told" in await answer.text()
    [outgoing] = service.published
    assert (outgoing.topic, outgoing.key) == (topics.SUBSCRIBER_EVENTS_TOPIC.name, b"anna")
    record = Record(outgoing.topic, 0, 0, AT, outgoing.key, outgoing.value, outgoing.headers)
    confirmed = Confirmed(channels=(Channel.EMAIL,), address_tokens={Channel.EMAIL: TOKEN})
    assert codec.decode(record, Confirmed).data == confirmed


@pytest.mark.parametrize("form", [{}, {"confirm": "no"}, {"List-Unsubscribe": "One-Click"}])
async def test_a_post_that_does_not_say_yes_changes_nothing(service: Service, form: dict[str, str]) -> None:
    async with service.client.post(link(service), data=form) as answer:
        assert answer.status == 400
    assert service.published == []


async def test_a_link_that_is_too_old_or_for_something_else_is_not_found(service: Service) -> None:
    other = service.vault.link_token("anna", Channel.EMAIL, "unsubscribe")
    for url in (link(service, days=-1), f"{service.url}/c/{other}", f"{service.url}/c/AAAA", link(service)[:-2]):
        async with service.client.get(url) as got, service.client.post(url, data=YES) as posted:
            assert (got.status, posted.status) == (404, 404)
    confirm = service.vault.confirm_token("anna", Channel.EMAIL, TOKEN, AT + timedelta(days=1))
    async with service.client.post(f"{service.url}/u/{confirm}", data={"List-Unsubscribe": "One-Click"}) as answer:
        assert answer.status == 404
    assert service.published == []


async def test_while_the_broker_is_away_nobody_is_told_that_they_are_confirmed(service: Service) -> None:
    service.broker_up = False
    async with service.client.post(link(service), data=YES, headers={"Accept": "text/html"}) as answer:
        assert answer.status == 503
        assert "You will be told" not in await answer.text()


async def test_the_link_in_a_lists_mail_says_whom_to_ask_and_does_nothing(service: Service) -> None:
    token = service.vault.link_token("team", Channel.EMAIL, "list")
    async with service.client.get(f"{service.url}/l/{token}") as answer:
        page = await answer.text()
    assert answer.status == 200
    assert "distribution list" in page
    assert "<form" not in page
    for path in (f"/l/{token}", f"/u/{token}"):
        async with service.client.post(service.url + path, data={"List-Unsubscribe": "One-Click"}) as answer:
            assert answer.status in (404, 405)
    async with service.client.get(f"{service.url}/l/{token[:-1]}") as answer:
        assert answer.status == 404
    assert service.published == []


async def test_the_pages_are_in_the_language_that_the_browser_asks_for(service: Service) -> None:
    german = {"Accept-Language": "de-CH,de;q=0.9,en;q=0.8"}
    async with service.client.get(link(service), headers=german) as answer:
        page = await answer.text()
        assert answer.headers["Vary"] == "Accept-Language"
    assert '<html lang="de">' in page
    assert "Sollen wir Ihnen Störungen melden?" in page
    async with service.client.post(link(service), data=YES, headers=german) as answer:
        assert "bekommen Sie E-Mails zu Störungen" in await answer.text()
