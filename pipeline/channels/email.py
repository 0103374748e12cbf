"""Email over SMTP: at least once, under a Message-ID that never changes."""

import asyncio
import re
import ssl
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib

from pipeline.channels.base import Envelope, Mapped, Recipient, Sent, all_alike, lookup, with_detail
from pipeline.channels.mime import Identity, MailTemplate, Refused, identity, template, wire_address
from pipeline.channels.smtp_line import CLOSING, LineOptions, SmtpLine, Stage
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from schemas.base import Channel
from schemas.delivery import MAX_WINDOW, Result
from schemas.rendering import EmailContent

_LATER, _NEVER = Result.RETRYABLE, Result.PERMANENT

OUTCOMES: Final[Mapping[str, Mapped]] = {
    # Enhanced status codes (RFC 3463), without their class, and the class where both occur.
    "5.1.1": (_NEVER, "mailbox_unknown"),
    "5.1.2": (_NEVER, "domain_unknown"),
    "5.1.3": (_NEVER, "address_refused"),
    "5.1.10": (_NEVER, "domain_takes_no_mail"),
    "5.2.1": (_NEVER, "mailbox_disabled"),
    "5.2.2": (_NEVER, "mailbox_full"),
    "5.3.4": (_NEVER, "mail_too_big"),
    "4.2.2": (_LATER, "mailbox_full"),
    "4.7.1": (_LATER, "greylisted"),
    # Replies (RFC 5321 section 4.2.3). What is wrong with us, not with the recipient, is worth another try once mended.
    "mail 5xx": (_LATER, "sender_refused"),
    "connect 5xx": (_LATER, "session_refused"),
    "421": (_LATER, "service_closing"),
    "450": (_LATER, "greylisted"),
    "451": (_LATER, "server_trouble"),
    "452": (_LATER, "server_full"),
    "454": (_LATER, "authentication_failed"),
    "503": (_LATER, "session_refused"),
    "530": (_LATER, "authentication_failed"),
    "534": (_LATER, "authentication_failed"),
    "535": (_LATER, "authentication_failed"),
    "538": (_LATER, "authentication_failed"),
    "550": (_NEVER, "mailbox_unknown"),
    "551": (_NEVER, "mailbox_unknown"),
    "552": (_NEVER, "mailbox_full"),
    "553": (_NEVER, "address_refused"),
    "554": (_NEVER, "mail_refused"),
    "556": (_NEVER, "domain_takes_no_mail"),
    "4xx": (_LATER, "refused_for_now"),
    "5xx": (_NEVER, "mail_refused"),
    "reply": (_LATER, "reply_not_understood"),
    # Broken lines. Only after the final dot can the mail have gone (RFC 1047).
    "timeout dot": (Result.UNKNOWN, "timeout_after_final_dot"),
    "lost dot": (Result.UNKNOWN, "connection_lost_after_final_dot"),
    "timeout body": (_LATER, "timeout_in_data"),
    "lost body": (_LATER, "connection_lost_in_data"),
    "timeout connect": (_LATER, "connect_timeout"),
    "lost connect": (_LATER, "relay_unreachable"),
    "timeout": (_LATER, "timeout_before_data"),
    "lost": (_LATER, "connection_lost_before_data"),
    "tls": (_LATER, "tls_not_verified"),
    "session": (_LATER, "session_refused"),
    "address": (_NEVER, "address_refused"),
}
"""Reply code, enhanced code or break -> our result and reason."""

NOT_REACHED: Final = Sent(Result.RETRYABLE, "not_reached")
"""For those of a window behind the mail at which the connection broke: nothing was said about them."""

_LINE_ERRORS: Final = (aiosmtplib.SMTPException, OSError, ValueError)
_ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_QUEUE_ID: Final = re.compile(r"queued as ([\w.-]{1,64})")
_SCHEMES: Final = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
_KEPT_TEMPLATES: Final = 64


@dataclass(frozen=True)
class EmailSettings:
    """The relay, who writes, and how long anything may take (seconds)."""

    line: LineOptions
    identity: Identity
    connections: int = 4
    window_timeout_s: float = 120.0


