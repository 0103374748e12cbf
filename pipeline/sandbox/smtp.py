"""The SMTP double: aiosmtpd, which keeps every mail and fails where it is told to."""

import asyncio
import logging
import ssl
from typing import Any, Literal

from aiosmtpd.smtp import SMTP

from pipeline.sandbox.faults import Fault, FaultBook, Stage
from pipeline.sandbox.truth import Mail, Truth, mail_fields
from pipeline.sandbox.wire import reset

Tls = Literal["none", "starttls", "implicit"]

HOSTNAME = "sandbox.localhost"

REPLIES = {
    421: "4.3.2 Service not available, closing transmission channel",
    450: "4.2.1 Mailbox unavailable, try again later",
    451: "4.3.0 Local error in processing",
    452: "4.3.1 Insufficient system storage",
    550: "5.1.1 No such user here",
    552: "5.2.2 Exceeded storage allocation",
    553: "5.1.3 Mailbox name not allowed",
    554: "5.7.1 Transaction failed",
}
"""What a refusal says beside its code (RFC 5321 section 4.2.3, RFC 3463)."""


# aiosmtpd says nothing about its types.
class _Session(SMTP):  # type: ignore[misc]
    """One connection. `dribble_s` is the pause between the bytes of the next reply."""

    def __init__(self, double: "SmtpDouble", **options: Any) -> None:
        super().__init__(double, **options)
        self._double = double
        self._greeted = False
        self.dribble_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._double.sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._double.sessions.discard(self)
        super().connection_lost(error)

    async def push(self, status: str | bytes) -> None:
        """Sends a reply. The greeting comes this way too, and nowhere else can it be refused."""
        if not self._greeted:
            self._greeted = True
            refusal = await self._double.reply(self, "connect", "")
            if refusal is not None:
                await super().push(refusal)
                self.transport.close()
                return
        if self.dribble_s:
            await self._dribble(status if isinstance(status, bytes) else status.encode())
        else:
            await super().push(status)
        if status[:3] in ("421", b"421") and self.transport is not None:
            self.transport.close()

    async def _dribble(self, reply: bytes) -> None:
        pause_s, self.dribble_s = self.dribble_s, 0.0
        for byte in reply + b"\r\n":
            self._writer.write(bytes([byte]))
            await self._writer.drain()
            await asyncio.sleep(pause_s)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds commands by name
        """As usual, unless the connection is to break in the middle of the message."""
        subject = "\n".join(self.envelope.rcpt_tos)
        if not subject or self._double.take("lose_in_data", subject=subject) is None:
            await super().smtp_DATA(arg)
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        await self._reader.read(1)
        await self.lose()

    async def lose(self) -> None:
        """Breaks the connection; aiosmtpd then cancels the task that waits here."""
        reset(self.transport)
        await asyncio.Event().wait()


class SmtpDouble:
    """Keeps mails. The `handle_…` methods are aiosmtpd's hooks."""

    def __init__(self, truth: Truth, faults: FaultBook, *, pipelining: bool, smtputf8: bool) -> None:
        self._truth = truth
        self._faults = faults
        self._pipelining = pipelining
        self._smtputf8 = smtputf8
        self._server: asyncio.Server | None = None
        self.sessions: set[_Session] = set()

    async def start(self, port: int, tls: Tls, context: ssl.SSLContext | None) -> int:
        """Listens on 127.0.0.1 and returns the port (0: a free one). Raises OSError when it is taken."""
        # aiosmtpd tells every connection and command at INFO, and warns of contexts that do check names.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        options = {"hostname": HOSTNAME, "ident": "ESMTP Tocsin sandbox", "enable_SMTPUTF8": self._smtputf8}
        if tls == "starttls":
            options["tls_context"] = context
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Session(self, loop=loop, **options),
            "127.0.0.1",
            port,
            ssl=context if tls == "implicit" else None,
            backlog=1024,
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes the port and breaks what is still connected."""
        if self._server is not None:
            self._server.close()
            for session in list(self.sessions):
                reset(session.transport)
            await self._server.wait_closed()

    def take(self, *kinds: str, stage: Stage | None = None, subject: str = "") -> Fault | None:
        """The fault that is due."""
        return self._faults.take("smtp", kinds, stage=stage, subject=subject)

    async def reply(self, session: _Session, stage: Stage, subject: str) -> str | None:
        """The refusal that is due at this stage, or None; slow ones are waited for here."""
        fault = self.take("refuse", "slow", "dribble", stage=stage, subject=subject)
        if fault is None:
            return None
        if fault.kind == "refuse":
            code = fault.code or 0
            return f"{code} {REPLIES.get(code, 'Refused by the sandbox')}"
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds or 0)
        else:
            session.dribble_s = fault.seconds or 0
        return None

    async def handle_EHLO(  # noqa: N802
        self, server: _Session, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Adds PIPELINING (RFC 2920), as nearly every relay has it: aiosmtpd can do it without saying so."""
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]] if self._pipelining else responses

    async def handle_MAIL(  # noqa: N802
        self, server: _Session, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Takes the sender."""
        refusal = await self.reply(server, "mail", address)
        if refusal is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: _Session, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Takes a recipient."""
        refusal = await self.reply(server, "rcpt", address)
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 2.1.5 OK"

    async def handle_DATA(self, server: _Session, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keeps the mail, unless it is refused."""
        fields = mail_fields(envelope.original_content)
        subject = "\n".join([*envelope.rcpt_tos, *(f"{name}: {value}" for name, value in fields["headers"])])
        refusal = await self.reply(server, "data", subject)
        if refusal is not None:
            return refusal
        fault = self.take("lose_after_dot", "hang_after_dot", subject=subject)
        mail = self._truth.keep(
            Mail,
            sender=envelope.mail_from,
            recipients=tuple(envelope.rcpt_tos),
            tls=server.transport.get_extra_info("ssl_object") is not None,
            answered=fault is None,
            **fields,
        )
        if fault is not None:
            if fault.kind == "lose_after_dot":
                await server.lose()
            await asyncio.Event().wait()
        return f"250 2.0.0 OK: kept as {mail.n}"
