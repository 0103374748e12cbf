"""Posts on X: effectively once, because X refuses the same text twice."""

import asyncio
import html
import logging
import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import JSONDecodeError, loads
from typing import Any, Final

import aiohttp
from tweepy.asynchronous import AsyncClient
from tweepy.errors import HTTPException
from yarl import URL

from pipeline.channels.base import Allowance, Envelope, Mapped, Recipient, Sent, lookup, with_detail
from pipeline.channels.http import NETWORK_ERRORS, mapped_network_error, retry_after_s, session
from pipeline.clock import Clock, now
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from schemas.base import Channel
from schemas.delivery import Result
from schemas.rendering import PostContent

_LATER, _NEVER, _UNKNOWN = Result.RETRYABLE, Result.PERMANENT, Result.UNKNOWN

OUTCOMES: Final[Mapping[str, Mapped]] = {
    # HTTP statuses: docs.x.com/x-api/fundamentals/response-codes-and-errors. 403 carries no code, only words.
    "400": (_NEVER, "post_refused"),
    "401": (_LATER, "authentication_failed"),
    "402": (_LATER, "credits_used_up"),
    "403 duplicate": (_NEVER, "duplicate_refused"),
    "403 too long": (_NEVER, "text_too_long"),
    "403": (_NEVER, "post_refused"),
    "404": (_LATER, "base_url_wrong"),
    "408": (_UNKNOWN, "provider_trouble"),
    "429": (_LATER, "rate_limited"),
    "3xx": (_LATER, "base_url_wrong"),
    "4xx": (_NEVER, "post_refused"),
    "5xx": (_UNKNOWN, "provider_trouble"),
    "other": (_UNKNOWN, "answer_unreadable"),
}
"""HTTP status (and its words) -> our result and reason; broken requests are in `http.NETWORK`."""

_WORDS: Final = (("duplicate", re.compile(r"duplicate", re.IGNORECASE)), ("too long", re.compile(r"too long", re.I)))
_TALKATIVE: Final = ("tweepy.asynchronous.client", "tweepy.client", "oauthlib.oauth1.rfc5849")
_LINK: Final = re.compile(r"\S*(?:https?://|t\.co/)\S*")
_TIMELINE: Final = 50
_LIMITS: Final = (("x-rate-limit", 900.0), ("x-user-limit-24hour", 86400.0), ("x-app-limit-24hour", 86400.0))
"""How X's headers about a limit begin, and the seconds of its window: docs.x.com/fundamentals/rate-limits."""

_headers: ContextVar[Mapping[str, str]] = ContextVar("x_response_headers")
"""Of the call under way: tweepy gives back the content alone."""


@dataclass(frozen=True)
class XSettings:
    """The account's OAuth 1.0a keys; seconds."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)
    base_url: str | None
    connect_timeout_s: float = 5.0
    timeout_s: float = 20.0


def x_settings(settings: Settings) -> XSettings | None:
    """None without any key. Raises ConfigurationError naming what to set."""
    names = ("x_consumer_key", "x_consumer_secret", "x_access_token", "x_access_token_secret")
    keys = {name: getattr(settings, name) for name in names}
    missing = [f"TOCSIN_{name.upper()}" for name, value in keys.items() if value is None]
    if len(missing) == len(names):
        return None
    if missing:
        raise ConfigurationError(f"Posting on X needs all four keys of the account: set {', '.join(missing)}")
    values = {name.removeprefix("x_"): value.get_secret_value() for name, value in keys.items()}
    return XSettings(**values, base_url=settings.x_base_url)


def payload(envelope: Envelope) -> dict[str, Any]:
    """The arguments of `create_tweet`."""
    content = envelope.content
    if not isinstance(content, PostContent):
        raise TypeError(f"the X channel was given content for {content.channel}")
    return {"text": content.text, "user_auth": True}


def mapped(error: BaseException) -> Sent:
    """What an error of the client means for the post."""
    if not isinstance(error, HTTPException):
        return with_detail(mapped_network_error(error), code=None, detail=error)
    status, text = int(error.response.status), " ".join(str(message) for message in error.api_messages)
    words = [f"{status} {name}" for name, pattern in _WORDS if pattern.search(text)]
    keys = [*words, str(status), f"{status // 100}xx", "other"]
    return with_detail(lookup(OUTCOMES, keys), code=str(status), detail=text or error)


def until_reset_s(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds until a used-up limit is open again, by the headers of the window's and of the day's limits."""
    present = clock().timestamp()
    waits = [retry_after_s(headers, clock)]
    for limit, _ in _LIMITS:
        reset = headers.get(f"{limit}-reset", "")
        if reset.isdecimal() and headers.get(f"{limit}-remaining", "0") == "0":
            waits.append(max(0.0, float(reset) - present))
    return max((wait for wait in waits if wait is not None), default=None)


def allowances(headers: Mapping[str, str]) -> tuple[Allowance, ...]:
    """What X says is left of each of its limits; what it does not say, or not in numbers, is left out."""
    found = []
    for limit, window_s in _LIMITS:
        remaining, reset = headers.get(f"{limit}-remaining", ""), headers.get(f"{limit}-reset", "")
        if remaining.isdecimal() and reset.isdecimal():
            try:
                found.append(Allowance(window_s, int(remaining), datetime.fromtimestamp(int(reset), UTC)))
            except (ValueError, OverflowError, OSError):
                continue  # no moment of this calendar
    return tuple(found)


