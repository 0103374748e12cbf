"""Mails as bytes: a rendering becomes a template once, and each recipient is spliced into it.

Building a message with `email.message` costs a millisecond, splicing a few microseconds. The bodies are
quoted-printable, so every line is short and ASCII and no extension is needed; a slot for the recipient's own link
stands between two soft line breaks, which vanish when the body is decoded.

A calendar entry is an attachment beside the bodies, not a third alternative: Outlook shows a mail that has a calendar
as an alternative as that entry alone, without the words. As an attachment of type text/calendar it can be added with
one touch in Gmail, Apple Mail and Outlook, and the method in its type says what it is to do (RFC 6047).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.base64mime import body_encode as base64_encode
from email.header import Header
from email.quoprimime import body_encode
from email.utils import format_datetime, parseaddr, quote
from functools import lru_cache
from typing import Any, Final

from icalendar import Calendar, vCalAddress

from pipeline.channels.base import Recipient
from pipeline.errors import ConfigurationError
from schemas.rendering import EmailContent

SLOTS: Final = re.compile(r"\{\{(unsubscribe|confirm)\}\}")
"""In a body: a link of the recipient's own."""

CRLF: Final = "\r\n"
_ENCODED_WORD: Final = 75
_SOFT_BREAK: Final = b"=\r\n"
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_LOCAL_PART: Final = re.compile(r'[^\s\x00-\x20\x7f<>()\[\]\\,;:@"]{1,64}')
_DOMAIN: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*")
_LINK: Final = re.compile(r"https?://[\x21\x23-\x3b\x3d\x3f-\x7e]{1,900}")
_LINE: Final = 75
"""RFC 2045 section 6.7: with a soft break added, the 76 characters that a line may have."""
_QUOTED_LINE: Final = re.compile(rb".{1,%d}(?<!=)(?<!=.)" % _LINE)
"""As much as a line holds of what is quoted-printable already, no escape torn in two."""
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9-]{1,35}")
_RETURN_TOKEN: Final = re.compile(r"\+(?P<token>[0-9a-f]{32}\.\d{1,4}\.[a-z2-7]{13})@", re.IGNORECASE)
MAX_RETURN_LOCAL: Final = 64 - len("+") - 32 - len(".9999.") - 13
"""Characters before the @ of the bounce mailbox: RFC 5321 (section 4.5.3.1.1) allows 64 with the token."""


class Refused(ValueError):
    """Something of the recipient's or of the rendering's cannot stand in a header; the text is the reason's name."""


@dataclass(frozen=True)
class Identity:
    """Who writes. `return_path` is the bounce mailbox that takes a token after a plus sign, if there is one."""

    name: str
    address: str
    domain: str
    return_path: str | None

    def envelope_sender(self, recipient: Recipient) -> str:
        """Where bounces go (VERP): `bounce+<intent>.<partition>.<seal>@domain`: a bounce names its intent."""
        if self.return_path is None or recipient.return_token is None:
            return self.return_path or self.address
        local, _, domain = self.return_path.rpartition("@")
        return f"{local}+{recipient.return_token}@{domain}"


def token_in(address: str) -> str | None:
    """The token in an envelope sender that looks like ours; whether it is, the vault says."""
    found = _RETURN_TOKEN.search(address)
    return found["token"].lower() if found else None


def identity(mail_from: str, mail_return_path: str | None) -> Identity:
    """Reads the two settings. Raises ConfigurationError naming the one that is wrong."""
    name, address = parseaddr(mail_from)
    for setting, value in (("TOCSIN_MAIL_FROM", address), ("TOCSIN_MAIL_RETURN_PATH", mail_return_path)):
        if value is not None and (not value.isascii() or _wire_address(value) is None):
            raise ConfigurationError(f"{setting} is not a mail address: set it to one such as status@example.com")
    if mail_return_path is not None and len(mail_return_path.rpartition("@")[0]) > MAX_RETURN_LOCAL:
        raise ConfigurationError(
            f"TOCSIN_MAIL_RETURN_PATH: at most {MAX_RETURN_LOCAL} characters before the @, as in bounce@example.com: "
            "each mail adds a token of its own, and no more than 64 are allowed with it (RFC 5321)"
        )
    return Identity(name, address, address.rpartition("@")[2], mail_return_path)


