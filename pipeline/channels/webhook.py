"""Signed webhooks to a subscriber's own program: at least once, with one id by which the receiver knows a second time.

Signed as Standard Webhooks has it (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md):
HMAC-SHA256 over `id.timestamp.body`. The id is the intent's, so that a repetition has the same.
"""

import asyncio
import base64
import hmac
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from pipeline.addresses import SECRET_PREFIX
from pipeline.channels.base import Envelope, Mapped, Recipient, Sent, lookup, with_detail
from pipeline.channels.http import NETWORK_ERRORS, mapped_network_error, retry_after_s, session
from pipeline.clock import Clock, now
from pipeline.settings import Settings
from schemas.base import Channel
from schemas.delivery import Result
from schemas.rendering import WebhookContent

_LATER, _NEVER = Result.RETRYABLE, Result.PERMANENT

OUTCOMES: Final[Mapping[str, Mapped]] = {
    "2xx": (Result.ACCEPTED, "receiver_accepted"),
    # The specification's word for an endpoint that wants nothing more.
    "410": (_NEVER, "endpoint_gone"),
    "429": (_LATER, "rate_limited"),
    # Not followed: where it leads nobody has vouched for.
    "3xx": (_LATER, "redirected"),
    # Of what their program refuses or stumbles over, somebody there may mend the cause.
    "4xx": (_LATER, "receiver_refused"),
    "5xx": (_LATER, "receiver_trouble"),
    "other": (_LATER, "answer_unreadable"),
    "forbidden": (_NEVER, "address_not_allowed"),
    "unusable": (_NEVER, "url_unusable"),
    "unsigned": (_NEVER, "secret_missing"),
}
"""HTTP status -> our result and reason. No end is unknown: the receiver knows a repetition by its id."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""


@dataclass(frozen=True)
class WebhookSettings:
    """`private`: whether this machine and private networks may be reached. Seconds."""

    private: bool
    connect_timeout_s: float = 5.0
    timeout_s: float = 15.0


def webhook_settings(settings: Settings) -> WebhookSettings | None:
    """None unless TOCSIN_WEBHOOKS is set."""
    return WebhookSettings(settings.webhook_private_addresses) if settings.webhooks else None


class Forbidden(Exception):
    """The URL's host is an address that webhooks must not reach."""


def payload(envelope: Envelope, recipient: Recipient, secret: str) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of one request; the moment that is signed is this attempt's."""
    content = envelope.content
    if not isinstance(content, WebhookContent):
        raise TypeError(f"the webhook channel was given content for {content.channel}")
    body, moment = content.text.encode(), str(int(envelope.at.timestamp()))
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signature = hmac.digest(key, f"{recipient.intent_id}.{moment}.".encode() + body, "sha256")
    return body, {
        "content-type": "application/json",
        "user-agent": "Tocsin",
        "webhook-id": recipient.intent_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def mapped(error: BaseException, recipient: Recipient) -> Sent:
    """What an error of the client means: to be tried again, unless it is the address that is wrong."""
    if isinstance(error, Forbidden):
        return with_detail(OUTCOMES["forbidden"], code=None, detail="a private address, or this machine's own")
    if isinstance(error, aiohttp.InvalidURL):
        return Sent(*OUTCOMES["unusable"])
    _, reason = mapped_network_error(error)
    personal = (recipient.address, URL(recipient.address).host)
    return with_detail((_LATER, reason), code=None, detail=error, personal=personal)


def answered(status: int, headers: Mapping[str, str], clock: Clock) -> Sent:
    """What the receiver's answer means."""
    result, reason = lookup(OUTCOMES, [str(status), f"{status // 100}xx", "other"])
    wait_s = retry_after_s(headers, clock) if result is _LATER else None
    return Sent(result, reason, code=str(status), retry_after_s=wait_s, opt_out=reason == "endpoint_gone")


def is_public(address: str) -> bool:
    """Whether it is an address of the internet at large, whatever it is wrapped in."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        found = inner or found
    return found.is_global and not found.is_multicast


class _Guarded(AbstractResolver):
    """Looks names up, and refuses one that leads to a private address. What it gives is what is connected to, so that
    a name which leads elsewhere at the second look changes nothing.
    """

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(one["host"]) for one in found):
            raise Forbidden
        return found

    async def close(self) -> None:
        await self._inner.close()


class WebhookSender:
    """One request per call; calls may run side by side."""

    channel = Channel.WEBHOOK
    max_window = 1

    def __init__(self, settings: WebhookSettings, *, clock: Clock = now) -> None:
        self._settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        """See Sender."""
        return [await self._send(envelope, recipient) for recipient in recipients]

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        """Nobody need be asked: the receiver knows a repetition by its id."""
        return Sent(_LATER, "receiver_deduplicates")

    async def close(self) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, envelope: Envelope, recipient: Recipient) -> Sent:
        if recipient.secret is None:
            return Sent(*OUTCOMES["unsigned"])
        body, headers = payload(envelope, recipient, recipient.secret)
        try:
            url = self._allowed(URL(recipient.address))
            async with asyncio.timeout(self._settings.timeout_s):
                async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                    return answered(answer.status, answer.headers, self._clock)
        except Forbidden as error:
            return mapped(error, recipient)
        except NETWORK_ERRORS as error:
            return mapped(error, recipient)

    def _allowed(self, url: URL) -> URL:
        """A host that is an address is never looked up, so it is judged here. Raises Forbidden."""
        try:
            public = is_public(url.host or "")
        except ValueError:
            return url  # a name: the resolver judges what it leads to
        if not public and not self._settings.private:
            raise Forbidden
        return url

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = None if self._settings.private else _Guarded()
            connector = aiohttp.TCPConnector(resolver=resolver, limit=0, force_close=True)
            bounds = (self._settings.connect_timeout_s, self._settings.timeout_s)
            self._session = session(*bounds, aiohttp.ClientResponse, connector)
        return self._session
