"""Mails over one connection with PIPELINING (RFC 2920): a message and the next envelope go in one write.

aiosmtplib has connected, negotiated TLS and logged in; from then on this protocol stands on its transport. DATA ends a
group of commands, and its 354 is waited for before any content; content may lead the next group. So of two mails that
are under way at most one, the earlier, can have reached the server whole; of the other only its envelope was sent.

The final dot counts as sent once it has left this process, not when it was handed to the transport: what a broken
connection leaves behind in the transport's buffer the server never got. Over TLS, up to 64 KB that the TLS layer has
taken count as sent, for nobody tells how much of that left.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import aiosmtplib

from pipeline.channels.smtp_reply import (
    CLOSING,
    NO_REPLY,
    START_INPUT,
    Answer,
    Answered,
    Mail,
    NotUnderstood,
    Replies,
    Reply,
    Stage,
    is_worn,
)

_PIECE: Final = 65_536
"""Octets written at once: the TLS layer shows how much of a message is left only from the second write on."""
_HEARD_AT_ONCE: Final = 8_192
"""Octets of replies read at once; those to a mail and an envelope are a few hundred."""
_QUIT_S: Final = 1.0
_ENVELOPE: Final = (Stage.MAIL, Stage.RCPT, Stage.DATA)
_USUAL: Final = (Stage.DOT, *_ENVELOPE)
"""What is awaited while mails follow one another."""
_ALL_WELL: Final = re.compile(rb"(2[0-9][0-9]) (.*)\r\n2[0-9][0-9] .*\r\n2[0-9][0-9] .*\r\n354 .*\r\n")
_RESET: Final = None
"""In place of a stage: a reply to RSET is awaited."""


@dataclass(slots=True)
class _Transfer:
    """A mail under way. A `refusal` decides it, whatever the server says to the commands that were sent already."""

    mail: Mail
    recipient_taken: bool = False
    refusal: Answer | None = None


class Pipeline(asyncio.BufferedProtocol):
    """Carries one window of mails after another; see Carrier."""

    def __init__(
        self, transport: asyncio.Transport, *, sizes: bool, command_timeout_s: float, dot_timeout_s: float
    ) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._sizes = sizes
        self._command_timeout_s = command_timeout_s
        self._dot_timeout_s = dot_timeout_s
        self._heard = memoryview(bytearray(_HEARD_AT_ONCE))
        self._replies = Replies()
        self._awaited: deque[Stage | None] = deque()
        self._current: _Transfer | None = None
        """Its content is written, the reply to its final dot awaited."""
        self._coming: _Transfer | None = None
        """Its envelope is written."""
        self._held = False
        """Whether the final dot of the current one is still in this process."""
        self._stained = False
        """Whether the server may hold a transaction that was given up."""
        self._served = 0
        self._over = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[Mail | None] | None = None
        """Of the window under way."""
        self._mails: Iterator[Mail] = iter(())
        self._answered: Answered = _nobody
        transport.set_protocol(self)

    @property
    def alive(self) -> bool:
        """See Carrier. One that said something unasked, be it half a line, is of no use any more."""
        return not self._over and not self._replies.pending and not self._transport.is_closing()

    @property
    def _stage(self) -> Stage:
        """How far the first mail without an answer has come."""
        stage = self._awaited[0] or Stage.MAIL
        return Stage.BODY if stage is Stage.DOT and self._held else stage

    async def carry(self, mails: Iterator[Mail], answered: Answered) -> Mail | None:
        """See Carrier."""
        self._mails, self._answered = mails, answered
        self._coming = self._next()
        if self._coming is None:
            return None
        self._ended = self._loop.create_future()
        self._write()
        self._set_deadline()
        self._timer = self._loop.call_at(self._deadline, self._look_at_the_time)
        try:
            return await self._ended
        except asyncio.CancelledError:
            self._break_off(TimeoutError("the time for the window is over"))
            raise
        finally:
            self._timer.cancel()
            self._timer = None
            self._mails, self._answered = iter(()), _nobody

    def abort(self) -> None:
        """See Carrier."""
        self._break_off(aiosmtplib.SMTPServerDisconnected("closed on this side"))

    async def quit(self) -> None:
        """See Carrier."""
        if self.alive:
            self._ended = self._loop.create_future()
            self._transport.write(b"QUIT\r\n")
            await asyncio.wait([self._ended], timeout=_QUIT_S)
        self.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next replies go. Without one, asyncio maps 256 KB anew for each of them.

        A view: what TLS reads in pieces goes into slices of it, which of a bytearray would be copies.
        """
        return self._heard

    def buffer_updated(self, nbytes: int) -> None:
        """Hears replies, and goes on with what they allow."""
        data = self._heard[:nbytes].tobytes()
        try:
            if self._all_went_well(data):
                return
            self._replies.feed(data)
            while not self._over and (reply := self._replies.take()) is not None:
                self._hear(reply)
        except NotUnderstood as error:
            self._break_off(Reply(NO_REPLY, str(error)))
        except Exception as error:  # ours: whoever waits for the window shall see it
            self._break_off(error, ours=True)

    def _all_went_well(self, data: bytes) -> bool:
        """Hears what nearly always comes, this mail taken and the next one asked for, at a third of the time."""
        if len(self._awaited) != len(_USUAL) or self._awaited[0] is not Stage.DOT or self._held:
            return False
        found = None if self._replies.pending or self._coming is None else _ALL_WELL.fullmatch(data)
        if found is None or self._coming is None:
            return False
        self._awaited.clear()
        self._served += 1
        text = found[2].strip().decode("utf-8", "surrogateescape")
        self._answered(Answer(Stage.DOT, Reply(int(found[1]), text)))
        self._send_content(self._coming, self._coming.mail.octets)
        self._set_deadline()
        return True

    def resume_writing(self) -> None:
        """The transport has sent all up to the final dot."""
        self._held = False
        self._set_deadline()

    def eof_received(self) -> bool:
        """The server will say nothing any more."""
        self._break_off(aiosmtplib.SMTPServerDisconnected("Unexpected EOF received"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection broke, or was closed here."""
        error = aiosmtplib.SMTPServerDisconnected("Connection lost")
        error.__cause__ = exc
        self._break_off(error)

    def _hear(self, reply: Reply) -> None:
        if not self._awaited:
            # Said while nothing was asked: a farewell, or a server whose answers cannot be told apart any more.
            self._break_off(reply)
            return
        stage, refused = self._awaited[0], 400 <= reply.code < 600
        if stage is Stage.DOT and self._held:
            self._break_off(reply if refused else Reply(CLOSING, "Reply before the final dot"))
        elif stage is _RESET and refused:
            self._break_off(Reply(CLOSING, reply.message))
        elif reply.code == CLOSING or not (refused or self._goes_on(stage, reply.code)):
            self._break_off(reply)
        else:
            self._awaited.popleft()
            self._advance(stage, reply, refused=refused)
            self._set_deadline()
            if not self._awaited and self._ended is not None:
                self._ended.set_result(None)

    def _goes_on(self, stage: Stage | None, code: int) -> bool:
        if stage is not Stage.DATA or self._coming is None:
            return 200 <= code < 300
        # Whoever refuses the sender, takes the recipient and then asks for content cannot be given a lone dot, which
        # would bring an empty mail; and nothing can follow a 354 before its content.
        odd = self._coming.refusal is not None and self._coming.recipient_taken
        return code == START_INPUT and not odd and not self._replies.pending

    def _advance(self, stage: Stage | None, reply: Reply, *, refused: bool) -> None:
        if stage is Stage.DOT and self._current is not None:
            transfer, self._current = self._current, None
            self._conclude(transfer.refusal or Answer(stage, reply))
        elif stage is not _RESET and self._coming is not None:
            self._advance_envelope(self._coming, stage, reply, refused=refused)

    def _advance_envelope(self, coming: _Transfer, stage: Stage, reply: Reply, *, refused: bool) -> None:
        if refused:
            self._stained = True
            coming.refusal = coming.refusal or Answer(stage, reply)
        if stage is Stage.RCPT:
            coming.recipient_taken = not refused
        elif stage is Stage.DATA and coming.refusal is None:
            self._send_content(coming, coming.mail.octets)
        elif stage is Stage.DATA and refused:
            self._conclude(coming.refusal or Answer(stage, reply))
            self._coming = self._next()
            self._write()
        elif stage is Stage.DATA:
            # It asks for content though it took no recipient: RFC 2920 section 3.1 wants a lone dot.
            self._send_content(coming, b"")

    def _conclude(self, answer: Answer) -> None:
        self._served += answer.accepted
        self._answered(answer)

    def _send_content(self, transfer: _Transfer, octets: bytes) -> None:
        self._awaited.append(Stage.DOT)
        self._current, self._coming = transfer, self._next()
        self._write(octets, b".\r\n")

    def _next(self) -> _Transfer | None:
        mail = next(self._mails, None)
        return None if mail is None else _Transfer(mail)

    def _write(self, *content: bytes) -> None:
        """Writes the rest of the current mail, if there is any, and the envelope of the coming one, if there is one."""
        envelope = self._envelope(self._coming) if self._coming is not None else b""
        octets = b"".join((*content, envelope))
        if len(octets) <= _PIECE:
            self._transport.write(octets)
        else:
            for start in range(0, len(octets), _PIECE):
                self._transport.write(octets[start : start + _PIECE])
        if content:
            self._mark_dot(len(envelope))

    def _mark_dot(self, behind: int) -> None:
        """Whether the dot has left, which stands `behind` octets and its line end before the end; if not, when."""
        if self._transport.is_closing():
            self._held = True  # The write failed as a whole.
        elif self._transport.get_write_buffer_size() > behind + 1:
            self._held = True
            # One above: TLS's transport pauses at the upper limit, others above it, and 0 would pause it for ever.
            self._transport.set_write_buffer_limits(high=behind + 1, low=behind)

    def _envelope(self, transfer: _Transfer) -> bytes:
        mail = transfer.mail
        size = f" SIZE={len(mail.octets)}" if self._sizes else ""
        reset = ""
        if self._stained:
            self._stained, reset = False, "RSET\r\n"
            self._awaited.append(_RESET)
        self._awaited.extend(_ENVELOPE)
        return (
            f"{reset}MAIL FROM:<{mail.sender}>{size}{' SMTPUTF8' if mail.utf8 else ''}\r\n"
            f"RCPT TO:<{mail.recipient}>\r\nDATA\r\n"
        ).encode()

    def _set_deadline(self) -> None:
        dot = bool(self._awaited) and self._awaited[0] is Stage.DOT
        self._deadline = self._loop.time() + (self._dot_timeout_s if dot else self._command_timeout_s)
        # A timer that is too early looks again, so that the usual reply, which only puts it off, costs none.
        if self._timer is not None and self._deadline < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look_at_the_time)
        else:
            self._break_off(TimeoutError("no reply in time"))

    def _break_off(self, said: Reply | BaseException, *, ours: bool = False) -> None:
        """Ends the connection, and answers the mail whose reply was due; of those behind it nothing was sent whole."""
        if self._over:
            return
        self._over = True
        self._transport.abort()
        transfer, unbegun = self._current or self._coming, None
        if transfer is not None and not ours:
            if transfer.refusal is None and is_worn(self._stage, said, self._served):
                unbegun = transfer.mail
            else:
                self._answered(transfer.refusal or Answer(self._stage, said))
        if self._ended is None or self._ended.done():
            return
        if ours and isinstance(said, BaseException):
            self._ended.set_exception(said)
        else:
            self._ended.set_result(unbegun)


def _nobody(_: Answer) -> None:
    """Between windows nobody waits for an answer."""
