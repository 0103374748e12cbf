"""The SMS channel: Twilio's own client against the double."""

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException, TwilioServiceException

from pipeline.channels.base import Sent
from pipeline.channels.http import NETWORK, NETWORK_ERRORS, mapped_network_error
from pipeline.channels.sms import OUTCOMES, SmsSender, SmsSettings, mapped, payload, sms_settings
from pipeline.clock import now
from pipeline.errors import ConfigurationError
from pipeline.sandbox import Sandbox
from schemas.delivery import Result
from schemas.rendering import SmsContent
from tests.channels.samples import EMAIL, SMS, envelope, intent, phone
from tests.conftest import MakeSettings
from tests.paths import SPECS, needs_specs

CALLBACK = "http://127.0.0.1:9/twilio/status?d="
MESSAGE = replace(envelope(SMS), at=now())


def callback_url(intent_id: str, partition: int) -> str:
    return f"{CALLBACK}{intent_id}.{partition}"


def settings_for(sandbox: Sandbox, make_settings: MakeSettings) -> SmsSettings:
    env = sandbox.settings_env()
    names = ("twilio_account_sid", "twilio_auth_token", "twilio_from", "twilio_base_url")
    made = sms_settings(make_settings(**{name: env[f"TOCSIN_{name.upper()}"] for name in names}))
    assert made is not None
    return made


@pytest.fixture
async def sender(sandbox: Sandbox, make_settings: MakeSettings) -> AsyncIterator[SmsSender]:
    made = SmsSender(replace(settings_for(sandbox, make_settings), timeout_s=2.0), callback_url)
    yield made
    await made.close()


async def one(sender: SmsSender, number: str = "+15005550100") -> Sent:
    (answer,) = await sender.send(MESSAGE, [phone(number)])
    return answer


async def test_a_message_arrives_with_its_callback_and_validity(sandbox: Sandbox, sender: SmsSender) -> None:
    answer = await one(sender)
    (text,) = sandbox.texts
    assert (answer.result, answer.reason) == (Result.ACCEPTED, "provider_accepted")
    assert answer.provider_id == text.sid
    assert (text.to, text.body) == ("+15005550100", SMS.text)
    assert text.status_callback == callback_url(intent(7), 7)
    assert text.validity_period == 3600


def test_the_payload_names_a_sender_or_a_service_never_both() -> None:
    settings = SmsSettings("AC1", "t", "+15005550006", None, None)
    assert payload(MESSAGE, phone(), settings, "cb")["from_"] == "+15005550006"
    service = payload(MESSAGE, phone(), replace(settings, messaging_service_sid="MG1"), "cb")
    assert service["messaging_service_sid"] == "MG1"
    assert "from_" not in service
    with pytest.raises(TypeError, match="SMS channel was given content for email"):
        payload(envelope(EMAIL), phone(), settings, "cb")


@pytest.mark.parametrize(
    ("code", "result", "reason"),
    [
        (20003, "retryable", "authentication_failed"),
        (20429, "retryable", "rate_limited"),
        (20500, "unknown", "provider_trouble"),
        (20503, "unknown", "provider_trouble"),
        (21211, "permanent", "number_invalid"),
        (21212, "retryable", "sender_refused"),
        (21609, "retryable", "callback_refused"),
        (21610, "permanent", "opted_out_at_provider"),
        (21611, "retryable", "queue_full"),
        (21617, "permanent", "text_too_long"),
        (21999, "permanent", "provider_refused"),
    ],
)
@pytest.mark.parametrize("kind", ["error", "problem"])
async def test_an_error_of_either_form_has_a_named_result(
    sandbox: Sandbox, sender: SmsSender, kind: str, code: int, result: str, reason: str
) -> None:
    sandbox.fault("twilio", kind, code=code)
    answer = await one(sender)
    assert (answer.result, answer.reason, answer.code) == (result, reason, str(code))
    assert answer.opt_out is (code == 21610)
    assert len(sandbox.fired()) == 1
    assert sandbox.texts == []


async def test_a_retry_after_header_is_obeyed(sandbox: Sandbox, sender: SmsSender) -> None:
    sandbox.fault("twilio", "error", code=20429, retry_after=7)
    assert (await one(sender)).retry_after_s == 7
    sandbox.fault("twilio", "error", code=20429)
    assert (await one(sender)).retry_after_s is None


