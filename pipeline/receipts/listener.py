"""The return path as a mail server of our own: what comes back is taken in at once, and answered when it is on record.

It takes mail for signed return paths, and for the bounce mailbox itself, where mailbox providers send complaints; every
other recipient is refused before any content is. It never sends anything. In front of it stands the domain's own
mail server, or a relay rule for the return path's domain.
"""

import asyncio
import logging
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from pipeline.errors import BrokerError, ConfigurationError
from pipeline.receipts.desk import Desk
from pipeline.settings import Settings

MAX_BYTES = 1024 * 1024
"""Our mails have at most 256 KB, and a report returns a mail once; servers cut longer ones (RFC 3462 section 1)."""
MAX_SESSIONS = 100
MAX_RECIPIENTS = 10
"""A report goes to one return path."""
QUIET_S = 60.0
"""Seconds without a word until a session is ended; RFC 5321 (section 4.5.3.2.7) wants five minutes of servers that
relay for others, and reports come from machines."""

TRY_LATER = "451 4.3.0 Nothing was saved, try again later"
NOBODY = "550 5.1.1 No mail of ours has this return path"

log = logging.getLogger("tocsin.receipts")


# aiosmtpd says nothing about its types.
class _Session(SMTP):  # type: ignore[misc]
    """One connection; beyond the limit it is closed at once, and the server on the other side tries again."""

    def __init__(self, listener: "Listener", **options: Any) -> None:
        super().__init__(listener, **options)
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._listener.sessions.add(self)
        if len(self._listener.sessions) > MAX_SESSIONS and isinstance(transport, asyncio.Transport):
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.sessions.discard(self)
        super().connection_lost(error)


class Listener:
    """The server. The `handle_…` methods are aiosmtpd's hooks."""

    def __init__(self, desk: Desk, mailbox: str) -> None:
        self._desk = desk
        self._mailbox = mailbox.lower()
        self._server: asyncio.Server | None = None
        self.sessions: set[_Session] = set()

    async def start(self, host: str, port: int) -> int:
        """Listens, and returns the port (0: a free one). Raises ConfigurationError, naming the setting."""
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # it tells every command, addresses among them
        loop = asyncio.get_running_loop()
        options = {
            "data_size_limit": MAX_BYTES,
            "enable_SMTPUTF8": True,
            "hostname": self._mailbox.rpartition("@")[2],
            "ident": "ESMTP",
            "timeout": QUIET_S,
            "loop": loop,
        }
        try:
            self._server = await loop.create_server(lambda: _Session(self, **options), host, port)
        except OSError as error:
            raise ConfigurationError(
                f"TOCSIN_BOUNCE_HOST, TOCSIN_BOUNCE_PORT: cannot listen on {host}:{port}: {error}"
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes the port and breaks what is still connected: a mail without an answer is brought again."""
        if self._server is not None:
            self._server.close()
            for session in list(self.sessions):
                session.transport.abort()
            await self._server.wait_closed()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds hooks by name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Takes the return paths of our own mails, and the bounce mailbox."""
        if address.lower() != self._mailbox and not self._desk.expects(address):
            return NOBODY
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answers once every receipt in it is on record."""
        try:
            # One mail for two of our mails is one receipt for each.
            for recipient in dict.fromkeys(envelope.rcpt_tos):
                await self._desk.take(envelope.original_content or b"", (recipient,))
        except BrokerError:
            return TRY_LATER
        except Exception:
            log.exception("a mail could not be read")
            return TRY_LATER
        return "250 2.0.0 OK"


def mailbox_of(settings: Settings) -> str:
    """The bounce mailbox. Raises ConfigurationError."""
    if settings.mail_return_path is None:
        raise ConfigurationError(
            "TOCSIN_BOUNCE_PORT is set, but TOCSIN_MAIL_RETURN_PATH is not: set it to the mailbox whose mail comes "
            "here, such as bounce@example.com"
        )
    return settings.mail_return_path
