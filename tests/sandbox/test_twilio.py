import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from pipeline.sandbox import Sandbox
from pipeline.sandbox.server import ACCOUNT_SID, AUTH_TOKEN, NUMBER

TO = "+15551234567"
SERVICE = "MG" + "0a" * 16


class Webhook:
    """Our side: keeps what Twilio posts, as long as it is signed."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers["X-Twilio-Signature"]
        if not RequestValidator(AUTH_TOKEN).validate(self.url, form, signature):
            return web.Response(status=403)
        self.got.append(form)
        return web.Response(status=204)


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    hook = Webhook()
    app = web.Application()
    app.router.add_post("/twilio/status", hook.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/twilio/status?d=a%2Fb+c~d"
    yield hook
    await runner.cleanup()


async def send(twilio: Client, to: str = TO, body: str = "Checkout is down.", **options: Any) -> Any:
    sender = {} if "messaging_service_sid" in options else {"from_": NUMBER}
    return await twilio.messages.create_async(to=to, body=body, **sender, **options)


async def test_an_sms_is_kept_with_all_that_was_asked(sandbox: Sandbox, twilio: Client) -> None:
    answer = await send(twilio, status_callback="http://127.0.0.1:9/status?d=1", validity_period=600)
    (text,) = sandbox.texts
    assert (text.to, text.sender, text.body) == (TO, NUMBER, "Checkout is down.")
    assert (text.status_callback, text.validity_period) == ("http://127.0.0.1:9/status?d=1", 600)
    assert text.sid == answer.sid
    assert answer.status == "queued"
    assert answer.num_segments == "1"
    assert answer.date_sent is None


async def test_a_messaging_service_accepts_first_and_counts_segments_later(sandbox: Sandbox, twilio: Client) -> None:
    answer = await send(twilio, messaging_service_sid=SERVICE, body="x" * 161)
    assert (answer.status, answer.num_segments, answer.from_) == ("accepted", "0", None)
    await sandbox.wait_for(lambda: sandbox.texts[0].statuses[-1] == "delivered")
    assert sandbox.texts[0].statuses == ("accepted", "queued", "sending", "sent", "delivered")
    later = await twilio.messages(answer.sid).fetch_async()
    assert (later.status, later.num_segments, later.from_) == ("delivered", "2", NUMBER)
    assert later.date_sent is not None


async def test_callbacks_are_signed_in_order_and_leave_out_the_first_status(
    sandbox: Sandbox, twilio: Client, webhook: Webhook
) -> None:
    answer = await send(twilio, messaging_service_sid=SERVICE, status_callback=webhook.url)
    await sandbox.wait_for(lambda: len(sandbox.callbacks) == 4)
    assert [form["MessageStatus"] for form in webhook.got] == ["queued", "sending", "sent", "delivered"]
    assert {form["MessageSid"] for form in webhook.got} == {answer.sid}
    assert {callback.http_status for callback in sandbox.callbacks} == {204}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("undelivered", ["sending", "sent", "undelivered"]),
        ("failed", ["failed"]),
        ("duplicate_callbacks", ["sending", "sending", "sent", "sent", "delivered", "delivered"]),
        ("reorder_callbacks", ["delivered", "sent", "sending"]),
    ],
)
async def test_an_sms_meets_the_fate_it_was_told(
    sandbox: Sandbox, twilio: Client, webhook: Webhook, kind: str, expected: list[str]
) -> None:
    sandbox.fault("twilio", kind)
    answer = await send(twilio, status_callback=webhook.url)
    await sandbox.wait_for(lambda: len(sandbox.callbacks) == len(expected))
    assert [form["MessageStatus"] for form in webhook.got] == expected
    code = 30005 if kind in {"undelivered", "failed"} else None
    assert webhook.got[-1].get("ErrorCode") == (str(code) if code else None)
    later = await twilio.messages(answer.sid).fetch_async()
    assert later.error_code == code


async def test_a_stuck_sms_has_no_send_date_until_it_goes_on(
    sandbox: Sandbox, twilio: Client, webhook: Webhook
) -> None:
    sandbox.fault("twilio", "stuck")
    answer = await send(twilio, status_callback=webhook.url)
    hour = timedelta(hours=1)
    (listed,) = await twilio.messages.list_async(to=TO)
    assert (listed.sid, listed.status, listed.date_sent) == (answer.sid, "queued", None)
    assert await twilio.messages.list_async(to=TO, date_sent_after=datetime.now(UTC) - hour) == []
    await sandbox.progress(answer.sid, "sending", "sent")
    assert [form["MessageStatus"] for form in webhook.got] == ["sending", "sent"]
    (listed,) = await twilio.messages.list_async(to=TO, date_sent_after=datetime.now(UTC) - hour)
    assert listed.date_sent is not None


async def test_a_webhook_that_is_gone_is_a_fact_not_an_error(sandbox: Sandbox, twilio: Client) -> None:
    sandbox.fault("twilio", "failed")
    await send(twilio, status_callback="http://127.0.0.1:1/")
    await sandbox.wait_for(lambda: sandbox.callbacks)
    assert sandbox.callbacks[0].http_status is None
    assert "Connect" in (sandbox.callbacks[0].error or "")


async def test_the_list_is_by_number_newest_first_and_in_pages(sandbox: Sandbox, twilio: Client) -> None:
    for number in range(5):
        await send(twilio, body=f"message {number}")
    await send(twilio, to="+4915112345678")
    listed = await twilio.messages.list_async(to=TO, page_size=2)
    assert [message.body for message in listed] == [f"message {number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"to": "015551234567"}, 21211),
        ({"to": "+1 555 123"}, 21211),
        ({"body": ""}, 21602),
        ({"body": "x" * 1601}, 21617),
        ({"status_callback": "not a url"}, 21609),
    ],
)
async def test_a_bad_request_gets_twilios_code(
    sandbox: Sandbox, twilio: Client, changed: dict[str, str], code: int
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        await send(twilio, **changed)
    assert (caught.value.status, caught.value.code) == (400, code)
    assert sandbox.texts == []


async def test_the_longest_body_is_taken(sandbox: Sandbox, twilio: Client) -> None:
    await send(twilio, body="x" * 1600)
    assert sandbox.texts[0].num_segments == 11


@pytest.mark.parametrize("credentials", [(ACCOUNT_SID, "wrong"), ("AC" + "0" * 32, AUTH_TOKEN)])
async def test_wrong_credentials_are_refused(sandbox: Sandbox, credentials: tuple[str, str]) -> None:
    http = AsyncTwilioHttpClient()
    client = Client(*credentials, http_client=http)
    client.api.base_url = sandbox.twilio_url
    with pytest.raises(TwilioRestException) as caught:
        await send(client)
    assert (caught.value.status, caught.value.code) == (401, 20003)
    await http.session.close()


@pytest.mark.parametrize(
    ("code", "status"), [(21211, 400), (21610, 400), (21611, 400), (20429, 429), (20500, 500), (20503, 503)]
)
async def test_an_error_on_request_keeps_nothing(sandbox: Sandbox, twilio: Client, code: int, status: int) -> None:
    sandbox.fault("twilio", "error", code=code)
    with pytest.raises(TwilioRestException) as caught:
        await send(twilio)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert sandbox.texts == []
    await send(twilio)
    assert len(sandbox.texts) == 1


async def test_429_carries_retry_after(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    sandbox.fault("twilio", "error", code=20429, retry_after=7)
    url = f"{sandbox.twilio_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    auth = aiohttp.BasicAuth(ACCOUNT_SID, AUTH_TOKEN)
    async with http.post(url, data={"To": TO, "From": NUMBER, "Body": "x"}, auth=auth) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")


async def test_a_problem_body_raises_the_sibling_exception(sandbox: Sandbox, twilio: Client) -> None:
    sandbox.fault("twilio", "problem", code=20503)
    with pytest.raises(TwilioServiceException) as caught:
        await send(twilio)
    assert (caught.value.status, caught.value.code) == (503, 20503)


async def test_a_load_balancers_page_is_no_json(sandbox: Sandbox, twilio: Client) -> None:
    sandbox.fault("twilio", "html", code=502)
    with pytest.raises(TwilioRestException) as caught:
        await send(twilio)
    assert caught.value.status == 502
    assert sandbox.texts == []


@pytest.mark.parametrize(("kind", "kept"), [("reset", 0), ("reset_after_accept", 1)])
async def test_a_reset_before_and_after_accepting(sandbox: Sandbox, twilio: Client, kind: str, kept: int) -> None:
    sandbox.fault("twilio", kind)
    with pytest.raises(aiohttp.ClientConnectionError):
        await send(twilio)
    assert [text.answered for text in sandbox.texts] == [False] * kept


async def test_an_error_after_accepting_keeps_the_sms(sandbox: Sandbox, twilio: Client) -> None:
    sandbox.fault("twilio", "error_after_accept", code=20500)
    with pytest.raises(TwilioRestException):
        await send(twilio)
    assert [text.answered for text in sandbox.texts] == [False]


async def test_an_accepted_sms_without_an_answer_still_reports_back(
    sandbox: Sandbox, twilio: Client, webhook: Webhook
) -> None:
    sandbox.fault("twilio", "hang_after_accept")
    sending = asyncio.create_task(send(twilio, status_callback=webhook.url))
    await sandbox.wait_for(lambda: len(sandbox.callbacks) == 3)
    assert not sending.done()
    assert not sandbox.texts[0].answered
    sending.cancel()


async def test_stopping_does_not_wait_for_whoever_is_left_hanging() -> None:
    async with Sandbox() as sandbox:
        sandbox.fault("twilio", "hang_after_accept")
        http = AsyncTwilioHttpClient()
        client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=http)
        client.api.base_url = sandbox.twilio_url
        sending = asyncio.create_task(send(client))
        await sandbox.wait_for(lambda: sandbox.texts)
    with pytest.raises(aiohttp.ClientConnectionError):
        await sending
    await http.session.close()


async def test_stop_opts_a_number_out_until_start(
    sandbox: Sandbox, twilio: Client, webhook: Webhook, http: aiohttp.ClientSession
) -> None:
    stop = {"from": TO, "body": " Stop ", "url": webhook.url}
    async with http.post(f"{sandbox.inbox_url}twilio-inbound", json=stop) as response:
        assert (await response.json())["http_status"] == 204
    assert (webhook.got[0]["From"], webhook.got[0]["To"], webhook.got[0]["Body"]) == (TO, NUMBER, " Stop ")
    with pytest.raises(TwilioRestException) as caught:
        await send(twilio)
    assert caught.value.code == 21610
    await sandbox.inbound(TO, "please stop it", webhook.url)
    await sandbox.inbound(TO, "HELP", webhook.url)
    assert TO in sandbox.truth.opted_out
    await sandbox.inbound(TO, "START", webhook.url)
    await send(twilio)
    assert len(sandbox.texts) == 1
