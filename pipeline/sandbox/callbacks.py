"""What Twilio does of its own accord: an SMS goes from status to status, and our web service is told, signed."""

import asyncio
from collections.abc import Mapping

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from pipeline.sandbox.faults import Fault
from pipeline.sandbox.truth import Callback, Inbound, Text, TextStatus, Truth

FATES = frozenset({"undelivered", "failed", "duplicate_callbacks", "reorder_callbacks", "stuck"})
"""The faults that concern what becomes of an accepted SMS."""

WAY = ("queued", "sending", "sent", "delivered")
UNKNOWN_HANDSET = 30005
TIMEOUT_S = 15.0
"""Twilio's own patience with a webhook."""


class Callbacks:
    """Moves SMS on and makes Twilio's requests. One try each: Twilio does not repeat a status callback either."""

    def __init__(self, truth: Truth, account_sid: str, auth_token: str) -> None:
        self._truth = truth
        self._account = account_sid
        self._validator = RequestValidator(auth_token)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Opens the session that all requests share."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))

    async def stop(self) -> None:
        """Drops what is under way: Twilio too may be gone at any time."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def begin(self, text: Text, fate: Fault | None) -> None:
        """Lets a new SMS go its way in the background. There is no callback for the first status."""
        if fate is not None and fate.kind == "stuck":
            return
        way = [status for status in WAY if status != text.statuses[0]]
        kind = fate.kind if fate is not None else ""
        code = None
        if kind == "undelivered":
            way[-1] = kind
        elif kind == "failed":
            way = [kind]
        if kind in {"undelivered", "failed"}:
            code = (fate.code if fate is not None else None) or UNKNOWN_HANDSET
        task = asyncio.create_task(
            self._go(text, way, code, times=2 if kind.startswith("duplicate") else 1, last_first=kind.startswith("re"))
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def progress(self, text: Text, statuses: tuple[str, ...], code: int | None) -> None:
        """Moves an SMS on by hand and returns when the callbacks were made."""
        await self._go(text, list(statuses), code, times=1, last_first=False)

    async def inbound(self, message: Inbound, url: str) -> Callback:
        """Tells our web service of an SMS that came in."""
        form = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsMessageSid": message.sid,
            "SmsStatus": "received",
            "AccountSid": self._account,
            "From": message.sender,
            "To": message.to,
            "Body": message.body,
            "NumMedia": "0",
            "NumSegments": "1",
            "ApiVersion": "2010-04-01",
        }
        return await self._post(message.sid, "received", url, form)

    async def _go(self, text: Text, way: list[str], code: int | None, *, times: int, last_first: bool) -> None:
        for status in way:
            last = status == way[-1]
            self._truth.keep(TextStatus, sid=text.sid, status=status, code=code if last else None)
            if not last_first:
                await self._report(text, status, code if last else None, times)
        if last_first:
            for status in reversed(way):
                await self._report(text, status, code if status == way[-1] else None, times)

    async def _report(self, text: Text, status: str, code: int | None, times: int) -> None:
        if text.status_callback is None:
            return
        form = {
            "MessageSid": text.sid,
            "MessageStatus": status,
            "SmsSid": text.sid,
            "SmsStatus": status,
            "AccountSid": self._account,
            "From": text.sender or "",
            "To": text.to,
            "ApiVersion": "2010-04-01",
        }
        if text.messaging_service_sid:
            form["MessagingServiceSid"] = text.messaging_service_sid
        if code is not None:
            form["ErrorCode"] = str(code)
        for _ in range(times):
            await self._post(text.sid, status, text.status_callback, form)

    async def _post(self, sid: str, status: str, url: str, form: Mapping[str, str]) -> Callback:
        """One signed request; that our side was not there is a fact to keep, not an error."""
        if self._session is None:
            raise RuntimeError("start the callbacks first")
        headers = {"X-Twilio-Signature": self._validator.compute_signature(url, form), "User-Agent": "TwilioProxy/1.1"}
        answer: int | None = None
        problem: str | None = None
        try:
            # encoded=True: the signature is over these very characters.
            async with self._session.post(URL(url, encoded=True), data=form, headers=headers) as response:
                answer = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = f"{type(error).__name__}: {error}"
        return self._truth.keep(Callback, sid=sid, status=status, url=url, http_status=answer, error=problem)
