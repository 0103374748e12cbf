"""The webhook channel against a real HTTP server; what it signs, the specification's own library verifies."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, WebhookVerificationError

from pipeline.channels.base import Recipient, Sent
from pipeline.channels.http import NETWORK
from pipeline.channels.webhook import (
    OUTCOMES,
    WebhookSender,
    WebhookSettings,
    answered,
    is_public,
    mapped,
    payload,
    webhook_settings,
)
from schemas.delivery import Result
from schemas.rendering import WebhookContent
from tests.channels.samples import EMAIL, envelope, reader
from tests.conftest import MakeSettings

SECRET = "whsec_" + "c2l4IHRpbWVzIG5pbmUgaXMgZm9ydHkgdHdv"
BODY = WebhookContent(text='{"type":"incident.opened","data":{"title":"Größer – 障害"}}')
AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def to(url: object, **changes: Any) -> Recipient:
    return reader(3, address=str(url), unsubscribe_url=None, name=None, secret=SECRET, **changes)


def sent_at(moment: datetime) -> Any:
    return replace(envelope(BODY), at=moment)


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A subscriber's program: keeps what came, and answers as it is told."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.came.append((dict(request.headers), await request.read()))
        if self.status == 0:
            await self.hold.wait()
        if self.status == -1 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=max(200, self.status), headers=self.headers)


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, Recipient]]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/hook", found.take)
    server = TestServer(app, handler_cancellation=True)
    await server.start_server()
    yield found, to(server.make_url("/hook?team=a%2Fb"))
    found.hold.set()
    await server.close()


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    """One that may reach this machine."""
    made = WebhookSender(WebhookSettings(private=True, timeout_s=0.3))
    yield made
    await made.close()


async def one(sender: WebhookSender, recipient: Recipient, moment: datetime | None = None) -> Sent:
    (answer,) = await sender.send(sent_at(moment or AT), [recipient])
    return answer


def told(answer: Sent) -> tuple[str, str]:
    return str(answer.result), answer.reason


async def test_what_comes_is_verified_by_the_specifications_own_library(
    receiver: tuple[Receiver, Recipient], sender: WebhookSender
) -> None:
    program, recipient = receiver
    assert told(await one(sender, recipient, datetime.now(UTC))) == ("accepted", "receiver_accepted")
    [(headers, body)] = program.came
    assert Webhook(SECRET).verify(body, headers)["data"]["title"] == "Größer – 障害"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"opened", b"closed"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlciE=").verify(body, headers)


def test_what_is_signed_is_what_the_library_signs() -> None:
    body, headers = payload(sent_at(AT), to("https://example.com/"), SECRET)
    signed = Webhook(SECRET).sign(headers["webhook-id"], AT, body.decode())
    assert headers["webhook-signature"] == signed
    assert headers["webhook-timestamp"] == str(int(AT.timestamp()))


async def test_a_repetition_has_the_same_id_and_a_moment_of_its_own(
    receiver: tuple[Receiver, Recipient], sender: WebhookSender
) -> None:
    program, recipient = receiver
    for moment in (AT, AT + timedelta(minutes=10)):
        await one(sender, recipient, moment)
    first, second = (headers for headers, _ in program.came)
    assert first["webhook-id"] == second["webhook-id"] == recipient.intent_id
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 600


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        (200, "accepted receiver_accepted"), (202, "accepted receiver_accepted"),
        (301, "retryable redirected"), (307, "retryable redirected"),
        (400, "retryable receiver_refused"), (404, "retryable receiver_refused"), (410, "permanent endpoint_gone"),
        (429, "retryable rate_limited"), (500, "retryable receiver_trouble"), (503, "retryable receiver_trouble"),
    ],
)  # fmt: skip
async def test_what_an_answer_means(
    receiver: tuple[Receiver, Recipient], sender: WebhookSender, status: int, ends: str
) -> None:
    program, recipient = receiver
    program.status, program.headers = status, {"Retry-After": "7", "Location": "/elsewhere"}
    answer = await one(sender, recipient)
    assert " ".join(told(answer)) == ends
    assert answer.retry_after_s == (7 if answer.result is Result.RETRYABLE else None)
    assert answer.opt_out is (status == 410)
    assert len(program.came) == 1, "redirects are not followed, and nothing is repeated unasked"


def test_an_answer_of_no_known_kind_is_tried_again() -> None:
    assert told(answered(999, {}, lambda: AT)) == ("retryable", "answer_unreadable")


async def test_who_hangs_is_left_after_the_bound_and_told_again_later(
    receiver: tuple[Receiver, Recipient], sender: WebhookSender
) -> None:
    program, recipient = receiver
    program.status = 0
    answer = await asyncio.wait_for(one(sender, recipient), 5)
    assert told(answer) == ("retryable", "timeout_after_request")
    assert len(program.came) == 1
    assert told(await sender.reconcile(sent_at(AT), recipient)) == ("retryable", "receiver_deduplicates")


async def test_a_connection_that_breaks_is_tried_again(
    receiver: tuple[Receiver, Recipient], sender: WebhookSender
) -> None:
    program, recipient = receiver
    program.status = -1
    assert told(await one(sender, recipient)) == ("retryable", "connection_lost_after_request")


async def test_a_port_where_nobody_listens_is_tried_again(sender: WebhookSender) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        answer = await one(sender, to(f"http://127.0.0.1:{free.getsockname()[1]}/secret-path"))
    assert told(answer) == ("retryable", "provider_unreachable")
    assert "secret-path" not in str(answer)
    assert "127.0.0.1" not in str(answer)


async def test_side_by_side_each_gets_its_own_answer(
    receiver: tuple[Receiver, Recipient], sender: WebhookSender
) -> None:
    program, recipient = receiver
    answers = await sender.send(sent_at(AT), [recipient, replace(recipient, secret=None)])
    assert [told(answer) for answer in answers] == [
        ("accepted", "receiver_accepted"), ("permanent", "secret_missing"),
    ]  # fmt: skip
    assert len(program.came) == 1


# --- private addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "0.0.0.0"])
async def test_this_machine_is_refused_however_it_is_written(receiver: tuple[Receiver, Recipient], host: str) -> None:
    program, recipient = receiver
    port = recipient.address.partition("127.0.0.1:")[2].partition("/")[0]
    guarded = WebhookSender(WebhookSettings(private=False, timeout_s=2))
    answer = await one(guarded, to(f"http://{host}:{port}/hook"))
    await guarded.close()
    assert answer.result is Result.PERMANENT
    assert answer.reason in {"address_not_allowed", "url_unusable"}  # aiohttp takes no host of digits alone
    assert program.came == []


async def test_a_name_that_leads_to_a_private_address_is_refused_by_what_is_connected_to(
    receiver: tuple[Receiver, Recipient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one address of several is private, so that the order of answers decides nothing."""
    program, _ = receiver
    asked: list[str] = []

    async def looked_up(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        asked.append(host)
        common = {"hostname": host, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [{**common, "host": "93.184.216.34"}, {**common, "host": "10.0.0.5"}]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", looked_up)
    guarded = WebhookSender(WebhookSettings(private=False, timeout_s=2))
    answer = await one(guarded, to("https://inside.example.com/"))
    await guarded.close()
    assert told(answer) == ("permanent", "address_not_allowed")
    assert asked == ["inside.example.com"]
    assert program.came == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True), ("64:ff9b::5db8:d822", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
        ("::1", False), ("fe80::1%eth0", False), ("fd00::1", False), ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::1", False), ("64:ff9b::0a00:0001", False),
    ],
)  # fmt: skip
def test_which_addresses_are_of_the_internet_at_large(address: str, public: bool) -> None:
    assert is_public(address) is public


# --- tables and settings


MADE_BY_A_CONNECTION = (aiohttp.ClientConnectorError, aiohttp.InvalidURL)


@pytest.mark.parametrize("kind", [kind for kind, _ in NETWORK if not issubclass(kind, MADE_BY_A_CONNECTION)])
def test_no_broken_request_leaves_anybody_in_the_dark(kind: type[BaseException]) -> None:
    assert mapped(kind("broken"), to("https://example.com/")).result is Result.RETRYABLE


def test_every_outcome_is_one_that_a_sender_may_give() -> None:
    assert {result for result, _ in OUTCOMES.values()} == {Result.ACCEPTED, Result.RETRYABLE, Result.PERMANENT}


def test_content_of_another_channel_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="email"):
        payload(envelope(EMAIL), to("https://example.com/"), SECRET)


def test_it_is_off_unless_it_is_set(make_settings: MakeSettings) -> None:
    assert webhook_settings(make_settings()) is None
    assert webhook_settings(make_settings(webhooks="1")) == WebhookSettings(private=False)
