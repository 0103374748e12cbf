"""The Apprise channel: the real library against a real HTTP server."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pipeline.channels.apprise import AppriseSender, AppriseSettings, apprise_settings, mapped, payload
from pipeline.channels.base import Sent
from pipeline.errors import ConfigurationError
from schemas.rendering import PushContent
from tests.channels.samples import EMAIL, envelope, reader
from tests.conftest import MakeSettings

PUSH = PushContent(title="Logins <fail>", text="Logins fail in Europe: *all* of them & more. We are on it.")


class Service:
    """Gotify's API as far as a message goes; keeps what came, and answers as it is told."""

    def __init__(self) -> None:
        self.status = 200
        self.came: list[dict[str, object]] = []
        self.hold = asyncio.Event()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.came.append(await request.json())
        if self.status == 0:
            await self.hold.wait()
        return web.json_response({}, status=self.status or 200)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    found = Service()
    app = web.Application()
    app.router.add_post("/message", found.take)
    server = TestServer(app)
    await server.start_server()
    found.url = f"gotify://127.0.0.1:{server.port}/s3cret-t0ken"
    yield found
    found.hold.set()
    await server.close()


@pytest.fixture
async def sender() -> AsyncIterator[AppriseSender]:
    made = AppriseSender(AppriseSettings(timeout_s=1.0))
    yield made
    await made.close()


async def one(sender: AppriseSender, url: str) -> Sent:
    (answer,) = await sender.send(envelope(PUSH), [reader(address=url)])
    return answer


def told(answer: Sent) -> tuple[str, str]:
    return str(answer.result), answer.reason


async def test_a_notification_comes_as_it_was_written(service: Service, sender: AppriseSender) -> None:
    assert told(await one(sender, service.url)) == ("accepted", "service_accepted")
    [message] = service.came
    assert (message["title"], message["message"]) == (PUSH.title, PUSH.text)


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_why_a_service_did_not_take_it_nobody_says(service: Service, sender: AppriseSender, status: int) -> None:
    service.status = status
    assert told(await one(sender, service.url)) == ("unknown", "not_confirmed")
    assert told(await sender.reconcile(envelope(PUSH), reader(address=service.url))) == ("retryable", "cannot_be_asked")


async def test_who_hangs_is_left_after_the_bound_and_the_loop_is_free_meanwhile(
    service: Service, sender: AppriseSender
) -> None:
    service.status = 0
    call = asyncio.create_task(one(sender, service.url))
    await asyncio.wait_for(_came(service), 5)
    assert not call.done()
    assert told(await asyncio.wait_for(call, 8)) == ("unknown", "timeout_after_request")


async def _came(service: Service) -> None:
    while not service.came:
        await asyncio.sleep(0.01)  # the server's own answer is what shows that the loop runs


@pytest.mark.parametrize("url", ["nosuchservice://x", "gotify://", "slack://short"])
async def test_an_address_that_no_service_understands_is_refused_for_good(sender: AppriseSender, url: str) -> None:
    assert told(await one(sender, url)) == ("permanent", "service_unusable")


async def test_no_token_comes_into_a_log_or_an_answer(
    service: Service, sender: AppriseSender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.status = 500
    answer = await one(sender, service.url)
    assert "s3cret" not in str(answer)
    assert not [record for record in caplog.records if record.name.startswith("apprise")]


def test_a_status_that_is_new_means_that_nobody_knows() -> None:
    assert told(mapped("HALFWAY")) == ("unknown", "not_confirmed")


def test_content_of_another_channel_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="email"):
        payload(envelope(EMAIL))


def test_it_is_off_unless_it_is_set(make_settings: MakeSettings) -> None:
    assert apprise_settings(make_settings()) is None
    assert apprise_settings(make_settings(apprise="1")) == AppriseSettings()


def test_without_the_library_the_start_says_what_to_install(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.channels.apprise.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"tocsin\[apprise\]"):
        apprise_settings(make_settings(apprise="1"))
