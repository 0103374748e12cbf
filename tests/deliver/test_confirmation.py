"""The request for confirmation: once an hour for an address, in the reader's language, one text message at most two."""

from datetime import timedelta

import pytest

from pipeline.deliver.confirmation import LINK, request, requests
from pipeline.policy import wording
from schemas.base import Channel
from schemas.delivery import DeliveryBatch, Request
from schemas.ids import intent_id
from schemas.rendering import EmailContent, SmsContent
from schemas.subscriber import Choices, ChoicesChanged, Confirmed, Standing, Subscriber
from tests.deliver.given import AT, EMAIL, SMS, X, subscriber

WORDS = wording.ours()
TOKENS = {EMAIL: "A" * 22, SMS: "B" * 22}
WAITS = subscriber(standing=Standing(unconfirmed=(EMAIL, SMS)), address_tokens=TOKENS, language="de-CH")


def said(*unconfirmed: Channel) -> ChoicesChanged:
    return ChoicesChanged(choices=Choices(audiences=("customers",), channels=(EMAIL, SMS)), unconfirmed=unconfirmed)


def made(who: Subscriber = WAITS, event: object = None, later: timedelta = timedelta()) -> list[DeliveryBatch]:
    event = event or said(EMAIL, SMS)
    return list(requests(who, event, AT + later, 2, WORDS, "Acme status", ("en", "de")))


def test_each_channel_is_asked_in_the_readers_language() -> None:
    mail, text = made()
    assert (mail.channel, text.channel) == (EMAIL, SMS)
    assert {batch.kind for batch in (mail, text)} == {Request.CONFIRMATION}
    assert mail.rendering.language == text.rendering.language == "de"
    assert mail.recipients == (WAITS.id,)


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_request_holds_one_link_and_fits_two_text_messages(language: str) -> None:
    mail, text = (request(channel, WORDS, "Acme <status>", language) for channel in (EMAIL, SMS))
    assert mail is not None
    assert text is not None
    assert isinstance(mail.content, EmailContent)
    assert isinstance(text.content, SmsContent)
    assert mail.content.text.count(LINK) == mail.content.html.count(LINK) == 1
    assert "Acme &lt;status&gt;" in mail.content.html
    assert text.content.encoding == "GSM-7"
    assert text.content.segments <= 2
    assert request(X, WORDS, "Acme", language) is None


def test_within_the_hour_it_is_the_same_intent_and_another_address_is_another() -> None:
    def intents(batches: list[DeliveryBatch]) -> list[str]:
        return [intent_id(b.incident, b.seq, b.recipients[0], b.channel) for b in batches]

    assert intents(made()) == intents(made(later=timedelta(minutes=59)))
    assert set(intents(made())).isdisjoint(intents(made(later=timedelta(hours=1))))
    moved = WAITS.model_copy(update={"address_tokens": {EMAIL: "C" * 22, SMS: "D" * 22}})
    assert set(intents(made())).isdisjoint(intents(made(moved)))


def test_nobody_is_asked_who_has_confirmed_meanwhile_or_by_another_event() -> None:
    assert made(subscriber(address_tokens=TOKENS)) == []
    assert made(event=said()) == []
    assert made(event=Confirmed(channels=(EMAIL,))) == []
    assert [
        batch.channel for batch in made(subscriber(standing=Standing(unconfirmed=(SMS,)), address_tokens=TOKENS))
    ] == [SMS]
