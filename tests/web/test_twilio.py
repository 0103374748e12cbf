"""What Twilio calls: only Twilio is believed, and what it says becomes ids and words."""

import json
from xml.etree import ElementTree

import pytest

from pipeline.text.sms import segments
from pipeline.web import twilio
from pipeline.web.twilio import Form
from schemas import codec
from schemas.base import Channel
from schemas.codec import Event, Outgoing, Record
from schemas.receipt import DeliveryReported, KeywordReceived
from tests.paths import CORPUS, needs_corpus
from tests.web.conftest import AT, Service

DELIVERED = {"MessageSid": "SM1", "MessageStatus": "delivered", "AccountSid": "AC1", "To": "+15005550006"}


def event(outgoing: Outgoing) -> Event[DeliveryReported | KeywordReceived]:
    return codec.decode(Record(outgoing.topic, 0, 0, AT, outgoing.key, outgoing.value, outgoing.headers))


def status_path(service: Service, partition: int = 2) -> str:
    return f"/twilio/status?d={service.vault.callback_token('f' * 32, partition)}"


@needs_corpus
def test_twilios_own_signature_vectors_hold() -> None:
    vectors = json.loads((CORPUS / "vectors" / "twilio_signature.json").read_text())
    assert vectors["cases"]
    for case in vectors["cases"]:
        form = Form({name: value if isinstance(value, list) else [value] for name, value in case["params"].items()})
        token, uri, signature = vectors["auth_token"], case["uri"], case["signature"]
        assert twilio.is_from_twilio(token, uri, form, signature)
        assert not twilio.is_from_twilio(token, uri + "x", form, signature)
        assert not twilio.is_from_twilio(token + "x", uri, form, signature)
        assert not twilio.is_from_twilio(token, uri, Form({**form, "Extra": ["1"]}), signature)
        assert not twilio.is_from_twilio(token, uri, form, signature[:-2] + "A=")
        assert not twilio.is_from_twilio(None, uri, form, signature)
        assert not twilio.is_from_twilio(token, uri, form, None)


def test_a_posted_form_keeps_repeated_and_empty_values() -> None:
    assert Form.parse(b"a=1&a=2&b=&c=%C3%A4+%2B") == {"a": ["1", "2"], "b": [""], "c": ["ä +"]}


async def test_a_status_callback_becomes_a_receipt_in_the_tokens_partition(service: Service) -> None:
    async with await service.as_twilio(status_path(service), DELIVERED) as answer:
        assert answer.status == 204
    [outgoing] = service.published
    assert (outgoing.topic, outgoing.partition) == ("provider.receipts", 2)
    report = event(outgoing)
    assert report.data == DeliveryReported(
        channel=Channel.SMS, intent_id="f" * 32, provider_id="SM1", status="delivered", at=AT
    )
    assert b"15005550006" not in (outgoing.value or b"")


async def test_the_same_callback_twice_has_the_same_id(service: Service) -> None:
    for status in ("sent", "delivered", "delivered"):
        await service.as_twilio(status_path(service), {**DELIVERED, "MessageStatus": status})
    ids = [event(outgoing).id for outgoing in service.published]
    assert ids[0] != ids[1] == ids[2]


async def test_an_error_code_comes_along(service: Service) -> None:
    form = {"SmsSid": "SM1", "SmsStatus": "undelivered", "ErrorCode": "30005"}
    await service.as_twilio(status_path(service), form)
    data = event(service.published[0]).data
    assert isinstance(data, DeliveryReported)
    assert (data.status, data.code) == ("undelivered", "30005")


async def test_what_twilio_did_not_sign_is_refused(service: Service) -> None:
    url = service.url + status_path(service)
    for headers in ({}, {"X-Twilio-Signature": "AAAA"}, {"X-Twilio-Signature": "é"}):
        async with service.client.post(url, data=DELIVERED, headers=headers) as answer:
            assert answer.status == 403
    assert service.published == []


async def test_forwarded_headers_count_for_nothing(service: Service) -> None:
    """A signature over another host must not pass because a header claims that host, nor fail because of one."""
    path = status_path(service)
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "81"}
    async with await service.as_twilio(path, DELIVERED, **forged) as answer:
        assert answer.status == 204
    other = twilio.RequestValidator("the auth token of the test suite").compute_signature(
        "https://evil.example" + path, DELIVERED
    )
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Twilio-Signature": other}
    async with service.client.post(service.url + path, data=DELIVERED, headers=headers) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_a_signed_callback_without_our_token_is_not_found(service: Service, token: str) -> None:
    async with await service.as_twilio(f"/twilio/status?d={token}", DELIVERED) as answer:
        assert answer.status == 404