def email_settings(settings: Settings, *, tls_context: ssl.SSLContext | None = None) -> EmailSettings | None:
    """None without TOCSIN_SMTP_URL. Raises ConfigurationError naming what to set."""
    if settings.smtp_url is None:
        return None
    url = _url(settings.smtp_url.get_secret_value())
    who = identity(settings.mail_from, settings.mail_return_path)
    if url is None or not url.hostname:
        raise ConfigurationError(
            "TOCSIN_SMTP_URL is not of the form smtp://host:port, smtps://user:password@host or smtp+starttls://…; "
            "what is special in a URL, such as / # ? @ in a password, is written percent-encoded"
        )
    if url.username and url.scheme == "smtp" and url.hostname not in _LOOPBACK:
        raise ConfigurationError(
            "TOCSIN_SMTP_URL would send its password in clear: use smtps:// or smtp+starttls:// instead of smtp://"
        )
    line = LineOptions(
        host=url.hostname,
        port=url.port or _SCHEMES[url.scheme],
        implicit_tls=url.scheme == "smtps",
        starttls=url.scheme == "smtp+starttls",
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        local_hostname=who.domain,
        command_timeout_s=10.0,
        dot_timeout_s=30.0,
        tls_context=tls_context,
    )
    return EmailSettings(line, who)


def _url(text: str) -> SplitResult | None:
    """The URL's parts; None for what is none. The standard library's own errors quote it, password and all."""
    try:
        url = urlsplit(text)
        return url if url.scheme in _SCHEMES and url.port != 0 and not url.path.strip("/") else None
    except ValueError:
        return None


@dataclass(frozen=True)
class Mail:
    """A mail as it goes over the line."""

    sender: str
    recipient: str
    message: bytes
    utf8: bool


def payload(envelope: Envelope, recipient: Recipient, prepared: MailTemplate) -> Mail:
    """The mail of one recipient. Raises Refused."""
    address, utf8 = wire_address(recipient)
    message = prepared.mail(recipient, address, envelope.at)
    return Mail(prepared.identity.envelope_sender(recipient), address, message, utf8)


def mapped(error: BaseException, stage: Stage, recipient: Recipient | None = None) -> Sent:
    """What an error of the line, at that stage, means for the mail."""
    personal = (recipient.address, recipient.name) if recipient else ()
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _mapped_reply(error, stage, personal)
    if isinstance(error, ssl.SSLCertVerificationError) or isinstance(error.__cause__, ssl.SSLCertVerificationError):
        keys = ["tls"]
    elif isinstance(error, TimeoutError):
        keys = [f"timeout {stage}", "timeout"]
    elif isinstance(error, OSError):
        keys = [f"lost {stage}", "lost"]
    else:
        # STARTTLS or AUTH is not offered; or an address that aiosmtplib does not let through.
        keys = ["session" if isinstance(error, aiosmtplib.SMTPException) else "address"]
    return with_detail(lookup(OUTCOMES, keys), code=None, detail=error, personal=personal)


def _mapped_reply(error: aiosmtplib.SMTPResponseException, stage: Stage, personal: Sequence[str | None]) -> Sent:
    enhanced = _ENHANCED.match(error.message)
    family = f"{error.code // 100}xx"
    keys = [str(error.code), family, "reply"]
    if stage in (Stage.CONNECT, Stage.MAIL):
        # Before RCPT no reply can be about the recipient; a login's 535 keeps its own meaning.
        keys = [*(key for key in keys[:1] if OUTCOMES.get(key, (_NEVER, ""))[0] is _LATER), f"{stage} {family}", *keys]
    elif enhanced:
        keys.insert(0, enhanced[0])
    code = f"{error.code} {enhanced[0]}" if enhanced else str(error.code)
    return with_detail(lookup(OUTCOMES, keys), code=code, detail=error.message, personal=personal)


