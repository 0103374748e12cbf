"""Addresses: what may stand as one on a channel, and the one spelling by which it is found again."""

import re
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from pipeline.errors import TocsinError
from schemas.base import Channel

_X_HANDLE = re.compile(r"@?([A-Za-z0-9_]{1,15})")
"""What X allows as a user name."""
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


def clean(channel: Channel, address: str) -> str:
    """The address as it is written to. Raises BadAddress."""
    match channel:
        case Channel.EMAIL:
            return clean_email(address)
        case Channel.SMS:
            return clean_phone(address)
        case Channel.X:
            return clean_handle(address)


def comparable(channel: Channel, address: str) -> str:
    """The spelling by which two addresses are the same mailbox, number or account. Raises BadAddress.

    RFC 5321 lets a host tell `A@` from `a@`; none that matters does, and an opt-out must hold for both.
    """
    return clean(channel, address).casefold()
