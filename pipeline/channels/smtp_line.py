"""One SMTP connection. aiosmtplib connects, upgrades and logs in; what the relay offers decides how mails go."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import aiosmtplib

from pipeline.channels.smtp_pipeline import Pipeline
from pipeline.channels.smtp_plain import OneByOne
from pipeline.channels.smtp_reply import Answered, Carrier, Mail


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
    """A connection, opened when first needed."""

    def __init__(self, options: LineOptions) -> None:
        self._options = options
        self._carrier: Carrier | None = None
        self._extensions: frozenset[str] = frozenset()
        self.opening = False
        """Whether it is being connected; true as well after a call was cancelled meanwhile."""

    @property
    def alive(self) -> bool:
        """Whether it is connected, as far as this side knows."""
        return self._carrier is not None and self._carrier.alive

    def offers(self, extension: str) -> bool:
        """Whether the server named this ESMTP extension, in lower case, when it was last connected to."""
        return extension in self._extensions

    async def transmit(self, mails: Iterator[Mail], answered: Answered) -> None:
        """Sends mails, as Carrier.carry does. Raises what aiosmtplib does, and OSError, where opening failed."""
        unbegun: Mail | None = None
        while True:
            carrier = self._carrier if self._carrier is not None and self._carrier.alive else await self._open()
            unbegun = await carrier.carry(mails, answered)
            if unbegun is None:
                return
            mails = chain((unbegun,), mails)

    def abort(self) -> None:
        """Closes at once, unsent bytes dropped."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.abort()

    async def quit(self) -> None:
        """Says goodbye and closes."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            await carrier.quit()

    async def _open(self) -> Carrier:
        self.abort()
        self.opening = True
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
        try:
            await client.connect()
            await client._ehlo_or_helo_if_needed()
        except BaseException:
            client.close()
            raise
        self.opening = False
        self._extensions = frozenset(client.esmtp_extensions)
        self._carrier = self._carrier_on(client)
        return self._carrier

    def _carrier_on(self, client: aiosmtplib.SMTP) -> Carrier:
        options, transport = self._options, client.transport
        if not self.offers("pipelining") or not isinstance(transport, asyncio.Transport):
            return OneByOne(client, dot_timeout_s=options.dot_timeout_s)
        return Pipeline(
            transport,
            sizes=self.offers("size"),
            command_timeout_s=options.command_timeout_s,
            dot_timeout_s=options.dot_timeout_s,
        )
