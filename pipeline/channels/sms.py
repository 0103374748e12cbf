"""Text messages through Twilio: at most once after it accepted one."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any, Final

import aiohttp
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from pipeline.channels.base import Envelope, Mapped, Recipient, Sent, lookup, with_detail
from pipeline.channels.http import NETWORK_ERRORS, mapped_network_error, retry_after_s, session
from pipeline.clock import Clock, now
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from schemas.base import Channel
from schemas.delivery import Result
from schemas.rendering import SmsContent

_LATER, _NEVER, _UNKNOWN = Result.RETRYABLE, Result.PERMANENT, Result.UNKNOWN

OUTCOMES: Final[Mapping[str, Mapped]] = {
    # Twilio's own codes: twilio.com/docs/api/errors.
    "20003": (_LATER, "authentication_failed"),
    "20404": (_LATER, "account_unknown"),
    "20429": (_LATER, "rate_limited"),
    "14107": (_LATER, "rate_limited"),
    "21211": (_NEVER, "number_invalid"),
    "21214": (_NEVER, "number_unreachable"),
    "21217": (_NEVER, "number_invalid"),
    "21265": (_NEVER, "number_invalid"),
    "21408": (_NEVER, "region_not_permitted"),
    "21602": (_NEVER, "text_missing"),
    "21604": (_NEVER, "number_missing"),
    "21605": (_NEVER, "text_too_long"),
    "21617": (_NEVER, "text_too_long"),
    "21610": (_NEVER, "opted_out_at_provider"),
    "21611": (_LATER, "queue_full"),
    "21612": (_NEVER, "number_unreachable"),
    "21614": (_NEVER, "number_not_mobile"),
    "21635": (_NEVER, "number_not_mobile"),
    # Ours to mend, so worth another try: the sender, the callback, the Messaging Service, the account.
    "21212": (_LATER, "sender_refused"),
    "21603": (_LATER, "sender_refused"),
    "21606": (_LATER, "sender_refused"),
    "21607": (_LATER, "sender_refused"),
    "21659": (_LATER, "sender_refused"),
    "21660": (_LATER, "sender_refused"),
    "21703": (_LATER, "sender_refused"),
    "21704": (_LATER, "sender_refused"),
    "21705": (_LATER, "sender_refused"),
    "21609": (_LATER, "callback_refused"),
    "30002": (_LATER, "account_suspended"),
    # Of messages that were accepted and then failed: never twice, unless Twilio itself dropped it unsent.
    "30001": (_LATER, "queue_full"),
    "30003": (_NEVER, "handset_unreachable"),
    "30004": (_NEVER, "blocked_at_carrier"),
    "30005": (_NEVER, "number_unknown"),
    "30006": (_NEVER, "number_not_mobile"),
    "30007": (_NEVER, "filtered_by_carrier"),
    "30008": (_NEVER, "undelivered"),
    "failed": (_NEVER, "undelivered"),
    # HTTP statuses without a code of the above. After a 5xx the message may exist (no idempotency key).
    "http 401": (_LATER, "authentication_failed"),
    "http 403": (_LATER, "authentication_failed"),
    "http 408": (_UNKNOWN, "provider_trouble"),
    "http 429": (_LATER, "rate_limited"),
    "http 3xx": (_LATER, "base_url_wrong"),
    "http 4xx": (_NEVER, "provider_refused"),
    "http 5xx": (_UNKNOWN, "provider_trouble"),
    "http": (_UNKNOWN, "answer_unreadable"),
}
"""Error code or HTTP status -> our result and reason; broken requests are in `http.NETWORK`."""

OPT_OUT: Final = "opted_out_at_provider"
_GONE_WRONG: Final = frozenset({"failed", "undelivered", "canceled"})
"""Statuses of an accepted message that did not arrive; all others are of one that did, or still may."""

LOOKBACK: Final = timedelta(hours=24)
"""How old the message of an unknown attempt can be: nothing is tried for longer."""

_headers: ContextVar[Mapping[str, str]] = ContextVar("twilio_response_headers")
"""Of the call under way: the library's exceptions do not carry them."""


