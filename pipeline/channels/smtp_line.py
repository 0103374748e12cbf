"""One SMTP connection that always knows how far a mail has come.

aiosmtplib connects, upgrades, authenticates and speaks the envelope. The message itself is written here, because its
`data` does not say whether a failure came before the end of the message, when nothing was sent, or after, when nobody
knows: the final dot is held back until the message has left this process.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

_LINE_START_DOT: Final = re.compile(rb"^\.", re.MULTILINE)
CLOSING: Final = 421
_START_INPUT: Final = 354
_BAD_SEQUENCE: Final = 503


class Stage(StrEnum):
    """How far a mail has come when something happens."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"


@dataclass(frozen=True)
class LineOptions:
    """Where and how to connect; seconds. RFC 5321 section 4.5.3.2 allows servers far more; an outage does not."""

    host: str
    port: int
    implicit_tls: bool
    starttls: bool
    username: str | None
    password: str | None = field(repr=False)
    local_hostname: str
    command_timeout_s: float
    dot_timeout_s: float
    tls_context: ssl.SSLContext | None = None


class SmtpLine:
    """A connection, opened when first needed. `stage` is that of the last mail; `served` counts mails since opening."""

    def __init__(self, options: LineOptions) -> None:
        self._options = options
        self._client: aiosmtplib.SMTP | None = None
        self.stage = Stage.CONNECT
        self.served = 0

    @property
    def alive(self) -> bool:
        """Whether it is connected, as far as this side knows."""
        return self._client is not None and self._client.is_connected

    async def open(self) -> None:
        """Connects, with TLS and login as the options say. Raises what aiosmtplib does, and OSError."""
        self.stage, self.served = Stage.CONNECT, 0
        options = self._options
        client = aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port,
            use_tls=options.implicit_tls,
            start_tls=options.starttls,
            username=options.username,
            password=options.password,
            local_hostname=options.local_hostname,
            timeout=options.command_timeout_s,
            tls_context=options.tls_context,
        )
        self._client = client
        await client.connect()
        await client._ehlo_or_helo_if_needed()
        # The message shall not wait in this process when the dot is written. A limit of 0 would pause asyncio's TLS
        # transport for ever: it pauses at the limit, the plain one above it.
        if isinstance(client.transport, asyncio.WriteTransport):
            client.transport.set_write_buffer_limits(high=1, low=0)

    def offers(self, extension: str) -> bool:
        """Whether the server named this ESMTP extension."""
        return self._client is not None and self._client.supports_extension(extension)

    async def transmit(self, sender: str, recipient: str, message: bytes, *, utf8: bool) -> aiosmtplib.SMTPResponse:
        """Sends one mail, whose lines end in CRLF, and returns the reply to its final dot.

        `stage` says how far it came when this raises.
        """
        client = self._connected()
        octets = _LINE_START_DOT.sub(b"..", message)
        options = [f"SIZE={len(octets)}"] if client.supports_extension("size") else []
        self.stage = Stage.MAIL
        await client.mail(
            sender, options=[*options, "SMTPUTF8"] if utf8 else options, encoding="utf-8" if utf8 else "ascii"
        )
        self.stage = Stage.RCPT
        await client.rcpt(recipient, encoding="utf-8" if utf8 else "ascii")
        self.stage = Stage.DATA
        response = await client.execute_command(b"DATA")
        if response.code == _START_INPUT:
            self.stage = Stage.BODY
            response = await self._message(octets)
        if response.code != aiosmtplib.SMTPStatus.completed:
            raise aiosmtplib.SMTPDataError(response.code, response.message)
        self.served += 1
        return response

    async def _message(self, octets: bytes) -> aiosmtplib.SMTPResponse:
        client = self._connected()
        protocol, transport = client.protocol, client.transport
        if protocol is None or not isinstance(transport, asyncio.WriteTransport):
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write(octets)
        if transport.get_write_buffer_size() == 0:
            self._end(protocol)
            return await protocol.read_response(timeout=self._options.dot_timeout_s)
        # Reading meanwhile shows a server that hangs up, or refuses, in the middle of a large message.
        reply = asyncio.ensure_future(protocol.read_response(timeout=self._options.dot_timeout_s))
        gone = asyncio.ensure_future(protocol._drain_helper())
        try:
            await asyncio.wait({reply, gone}, return_when=asyncio.FIRST_COMPLETED)
            if reply.done():
                early = reply.result()
                self.abort()
                return early if early.code >= 400 else aiosmtplib.SMTPResponse(CLOSING, "Reply before the final dot")
            self._end(protocol)
            return await reply
        finally:
            _drop(gone)
            _drop(reply)

    def _end(self, protocol: SMTPProtocol) -> None:
        """From here on the server may have the message."""
        protocol.write(b".\r\n")
        self.stage = Stage.DOT

    async def recover(self, code: int) -> None:
        """After a refusal with `code`: ready for the next mail, or closed."""
        if not self.alive or code in (CLOSING, _BAD_SEQUENCE):
            self.abort()
        elif self.stage in (Stage.RCPT, Stage.DATA):
            try:
                await self._connected().rset()
            except (aiosmtplib.SMTPException, OSError):
                self.abort()

    def abort(self) -> None:
        """Closes at once, unsent bytes dropped: another mail must never read this one's reply."""
        client, self._client = self._client, None
        if client is not None:
            if isinstance(client.transport, asyncio.WriteTransport):
                client.transport.abort()
            client.close()

    async def quit(self) -> None:
        """Says goodbye and closes."""
        try:
            if self._client is not None and self._client.is_connected:
                await self._client.quit(timeout=1.0)
        except (aiosmtplib.SMTPException, OSError):
            pass  # It is closing either way.
        finally:
            self.abort()

    def _connected(self) -> aiosmtplib.SMTP:
        if self._client is None or not self._client.is_connected:
            raise aiosmtplib.SMTPServerDisconnected("Server not connected")
        return self._client


def _drop(task: asyncio.Future[Any]) -> None:
    """Ends a task nobody waits for any more; whatever it raised has shown itself elsewhere."""
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
