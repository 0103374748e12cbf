"""Every way out, and every word of a provider, over the real web service: from the request to what is not sent."""

import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from twilio.request_validator import RequestValidator
from yarl import URL

from pipeline.clock import now
from pipeline.sandbox.server import AUTH_TOKEN
from pipeline.web.shield import MAX_BODY_BYTES
from schemas import codec, topics
from schemas.base import Channel, Message, Severity
from schemas.delivery import DeliveriesEnded, Outcome, Result
from schemas.incident import IncidentOpened
from schemas.subscriber import Restarted, Stopped, Unsubscribed
from tests.security.whole import ONE_CLICK, Whole, whole
from tests.system import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOLD_S = 2.5
ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def opened(component: str) -> IncidentOpened:
    """Each test has a component, and so an audience, of its own."""
    return IncidentOpened(title=f"{component} is down", severity=Severity.MAJOR, components=(component,))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Whole]:
    env = {"TOCSIN_UNKNOWN_HOLD_S": str(HOLD_S)}
    async with whole(tmp_path_factory.mktemp("ways-out"), ("decide", "deliver"), **env) as found:
        yield found


async def outcomes(running_whole: Whole, incident: str) -> list[Outcome]:
    records = await running_whole.system.read(topics.DELIVERY_RECORDS_TOPIC)
    events = [codec.decode(record, Message) for record in records]
    ended = [event.data for event in events if isinstance(event.data, DeliveriesEnded)]
    return [outcome for end in ended if end.incident == incident for outcome in end.outcomes]


async def outcome(running_whole: Whole, incident: str, recipient: str, result: Result) -> Outcome:
    """Waits until that result of that recipient is on record."""

    async def there() -> list[Outcome]:
        found = await outcomes(running_whole, incident)
        return [o for o in found if (o.recipient, o.result) == (recipient, result)]

    [*_, last] = await eventually(
        there, 30, f"{result} for {recipient}; deliver: {running_whole.system.log('deliver')}"
    )
    return last


async def event(running_whole: Whole, subscriber: str, wanted: Message) -> None:
    """Waits until that event of that subscriber stands in the topic."""

    async def there() -> bool:
        return wanted in await running_whole.events_of(subscriber)

    await eventually(there, 30, f"{wanted!r}; deliver: {running_whole.system.log('deliver')}")


async def test_a_click_in_a_mail_holds_before_the_next_send(running_whole: Whole) -> None:
    system, sandbox = running_whole.system, running_whole.sandbox
    await system.subscribe("leaver", email="leaver@example.com", components="Clicks")
    await system.subscribe("stayer", email="stayer@example.com", components="Clicks")
    await system.publish("CLICK-1", opened("Clicks"))
    await sandbox.wait_for(lambda: len(sandbox.mails) >= 2, timeout=30)
    link, before = running_whole.link_in_mail_to("leaver@example.com"), await running_whole.events_of("leaver")

    async with running_whole.client.get(link) as page:
        assert page.status == 200
    async with running_whole.client.head(link) as page:
        assert page.status == 405
    async with running_whole.client.post(link, data={"anything": "else"}) as refused:
        assert refused.status == 400
    assert await running_whole.events_of("leaver") == before

    async with running_whole.client.post(link, data=ONE_CLICK, allow_redirects=False) as answer:
        assert answer.status == 200
    # Nothing is waited for: what was answered holds.
    await system.publish("CLICK-2", opened("Clicks"))
    kept_back = await outcome(running_whole, "CLICK-2", "leaver", Result.SUPPRESSED)
    assert kept_back.reason == "unsubscribed"
    await outcome(running_whole, "CLICK-2", "stayer", Result.ACCEPTED)
    to = [mail.recipients for mail in sandbox.mails]
    assert to.count(("leaver@example.com",)) == 1
    assert to.count(("stayer@example.com",)) == 2
    assert await running_whole.events_of("leaver") == [*before, Unsubscribed(channel=Channel.EMAIL, via="one-click")]


async def test_an_sms_that_says_stop_holds_until_one_says_start(running_whole: Whole) -> None:
    system, sandbox = running_whole.system, running_whole.sandbox
    number, inbound = "+14155550123", f"{running_whole.web_url}/twilio/inbound"
    await system.subscribe("texter", phone=number, components="Stops")
    await system.publish("STOP-1", opened("Stops"))
    await outcome(running_whole, "STOP-1", "texter", Result.ACCEPTED)

    said = await sandbox.inbound(number, "Stop.", inbound)
    assert said.http_status == 200
    await event(running_whole, "texter", Stopped(channel=Channel.SMS, via="keyword"))
    await system.publish("STOP-2", opened("Stops"))
    kept_back = await outcome(running_whole, "STOP-2", "texter", Result.SUPPRESSED)
    # Ours, not the provider's refusal: Twilio was not even asked.
    assert kept_back.reason == "stopped"

    await sandbox.inbound(number, "START", inbound)
    await event(running_whole, "texter", Restarted(channel=Channel.SMS))
    await system.publish("STOP-3", opened("Stops"))
    await outcome(running_whole, "STOP-3", "texter", Result.ACCEPTED)
    assert [text.to for text in sandbox.texts].count(number) == 2