@dataclass(frozen=True)
class SmsSettings:
    """The account and who sends; `validity_s` bounds Twilio's queue: an old notice is worse than none. Seconds."""

    account_sid: str
    auth_token: str = field(repr=False)
    sender: str | None
    messaging_service_sid: str | None
    base_url: str | None
    validity_s: int = 3600
    connect_timeout_s: float = 5.0
    timeout_s: float = 20.0


def sms_settings(settings: Settings) -> SmsSettings | None:
    """None without any TOCSIN_TWILIO_… account setting. Raises ConfigurationError naming what to set."""
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    if sid is None and token is None:
        return None
    if sid is None:
        raise ConfigurationError("TOCSIN_TWILIO_AUTH_TOKEN is set but TOCSIN_TWILIO_ACCOUNT_SID is not: set both")
    if token is None:
        raise ConfigurationError("TOCSIN_TWILIO_ACCOUNT_SID is set but TOCSIN_TWILIO_AUTH_TOKEN is not: set both")
    if not settings.twilio_from and not settings.twilio_messaging_service_sid:
        raise ConfigurationError(
            "Text messages have no sender: set TOCSIN_TWILIO_FROM or TOCSIN_TWILIO_MESSAGING_SERVICE_SID"
        )
    return SmsSettings(
        account_sid=sid,
        auth_token=token.get_secret_value(),
        sender=settings.twilio_from,
        messaging_service_sid=settings.twilio_messaging_service_sid,
        base_url=settings.twilio_base_url,
    )


def payload(envelope: Envelope, recipient: Recipient, settings: SmsSettings, callback_url: str) -> dict[str, Any]:
    """The arguments of `messages.create`. A Messaging Service chooses its own sender."""
    content = envelope.content
    if not isinstance(content, SmsContent):
        raise TypeError(f"the SMS channel was given content for {content.channel}")
    service = settings.messaging_service_sid
    return {
        "to": recipient.address,
        "body": content.text,
        "status_callback": callback_url,
        "validity_period": settings.validity_s,
        **({"messaging_service_sid": service} if service else {"from_": settings.sender}),
    }


def mapped(error: BaseException, recipient: Recipient | None = None) -> Sent:
    """What an error of the client means for the message."""
    personal = (recipient.address, recipient.name) if recipient else ()
    if isinstance(error, TwilioRestException):
        code, status, text = error.code, error.status, error.msg
    elif isinstance(error, TwilioServiceException):
        code, status, text = error.code, error.status, f"{error.title}: {error.detail or ''}"
    else:
        return with_detail(mapped_network_error(error), code=None, detail=error, personal=personal)
    return _mapped_code(code, status, text, personal)


def _mapped_code(code: object, status: int, text: object, personal: Sequence[str | None]) -> Sent:
    result = lookup(OUTCOMES, [str(code), f"http {status}", f"http {status // 100}xx", "http"])
    sent = with_detail(result, code=str(code), detail=text, personal=personal)
    if sent.reason == OPT_OUT:
        return Sent(sent.result, sent.reason, code=sent.code, detail=sent.detail, opt_out=True)
    return sent


class BoundedHttpClient(AsyncTwilioHttpClient):  # type: ignore[misc]
    """The library's client with a time-out that holds, the answer's headers kept, no retries and no logged bodies.

    The original ignores its `timeout`, and its `max_retries` posts again after a 5xx: the same text twice.
    """

    def __init__(self, connect_timeout_s: float, timeout_s: float) -> None:
        super().__init__(pool_connections=False)
        self.session: aiohttp.ClientSession | None = None
        self._bounds = (connect_timeout_s, timeout_s)

    async def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One request, within the bounds given at the start. Raises TimeoutError, aiohttp's errors and ValueError."""
        connect_s, whole_s = self._bounds
        if self.session is None:
            self.session = session(connect_s, whole_s, aiohttp.ClientResponse)
        async with asyncio.timeout(whole_s):
            async with self.session.request(
                method,
                url,
                params=params,
                data=data,
                headers={**(headers or {}), **_basic(auth)},
                allow_redirects=allow_redirects,
            ) as answer:
                _headers.set(answer.headers)
                text = await answer.text()
        if answer.ok and not isinstance(json.loads(text), dict):
            raise ValueError("a JSON object was expected")
        return Response(answer.status, text, answer.headers)