def wire_address(recipient: Recipient) -> str:
    """The address as SMTP wants it, its domain in IDNA; what is not ASCII then needs SMTPUTF8. Raises Refused."""
    address = _wire_address(recipient.address)
    name = recipient.name or ""
    if address is None or "\r" in name or "\n" in name:
        raise Refused("address_refused")
    return address


def _wire_address(address: str) -> str | None:
    local, at, name = address.rpartition("@")
    try:
        if not at or not _LOCAL_PART.fullmatch(local) or len(local.encode()) > 64:
            return None
    except UnicodeError:
        return None
    domain = _wire_domain(name)
    return None if domain is None else f"{local}@{domain}"


@lru_cache(maxsize=1024)
def _wire_domain(name: str) -> str | None:
    """Most people are at a few."""
    try:
        domain = name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return None
    return domain if _DOMAIN.fullmatch(domain) and len(domain) <= 253 else None


def transparent(message: bytes) -> bytes:
    """The message as it goes over the line (RFC 5321 section 4.5.2): a dot that begins a line is doubled.

    Every line ends in CRLF and the first is a header's, so a dot begins none but after these.
    """
    return message.replace(b"\r\n.", b"\r\n..")


def plain(octets: bytes) -> bytes:
    """The message out of what `transparent` made of it."""
    return octets.replace(b"\r\n..", b"\r\n.")


@dataclass(frozen=True)
class _Slot:
    """Where a recipient's link goes, on lines of its own; `escaped` in HTML."""

    name: str
    escaped: bool

    def filled(self, link: bytes) -> bytes:
        # What else HTML escapes no link has (`_LINK`), nor anything that must be encoded but the equals sign.
        octets = link.replace(b"&", b"&amp;").replace(b"'", b"&#x27;") if self.escaped else link
        octets = octets.replace(b"=", b"=3D")
        if len(octets) < _LINE:
            return octets
        return transparent(b"=\r\n".join(_QUOTED_LINE.findall(octets)))


