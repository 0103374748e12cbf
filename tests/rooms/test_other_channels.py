"""Webhooks and Apprise on the whole way: policy, fan-out, the rooms' senders, and a receiver that has had enough."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from schemas import codec, topics
from schemas.base import Severity
from schemas.incident import IncidentOpened
from schemas.policy import PolicyPublished, hash_of
from tests.system import System, plain_policy, running

pytestmark = pytest.mark.slow  # a broker and two rooms

OPENED = IncidentOpened(title="Card payments fail", severity=Severity.MAJOR, summary="One card payment in five fails.")
SECRET = "whsec_" + "c2l4IHRpbWVzIG5pbmUgaXMgZm9ydHkgdHdv"
SET = {"TOCSIN_WEBHOOKS": "1", "TOCSIN_WEBHOOK_PRIVATE_ADDRESSES": "1", "TOCSIN_APPRISE": "1"}
MAIL = "      email: every notice\n"


class Receivers:
    """A program with a webhook, and a Gotify server."""

    def __init__(self) -> None:
        self.status = 204
        self.hooks: list[tuple[dict[str, str], bytes]] = []
        self.pushed: list[dict[str, str]] = []
        app = web.Application()
        app.add_routes([web.post("/hook", self.hook), web.post("/message", self.push)])
        self.server = TestServer(app)

    async def hook(self, request: web.Request) -> web.Response:
        self.hooks.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status)

    async def push(self, request: web.Request) -> web.Response:
        self.pushed.append(await request.json())
        return web.json_response({})


@pytest.fixture
async def receivers() -> AsyncIterator[Receivers]:
    found = Receivers()
    await found.server.start_server()
    yield found
    await found.server.close()


def with_every_channel(directory: Path) -> PolicyPublished:
    plain = plain_policy(directory)
    documents = dict(plain.documents)
    assert MAIL in documents["audiences.yaml"]
    more = "".join(MAIL.replace("email", channel) for channel in ("email", "webhook", "apprise"))
    documents["audiences.yaml"] = documents["audiences.yaml"].replace(MAIL, more)
    return plain.model_copy(update={"documents": documents, "hash": hash_of(documents)})


async def publish_policy(system: System) -> None:
    published = with_every_channel(system.settings.policy_dir)
    await system.write(
        codec.encode(topics.POLICIES, published, id=published.hash, source="/tests", subject=published.name)
    )


async def test_a_program_and_a_telephone_are_told_and_who_is_gone_is_left_alone(
    tmp_path: Path, receivers: Receivers
) -> None:
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path), sandbox, ()) as system:
        await publish_policy(system)
        await system.start("decide", "deliver", env=SET)
        hook = str(receivers.server.make_url("/hook"))
        await system.subscribe("program", webhook_url=hook, webhook_secret=SECRET)
        await system.subscribe("telephone", apprise_url=f"gotify://127.0.0.1:{receivers.server.port}/token")
        await system.publish("INC-1", OPENED)
        found = await system.all_settled(2)
        assert found.reasons == {"receiver_accepted": 1, "service_accepted": 1}
        [(headers, body)] = receivers.hooks
        told = Webhook(SECRET).verify(body, headers)
        assert (told["type"], told["data"]["facts"]["title"]) == ("incident.opened", "Card payments fail")
        assert "One card payment in five fails." in receivers.pushed[0]["message"]

        receivers.status = 410
        await system.publish("INC-2", OPENED)
        await system.all_settled(4)
        await system.publish("INC-3", OPENED)
        found = await system.all_settled(6)
        assert (found.reasons["endpoint_gone"], found.reasons["stopped"]) == (1, 1)
        assert len(receivers.hooks) == 2