class _Answer(aiohttp.ClientResponse):
    """An answer whose JSON is always an object: tweepy stumbles over HTML (503) and over empty bodies (429)."""

    async def json(self, **_: Any) -> Any:
        _headers.set(self.headers)
        try:
            # `text`, not `read`: tweepy has released the answer by now, and a second `read` refuses then
            content = loads(await self.text("utf-8") or "{}")
        except (JSONDecodeError, UnicodeDecodeError):
            content = None
        return _tamed(content)


def _tamed(content: object) -> dict[str, Any]:
    """Only what has the type that tweepy takes for granted."""
    if not isinstance(content, dict):
        return {}
    types: dict[str, type | tuple[type, ...]] = {
        "data": (dict, list),
        "errors": list,
        "error": (str, dict),
        "detail": str,
    }
    kept = {name: content[name] for name, kind in types.items() if isinstance(content.get(name), kind)}
    if "errors" in kept:
        kept["errors"] = [error for error in kept["errors"] if isinstance(error, dict | str)]
    return kept


class Session:
    """What tweepy needs of a session: its `request`, here with the host rewritten. tweepy's own host is hard-coded."""

    def __init__(self, settings: XSettings) -> None:
        self._base = URL(settings.base_url) if settings.base_url else None
        self._inner = session(settings.connect_timeout_s, settings.timeout_s, _Answer)

    def request(self, method: str, url: str | URL, **options: Any) -> Any:
        """A request to the host that is set, in place of X's own."""
        # A URL that is a text is not encoded yet; tweepy hands over a signed one as URL, which must stay as it is.
        target = url if isinstance(url, URL) else URL(url)
        if self._base is not None:
            target = target.with_scheme(self._base.scheme).with_host(self._base.host or "").with_port(self._base.port)
        return self._inner.request(method, target, **options)

    async def close(self) -> None:
        """Closes the connections."""
        await self._inner.close()


class XSender:
    """One post at a time, so that they appear in order."""

    channel = Channel.X
    max_window = 1

    def __init__(self, settings: XSettings, *, clock: Clock = now) -> None:
        keep_credentials_out_of_logs()
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        # wait_on_rate_limit stays off: without a reset header it calls itself until the stack is full.
        self._client = AsyncClient(
            consumer_key=settings.consumer_key,
            consumer_secret=settings.consumer_secret,
            access_token=settings.access_token,
            access_token_secret=settings.access_token_secret,
            return_type=dict,
            wait_on_rate_limit=False,
        )

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        """See Sender. The account is one, so a rendering is posted once and every recipient gets its answer."""
        async with self._turn:
            sent = await self._post(payload(envelope))
        return [sent] * len(recipients)

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        """Posts the same text again: that it is refused as a duplicate shows that it had been accepted.

        Where X answers neither so nor so, the account's own timeline is looked at.
        """
        arguments = payload(envelope)
        async with self._turn:
            again = await self._post(arguments)
            if again.result is Result.ACCEPTED:
                return again._replace(reason="accepted_on_repeat")
            try:
                post_id = await self._on_timeline(arguments["text"])
            except (HTTPException, *NETWORK_ERRORS) as error:
                if again.reason == "duplicate_refused":
                    post_id = None
                else:
                    why = mapped(error)
                    return Sent(Result.UNKNOWN, "provider_cannot_be_asked", code=why.code, detail=why.detail)
        if again.reason == "duplicate_refused":
            return again._replace(result=Result.ACCEPTED, reason="duplicate_proves_acceptance", provider_id=post_id)
        if post_id is not None:
            return Sent(Result.ACCEPTED, "found_on_timeline", provider_id=post_id)
        if again.result is Result.RETRYABLE:
            return again._replace(reason="absent_on_timeline")
        return again

    async def close(self) -> None:
        """Closes the session."""
        if self._client.session is not None:
            await self._client.session.close()

    async def _post(self, arguments: Mapping[str, Any]) -> Sent:
        _headers.set({})
        try:
            answer = await self._bounded(self._client.create_tweet, **arguments)
        except (HTTPException, *NETWORK_ERRORS) as error:
            sent = mapped(error)._replace(allowances=allowances(_headers.get()))
            if sent.reason == "rate_limited" and isinstance(error, HTTPException):
                sent = sent._replace(retry_after_s=until_reset_s(error.response.headers, self._clock))
            return sent
        post_id = (answer.get("data") or {}).get("id")
        if not post_id:
            return Sent(Result.UNKNOWN, "answer_unreadable")
        left = allowances(_headers.get())
        return Sent(Result.ACCEPTED, "provider_accepted", code="201", provider_id=str(post_id), allowances=left)

    async def _on_timeline(self, text: str) -> str | None:
        """The id of the latest own post with this text."""
        user = self._settings.access_token.partition("-")[0]
        if not user.isdecimal():
            answer = await self._bounded(self._client.get_me)
            user = str((answer.get("data") or {}).get("id"))
        answer = await self._bounded(self._client.get_users_tweets, user, max_results=_TIMELINE, user_auth=True)
        wanted = _comparable(text)
        for post in answer.get("data") or ():
            if _comparable(str(post.get("text"))) == wanted:
                return str(post.get("id"))
        return None

    async def _bounded(self, call: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        if self._client.session is None:
            self._client.session = Session(self._settings)
        async with asyncio.timeout(self._settings.timeout_s):
            answer: dict[str, Any] = await call(*arguments, **options)
            return answer


def _comparable(text: str) -> str:
    """X gives texts back with &, < and > escaped and links shortened."""
    return " ".join(_LINK.sub("<link>", html.unescape(text)).split())


def keep_credentials_out_of_logs() -> None:
    """At DEBUG tweepy logs the Authorization header, and oauthlib what it signs: never, whatever level is set."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if _above_debug not in logger.filters:
            logger.addFilter(_above_debug)


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
