"""Addresses: what may stand as one on a channel, and the one spelling by which it is found again."""

import base64
import binascii
import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from pipeline.errors import TocsinError
from schemas.base import Channel

_X_HANDLE = re.compile(r"@?([A-Za-z0-9_]{1,15})")
"""What X allows as a user name."""
_URL = re.compile(r"[!-~]{1,2000}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.+")
HERE = frozenset({"dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "syslog", "blink1"})
"""Apprise's services that act on the machine which sends, or by its settings: they reach nobody else."""
ANYWHERE = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises"})
"""Those that post to any address: that is what a webhook is for, which is signed and refuses private networks."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - how one begins
SECRET_BYTES = range(24, 65)
"""How long the Standard Webhooks specification wants a secret."""
AGAIN = 64
"""One import line asks for the same address several times in a row; checking one costs a tenth of a millisecond."""


class BadAddress(TocsinError):
    """What was given is no address of that channel; the text says why, and never repeats the address."""


@lru_cache(maxsize=AGAIN)
def clean_email(address: str) -> str:
    """The address with its domain in lower case and NFC throughout; nothing is looked up. Raises BadAddress."""
    try:
        # A company's own mail hosts (ops@mail.corp, root@localhost) are as good as the internet's.
        found = validate_email(address.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise BadAddress(str(error)) from None
    return found.normalized


@lru_cache(maxsize=AGAIN)
def clean_phone(number: str) -> str:
    """The number in E.164. It must say its country; that its length can be right is all that is checked.

    Numbering plans change faster than lists of them: whether it can be reached, the provider says. Raises BadAddress.
    """
    try:
        parsed = phonenumbers.parse(number.strip(), None)
    except phonenumbers.NumberParseException:
        raise BadAddress("not a phone number with a country code, such as +49 30 123456") from None
    if parsed.extension or not phonenumbers.is_possible_number(parsed):
        raise BadAddress("not a possible phone number of its country")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def clean_handle(handle: str) -> str:
    """The account's name on X without the @. Raises BadAddress."""
    if (found := _X_HANDLE.fullmatch(handle.strip())) is None:
        raise BadAddress("not a user name on X: 1 to 15 letters, digits or underscores")
    return found[1]


def clean_webhook(url: str) -> str:
    """Where a webhook goes: https, or http to this very machine. Whether its host may be reached, sending asks.

    Raises BadAddress.
    """
    url = url.strip()
    if _URL.fullmatch(url) is None:
        raise BadAddress("not a URL of at most 2,000 characters of ASCII")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise BadAddress("not a URL") from None
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadAddress("a webhook's URL holds neither a user nor a fragment: its messages are signed")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise BadAddress("https://… (http:// is for this very machine alone)")
    return parts._replace(netloc=parts.netloc.lower()).geturl()


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL writes it, is this very machine; names are not looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def clean_webhook_secret(secret: str) -> str:
    """The secret by which a webhook's messages are signed, as Standard Webhooks writes it. Raises BadAddress."""
    secret = secret.strip()
    try:
        raw = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not secret.startswith(SECRET_PREFIX) or len(raw) not in SECRET_BYTES:
        raise BadAddress("whsec_ and 24 to 64 bytes as base64: echo whsec_$(openssl rand -base64 32)")
    return secret


def clean_apprise(url: str) -> str:
    """A service as Apprise writes it. Whether it can be used, Apprise says when it is sent to. Raises BadAddress."""
    url = url.strip()
    found = _SCHEME.fullmatch(url)
    if found is None or _URL.fullmatch(url) is None:
        raise BadAddress("not a service as Apprise writes one, such as slack://… or ntfys://…")
    if (scheme := found[1].lower()) in HERE:
        raise BadAddress(f"{scheme}:// acts on the machine that sends and reaches nobody else")
    if scheme in ANYWHERE:
        raise BadAddress(f"{scheme}:// posts to any address: enrol it as a webhook_url, whose messages are signed")
    return url


def clean(channel: Channel, address: str) -> str:
    """The address as it is written to. Raises BadAddress."""
    match channel:
        case Channel.EMAIL:
            return clean_email(address)
        case Channel.SMS:
            return clean_phone(address)
        case Channel.X:
            return clean_handle(address)
        case Channel.WEBHOOK:
            return clean_webhook(address)
        case Channel.APPRISE:
            return clean_apprise(address)


def comparable(channel: Channel, address: str) -> str:
    """The spelling by which two addresses are the same mailbox, number or account. Raises BadAddress.

    RFC 5321 lets a host tell `A@` from `a@`; none that matters does, and an opt-out must hold for both. The path of a
    URL, and the tokens in it, do tell them.
    """
    cleaned = clean(channel, address)
    return cleaned if channel in {Channel.WEBHOOK, Channel.APPRISE} else cleaned.casefold()