async def test_a_status_callback_settles_an_sms_whose_end_nobody_knew(running_whole: Whole) -> None:
    system, sandbox, number = running_whole.system, running_whole.sandbox, "+14155550124"
    await system.subscribe("unsure", phone=number, components="Resets")
    sandbox.fault("twilio", "reset_after_accept", match=number)
    sandbox.fault("twilio", "stuck", match=number)
    await system.publish("RESET-1", opened("Resets"))
    unknown = await outcome(running_whole, "RESET-1", "unsure", Result.UNKNOWN)
    assert unknown.reason == "connection_lost_after_request"
    [text] = [text for text in sandbox.texts if text.to == number]

    await sandbox.progress(text.sid, "sent", "delivered")
    settled = await outcome(running_whole, "RESET-1", "unsure", Result.ACCEPTED)
    assert settled.reason == "status_callback_proves_acceptance"
    assert settled.provider_id == text.sid
    callbacks = [callback for callback in sandbox.callbacks if callback.sid == text.sid]
    assert {callback.http_status for callback in callbacks} == {204}

    async def its_time_has_passed() -> bool:
        return unknown.due is not None and now() > unknown.due + timedelta(seconds=0.5)

    await eventually(its_time_has_passed, 30)
    await system.publish(
        "RESET-2", opened("Resets")
    )  # in the same lane and partition, behind whatever was brought back
    await outcome(running_whole, "RESET-2", "unsure", Result.ACCEPTED)
    texts = system.texts_by_intent()
    assert [text.to for text in sandbox.texts].count(number) == 2
    assert set(texts.values()) == {1}


async def test_callbacks_that_come_before_the_unknown_leave_one_sms_too(running_whole: Whole) -> None:
    system, sandbox, number = running_whole.system, running_whole.sandbox, "+14155550125"
    await system.subscribe("early", phone=number, components="Early")
    sandbox.fault("twilio", "reset_after_accept", match=number)
    await system.publish("EARLY-1", opened("Early"))
    await outcome(running_whole, "EARLY-1", "early", Result.ACCEPTED)
    assert [text.to for text in sandbox.texts].count(number) == 1


async def test_what_twilio_did_not_sign_moves_nothing(running_whole: Whole) -> None:
    system = running_whole.system
    token = system.vault.callback_token("f" * 32, 0)
    path, form = f"/twilio/status?d={token}", {"MessageSid": "SM1", "MessageStatus": "delivered"}
    stop = {"MessageSid": "SM2", "From": "+14155550123", "Body": "STOP"}
    right = RequestValidator(AUTH_TOKEN)
    ours = running_whole.web_url + path
    elsewhere = right.compute_signature(f"https://elsewhere.example{path}", form)
    attempts = [
        (path, form, {}),
        (path, form, {"X-Twilio-Signature": "AAAA"}),
        (path, form, {"X-Twilio-Signature": RequestValidator("x").compute_signature(ours, form)}),
        (path, form, {"X-Twilio-Signature": elsewhere, "Host": "elsewhere.example"}),
        (path, form, {"X-Twilio-Signature": elsewhere, "X-Forwarded-Host": "elsewhere.example",
                      "X-Forwarded-Proto": "https", "Forwarded": "host=elsewhere.example;proto=https"}),
        (path, form | {"ErrorCode": "1"},
         {"X-Twilio-Signature": right.compute_signature(ours, form)}),
        ("/twilio/inbound", stop, {"X-Twilio-Signature": "AAAA"}),
    ]  # fmt: skip
    before = len(await system.read(topics.PROVIDER_RECEIPTS))
    for where, said, headers in attempts:
        async with running_whole.client.post(running_whole.web_url + where, data=said, headers=headers) as answer:
            assert answer.status == 403, headers
    assert len(await system.read(topics.PROVIDER_RECEIPTS)) == before


async def test_every_answer_carries_the_headers_that_forbid(running_whole: Whole) -> None:
    link = f"{running_whole.web_url}/u/{running_whole.system.vault.link_token('leaver', Channel.EMAIL, 'unsubscribe')}"
    base = running_whole.web_url
    asked = [("GET", link), ("GET", f"{base}/u/x"), ("POST", f"{base}/twilio/status"), ("GET", f"{base}/nowhere"),
             ("PUT", link), ("GET", f"{base}/health"), ("GET", f"{base}/docs")]  # fmt: skip
    for method, url in asked:
        async with running_whole.client.request(method, url, allow_redirects=False) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert not answer.headers.keys() & {"Server", "Set-Cookie", "Location", "Access-Control-Allow-Origin"}


async def test_forged_links_and_bodies_without_measure_change_nothing(running_whole: Whole) -> None:
    base, vault = running_whole.web_url, running_whole.system.vault
    genuine, dice = vault.link_token("stayer", Channel.EMAIL, "unsubscribe"), random.Random(8058)
    forged = [vault.callback_token("f" * 32, 0), genuine[:-1], genuine + "A", genuine.swapcase(), "%00", "..%2fhealth"]
    for _ in range(150):
        at = dice.randrange(len(genuine))
        forged.append(genuine[:at] + dice.choice(sorted(ALPHABET - {genuine[at]})) + genuine[at + 1 :])
    before = len(await running_whole.system.read(topics.SUBSCRIBER_EVENTS_TOPIC))
    for token in forged:
        async with running_whole.client.post(URL(f"{base}/u/{token}", encoded=True), data=ONE_CLICK) as answer:
            assert answer.status == 404
            assert token not in await answer.text()
    for url in (f"{base}/u/{genuine}", f"{base}/twilio/inbound"):
        async with running_whole.client.post(url, data=b"a" * (MAX_BODY_BYTES + 1)) as answer:
            assert answer.status == 413
    assert len(await running_whole.system.read(topics.SUBSCRIBER_EVENTS_TOPIC)) == before
    log = (running_whole.system.settings.data_dir / "logs" / "web-1.log").read_text()
    assert log.count("/u/{token}") > len(forged)
    assert genuine not in log
    assert all(json.loads(line)["level"] == "info" for line in log.splitlines())
