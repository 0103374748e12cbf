"""What the HTTP channels share: bounded sessions, and what a broken request means.

The question is always the same: can the provider have acted on it? Before the request was out it cannot (retryable);
afterwards nobody here knows (unknown).
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from pipeline.channels.base import Mapped
from pipeline.clock import Clock
from schemas.delivery import Result

# First match wins, so the more specific classes of aiohttp stand first.
NETWORK: Final[tuple[tuple[type[BaseException], Mapped], ...]] = (
    (aiohttp.ClientConnectorCertificateError, (Result.RETRYABLE, "tls_not_verified")),
    (aiohttp.ClientConnectorSSLError, (Result.RETRYABLE, "tls_failed")),
    (aiohttp.ClientConnectorError, (Result.RETRYABLE, "provider_unreachable")),
    (aiohttp.ConnectionTimeoutError, (Result.RETRYABLE, "connect_timeout")),
    (aiohttp.InvalidURL, (Result.RETRYABLE, "base_url_wrong")),
    (aiohttp.ServerDisconnectedError, (Result.UNKNOWN, "connection_lost_after_request")),
    (TimeoutError, (Result.UNKNOWN, "timeout_after_request")),
    (aiohttp.ClientError, (Result.UNKNOWN, "connection_lost_after_request")),
    (OSError, (Result.UNKNOWN, "connection_lost_after_request")),
    # json.JSONDecodeError and UnicodeDecodeError: answered, but not readably.
    (ValueError, (Result.UNKNOWN, "answer_unreadable")),
)
NETWORK_ERRORS: Final = tuple(kind for kind, _ in NETWORK)


def mapped_network_error(error: BaseException) -> Mapped:
    """What `error`, one of NETWORK_ERRORS, says about the request."""
    return next(mapped for kind, mapped in NETWORK if isinstance(error, kind))


def session(
    connect_s: float,
    read_s: float,
    response_class: type[aiohttp.ClientResponse],
    connector: aiohttp.BaseConnector | None = None,
) -> aiohttp.ClientSession:
    """A session of our own, without cookies; needs a running loop."""
    return aiohttp.ClientSession(
        connector=connector,
        # `connect` waits for a free connection of the pool too, where no byte has gone out either.
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s, sock_read=read_s),
        response_class=response_class,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def retry_after_s(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110 section 10.2.3: seconds or a date); None without one."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - clock()).total_seconds())
    except (ValueError, TypeError):
        return None
