"""Where the relay is, out of TOCSIN_SMTP_URL."""

import ssl
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from pipeline.channels.smtp_line import LineOptions
from pipeline.errors import ConfigurationError

_PORTS: Final = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
COMMAND_TIMEOUT_S: Final = 10.0
DOT_TIMEOUT_S: Final = 30.0


def line_options(text: str, local_hostname: str, tls_context: ssl.SSLContext | None) -> LineOptions:
    """Raises ConfigurationError, which never quotes the URL and its password."""
    url = _url(text)
    if url is None or not url.hostname:
        raise ConfigurationError(
            "TOCSIN_SMTP_URL is not of the form smtp://host:port, smtps://user:password@host or smtp+starttls://…; "
            "what is special in a URL, such as / # ? @ in a password, is written percent-encoded"
        )
    if url.username and url.scheme == "smtp" and url.hostname not in _LOOPBACK:
        raise ConfigurationError(
            "TOCSIN_SMTP_URL would send its password in clear: use smtps:// or smtp+starttls:// instead of smtp://"
        )
    return LineOptions(
        host=url.hostname,
        port=url.port or _PORTS[url.scheme],
        implicit_tls=url.scheme == "smtps",
        starttls=url.scheme == "smtp+starttls",
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        local_hostname=local_hostname,
        command_timeout_s=COMMAND_TIMEOUT_S,
        dot_timeout_s=DOT_TIMEOUT_S,
        tls_context=tls_context,
    )


def _url(text: str) -> SplitResult | None:
    """The URL's parts; None for what is none. The standard library's own errors quote it, password and all."""
    try:
        url = urlsplit(text)
        return url if url.scheme in _PORTS and url.port != 0 and not url.path.strip("/") else None
    except ValueError:
        return None
