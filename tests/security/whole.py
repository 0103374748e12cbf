"""The running system with its web service as a process, for what can only be shown on the whole of it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from schemas import codec, topics
from schemas.base import Message
from tests.system import ROOMS, System, running

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@dataclass
class Whole:
    """A system, where its web service listens, and a client."""

    system: System
    web_url: str
    client: aiohttp.ClientSession

    @property
    def sandbox(self) -> Sandbox:
        """What keeps the truth."""
        return self.system.sandbox

    async def events_of(self, subscriber: str) -> list[Message]:
        """What stands on subscriber.events about one subscriber."""
        events = [codec.decode(record, Message) for record in await self.system.read(topics.SUBSCRIBER_EVENTS_TOPIC)]
        return [event.data for event in events if event.subject == subscriber]

    def link_in_mail_to(self, address: str) -> str:
        """The one-click link of the last mail to `address`, out of its header."""
        return self.system.link_in_mail_to(address)


@asynccontextmanager
async def whole(directory: Path, rooms: Iterable[str] = ROOMS, **env: str) -> AsyncIterator[Whole]:
    """A fresh system in `directory`; `env` are further TOCSIN_ settings of the rooms and of the web service."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(x_posts_per_window=10_000))
        system = await stack.enter_async_context(running(EmbeddedBroker(directory), sandbox, ()))
        system.env |= env
        await system.start(*rooms, "web")
        client = await stack.enter_async_context(aiohttp.ClientSession())
        yield Whole(system, system.settings.public_url, client)