@dataclass(frozen=True)
class MailTemplate:
    """A mail, as it goes over the line, but for what is the recipient's own."""

    identity: Identity
    head: bytes
    body: tuple[bytes | _Slot, ...]
    _slots: tuple[tuple[int, _Slot], ...] = field(init=False)

    def __post_init__(self) -> None:
        slots = ((place, piece) for place, piece in enumerate(self.body) if isinstance(piece, _Slot))
        object.__setattr__(self, "_slots", tuple(slots))

    def octets(self, recipient: Recipient, to: str, at: datetime) -> bytes:
        """The whole message for one recipient, with CRLF line ends, dots doubled. Raises Refused."""
        links = {
            "unsubscribe": _link("unsubscribe", recipient.unsubscribe_url, b""),
            "confirm": _link(
                "confirm", recipient.confirm_url, b"{{confirm}}"
            ),  # words of an event may look like a slot
        }
        pieces: list[Any] = [self._own_headers(recipient, to, at).encode(), self.head, *self.body]
        for place, slot in self._slots:
            pieces[place + 2] = slot.filled(links[slot.name])
        return b"".join(pieces)

    def _own_headers(self, recipient: Recipient, to: str, at: datetime) -> str:
        domain, first = self.identity.domain, recipient.first_intent_id
        thread = one_click = ""
        if first is not None and first != recipient.intent_id:
            thread = f"In-Reply-To: <{first}@{domain}>\r\nReferences: <{first}@{domain}>\r\n"
        if recipient.unsubscribe_url is not None and recipient.one_click:
            # RFC 8058 reads the URL literally: however long, it is neither folded nor encoded.
            one_click = (
                f"List-Unsubscribe: <{recipient.unsubscribe_url}>\r\n"
                "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            )
        name = _phrase(recipient.name, "To") if recipient.name else ""
        address = f"{name} <{to}>" if name else to
        return (
            f"Message-ID: <{recipient.intent_id}@{domain}>\r\n{thread}To: {address}\r\nDate: {_date(at)}\r\n{one_click}"
        )


def _link(name: str, link: str | None, without: bytes) -> bytes:
    if link is None:
        return without
    if not _LINK.fullmatch(link):
        raise Refused(f"{name}_url_refused")
    return link.encode()


@lru_cache(maxsize=64)
def _date(at: datetime) -> str:
    return format_datetime(at)


def template(content: EmailContent, digest: str, language: str, who: Identity, *, reply: bool) -> MailTemplate:
    """The template of a rendering; `reply` for later mails of an incident's thread. Raises Refused.

    Headers: RFC 5322; Auto-Submitted RFC 3834; List-Id RFC 2919; the bodies RFC 2045, 2046.
    """
    if re.search(r"[\r\n]", content.subject):
        raise Refused("subject_refused")
    subject = f"Re: {content.subject}" if reply else content.subject
    name = _phrase(who.name, "From")
    head = (
        f"From: {name + ' ' if name else ''}<{who.address}>\r\n"
        f"Subject: {_unstructured(subject, 'Subject')}\r\n"
        f"List-Id: <notices.{who.domain}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        f"{f'Content-Language: {language}{CRLF}' if _LANGUAGE.fullmatch(language) else ''}"
        "MIME-Version: 1.0\r\n"
    )
    parts = _alternatives(content, digest)
    if content.calendar is not None:
        parts = _mixed(parts, content.calendar, digest, who)
    # Every part begins a line.
    lines = (part if isinstance(part, _Slot) else transparent(b"\r\n" + part)[2:] for part in parts)
    return MailTemplate(who, head.encode(), tuple(lines))


def _boundary(digest: str, which: str) -> str:
    """A valid quoted-printable or base64 body holds no "=_": a boundary cannot occur in one, nor begin another."""
    return f"=_{which}{digest[:32]}"


def _alternatives(content: EmailContent, digest: str) -> list[bytes | _Slot]:
    """Both bodies, from the type of the whole to its end."""
    boundary = _boundary(digest, "")
    parts: list[bytes | _Slot] = [f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'.encode()]
    for subtype, text in (("plain", content.text), ("html", content.html)):
        parts.append(
            f"--{boundary}\r\nContent-Type: text/{subtype}; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n".encode()
        )
        parts.extend(_with_slots(text, escaped=subtype == "html"))
        parts.append(b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return parts


def _mixed(bodies: list[bytes | _Slot], calendar: str, digest: str, who: Identity) -> list[bytes | _Slot]:
    """The bodies with the calendar entry attached; base64 keeps its line ends and folds as they are."""
    boundary = _boundary(digest, "m")
    entry = Calendar.from_ical(calendar)
    for event in entry.walk("VEVENT"):
        # Whoever publishes or cancels an entry is named in it (RFC 5546 section 3.2); deciding knows no address.
        event.add("ORGANIZER", vCalAddress(f"mailto:{who.address}"), parameters={"CN": who.name} if who.name else {})
    return [
        f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'.encode(),
        *bodies,
        f"\r\n--{boundary}\r\nContent-Type: text/calendar; charset=utf-8; method={entry['METHOD']}\r\n"
        'Content-Disposition: attachment; filename="maintenance.ics"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n".encode(),
        base64_encode(entry.to_ical(), eol=CRLF).encode("ascii"),
        f"--{boundary}--\r\n".encode(),
    ]


def _with_slots(text: str, *, escaped: bool) -> Iterator[bytes | _Slot]:
    for number, piece in enumerate(SLOTS.split(text)):
        if number % 2:
            yield _SOFT_BREAK
            yield _Slot(piece, escaped)
            yield _SOFT_BREAK
        else:
            yield _quoted_printable(piece)


def _quoted_printable(text: str) -> bytes:
    octets = _LINE_BREAK.sub("\n", text).encode("utf-8", "replace")
    return body_encode(octets.decode("latin-1"), maxlinelen=_LINE, eol=CRLF).encode("ascii")


def _plain(text: str) -> bool:
    """Whether a header can hold it as it is; what looks like an encoded word must be encoded to stay what it is."""
    return text.isascii() and text.isprintable() and "=?" not in text and len(text) <= 60


def _unstructured(text: str, header: str) -> str:
    return text if _plain(text) and text == text.strip() else _encoded(text, header)


def _phrase(text: str, header: str) -> str:
    """A display name."""
    if _plain(text):
        return f'"{quote(text)}"' if text else ""
    return _encoded(text, header)


def _encoded(text: str, header: str) -> str:
    """RFC 2047, folded: an encoded word holds 75 characters at most."""
    text = text.encode("utf-8", "replace").decode()
    return Header(text, "utf-8", maxlinelen=_ENCODED_WORD, header_name=header).encode(linesep=CRLF)