async def test_each_of_many_calls_reads_its_own_header(sandbox: Sandbox, sender: SmsSender) -> None:
    numbers = [f"+1500555010{n}" for n in range(6)]
    for wait_s, number in enumerate(numbers):
        sandbox.fault("twilio", "error", code=20429, retry_after=wait_s, match=number)
    answers = await asyncio.gather(*(one(sender, number) for number in numbers))
    assert [answer.retry_after_s for answer in answers] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("kind", "options", "result", "reason"),
    [
        ("html", {"code": 503}, "unknown", "provider_trouble"),
        ("html", {"code": 404}, "permanent", "provider_refused"),
        ("reset", {}, "unknown", "connection_lost_after_request"),
        ("reset_after_accept", {}, "unknown", "connection_lost_after_request"),
        ("error_after_accept", {"code": 20500}, "unknown", "provider_trouble"),
    ],
)
async def test_trouble_after_the_request_is_out_is_unknown_and_nothing_is_posted_again(
    sandbox: Sandbox, sender: SmsSender, kind: str, options: dict[str, int], result: str, reason: str
) -> None:
    sandbox.fault("twilio", kind, **options)
    answer = await one(sender)
    assert (answer.result, answer.reason) == (result, reason)
    assert len(sandbox.texts) == (1 if kind.endswith("accept") else 0)
    assert len(sandbox.fired()) == 1


async def test_a_hanging_provider_is_left_when_the_time_is_up(sandbox: Sandbox, make_settings: MakeSettings) -> None:
    sandbox.fault("twilio", "hang_after_accept")
    sender = SmsSender(replace(settings_for(sandbox, make_settings), timeout_s=0.2), callback_url)
    answer = await one(sender)
    assert (answer.result, answer.reason) == (Result.UNKNOWN, "timeout_after_request")
    assert len(sandbox.texts) == 1
    await sender.close()


async def test_a_provider_that_cannot_be_reached_got_nothing(make_settings: MakeSettings) -> None:
    async with Sandbox() as gone:
        settings = settings_for(gone, make_settings)
    sender = SmsSender(settings, callback_url)
    answer = await one(sender)
    assert (answer.result, answer.reason) == (Result.RETRYABLE, "provider_unreachable")
    await sender.close()


@pytest.mark.parametrize("body", ["", "null", "[1]", "{", "{}", "<html>"])
async def test_a_success_that_cannot_be_read_is_unknown(make_settings: MakeSettings, body: str) -> None:
    async def answer_oddly(request: web.Request) -> web.Response:
        return web.Response(status=201, text=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer_oddly)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sender = SmsSender(SmsSettings("AC1", "t", "+1", None, f"http://127.0.0.1:{runner.addresses[0][1]}"), callback_url)
    answer = await one(sender)
    assert (answer.result, answer.reason) == (Result.UNKNOWN, "answer_unreadable")
    await sender.close()
    await runner.cleanup()


async def test_a_cancelled_send_leaves_a_sender_that_works(sandbox: Sandbox, sender: SmsSender) -> None:
    sandbox.fault("twilio", "hang_after_accept")
    sending = asyncio.create_task(one(sender))
    await sandbox.wait_for(lambda: sandbox.texts)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (await one(sender, "+15005550101")).result is Result.ACCEPTED


async def test_an_unknown_that_was_accepted_is_found_and_not_sent_again(sandbox: Sandbox, sender: SmsSender) -> None:
    sandbox.fault("twilio", "reset_after_accept")
    assert (await one(sender)).result is Result.UNKNOWN
    found = await sender.reconcile(MESSAGE, phone())
    assert (found.result, found.reason) == (Result.ACCEPTED, "found_at_provider")
    assert found.provider_id == sandbox.texts[0].sid
    assert len(sandbox.texts) == 1


async def test_an_unknown_that_never_arrived_may_be_sent(sandbox: Sandbox, sender: SmsSender) -> None:
    sandbox.fault("twilio", "reset")
    assert (await one(sender)).result is Result.UNKNOWN
    found = await sender.reconcile(MESSAGE, phone())
    assert (found.result, found.reason) == (Result.RETRYABLE, "absent_at_provider")


async def test_another_text_to_the_number_and_this_text_to_another_number_prove_nothing(
    sandbox: Sandbox, sender: SmsSender
) -> None:
    other = envelope(SmsContent(text="Something else.", encoding="GSM-7", segments=1))
    await sender.send(other, [phone()])
    await one(sender, "+15005550199")
    assert (await sender.reconcile(MESSAGE, phone())).reason == "absent_at_provider"


