"""What every channel offers, and what passes in and out of it.

A sender never decides whether somebody is told: it is given recipients who are to be told, and says what happened, in
our own named results. It raises nothing for a provider's trouble; a cancelled call closes its connection first.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from schemas.base import Channel
from schemas.delivery import Result
from schemas.rendering import Content

MAX_DETAIL: Final = 500
"""Characters of a provider's text that are kept."""

Mapped = tuple[Result, str]
"""A result and the reason that is ours."""


@dataclass(frozen=True)
class Recipient:
    """One person, or account, that is to be told. `partition` goes into callbacks and return paths."""

    subscriber: str
    intent_id: str
    partition: int
    address: str
    name: str | None = None
    unsubscribe_url: str | None = None
    one_click: bool = True
    """Whether a POST to that link unsubscribes at once (RFC 8058); not for a list, whose members share the link."""
    confirm_url: str | None = None
    return_token: str | None = None
    """What names the intent in the return path of their mail, signed."""
    first_intent_id: str | None = None
    """The incident's first mail to this recipient, which later ones answer to."""
    secret: str | None = field(default=None, repr=False)
    """What messages to them are signed with, where they are."""


@dataclass(frozen=True)
class Envelope:
    """What is to be said. `attempt` counts from 1; `at` is the moment of this attempt."""

    incident: str
    notice_id: str
    attempt: int
    at: datetime
    content: Content
    rendering_sha256: str
    language: str


@dataclass(frozen=True)
class Allowance:
    """What a provider says may still go within one of its windows, and when the next one begins."""

    window_s: float
    remaining: int
    until: datetime


class Sent(NamedTuple):
    """What came of it for one recipient. `code` and `detail` are the provider's, without addresses.

    `allowances`: what the provider said beside it about its limits.
    """

    result: Result
    reason: str
    code: str | None = None
    detail: str | None = None
    provider_id: str | None = None
    retry_after_s: float | None = None
    opt_out: bool = False
    allowances: tuple[Allowance, ...] = ()


class Sender(Protocol):
    """A channel. One instance serves all windows of a process."""

    channel: Channel
    max_window: int
    """Recipients in one call of `send`."""

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        """Tells each recipient, and says what happened, one answer each, in their order."""
        ...

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        """After an `unknown`: what really happened.

        ACCEPTED: it was, or now is, with the provider. RETRYABLE: it was not, or may be sent again. UNKNOWN: it cannot
        be told yet. PERMANENT, PARKED: it must not be tried again. Called after a hold, once per unknown attempt; how
        many of them are borne is the caller's choice.
        """
        ...

    async def close(self) -> None:
        """Gives back connections. The sender is not used afterwards."""
        ...


def lookup(table: Mapping[str, Mapped], keys: Iterable[str]) -> Mapped:
    """The entry of the first of `keys`, most specific first, that `table` has. The last one must be there."""
    key = ""
    for key in keys:
        if key in table:
            return table[key]
    raise KeyError(key)


_ADDRESS: Final = re.compile(r"[^\s<>@:;,()\"']+@[^\s<>@:;,()\"']+")
_NUMBER: Final = re.compile(r"\+?\(?\d(?:[\s()-]{0,2}\d){6,14}(?!\w)")


def redacted(text: object, *personal: str | None) -> str | None:
    """`text` as one line of at most 500 characters without mail addresses, phone numbers and what `personal` names."""
    line = str(text)
    if not line.isprintable():
        line = "".join(c if c.isprintable() else " " for c in line)
    line = " ".join(line.split())
    for value in personal:
        if value and _may_hold(line, value):
            line = re.sub(re.escape(value), "<redacted>", line, flags=re.IGNORECASE)
    line = _NUMBER.sub("<number>", _ADDRESS.sub("<address>", line) if "@" in line else line)
    return line[:MAX_DETAIL] or None


def _may_hold(line: str, value: str) -> bool:
    """Whether the search is worth it: a pattern of each recipient's own would be compiled for each of them."""
    return not (line.isascii() and value.isascii()) or value.lower() in line.lower()


def with_detail(mapped: Mapped, *, code: str | None, detail: object, personal: Iterable[str | None] = ()) -> Sent:
    """A mapped error with the provider's own words, redacted."""
    result, reason = mapped
    return Sent(result, reason, code=code, detail=redacted(detail, *personal))
