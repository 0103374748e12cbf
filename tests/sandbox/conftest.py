"""The sandbox, a hand-turned clock, and the real clients that are pointed at it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from tweepy.asynchronous import AsyncClient
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client
from yarl import URL

from pipeline.sandbox import Sandbox
from pipeline.sandbox.server import ACCOUNT_SID, AUTH_TOKEN, X_KEYS
from tests.sandbox_fixture import sandbox  # noqa: F401


class HandClock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def turn(self, **by: float) -> None:
        self.moment += timedelta(**by)


class RewritingSession:
    """What tweepy uses of a session: sends what is meant for X's fixed host to the sandbox."""

    def __init__(self) -> None:
        self.base = ""

    async def __aenter__(self) -> "RewritingSession":
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def request(self, method: str, url: Any, **options: Any) -> Any:
        return self._session.request(method, URL(f"{self.base}{URL(url).raw_path_qs}", encoded=True), **options)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def twilio(sandbox: Sandbox) -> AsyncIterator[Client]:  # noqa: F811
    http = AsyncTwilioHttpClient()
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=http)
    client.api.base_url = sandbox.twilio_url
    yield client
    await http.session.close()


def x_client(session: RewritingSession, **changed: str) -> AsyncClient:
    names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    client = AsyncClient(**{name: X_KEYS[f"X_{name.upper()}"] for name in names} | changed)
    client.session = session
    return client


@pytest.fixture
async def x(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:  # noqa: F811
    async with RewritingSession() as session:
        session.base = sandbox.x_url
        yield x_client(session)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
