"""The doubles speak as the providers' own descriptions say, to clients that ask as these say."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jsonschema
import pytest
from tweepy.asynchronous import AsyncClient
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from pipeline.sandbox import Sandbox
from pipeline.sandbox.server import ACCOUNT_SID, AUTH_TOKEN, NUMBER
from tests.paths import needs_specs
from tests.sandbox.conftest import RewritingSession, x_client
from tests.sandbox.openapi import check, spec

pytestmark = needs_specs

TWILIO = "twilio-messages.openapi.json"
MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
MESSAGE = "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"
X = "x-posts.openapi.json"
TO = "+15551234567"
SERVICE = "MG" + "0a" * 16


def answer_schema(name: str, path: str, method: str, status: str) -> dict[str, Any]:
    schema: dict[str, Any] = spec(name)["paths"][path][method]["responses"][status]["content"]["application/json"]
    return schema["schema"]


class Listening(AsyncTwilioHttpClient):
    """Twilio's own client, which also keeps what it asked and what it was answered."""

    async def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        self.asked = options.get("data") or (args[1] if len(args) > 1 else None)
        self.answer = await super().request(method, url, *args, **options)
        return self.answer


@pytest.fixture
async def twilio_http() -> AsyncIterator[Listening]:
    http = Listening()
    yield http
    await http.session.close()


@pytest.fixture
def twilio(sandbox: Sandbox, twilio_http: Listening) -> Client:
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=twilio_http)
    client.api.base_url = sandbox.twilio_url
    return client


@pytest.mark.parametrize("sender", [{"from_": NUMBER}, {"messaging_service_sid": SERVICE}])
async def test_a_created_message_is_as_twilio_describes_it(
    sandbox: Sandbox, twilio: Client, twilio_http: Listening, sender: dict[str, str]
) -> None:
    await twilio.messages.create_async(
        to=TO, body="Checkout is down.", status_callback="http://127.0.0.1:9/", validity_period=600, **sender
    )
    form = spec(TWILIO)["paths"][MESSAGES]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
    asked = {name: value for name, value in twilio_http.asked.items() if isinstance(value, str | int)}
    check(TWILIO, form["schema"], asked)
    assert asked["To"] == TO
    created = _json(twilio_http)
    check(TWILIO, answer_schema(TWILIO, MESSAGES, "post", "201"), created)
    described = spec(TWILIO)["components"]["schemas"]["api.v2010.account.message"]["properties"]
    assert created.keys() == described.keys()


@pytest.mark.parametrize("fate", ["stuck", "undelivered", "failed"])
async def test_a_listed_and_a_fetched_message_are_as_twilio_describes_them(
    sandbox: Sandbox, twilio: Client, twilio_http: Listening, fate: str
) -> None:
    sandbox.fault("twilio", fate)
    message = await twilio.messages.create_async(to=TO, body="x", from_=NUMBER)
    await twilio.messages(message.sid).fetch_async()
    check(TWILIO, answer_schema(TWILIO, MESSAGE, "get", "200"), _json(twilio_http))
    await twilio.messages.list_async(to=TO)
    check(TWILIO, answer_schema(TWILIO, MESSAGES, "get", "200"), _json(twilio_http))


@pytest.mark.parametrize(
    ("code", "status"), [("21211", "400"), ("21610", "400"), ("21611", "400"), ("20429", "429"), ("20503", "503")]
)
async def test_an_error_is_twilios_own_example(
    sandbox: Sandbox, twilio: Client, twilio_http: Listening, code: str, status: str
) -> None:
    sandbox.fault("twilio", "error", code=int(code), retry_after=2)
    with pytest.raises(TwilioRestException):
        await twilio.messages.create_async(to=TO, body="x", from_=NUMBER)
    described = spec(TWILIO)["paths"][MESSAGES]["post"]["responses"][status]["content"]["application/json"]
    check(TWILIO, described["schema"], _json(twilio_http))
    assert _json(twilio_http) == described["examples"][code]["value"]
    assert str(twilio_http.answer.status_code) == status


class ListeningSession(RewritingSession):
    """Keeps what tweepy asked."""

    def request(self, method: str, url: Any, **options: Any) -> Any:
        self.asked = options.get("json")
        return super().request(method, url, **options)


@pytest.fixture
async def x_session(sandbox: Sandbox) -> AsyncIterator[ListeningSession]:
    async with ListeningSession() as session:
        session.base = sandbox.x_url
        yield session


@pytest.fixture
def x(x_session: ListeningSession) -> AsyncClient:
    client = x_client(x_session)
    client.return_type = aiohttp.ClientResponse
    return client


async def test_posts_and_their_answers_are_as_x_describes_them(x: AsyncClient, x_session: ListeningSession) -> None:
    body = spec(X)["paths"]["/2/tweets"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    created = await (await x.create_tweet(text="Checkout is down.")).json()
    check(X, body, x_session.asked)
    check(X, answer_schema(X, "/2/tweets", "post", "201"), created)
    reply = await (await x.create_tweet(text="Back.", in_reply_to_tweet_id=created["data"]["id"])).json()
    check(X, body, x_session.asked)
    check(X, answer_schema(X, "/2/tweets", "post", "201"), reply)


async def test_the_account_and_its_timeline_are_as_x_describes_them(x: AsyncClient) -> None:
    me = await (await x.get_me(user_auth=True)).json()
    check(X, answer_schema(X, "/2/users/me", "get", "200"), me)
    timeline = answer_schema(X, "/2/users/{id}/tweets", "get", "200")
    empty = await (await x.get_users_tweets(me["data"]["id"], user_auth=True)).json()
    check(X, timeline, empty)
    assert empty == {"meta": {"result_count": 0}}
    await x.create_tweet(text="Checkout is down.")
    full = await x.get_users_tweets(me["data"]["id"], user_auth=True, tweet_fields=["created_at", "author_id"])
    check(X, timeline, await full.json())


async def test_an_invalid_request_is_the_problem_that_x_describes(
    x: AsyncClient, x_session: ListeningSession, sandbox: Sandbox
) -> None:
    headers = {
        "Authorization": "OAuth "
        + ", ".join(
            f'{name}="{value}"'
            for name, value in {
                "oauth_consumer_key": x.consumer_key,
                "oauth_token": x.access_token,
                "oauth_signature": "x",
                "oauth_nonce": "x",
                "oauth_timestamp": "1",
            }.items()
        )
    }
    for body in ({}, {"text": "x", "reply": {"in_reply_to_tweet_id": "not a number"}}):
        async with x_session.request("POST", "https://api.x.com/2/tweets", json=body, headers=headers) as response:
            assert response.status == 400
            check(X, {"$ref": "#/components/schemas/Problem"}, await response.json())


def test_the_check_itself_refuses_what_is_wrong() -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(X, answer_schema(X, "/2/tweets", "post", "201"), {"data": {"id": "x", "text": 1}})
    with pytest.raises(jsonschema.ValidationError):
        check(TWILIO, answer_schema(TWILIO, MESSAGES, "post", "201"), {"status": "lost"})


def _json(http: Listening) -> Any:
    return json.loads(http.answer.text)
