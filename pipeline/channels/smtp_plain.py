"""Mails one by one, as aiosmtplib speaks the envelope: for relays without PIPELINING.

The message itself is written here, because aiosmtplib's `data` does not say whether a failure came before the end of
the message, when nothing was sent, or after, when nobody knows: the final dot is held back until the message has left
this process.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

from pipeline.channels.smtp_reply import (
    CLOSING,
    START_INPUT,
    Answer,
    Answered,
    Mail,
    Reply,
    Stage,
    is_worn,
)

_BAD_SEQUENCE: Final = 503
_QUIT_S: Final = 1.0


class OneByOne:
    """See Carrier."""

    def __init__(self, client: aiosmtplib.SMTP, *, dot_timeout_s: float) -> None:
        self._client = client
        self._dot_timeout_s = dot_timeout_s
        self._stage = Stage.MAIL
        self._served = 0
        # The message shall not wait in this process when the dot is written. A limit of 0 would pause asyncio's TLS
        # transport for ever: it pauses at the limit, the plain one above it.
        if isinstance(client.transport, asyncio.WriteTransport):
            client.transport.set_write_buffer_limits(high=1, low=0)

    @property
    def alive(self) -> bool:
        """See Carrier."""
        return bool(self._client.is_connected)

    async def carry(self, mails: Iterator[Mail], answered: Answered) -> Mail | None:
        """See Carrier."""
        for mail in mails:
            try:
                said = await self._said_of(mail)
            except asyncio.CancelledError:
                answered(Answer(self._stage, TimeoutError("the time for the window is over")))
                self.abort()
                raise
            if is_worn(self._stage, said, self._served):
                self.abort()
                return mail
            answer = Answer(self._stage, said)
            self._served += answer.accepted
            answered(answer)
            if not answer.accepted:
                await self._recover(said.code if isinstance(said, Reply) else CLOSING)
            if not self.alive:
                break
        return None

    def abort(self) -> None:
        """See Carrier."""
        if isinstance(self._client.transport, asyncio.WriteTransport):
            self._client.transport.abort()
        self._client.close()

    async def quit(self) -> None:
        """See Carrier."""
        try:
            if self.alive:
                await self._client.quit(timeout=_QUIT_S)
        except (aiosmtplib.SMTPException, OSError):
            pass  # It is closing either way.
        finally:
            self.abort()

    async def _said_of(self, mail: Mail) -> Reply | Exception:
        """What came of one mail: the last reply to it, or the error."""
        try:
            return await self._transmit(mail)
        except aiosmtplib.SMTPResponseException as refusal:
            return Reply(refusal.code, refusal.message)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return error

    async def _transmit(self, mail: Mail) -> Reply:
        client, encoding = self._client, "utf-8" if mail.utf8 else "ascii"
        options = [f"SIZE={len(mail.octets)}"] if client.supports_extension("size") else []
        self._stage = Stage.MAIL
        await client.mail(mail.sender, options=[*options, "SMTPUTF8"] if mail.utf8 else options, encoding=encoding)
        self._stage = Stage.RCPT
        await client.rcpt(mail.recipient, encoding=encoding)
        self._stage = Stage.DATA
        reply = await client.execute_command(b"DATA")
        if reply.code != START_INPUT:
            return Reply(*reply)
        self._stage = Stage.BODY
        return await self._message(mail.octets)

    async def _message(self, octets: bytes) -> Reply:
        protocol, transport = self._client.protocol, self._client.transport
        if protocol is None or not isinstance(transport, asyncio.WriteTransport):
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write(octets)
        if transport.get_write_buffer_size() == 0:
            self._end(protocol)
            return Reply(*await protocol.read_response(timeout=self._dot_timeout_s))
        # Reading meanwhile shows a server that hangs up, or refuses, in the middle of a large message.
        reply = asyncio.ensure_future(protocol.read_response(timeout=self._dot_timeout_s))
        gone = asyncio.ensure_future(protocol._drain_helper())
        try:
            await asyncio.wait({reply, gone}, return_when=asyncio.FIRST_COMPLETED)
            if reply.done():
                early = reply.result()
                self.abort()
                return Reply(*early) if early.code >= 400 else Reply(CLOSING, "Reply before the final dot")
            self._end(protocol)
            return Reply(*await reply)
        finally:
            _drop(gone)
            _drop(reply)

    def _end(self, protocol: SMTPProtocol) -> None:
        """From here on the server may have the message."""
        protocol.write(b".\r\n")
        self._stage = Stage.DOT

    async def _recover(self, code: int) -> None:
        """After a refusal with `code`: ready for the next mail, or closed."""
        if not self.alive or code in (CLOSING, _BAD_SEQUENCE) or not 400 <= code < 600:
            self.abort()
        elif self._stage in (Stage.RCPT, Stage.DATA):
            try:
                await self._client.rset()
            except (aiosmtplib.SMTPException, OSError):
                self.abort()


def _drop(task: asyncio.Future[Any]) -> None:
    """Ends a task nobody waits for any more; whatever it raised has shown itself elsewhere."""
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
