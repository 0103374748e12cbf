"""What holds for every request: a limit on the body before anything reads it, headers that forbid, one line of log.

The log names the route, never the path or the query: these carry tokens.
"""

import asyncio
import logging
import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT_S = 10.0
"""How long a client may take to send its body; what we expect fits into one packet."""

log = logging.getLogger("tocsin.web")


class Shield:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp, headers: Iterable[tuple[str, str]]) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        try:
            body, refusal = await _body(scope, receive)
            if refusal is None:
                await self._app(scope, _replay(body, receive), guarded_send)
            else:
                await _refuse(guarded_send, *refusal)
        finally:
            route = getattr(scope.get("route"), "path", "(none)")
            took_ms = round((time.perf_counter() - began) * 1000, 1)
            log.info("request", extra={"fields": {"route": route, "status": status, "took_ms": took_ms}})


async def _body(scope: Scope, receive: Receive) -> tuple[bytes, tuple[int, str] | None]:
    """The whole body, or with which status and why it is refused."""
    too_large = 413, "the body is too large"
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > MAX_BODY_BYTES:
        return b"", too_large
    body = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return b"", (400, "the request ended early")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > MAX_BODY_BYTES:
                    return b"", too_large
    except TimeoutError:
        return b"", (408, "the body did not come")
    return body, None


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(send: Send, status: int, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{why}\n".encode()})
