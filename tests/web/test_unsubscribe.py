"""One-click unsubscribing, RFC 8058."""

import aiohttp
import pytest

from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Outgoing, Record
from schemas.subscriber import Unsubscribed
from tests.web.conftest import AT, Service

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def link(service: Service, channel: Channel = Channel.EMAIL) -> str:
    return f"{service.url}/u/{service.vault.link_token('anna', channel, 'unsubscribe')}"


def event(outgoing: Outgoing) -> codec.Event[Unsubscribed]:
    record = Record(outgoing.topic, 0, 0, AT, outgoing.key, outgoing.value, outgoing.headers)
    return codec.decode(record, Unsubscribed)


async def test_one_click_unsubscribes_at_once_without_cookie_or_redirect(service: Service) -> None:
    async with service.client.post(link(service), data=ONE_CLICK, allow_redirects=False) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        assert "Set-Cookie" not in answer.headers
    [outgoing] = service.published
    assert (outgoing.topic, outgoing.key) == (topics.SUBSCRIBER_EVENTS_TOPIC.name, b"anna")
    assert event(outgoing).data == Unsubscribed(channel=Channel.EMAIL, via="one-click")


async def test_a_multipart_body_counts_as_well(service: Service) -> None:
    with aiohttp.MultipartWriter("form-data") as form:
        form.append("One-Click").set_content_disposition("form-data", name="List-Unsubscribe")
    async with service.client.post(link(service), data=form) as answer:
        assert answer.status == 200
    assert len(service.published) == 1


async def test_opening_the_link_changes_nothing_and_shows_a_form(service: Service) -> None:
    async with service.client.get(link(service, Channel.SMS)) as answer:
        page = await answer.text()
    assert answer.status == 200
    assert '<form method="post">' in page
    assert "text messages" in page
    assert '<html lang="en">' in page
    assert service.published == []


async def test_the_button_of_the_page_ends_on_a_page(service: Service) -> None:
    async with service.client.post(link(service), data=ONE_CLICK, headers={"Accept": "text/html,*/*"}) as answer:
        assert "You are unsubscribed" in await answer.text()


@pytest.mark.parametrize("form", [{}, {"List-Unsubscribe": "Two-Clicks"}, {"unsubscribe": "yes"}])
async def test_a_post_that_does_not_say_one_click_changes_nothing(service: Service, form: dict[str, str]) -> None:
    async with service.client.post(link(service), data=form) as answer:
        assert answer.status == 400
    assert service.published == []


@pytest.mark.parametrize("token", ["", "nonsense", "A" * 43, "..%2F..%2Fhealth", "%00", "ä"])
async def test_a_forged_link_is_not_found(service: Service, token: str) -> None:
    async with service.client.post(f"{service.url}/u/{token}", data=ONE_CLICK) as posted:
        assert posted.status == 404
    async with service.client.get(f"{service.url}/u/{token}", headers={"Accept": "text/html"}) as got:
        assert got.status == 404
        assert "This link does not work" in await got.text()
    assert service.published == []


async def test_a_callback_token_opens_no_unsubscribe_link(service: Service) -> None:
    token = service.vault.callback_token("anna", 0)
    async with service.client.post(f"{service.url}/u/{token}", data=ONE_CLICK) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_nobody_is_told_that_they_are_unsubscribed_while_the_broker_is_away(
    service: Service, accept: str
) -> None:
    service.broker_up = False
    async with service.client.post(link(service), data=ONE_CLICK, headers={"Accept": accept}) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "unsubscribed" not in (await answer.text()).lower()