class EmailSender:
    """Sends windows of up to 64 mails, each window over one of a few kept connections."""

    channel = Channel.EMAIL
    max_window = MAX_WINDOW

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.connections)
        self._idle: list[SmtpLine] = []
        self._templates: OrderedDict[tuple[str, bool], MailTemplate] = OrderedDict()

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        """See Sender. When the connection breaks, those behind the break are `not_reached`."""
        done: list[Sent] = []
        async with self._slots:
            line = self._idle.pop() if self._idle else SmtpLine(self._settings.line)
            whole = False
            try:
                async with asyncio.timeout(self._settings.window_timeout_s):
                    await self._send_over(line, envelope, recipients, done)
                whole = True
            except TimeoutError as error:
                if len(done) < len(recipients):
                    done.append(mapped(error, line.stage, recipients[len(done)]))
            finally:
                # A cancelled or overdue mail's reply may still come: nobody else may read it.
                if not whole:
                    line.abort()
                self._idle.append(line)
        return done + all_alike(NOT_REACHED, len(recipients) - len(done))

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        """No server can be asked; the same Message-ID again lets a mailbox that has it already drop it."""
        return Sent(Result.RETRYABLE, "resend_same_message_id")

    async def close(self) -> None:
        """Ends the kept connections."""
        while self._idle:
            await self._idle.pop().quit()

    async def _send_over(
        self, line: SmtpLine, envelope: Envelope, recipients: Sequence[Recipient], done: list[Sent]
    ) -> None:
        for recipient in recipients:
            try:
                mail = payload(envelope, recipient, self._template(envelope, recipient))
            except Refused as refused:
                done.append(Sent(Result.PERMANENT, str(refused)))
                continue
            try:
                await self._one(line, mail, recipient, done)
            except _LINE_ERRORS as error:
                done.append(mapped(error, line.stage, recipient))
                await line.recover(getattr(error, "code", CLOSING))
                if line.stage is Stage.CONNECT:
                    # Nobody can be reached now, so the reason is the same for all.
                    done.extend(all_alike(done[-1], len(recipients) - len(done)))
                if not line.alive:
                    return

    async def _one(self, line: SmtpLine, mail: Mail, recipient: Recipient, done: list[Sent]) -> None:
        if not line.alive:
            await line.open()
        if mail.utf8 and not line.offers("smtputf8"):
            done.append(Sent(Result.PERMANENT, "smtputf8_not_offered"))
            return
        try:
            reply = await line.transmit(mail.sender, mail.recipient, mail.message, utf8=mail.utf8)
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPSenderRefused) as error:
            # Servers end connections that were idle or have carried enough mails, and show it at the next MAIL. A new
            # one costs nothing and nobody waits for a retry; it is tried once, as a new one has served nobody yet.
            worn = line.stage is Stage.MAIL and line.served > 0 and getattr(error, "code", CLOSING) == CLOSING
            if not worn:
                raise
            line.abort()
            await line.open()
            reply = await line.transmit(mail.sender, mail.recipient, mail.message, utf8=mail.utf8)
        queued = _QUEUE_ID.search(reply.message)
        done.append(
            Sent(
                Result.ACCEPTED,
                "provider_accepted",
                code=str(reply.code),
                detail=with_detail(
                    (Result.ACCEPTED, ""), code=None, detail=reply.message, personal=(recipient.address,)
                ).detail,
                provider_id=queued[1] if queued else None,
            )
        )

    def _template(self, envelope: Envelope, recipient: Recipient) -> MailTemplate:
        if not isinstance(envelope.content, EmailContent):
            raise TypeError(f"the email channel was given content for {envelope.content.channel}")
        reply = recipient.first_intent_id not in (None, recipient.intent_id)
        key = (envelope.rendering_sha256, reply)
        if key not in self._templates:
            self._templates[key] = template(
                envelope.content, envelope.rendering_sha256, envelope.language, self._settings.identity, reply=reply
            )
            if len(self._templates) > _KEPT_TEMPLATES:
                self._templates.popitem(last=False)
        return self._templates[key]
