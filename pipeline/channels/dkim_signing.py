"""DKIM signatures (RFC 6376) by dkimpy, for relays that do not sign themselves; the extra `dkim` brings it.

dkimpy computes RSA in Python: a signature of 2048 bits takes some 5 ms, hundreds of times what all else about a mail
does, and less than 200 mails a second go out. Where the relay can sign, let it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pipeline.errors import ConfigurationError

Sign = Callable[[bytes], bytes]
"""The message with its signature before it."""

_SIGNED: Final = (
    b"from to subject date message-id in-reply-to references list-id list-unsubscribe list-unsubscribe-post "
    b"auto-submitted content-language mime-version content-type"
).split()
"""RFC 6376 section 5.4, and RFC 8058 section 4: the one-click headers must be covered."""


def signer(key: Path | None, selector: str | None, domain: str) -> Sign | None:
    """None where nothing is set. Raises ConfigurationError naming what is missing or wrong."""
    if key is None and selector is None:
        return None
    if key is None or selector is None:
        raise ConfigurationError("TOCSIN_DKIM_KEY and TOCSIN_DKIM_SELECTOR belong together: set both or neither")
    try:
        import dkim
    except ImportError as error:
        raise ConfigurationError("TOCSIN_DKIM_KEY needs dkimpy: pip install 'tocsin[dkim]'") from error
    try:
        pem = key.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"TOCSIN_DKIM_KEY: {key} cannot be read ({error.strerror})") from error

    def sign(message: bytes) -> bytes:
        signature: bytes = dkim.sign(
            message,
            selector.encode("idna"),
            domain.encode("ascii"),
            pem,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=_SIGNED,
        )
        return signature + message

    try:
        sign(b"From: a@example.com\r\n\r\n")
    except (dkim.DKIMException, ValueError) as error:
        raise ConfigurationError(f"TOCSIN_DKIM_KEY: {key} is no RSA private key in PEM ({error})") from error
    return sign
