"""Signing up by the form: the same answer whoever is known, nobody flooded, and nothing told before it is confirmed."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.deliver.confirmation import requests
from pipeline.policy import wording
from pipeline.subscribers import Roster
from pipeline.web.limits import Limits, network
from pipeline.web.words import LANGUAGES, PAGES, SIGN_UP, WHAT, language_of
from schemas import topics
from schemas.base import Channel, Level
from schemas.codec import Outgoing, Record
from schemas.subscriber import Frequency, Subscribed
from tests.web.conftest import AT, Service, serving, settings

ADA = {
    "email": "ada@example.com",
    "phone": "",
    "language": "de",
    "frequency": "start_and_end",
    "level": "public",
    "time_zone": "Europe/Berlin",
    "office_hours_only": "yes",
    "website": "",
}


def folded(published: list[Outgoing]) -> Roster:
    roster = Roster()
    for offset, one in enumerate(published):
        roster.read(Record(one.topic, 0, offset, AT, one.key, one.value, one.headers))
    return roster


async def post(service: Service, form: dict[str, str], **headers: str) -> tuple[int, str]:
    async with service.client.post(f"{service.url}/subscribe", data=form, headers=headers) as answer:
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Vary"] == "Accept-Language"
        return answer.status, await answer.text()


async def test_the_form_brings_a_subscriber_who_hears_nothing_until_they_have_confirmed(service: Service) -> None:
    assert (await post(service, ADA))[0] == 200
    assert [one.topic for one in service.published] == [
        topics.SUBSCRIBER_KEYS.name,
        topics.SUBSCRIBER_EVENTS_TOPIC.name,
    ]
    roster = folded(service.published)
    [ada] = roster.subscribers.values()
    assert ada.unconfirmed == (Channel.EMAIL,)
    assert ada.standing.consent is None
    contact = roster.contact(service.vault, ada.id)
    assert contact is not None
    assert contact.email == ADA["email"]
    chosen = ada.choices
    assert (chosen.audiences, chosen.channels, chosen.language) == (("customers",), (Channel.EMAIL,), "de")
    assert (chosen.frequency, chosen.level) == (Frequency.START_AND_END, Level.PUBLIC)
    assert (chosen.time_zone, chosen.office_hours_only) == ("Europe/Berlin", True)
    event = Subscribed(
        choices=chosen, contact=ada.contact, address_tokens=ada.address_tokens, unconfirmed=ada.unconfirmed
    )
    [request] = requests(ada, event, AT, 0, wording.ours(), "Status", ("en", "de"))
    assert request.recipients == (ada.id,)
    assert all(b"example.com" not in (one.value or b"") + (one.key or b"") for one in service.published)


async def test_a_second_address_is_a_second_subscriber_with_its_own_confirmation(service: Service) -> None:
    await post(service, {**ADA, "phone": "+1 415 555 2671"})
    found = folded(service.published).subscribers.values()
    assert sorted(one.choices.channels for one in found) == [(Channel.EMAIL,), (Channel.SMS,)]


async def test_one_address_comes_to_one_subscriber_an_hour_and_the_answer_is_always_the_same(tmp_path: Path) -> None:
    now = [AT]
    async with serving(settings(tmp_path), lambda: now[0]) as service:
        first = await post(service, ADA)
        again = await post(service, {**ADA, "email": "Ada@EXAMPLE.com", "language": "en"})
        assert first == again
        assert len(service.published) == 2
        now[0] += timedelta(hours=1)
        assert await post(service, ADA) == first
        assert len(folded(service.published).subscribers) == 2, "what somebody confirmed before is not touched"


async def test_a_program_that_fills_in_what_no_person_sees_gets_the_same_answer_and_nothing_else(
    service: Service,
) -> None:
    assert await post(service, {**ADA, "website": "https://spam.example"}) == await post(service, ADA)
    assert len(service.published) == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"email": ""}, "wrong address"),
        ({"email": "no at sign"}, "wrong email"),
        ({"phone": "0151 1234"}, "wrong phone"),
        ({"time_zone": "Mars/Olympus"}, "wrong time_zone"),
        ({"level": "internal"}, "wrong other"),
        ({"language": "xx"}, "wrong other"),
        ({"frequency": "often"}, "wrong other"),
    ],
)
async def test_what_cannot_be_used_is_said_and_the_rest_stays_filled_in(
    service: Service, wrong: dict[str, str], said: str
) -> None:
    for language in LANGUAGES:
        status, page = await post(service, {**ADA, **wrong}, **{"Accept-Language": language})
        assert status == 400
        assert SIGN_UP[language][said] in page
        assert f'<html lang="{language}">' in page
        assert 'value="start_and_end" selected' in page or "frequency" in wrong
    assert service.published == []


async def test_hostile_text_is_shown_as_text(service: Service) -> None:
    _, page = await post(service, {**ADA, "email": '"><script>alert(1)</script>'})
    assert "<script" not in page
    assert "&lt;script&gt;" in page


async def test_a_form_that_another_site_sends_is_refused(service: Service) -> None:
    async with service.client.post(
        f"{service.url}/subscribe", data=ADA, headers={"Sec-Fetch-Site": "cross-site"}
    ) as answer:
        assert answer.status == 403
    assert service.published == []


async def test_a_client_asks_so_often_and_no_oftener(tmp_path: Path) -> None:
    async with serving(settings(tmp_path, signup_per_client_per_hour=8)) as service:
        found = [await post(service, {**ADA, "email": f"a{number}@example.com"}) for number in range(6)]
    assert [status for status, _ in found] == [200] * 4 + [429] * 2
    assert SIGN_UP["en"]["often text"] in found[-1][1]
    assert len(folded(service.published).subscribers) == 4


async def test_while_the_broker_is_away_nobody_is_told_that_a_message_is_on_its_way(service: Service) -> None:
    service.broker_up = False
    async with service.client.post(f"{service.url}/subscribe", data=ADA, headers={"Accept": "text/html"}) as answer:
        assert answer.status == 503
    service.broker_up = True
    assert (await post(service, ADA))[0] == 200
    assert len(service.published) == 2, "and it is not held against them"


async def test_there_is_no_form_unless_an_audience_is_named(tmp_path: Path) -> None:
    async with serving(settings(tmp_path, signup_audience=None)) as service:
        async with service.client.get(f"{service.url}/subscribe") as answer:
            assert answer.status == 404
        async with service.client.post(f"{service.url}/subscribe", data=ADA) as answer:
            assert answer.status == 404


async def test_no_number_is_asked_for_unless_texts_may_be_spent_on_it(tmp_path: Path) -> None:
    async with serving(settings(tmp_path, signup_sms=False)) as service:
        async with service.client.get(f"{service.url}/subscribe") as answer:
            assert 'name="phone"' not in await answer.text()
        await post(service, {**ADA, "phone": "+14155552671"})
        [ada] = folded(service.published).subscribers.values()
        assert ada.choices.channels == (Channel.EMAIL,)


def test_every_word_is_there_in_each_language() -> None:
    assert set(SIGN_UP) == set(PAGES) == set(WHAT) == set(LANGUAGES)
    assert all(set(pages) == set(PAGES["en"]) for pages in PAGES.values())
    assert all(set(what) == set(Channel) for what in WHAT.values())
    assert all(set(words) == set(SIGN_UP["en"]) for words in SIGN_UP.values())


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-CH,fr;q=0.9", "de"),
        ("fr, en;q=0.3, de;q=0.7", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("de;q=0", "en"),
        ("de;q=x, *", "en"),
    ],
)
def test_a_page_is_in_the_language_that_is_asked_for_most(accepted: str | None, language: str) -> None:
    assert language_of(accepted) == language


def test_all_clients_together_have_a_limit_and_one_more_does_not_cost_the_others() -> None:
    limits = Limits(per_client=4, in_all=12)
    taken = [limits.takes(f"10.0.0.{number}", AT) for number in range(8)]
    assert taken == [True] * 6 + [False] * 2
    assert limits.takes("10.0.0.7", AT + timedelta(minutes=11))


def test_a_network_of_ipv6_is_one_client() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1")
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network("::ffff:10.0.0.1") == network("10.0.0.1") == "10.0.0.1"
    assert network("testclient") == "testclient"