async def test_the_same_text_of_the_day_before_yesterday_proves_nothing(sandbox: Sandbox, sender: SmsSender) -> None:
    await one(sender)
    later = replace(MESSAGE, at=MESSAGE.at + timedelta(days=2))
    assert (await sender.reconcile(later, phone())).reason == "absent_at_provider"


async def test_an_unknown_that_failed_later_is_not_sent_again(sandbox: Sandbox, sender: SmsSender) -> None:
    sandbox.fault("twilio", "stuck")
    sandbox.fault("twilio", "reset_after_accept")
    await one(sender)
    await sandbox.progress(sandbox.texts[0].sid, "undelivered", code=30005)
    found = await sender.reconcile(MESSAGE, phone())
    assert (found.result, found.reason, found.code) == (Result.PERMANENT, "number_unknown", "30005")


async def test_a_provider_that_cannot_be_asked_leaves_it_unknown(make_settings: MakeSettings) -> None:
    async with Sandbox() as gone:
        settings = settings_for(gone, make_settings)
    sender = SmsSender(settings, callback_url)
    found = await sender.reconcile(MESSAGE, phone())
    assert (found.result, found.reason) == (Result.UNKNOWN, "provider_cannot_be_asked")
    await sender.close()


async def test_neither_number_nor_text_nor_token_reach_a_log_or_a_detail(
    sandbox: Sandbox, sender: SmsSender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.fault("twilio", "error", code=21211)
    answer = await one(sender)
    await one(sender)
    ours = [r for r in caplog.records if not r.name.startswith(("aiohttp.access", "asyncio"))]
    logged = " ".join(record.getMessage() for record in ours)
    for private in ("5005550100", SMS.text, "sandbox-auth-token"):
        assert private not in logged
        assert private not in str(answer)


def test_every_error_of_the_client_is_mapped() -> None:
    known = {(str(result), reason) for result, reason in OUTCOMES.values()}
    for status in (*range(300, 600), 0, 999):
        for code in (status, 21610, 99999):
            rest = TwilioRestException(status, "uri", "text", code)
            problem = TwilioServiceException("type", "title", status, code)
            for error in (rest, problem):
                sent = mapped(error, phone())
                assert (str(sent.result), sent.reason) in known
                assert sent.opt_out is (code == 21610)


def test_every_network_error_is_mapped() -> None:
    outcomes = [outcome for _, outcome in NETWORK]
    kinds = [kind for _, kind in inspect.getmembers(aiohttp, inspect.isclass) if issubclass(kind, aiohttp.ClientError)]
    assert len(kinds) > 15
    for kind in (*kinds, TimeoutError, OSError, json.JSONDecodeError, UnicodeDecodeError):
        # Some need a whole request to be made; what they are is enough to map them.
        error = kind.__new__(kind)
        assert isinstance(error, NETWORK_ERRORS)
        assert mapped_network_error(error) in outcomes
        before_the_request = issubclass(
            kind, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL
        )
        assert (mapped_network_error(error)[0] is Result.RETRYABLE) is before_the_request


@needs_specs
async def test_the_request_is_one_that_twilio_describes(sandbox: Sandbox, make_settings: MakeSettings) -> None:
    spec = json.loads((SPECS / "twilio-messages.openapi.json").read_text())
    operation = next(path["post"] for path in spec["paths"].values() if "post" in path)
    schema = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    seen: list[dict[str, list[str]]] = []

    async def keep(request: web.Request) -> web.Response:
        seen.append(parse_qs(await request.text()))
        return web.json_response({"sid": "SM1", "status": "queued"}, status=201)

    app = web.Application()
    app.router.add_post("/{path:.*}", keep)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = replace(settings_for(sandbox, make_settings), base_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    sender = SmsSender(settings, callback_url)
    assert (await one(sender)).provider_id == "SM1"
    await sender.close()
    await runner.cleanup()
    assert seen[0].keys() <= schema["properties"].keys()
    assert set(schema.get("required", ())) <= seen[0].keys()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"twilio_account_sid": "AC1"}, "TOCSIN_TWILIO_AUTH_TOKEN"),
        ({"twilio_auth_token": "t"}, "TOCSIN_TWILIO_ACCOUNT_SID"),
        ({"twilio_account_sid": "AC1", "twilio_auth_token": "t"}, "TOCSIN_TWILIO_FROM"),
    ],
)
def test_half_a_setting_names_the_other_half(make_settings: MakeSettings, given: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        sms_settings(make_settings(**given))


def test_without_settings_there_is_no_sms_channel(make_settings: MakeSettings) -> None:
    assert sms_settings(make_settings()) is None