def _basic(auth: tuple[str, str] | None) -> dict[str, str]:
    """RFC 7617. aiohttp's own way of passing it is deprecated."""
    return {"Authorization": f"Basic {b64encode(':'.join(auth).encode()).decode()}"} if auth else {}


class SmsSender:
    """One message per call; calls may run side by side."""

    channel = Channel.SMS
    max_window = 1

    def __init__(self, settings: SmsSettings, callback_url: Callable[[str, int], str], *, clock: Clock = now) -> None:
        self._settings = settings
        self._callback_url = callback_url
        self._clock = clock
        self._http = BoundedHttpClient(settings.connect_timeout_s, settings.timeout_s)
        self._client = Client(settings.account_sid, settings.auth_token, http_client=self._http)
        if settings.base_url:
            self._client.api.base_url = settings.base_url

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        """See Sender."""
        return [await self._send(envelope, recipient) for recipient in recipients]

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        """Lists what went to the number and looks for this text.

        Not by date sent, which a message has only once it was. The same text for another incident within a day would
        be taken for this one: then the person has read it already.
        """
        content = payload(envelope, recipient, self._settings, "")
        try:
            messages = await self._client.messages.list_async(to=recipient.address, limit=100, page_size=100)
        except (TwilioRestException, TwilioServiceException, *NETWORK_ERRORS) as error:
            why = mapped(error, recipient)
            return Sent(Result.UNKNOWN, "provider_cannot_be_asked", code=why.code, detail=why.detail)
        since = envelope.at - LOOKBACK
        for message in messages:
            made = message.date_created
            if message.body == content["body"] and (made is None or made.replace(tzinfo=made.tzinfo or UTC) >= since):
                return _found(message, recipient)
        return Sent(Result.RETRYABLE, "absent_at_provider")

    async def close(self) -> None:
        """Closes the session."""
        await self._http.close()

    async def _send(self, envelope: Envelope, recipient: Recipient) -> Sent:
        arguments = payload(
            envelope, recipient, self._settings, self._callback_url(recipient.intent_id, recipient.partition)
        )
        _headers.set({})
        try:
            message = await self._client.messages.create_async(**arguments)
        except (TwilioRestException, TwilioServiceException, *NETWORK_ERRORS) as error:
            sent = mapped(error, recipient)
            if sent.result is not Result.RETRYABLE:
                return sent
            wait = retry_after_s(_headers.get(), self._clock)
            return Sent(sent.result, sent.reason, code=sent.code, detail=sent.detail, retry_after_s=wait)
        if not message.sid:
            return Sent(Result.UNKNOWN, "answer_unreadable")
        return Sent(Result.ACCEPTED, "provider_accepted", code=str(message.status), provider_id=message.sid)


def _found(message: Any, recipient: Recipient) -> Sent:
    """What the message that an unknown attempt had left behind has become."""
    if message.status not in _GONE_WRONG:
        return Sent(Result.ACCEPTED, "found_at_provider", code=str(message.status), provider_id=message.sid)
    result, reason = lookup(OUTCOMES, [str(message.error_code), "failed"])
    return Sent(
        result,
        reason,
        code=str(message.error_code or message.status),
        detail=with_detail(
            (result, reason), code=None, detail=message.error_message or "", personal=(recipient.address,)
        ).detail,
        provider_id=message.sid,
        opt_out=reason == OPT_OUT,
    )
