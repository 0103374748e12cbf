"""How much mail may go in a second and at once, in all and to one domain: token buckets, and a count.

Nothing here waits or sends. Moments are seconds of a clock that only goes forward.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_KEPT_DOMAINS: Final = 10_000
_FULL_DOMAIN_RETRY_S: Final = 1.0


class Limit(StrEnum):
    """What a mail waits for; the text is its key among the outcomes."""

    ALL = "limit all"
    DOMAIN = "limit domain"
    AT_ONCE = "limit domain at once"


@dataclass(frozen=True)
class Limits:
    """None: no limit. Rates are mails a second; `domain_at_once` counts the mails to one domain that are under way."""

    per_s: float | None = None
    domain_per_s: float | None = None
    domain_at_once: int | None = None


NO_LIMITS: Final = Limits()


@dataclass(frozen=True)
class Held:
    """A mail that may not go yet: why, and after how many seconds it is worth asking again; 0: when another ends."""

    limit: Limit
    wait_s: float


@dataclass
class _Bucket:
    """Tokens: one a mail, `per_s` new ones a second, at most a second's worth of them (and one at least)."""

    per_s: float
    tokens: float = field(init=False)
    at: float = 0.0
    promised_until: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.size

    @property
    def size(self) -> float:
        return max(1.0, self.per_s)

    def wait_s(self, now: float, *, again: bool = True) -> float:
        """Until there is a token; fills up first. Who was not sent back before waits behind those who were."""
        self.tokens, self.at = min(self.size, self.tokens + (now - self.at) * self.per_s), now
        # A wait that is a rounding error short of a token would be asked for again and again.
        wait_s = 0.0 if self.tokens >= 1.0 - 1e-9 else (1.0 - self.tokens) / self.per_s
        return wait_s if again else max(wait_s, self.promised_until - now)

    def promise_s(self, now: float, count: int) -> float:
        """When `count` mails that are sent back now will all have had a token, behind those sent back before."""
        self.promised_until = max(self.promised_until, now + self.wait_s(now)) + count / self.per_s
        return self.promised_until - now


class Gate:
    """Lets mails through as the limits allow. `clock` is the event loop's, unless a test's."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._all = _Bucket(limits.per_s) if limits.per_s is not None else None
        self._domains: dict[str, _Bucket] = {}
        self._under_way: Counter[str] = Counter()
        self._left = asyncio.Event()

    def enter(self, domain: str, *, again: bool = False) -> Held | None:
        """None: it may go, counts as gone, and `leave` is to be called at its end. `again`: it was tried before."""
        now, at_once = self._clock(), self._limits.domain_at_once
        if at_once is not None and self._under_way[domain] >= at_once:
            return Held(Limit.AT_ONCE, 0.0)
        own = self._bucket(domain)
        if own is not None and (wait_s := own.wait_s(now, again=again)) > 0:
            return Held(Limit.DOMAIN, wait_s)
        if self._all is not None and (wait_s := self._all.wait_s(now, again=again)) > 0:
            return Held(Limit.ALL, wait_s)
        for bucket in (own, self._all):
            if bucket is not None:
                bucket.tokens -= 1.0
        if at_once is not None:
            self._under_way[domain] += 1
        return None

    def leave(self, domain: str) -> None:
        """The mail to `domain` has ended, whichever way."""
        if self._limits.domain_at_once is not None:
            self._under_way[domain] -= 1
            if self._under_way[domain] <= 0:
                del self._under_way[domain]
            self._left.set()

    async def changed(self, within_s: float) -> None:
        """Returns when a mail has ended, or after `within_s`."""
        self._left.clear()
        try:
            await asyncio.wait_for(self._left.wait(), within_s)
        except TimeoutError:
            pass  # Time alone brings tokens.

    def retry_after_s(self, limit: Limit, domain: str, count: int) -> float:
        """When `count` mails that this limit sends back together are worth another try."""
        bucket = {Limit.ALL: self._all, Limit.DOMAIN: self._bucket(domain), Limit.AT_ONCE: None}[limit]
        return _FULL_DOMAIN_RETRY_S if bucket is None else bucket.promise_s(self._clock(), count)

    def _bucket(self, domain: str) -> _Bucket | None:
        if self._limits.domain_per_s is None:
            return None
        if domain not in self._domains:
            if len(self._domains) >= _KEPT_DOMAINS:
                self._forget()
            self._domains[domain] = _Bucket(self._limits.domain_per_s, at=self._clock())
        return self._domains[domain]

    def _forget(self) -> None:
        """Drops the buckets that are full, which new ones would be as well."""
        now = self._clock()
        for domain, bucket in list(self._domains.items()):
            if bucket.wait_s(now) == 0 and bucket.tokens >= bucket.size and bucket.promised_until <= now:
                del self._domains[domain]
