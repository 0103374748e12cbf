"""The service as it runs: real uvicorn on a free port, a real client; what it publishes is kept in a list."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from twilio.request_validator import RequestValidator

from pipeline.clock import Clock
from pipeline.errors import BrokerUnreachable
from pipeline.settings import Settings
from pipeline.vault import Vault
from pipeline.web.app import create_app
from pipeline.web.serve import bind, config_for
from schemas.codec import Outgoing

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
AUTH_TOKEN = "the auth token of the test suite"
PUBLIC = "https://status.example.com/tocsin"


@dataclass
class Service:
    """A running service and what it published; `broker_up` can be turned off."""

    url: str
    client: aiohttp.ClientSession
    vault: Vault
    published: list[Outgoing] = field(default_factory=list)
    broker_up: bool = True

    async def publish(self, outgoing: Outgoing) -> None:
        if not self.broker_up:
            raise BrokerUnreachable("no broker in this test")
        self.published.append(outgoing)

    async def as_twilio(self, path: str, form: dict[str, str], **headers: str) -> aiohttp.ClientResponse:
        signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC + path, form)
        return await self.client.post(self.url + path, data=form, headers={"X-Twilio-Signature": signature, **headers})


class _Server(uvicorn.Server):
    """Says when it listens, so that nobody has to look."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets=None) -> None:  # type: ignore[no-untyped-def]
        await super().startup(sockets)
        self.listens.set()


def settings(directory: Path, **said: Any) -> Settings:
    """Of a service that everything can be asked of."""
    given = {"partitions": 3, "public_url": PUBLIC, "twilio_auth_token": AUTH_TOKEN, "signup_audience": "customers"}
    return Settings(_env_file=None, data_dir=directory, **{**given, "signup_sms": True, **said})


@asynccontextmanager
async def serving(given: Settings, clock: Clock = lambda: AT) -> AsyncIterator[Service]:
    """A service for the length of a block."""
    vault, listening = Vault.open(given), bind("127.0.0.1", 0)
    async with aiohttp.ClientSession() as client:
        running = Service(f"http://127.0.0.1:{listening.getsockname()[1]}", client, vault)
        server = _Server(config_for(create_app(given, vault, running.publish, clock)))
        served = asyncio.create_task(server.serve(sockets=[listening]))
        await server.listens.wait()
        yield running
        server.should_exit = True
        await served


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(settings(tmp_path)) as running:
        yield running
