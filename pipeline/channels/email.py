"""Email over SMTP: at least once, under a Message-ID that never changes."""

import asyncio
import re
import ssl
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiosmtplib

from pipeline.channels.base import Envelope, Mapped, Recipient, Sent, lookup, redacted, with_detail
from pipeline.channels.dkim_signing import Sign, signer
from pipeline.channels.mail_limits import NO_LIMITS, Gate, Held, Limit, Limits
from pipeline.channels.mail_window import Window
from pipeline.channels.mime import Identity, MailTemplate, Refused, identity, plain, template, transparent, wire_address
from pipeline.channels.smtp_line import LineOptions, SmtpLine
from pipeline.channels.smtp_pool import Pool
from pipeline.channels.smtp_reply import Answer, Answered, Mail, Reply, Stage
from pipeline.channels.smtp_url import line_options
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
    # Broken lines. Only after the final dot can the mail have gone (RFC 1047); what is said then and is no reply leaves
    # it as open as silence does.
    "reply dot": (Result.UNKNOWN, "reply_not_understood_after_final_dot"),
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
    "smtputf8": (_NEVER, "smtputf8_not_offered"),
    # Our own limits.
    Limit.ALL: (_LATER, "rate_limited"),
    Limit.DOMAIN: (_LATER, "domain_rate_limited"),
    Limit.AT_ONCE: (_LATER, "domain_at_once_limited"),
}
"""Reply code, enhanced code or break -> our result and reason."""

NOT_REACHED: Final = Sent(Result.RETRYABLE, "not_reached")
"""For those of a window behind the mail at which the connection broke: nothing was said about them."""

_LINE_ERRORS: Final = (aiosmtplib.SMTPException, OSError, ValueError)
_ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_QUEUE_ID: Final = re.compile(r"queued as ([\w.-]{1,64})")
_KEPT_TEMPLATES: Final = 64


@dataclass(frozen=True)
class EmailSettings:
    """The relay, who writes, how much at once, and how long anything may take (seconds)."""

    line: LineOptions
    identity: Identity
    limits: Limits = NO_LIMITS
    sign: Sign | None = None
    connections: int = 8
    idle_s: float = 30.0
    window_timeout_s: float = 120.0
    limit_patience_s: float = 5.0
    """How long a window waits for our own limits before it sends the rest back: it keeps its turn from others."""


def email_settings(settings: Settings, *, tls_context: ssl.SSLContext | None = None) -> EmailSettings | None:
    """None without TOCSIN_SMTP_URL. Raises ConfigurationError naming what to set."""
    if settings.smtp_url is None:
        return None
    who = identity(settings.mail_from, settings.mail_return_path)
    return EmailSettings(
        line_options(settings.smtp_url.get_secret_value(), who.domain, tls_context),
        who,
        Limits(settings.smtp_per_s, settings.smtp_domain_per_s, settings.smtp_domain_at_once),
        signer(settings.dkim_key, settings.dkim_selector, who.domain),
        settings.smtp_connections,
    )


def payload(at: datetime, recipient: Recipient, address: str, prepared: MailTemplate, sign: Sign | None = None) -> Mail:
    """The mail of one recipient, at `address` as SMTP wants it. Raises Refused."""
    octets = prepared.octets(recipient, address, at)
    if sign is not None:
        octets = transparent(sign(plain(octets)))
    return Mail(prepared.identity.envelope_sender(recipient), address, octets, utf8=not address.isascii())


def outcome(answer: Answer, recipient: Recipient) -> Sent:
    """What the answer of the line means for the mail."""
    if not isinstance(answer.said, Reply):
        return mapped(answer.said, answer.stage, recipient)
    if not answer.accepted:
        return _mapped_reply(answer.said, answer.stage, (recipient.address, recipient.name))
    queued = _QUEUE_ID.search(answer.said.message)
    return Sent(
        Result.ACCEPTED,
        "provider_accepted",
        code=str(answer.said.code),
        detail=redacted(answer.said.message, recipient.address),
        provider_id=queued[1] if queued else None,
    )


def mapped(error: BaseException, stage: Stage, recipient: Recipient | None = None) -> Sent:
    """What an error of the line, at that stage, means for the mail."""
    personal = (recipient.address, recipient.name) if recipient else ()
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _mapped_reply(Reply(error.code, error.message), stage, personal)
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


def _mapped_reply(reply: Reply, stage: Stage, personal: Sequence[str | None]) -> Sent:
    enhanced = _ENHANCED.match(reply.message)
    family = f"{reply.code // 100}xx"
    keys = [str(reply.code), family, "reply"]
    if stage is Stage.DOT and not 400 <= reply.code < 600:
        keys = ["reply dot"]
    elif stage in (Stage.CONNECT, Stage.MAIL):
        # Before RCPT no reply can be about the recipient; a login's 535 keeps its own meaning.
        keys = [*(key for key in keys[:1] if OUTCOMES.get(key, (_NEVER, ""))[0] is _LATER), f"{stage} {family}", *keys]
    elif enhanced:
        keys.insert(0, enhanced[0])
    code = f"{reply.code} {enhanced[0]}" if enhanced else str(reply.code)
    return with_detail(lookup(OUTCOMES, keys), code=code, detail=reply.message, personal=personal)


