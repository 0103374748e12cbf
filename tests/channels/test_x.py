"""The X channel: tweepy against the double."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tweepy import errors as tweepy_errors

from pipeline.channels.base import Sent
from pipeline.channels.http import NETWORK
from pipeline.channels.x import OUTCOMES, XSender, XSettings, allowances, mapped, payload, until_reset_s, x_settings
from pipeline.errors import ConfigurationError
from pipeline.sandbox import Sandbox
from schemas.delivery import Result
from schemas.rendering import PostContent
from tests.channels.samples import ACCOUNT, AT, EMAIL, POST, envelope
from tests.conftest import MakeSettings

KEYS = ("x_consumer_key", "x_consumer_secret", "x_access_token", "x_access_token_secret")


def settings_for(sandbox: Sandbox, make_settings: MakeSettings) -> XSettings:
    env = sandbox.settings_env()
    made = x_settings(make_settings(**{name: env[f"TOCSIN_{name.upper()}"] for name in (*KEYS, "x_base_url")}))
    assert made is not None
    return made


@pytest.fixture
async def sender(sandbox: Sandbox, make_settings: MakeSettings) -> AsyncIterator[XSender]:
    made = XSender(settings_for(sandbox, make_settings))
    yield made
    await made.close()


async def post(sender: XSender, text: str = POST.text) -> Sent:
    (answer,) = await sender.send(envelope(PostContent(text=text, weighted_length=len(text))), [ACCOUNT])
    return answer


def told(answer: Sent) -> tuple[str, str]:
    return str(answer.result), answer.reason


async def test_a_post_appears_as_it_was_written(sandbox: Sandbox, sender: XSender) -> None:
    text = "Logins fail: 5 < 6 & “more” – 障害 😀\nsecond line"
    answer = await post(sender, text)
    assert told(answer) == ("accepted", "provider_accepted")
    assert [(p.id, p.text) for p in sandbox.posts] == [(answer.provider_id, text)]


async def test_posts_appear_in_the_order_of_the_calls(sandbox: Sandbox, sender: XSender) -> None:
    texts = [f"Update {n}" for n in range(8)]
    await asyncio.gather(*(post(sender, text) for text in texts))
    assert [p.text for p in sandbox.posts] == texts


async def test_a_duplicate_at_the_first_attempt_is_no_success(sandbox: Sandbox, sender: XSender) -> None:
    sandbox.fault("x", "duplicate")
    assert told(await post(sender)) == ("permanent", "duplicate_refused")
    assert sandbox.posts == []


async def test_a_used_up_limit_is_told_with_its_reset_and_blocks_nobody(sandbox: Sandbox, sender: XSender) -> None:
    sandbox.fault("x", "rate_limit", seconds=600)
    answer = await asyncio.wait_for(post(sender), 5)
    assert told(answer) == ("retryable", "rate_limited")
    assert answer.retry_after_s is not None
    assert 590 < answer.retry_after_s <= 601


async def test_what_x_says_is_left_of_its_limit_comes_with_the_answer(sandbox: Sandbox, sender: XSender) -> None:
    first, second = await post(sender, "one"), await post(sender, "two")
    assert [allowance.window_s for allowance in first.allowances] == [900.0]
    assert first.allowances[0].remaining - second.allowances[0].remaining == 1
    sandbox.fault("x", "rate_limit", seconds=600)
    assert (await post(sender, "three")).allowances[0].remaining == 0


@pytest.mark.parametrize("reset", ["", "soon", "-1", "9" * 30])
def test_a_reset_that_is_no_moment_is_left_out(reset: str) -> None:
    assert allowances({"x-rate-limit-remaining": "7", "x-rate-limit-reset": reset}) == ()


async def test_an_empty_429_is_read_as_one(sandbox: Sandbox, sender: XSender) -> None:
    sandbox.fault("x", "empty_rate_limit", seconds=60)
    answer = await post(sender)
    assert told(answer) == ("retryable", "rate_limited")
    assert answer.retry_after_s is not None


@pytest.mark.parametrize(
    ("kind", "result", "reason"),
    [
        ("html", "unknown", "provider_trouble"),
        ("reset", "unknown", "connection_lost_after_request"),
        ("reset_after_accept", "unknown", "connection_lost_after_request"),
    ],
)
async def test_trouble_after_the_request_is_out_is_unknown(
    sandbox: Sandbox, sender: XSender, kind: str, result: str, reason: str
) -> None:
    sandbox.fault("x", kind)
    assert told(await post(sender)) == (result, reason)
    assert len(sandbox.fired()) == 1


async def test_a_hanging_provider_is_left_when_the_time_is_up(sandbox: Sandbox, make_settings: MakeSettings) -> None:
    sandbox.fault("x", "hang_after_accept")
    sender = XSender(replace(settings_for(sandbox, make_settings), timeout_s=0.2))
    assert told(await post(sender)) == ("unknown", "timeout_after_request")
    found = await sender.reconcile(envelope(POST), ACCOUNT)
    assert told(found) == ("accepted", "duplicate_proves_acceptance")
    assert found.provider_id == sandbox.posts[0].id
    assert len(sandbox.posts) == 1
    await sender.close()


async def test_a_provider_that_cannot_be_reached_got_nothing(make_settings: MakeSettings) -> None:
    async with Sandbox() as gone:
        settings = settings_for(gone, make_settings)
    sender = XSender(settings)
    assert told(await post(sender)) == ("retryable", "provider_unreachable")
    assert told(await sender.reconcile(envelope(POST), ACCOUNT)) == ("unknown", "provider_cannot_be_asked")
    await sender.close()


async def test_wrong_keys_are_ours_to_mend(sandbox: Sandbox, make_settings: MakeSettings) -> None:
    sender = XSender(replace(settings_for(sandbox, make_settings), access_token="wrong"))
    assert told(await post(sender)) == ("retryable", "authentication_failed")
    await sender.close()


async def test_too_long_a_text_is_refused(sender: XSender) -> None:
    assert told(await post(sender, "x" * 281)) == ("permanent", "text_too_long")


async def test_after_an_unknown_a_duplicate_proves_acceptance(sandbox: Sandbox, sender: XSender) -> None:
    sandbox.fault("x", "reset_after_accept")
    assert (await post(sender)).result is Result.UNKNOWN
    found = await sender.reconcile(envelope(POST), ACCOUNT)
    assert told(found) == ("accepted", "duplicate_proves_acceptance")
    assert found.provider_id == sandbox.posts[0].id
    assert len(sandbox.posts) == 1


async def test_after_an_unknown_that_was_lost_the_repeat_is_the_post(sandbox: Sandbox, sender: XSender) -> None:
    sandbox.fault("x", "reset")
    assert (await post(sender)).result is Result.UNKNOWN
    assert told(await sender.reconcile(envelope(POST), ACCOUNT)) == ("accepted", "accepted_on_repeat")
    assert len(sandbox.posts) == 1


async def test_where_the_repeat_is_not_answered_the_timeline_shows_the_post(sandbox: Sandbox, sender: XSender) -> None:
    text = "Now 5 < 6 & https://example.com/a?b=c"
    sandbox.fault("x", "reset_after_accept")
    await post(sender, text)
    sandbox.fault("x", "rate_limit", seconds=600)
    found = await sender.reconcile(envelope(PostContent(text=text, weighted_length=40)), ACCOUNT)
    assert told(found) == ("accepted", "found_on_timeline")


async def test_absent_and_limited_it_may_be_sent_when_the_limit_ends(sandbox: Sandbox, sender: XSender) -> None:
    sandbox.fault("x", "reset")
    await post(sender)
    sandbox.fault("x", "rate_limit", seconds=600)
    found = await sender.reconcile(envelope(POST), ACCOUNT)
    assert told(found) == ("retryable", "absent_on_timeline")
    assert found.retry_after_s is not None


async def test_while_the_repeat_itself_is_unknown_so_is_the_post(sandbox: Sandbox, sender: XSender) -> None:
    sandbox.fault("x", "html", times=2)
    await post(sender)
    assert (await sender.reconcile(envelope(POST), ACCOUNT)).result is Result.UNKNOWN


async def test_a_cancelled_post_lets_the_next_one_through(sandbox: Sandbox, sender: XSender) -> None:
    sandbox.fault("x", "hang_after_accept")
    sending = asyncio.create_task(post(sender))
    await sandbox.wait_for(lambda: sandbox.posts)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert told(await post(sender, "another")) == ("accepted", "provider_accepted")


async def test_no_key_reaches_a_log_at_any_level(
    sandbox: Sandbox, sender: XSender, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (None, "tweepy", "tweepy.asynchronous.client", "oauthlib", "oauthlib.oauth1.rfc5849"):
        caplog.set_level(logging.DEBUG, logger=name)
    sandbox.fault("x", "rate_limit", seconds=1)
    answers = [await post(sender), await sender.reconcile(envelope(POST), ACCOUNT)]
    seen = caplog.text + str(answers)
    for secret in ("sandbox-consumer", "sandbox-access", "oauth_signature", "oauth_token"):
        assert secret not in seen


@pytest.mark.parametrize("body", ["", "null", "[1]", "{", "{}", '{"data": []}', '{"data": {"id": null}}', "<html>"])
async def test_a_success_that_cannot_be_read_is_unknown(body: str) -> None:
    assert told(await _against(201, body)) == ("unknown", "answer_unreadable")


@pytest.mark.parametrize("body", ["", "null", '{"errors": [1, {"code": 1}]}', '{"errors": 5, "detail": 7}', "<html>"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 418, 429, 500, 503])
async def test_no_answer_however_odd_raises(status: int, body: str) -> None:
    answer = await _against(status, body)
    assert (answer.result, answer.reason) in OUTCOMES.values()
    assert answer.code == str(status)


async def _against(status: int, body: str) -> Sent:
    async def answer_oddly(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type="text/html" if "<" in body else "application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer_oddly)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sender = XSender(XSettings("a", "b", "1-c", "d", f"http://127.0.0.1:{runner.addresses[0][1]}"))
    try:
        return await post(sender)
    finally:
        await sender.close()
        await runner.cleanup()


def test_every_error_of_the_client_is_mapped() -> None:
    class Response:
        reason = "reason"

        def __init__(self, status: int) -> None:
            self.status = status

    known = {(str(result), reason) for result, reason in (*OUTCOMES.values(), *(outcome for _, outcome in NETWORK))}
    kinds = [k for k in vars(tweepy_errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert len(kinds) >= 8
    for kind in kinds:
        if not issubclass(kind, tweepy_errors.HTTPException):
            continue
        for status in (*range(300, 600), 0, 999):
            assert told(mapped(kind(Response(status), response_json={"detail": "x"}))) in known
    forbidden: Any = tweepy_errors.Forbidden(Response(403), response_json={"detail": "… with duplicate content."})
    assert mapped(forbidden).reason == "duplicate_refused"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-rate-limit-reset": str(int(AT.timestamp()) + 90)}, 90),
        ({"x-rate-limit-reset": str(int(AT.timestamp()) - 90)}, 0),
        ({"x-rate-limit-reset": "soon"}, None),
        ({"Retry-After": "12"}, 12),
        (
            {
                "x-rate-limit-reset": str(int(AT.timestamp()) + 90),
                "x-rate-limit-remaining": "99",
                "x-app-limit-24hour-reset": str(int(AT.timestamp()) + 5000),
                "x-app-limit-24hour-remaining": "0",
            },
            5000,
        ),
    ],
)
def test_the_wait_is_that_of_the_limit_that_is_used_up(headers: dict[str, str], expected: float | None) -> None:
    assert until_reset_s(headers, lambda: AT) == expected


def test_the_payload_is_the_text_and_nothing_else() -> None:
    assert payload(envelope(POST)) == {"text": POST.text, "user_auth": True}
    with pytest.raises(TypeError, match="X channel was given content for email"):
        payload(envelope(EMAIL))


def test_missing_keys_are_named(make_settings: MakeSettings) -> None:
    with pytest.raises(ConfigurationError, match="TOCSIN_X_CONSUMER_SECRET, TOCSIN_X_ACCESS_TOKEN_SECRET"):
        x_settings(make_settings(x_consumer_key="a", x_access_token="b"))
    assert x_settings(make_settings()) is None
