"""Chat, push and some hundred services more through Apprise, an optional library: at least once, and twice at most.

A subscriber's address is one Apprise URL, tokens and all, and as sealed as any. The library blocks and says little:
that a service took it, that it did not, or that it did not answer in time. What "did not" means it does not tell apart.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from pipeline.channels.base import Envelope, Mapped, Recipient, Sent
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from schemas.base import Channel
from schemas.delivery import Result
from schemas.rendering import PushContent

OUTCOMES: Final[Mapping[str, Mapped]] = {
    "SUCCESS": (Result.ACCEPTED, "service_accepted"),
    # Refused, unreachable, or lost after it was taken: the library gives one answer for all of them.
    "FAILURE": (Result.UNKNOWN, "not_confirmed"),
    "PARTIAL": (Result.UNKNOWN, "not_confirmed"),
    "TIMEOUT": (Result.UNKNOWN, "timeout_after_request"),
    "NOMATCH": (Result.PERMANENT, "service_unusable"),
}
"""Apprise's status -> our result and reason."""

THREADS: Final = 8
"""As many calls run at once; one that hangs beyond its bound keeps its thread, and no other channel's."""
_GRACE_S: Final = 5.0


@dataclass(frozen=True)
class AppriseSettings:
    """Seconds for one call, by the wall clock."""

    timeout_s: float = 20.0


def apprise_settings(settings: Settings) -> AppriseSettings | None:
    """None unless TOCSIN_APPRISE is set. Raises ConfigurationError where the library is missing."""
    if not settings.apprise:
        return None
    if find_spec("apprise") is None:
        raise ConfigurationError("TOCSIN_APPRISE is set, but Apprise is not installed: pip install 'tocsin[apprise]'")
    return AppriseSettings()


def payload(envelope: Envelope) -> dict[str, str]:
    """What Apprise's `notify` is given. As text: a service that shows markup must not find any in an event's words."""
    content = envelope.content
    if not isinstance(content, PushContent):
        raise TypeError(f"the Apprise channel was given content for {content.channel}")
    return {"title": content.title, "body": content.text, "body_format": "text"}


def mapped(status: str) -> Sent:
    """What a status of Apprise's means; one that is new means that nobody knows."""
    result, reason = OUTCOMES.get(status, OUTCOMES["FAILURE"])
    return Sent(result, reason, code=status.lower())


class AppriseSender:
    """One call per recipient, in a thread of the channel's own."""

    channel = Channel.APPRISE
    max_window = 1

    def __init__(self, settings: AppriseSettings) -> None:
        # It logs addresses, and what services answer about them.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="apprise")

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        """See Sender."""
        return [await self._send(envelope, recipient) for recipient in recipients]

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        """There is no way to ask: once more, since a notification twice is better than none."""
        return Sent(Result.RETRYABLE, "cannot_be_asked")

    async def close(self) -> None:
        """Lets go of the threads; one that hangs ends with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send(self, envelope: Envelope, recipient: Recipient) -> Sent:
        call = asyncio.get_running_loop().run_in_executor(
            self._threads, self._notify, recipient.address, payload(envelope)
        )
        try:
            async with asyncio.timeout(self._settings.timeout_s + _GRACE_S):
                return mapped(await call)
        except TimeoutError:
            return mapped("TIMEOUT")

    def _notify(self, address: str, arguments: dict[str, Any]) -> str:
        """In a thread. A plugin's own error is a failure whose cause nobody knows."""
        import apprise

        try:
            service = apprise.Apprise()
            if not service.add(address):
                return "NOMATCH"
            return str(service.notify(**arguments, timeout=self._settings.timeout_s).status.name)
        except Exception:
            return "FAILURE"
