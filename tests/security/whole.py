"""The running system with its web service as a process, for what can only be shown on the whole of it."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pipeline.broker import runfile
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from pipeline.settings import REPOSITORY
from pipeline.supervisor import with_web_port
from schemas import codec, topics
from schemas.base import Message
from tests.system import ROOMS, System, eventually, running

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
        mail = next(mail for mail in reversed(self.sandbox.mails) if mail.recipients == (address,))
        found = re.fullmatch("<(http[^>]*)>", mail.header("List-Unsubscribe") or "")
        assert found is not None
        return found[1]


@asynccontextmanager
async def whole(directory: Path, rooms: Iterable[str] = ROOMS, **env: str) -> AsyncIterator[Whole]:
    """A fresh system in `directory`; `env` are further TOCSIN_ settings of the rooms and of the web service."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(x_posts_per_window=10_000))
        system = await stack.enter_async_context(running(EmbeddedBroker(directory), sandbox, ()))
        settings = with_web_port(system.settings.model_copy(update={"web_port": 0}))
        system.env |= {"TOCSIN_WEB_PORT": str(settings.web_port), "TOCSIN_PUBLIC_URL": settings.public_url, **env}
        await asyncio.gather(system.start(*rooms), _start_web(system))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        yield Whole(system, settings.public_url, client)


async def _start_web(system: System) -> None:
    logs = system.settings.data_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "web-1.log").open("ab") as log:
        system.processes["web-1"] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pipeline.cli", "web",
            cwd=REPOSITORY, env={**os.environ, **system.env}, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    ready = system.settings.data_dir / "run" / "web.ready"

    async def listens() -> bool:
        return runfile.read_live(ready) is not None

    await eventually(listens, 30, f"the web service listens; its log: {system.log('web')}")