async def test_a_token_for_a_partition_that_is_not_there_is_not_found(service: Service) -> None:
    async with await service.as_twilio(status_path(service, partition=3), DELIVERED) as answer:
        assert answer.status == 404


async def test_a_callback_that_says_nothing_is_refused(service: Service) -> None:
    async with await service.as_twilio(status_path(service), {"MessageSid": "SM1"}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("body", "keyword"),
    [
        ("STOP", "STOP"),
        (" stop. ", "STOP"),
        ("Stop all!", "STOP"),
        ("unsubscribe", "STOP"),
        ("END", "STOP"),
        ("Quit", "STOP"),
        ("revoke", "STOP"),
        ("Opt-Out", "STOP"),
        ("CANCEL", "STOP"),
        ("start", "START"),
        ("Unstop", "START"),
        ("YES", "START"),
        ("help", "HELP"),
        ("Info?", "HELP"),
    ],
)
async def test_a_keyword_is_heard_in_every_partition(service: Service, body: str, keyword: str) -> None:
    form = {"MessageSid": "SM2", "From": "+1 500 555 0006", "Body": body}
    async with await service.as_twilio("/twilio/inbound", form) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/xml"
        assert ("<Message>" in await answer.text()) == (keyword == "HELP")
    assert sorted(o.partition or 0 for o in service.published) == [0, 1, 2]
    heard = [event(o) for o in service.published]
    token = service.vault.address_token(Channel.SMS, "+15005550006")
    assert {e.data for e in heard} == {
        KeywordReceived(channel=Channel.SMS, address_token=token, keyword=keyword, provider_id="SM2", at=AT)
    }
    assert len({e.id for e in heard}) == 3
    assert all(b"5550006" not in (o.value or b"") for o in service.published)


@pytest.mark.parametrize(
    "form",
    [
        {"MessageSid": "SM2", "From": "+15005550006", "Body": "please stop calling it an incident"},
        {"MessageSid": "SM2", "From": "+15005550006", "Body": ""},
        {"MessageSid": "SM2", "From": "73273", "Body": "STOP"},
        {"From": "+15005550006", "Body": "STOP"},
    ],
)
async def test_any_other_message_is_taken_in_silence(service: Service, form: dict[str, str]) -> None:
    async with await service.as_twilio("/twilio/inbound", form) as answer:
        assert answer.status == 200
    assert service.published == []


@pytest.mark.parametrize(("body", "said"), [("HELP", "Reply STOP to end"), ("Hilfe!", "STOP beendet das")])
async def test_help_is_answered_in_the_language_of_the_word(service: Service, body: str, said: str) -> None:
    form = {"MessageSid": "SM2", "From": "+15005550006", "Body": body}
    async with await service.as_twilio("/twilio/inbound", form) as answer:
        assert answer.content_type == "text/xml"
        text = ElementTree.fromstring(await answer.text()).findtext("Message")
    assert text is not None
    assert said in text
    assert text.startswith("Service status: ")
    assert segments(text) == 1


async def test_help_that_twilio_has_answered_in_the_accounts_words_is_not_answered_twice(service: Service) -> None:
    form = {"MessageSid": "SM2", "From": "+15005550006", "Body": "HELP", "OptOutType": "HELP"}
    async with await service.as_twilio("/twilio/inbound", form) as answer:
        assert (await answer.text()).endswith("<Response></Response>")


async def test_an_accounts_own_stop_word_counts_when_twilio_says_so(service: Service) -> None:
    form = {"MessageSid": "SM2", "From": "+15005550006", "Body": "ALTO", "OptOutType": "STOP"}
    await service.as_twilio("/twilio/inbound", form)
    assert len(service.published) == 3


async def test_while_the_broker_is_away_twilio_is_told_to_come_again(service: Service) -> None:
    service.broker_up = False
    async with await service.as_twilio(status_path(service), DELIVERED) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    form = {"MessageSid": "SM2", "From": "+15005550006", "Body": "STOP"}
    async with await service.as_twilio("/twilio/inbound", form) as answer:
        assert answer.status == 503


async def test_bytes_that_are_no_form_are_refused(service: Service) -> None:
    for body in (b"\xff=\xff", b"a=%ff", b"&".join(b"a=1" for _ in range(300))):
        async with service.client.post(
            service.url + status_path(service), data=body, headers={"X-Twilio-Signature": "A"}
        ) as answer:
            assert answer.status == 400