class EmailSender:
    """Sends windows of up to 64 mails, each window over one of a few kept connections."""

    channel = Channel.EMAIL
    max_window = MAX_WINDOW

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._pool = Pool(lambda: SmtpLine(settings.line), limit=settings.connections, idle_s=settings.idle_s)
        self._gate = Gate(settings.limits, lambda: asyncio.get_running_loop().time())
        self._templates: OrderedDict[tuple[str, bool], MailTemplate] = OrderedDict()

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        """See Sender. When the connection breaks, those behind the break are `not_reached`."""
        now = asyncio.get_running_loop().time()
        window = Window(envelope, recipients, now + self._settings.limit_patience_s)
        try:
            async with asyncio.timeout(self._settings.window_timeout_s):
                await self._tell(window)
        except TimeoutError:
            pass  # The mail that was under way was answered as one that took too long.
        return window.answers(NOT_REACHED)

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        """No server can be asked; the same Message-ID again lets a mailbox that has it already drop it."""
        return Sent(Result.RETRYABLE, "resend_same_message_id")

    async def close(self) -> None:
        """Ends the kept connections."""
        await self._pool.close()

    async def _tell(self, window: Window) -> None:
        """Sends whoever the limits let go, then the others once they may, until all are sent or the line broke."""
        self._address(window)
        while waiting := window.open():
            going, held = self._admitted(window, waiting)
            if going:
                if not await self._carry(window, going):
                    return
            elif not await self._held_back(window, held):
                return

    def _address(self, window: Window) -> None:
        """Finds out where each goes; those with an impossible address, or a text that cannot be sent, are answered."""
        for place, recipient in enumerate(window.recipients):
            try:
                window.templates[place] = self.prepared(window.envelope, recipient)
                window.addresses[place] = wire_address(recipient)
            except Refused as refused:
                window.known[place] = Sent(Result.PERMANENT, str(refused))

    def _admitted(self, window: Window, waiting: Sequence[int]) -> tuple[Sequence[int], dict[int, Held]]:
        if self._settings.limits == NO_LIMITS:
            return waiting, {}
        going: list[int] = []
        held: dict[int, Held] = {}
        for place in waiting:
            why = self._gate.enter(window.domain(place), again=window.envelope.attempt > 1)
            if why is None:
                going.append(place)
            else:
                held[place] = why
        return going, held

    async def _held_back(self, window: Window, held: Mapping[int, Held]) -> bool:
        """Waits for the limits; False once that would take too long: then the others are answered."""
        left_s = window.ends_waiting - asyncio.get_running_loop().time()
        wait_s = min(why.wait_s or left_s for why in held.values())
        if 0 < wait_s <= left_s:
            await self._gate.changed(wait_s)
            return True
        lots: dict[tuple[Limit, str], list[int]] = {}
        for place, why in held.items():
            lots.setdefault((why.limit, window.domain(place)), []).append(place)
        for (limit, domain), places in lots.items():
            result, reason = OUTCOMES[limit]
            retry_after_s = self._gate.retry_after_s(limit, domain, len(places))
            window.refuse(places, Sent(result, reason, retry_after_s=retry_after_s))
        return False

    async def _carry(self, window: Window, going: Sequence[int]) -> bool:
        """Sends to these; False if the connection broke before all were answered."""
        asked: deque[int] = deque()
        entered = set() if self._settings.limits == NO_LIMITS else set(going)

        def answered(answer: Answer) -> None:
            place = asked.popleft()
            window.known[place] = outcome(answer, window.recipients[place])
            if place in entered:
                entered.discard(place)
                self._gate.leave(window.domain(place))

        try:
            async with self._pool.line() as line:
                await self._transmit(line, window, going, asked, answered)
        finally:
            for place in entered:
                self._gate.leave(window.domain(place))
        return all(window.known[place] for place in going)

    async def _transmit(
        self, line: SmtpLine, window: Window, going: Sequence[int], asked: deque[int], answered: Answered
    ) -> None:
        try:
            await line.transmit(self._mails(line, window, going, asked), answered)
        except _LINE_ERRORS as error:
            # Nobody can be reached now, so the reason is the same for all.
            window.refuse(window.open(), mapped(error, Stage.CONNECT))
        except asyncio.CancelledError:
            if line.opening:
                window.known[window.open()[0]] = mapped(TimeoutError("the window's time is over"), Stage.CONNECT)
            raise

    def _mails(self, line: SmtpLine, window: Window, going: Sequence[int], asked: deque[int]) -> Iterator[Mail]:
        """Made one by one, as the line asks for them."""
        for place in going:
            recipient = window.recipients[place]
            try:
                prepared, address = window.templates[place], window.addresses[place]
                mail = payload(window.envelope.at, recipient, address, prepared, self._settings.sign)
            except Refused as refused:
                window.known[place] = Sent(Result.PERMANENT, str(refused))
                continue
            if mail.utf8 and not line.offers("smtputf8"):
                window.known[place] = Sent(*OUTCOMES["smtputf8"])
                continue
            asked.append(place)
            yield mail

    def prepared(self, envelope: Envelope, recipient: Recipient) -> MailTemplate:
        """The rendering as a template, made once. Raises Refused, and TypeError for another channel's."""
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
