"""How fast a channel may go: token buckets for what the provider allows, and how many calls may be under way at once.

All of it is values: each change is a new one, and the moment is passed in. `agents.gate` holds the present one.

How many at once is found by additive increase and multiplicative decrease (AIMD: Chiu and Jain, "Analysis of the
Increase and Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989): one more per round of good
answers, half of them after a refusal, once a round, as TCP does (RFC 5681); and no more while less than half are used,
as Netflix's concurrency-limits has it (`AIMDLimit`), since a limit that nothing tests says nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pipeline.channels.base import Allowance, Sent
from pipeline.settings import Settings
from schemas.base import Channel

CONGESTED: Final = frozenset({"rate_limited", "queue_full"})
"""Reasons by which a provider says that it is too much at once."""
QUARTER_S: Final = 15 * 60.0
DAY_S: Final = 24 * 3600.0
AT_ONCE: Final = 8
"""Calls at once on a channel that names no other number."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens, one for each message: at most `burst`, of which `per_s` come back each second.

    `window_s`: the provider's own window that it stands for, by which its word on what is left is known. `shut`: until
    then the provider takes nothing, whatever is in it.
    """

    per_s: float
    burst: float
    window_s: float
    tokens: float
    at: datetime
    shut: datetime | None = None

    @classmethod
    def full(cls, per_s: float, burst: float, window_s: float, at: datetime) -> "Bucket":
        """One that nothing was taken from."""
        return cls(per_s, max(1.0, burst), window_s, max(1.0, burst), at)

    @classmethod
    def within(cls, limit: float, window_s: float, at: datetime) -> "Bucket":
        """At most `limit` in any window, however it lies: half at once, the other half while the window passes."""
        return cls.full(limit / 2 / window_s, limit / 2, window_s, at)

    def wait_s(self, at: datetime, share: float = 1.0) -> float:
        """Seconds until a token is there; 0 if one is. `share`: of the provider's limit, what is this worker's."""
        shut_s = (self.shut - at).total_seconds() if self.shut else 0.0
        missing = 1.0 - self._filled(at, share).tokens
        return max(0.0, shut_s, missing / (self.per_s * share))

    def taken(self, at: datetime, share: float = 1.0) -> "Bucket":
        """One less."""
        filled = self._filled(at, share)
        return replace(filled, tokens=filled.tokens - 1.0)

    def given_back(self) -> "Bucket":
        """It was not used."""
        return replace(self, tokens=self.tokens + 1.0)

    def told(self, allowance: Allowance) -> "Bucket":
        """What the provider itself says is left counts where it is less."""
        shut = self.shut
        if allowance.remaining == 0:
            shut = max(self.shut or allowance.until, allowance.until)
        return replace(self, tokens=min(self.tokens, float(allowance.remaining)), shut=shut)

    def _filled(self, at: datetime, share: float) -> "Bucket":
        passed_s = max(0.0, (at - self.at).total_seconds())  # a clock that was set back gives nothing
        most = max(1.0, self.burst * share)
        tokens = min(most, self.tokens + passed_s * self.per_s * share)
        return replace(self, tokens=tokens, at=max(self.at, at))


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many calls may be under way, `lowest` to `highest`. A call slower than `slow_s` counts as a refusal."""

    limit: float
    lowest: int
    highest: int
    slow_s: float = 10.0
    lowered: datetime | None = None

    @classmethod
    def fixed(cls, number: int) -> "AtOnce":
        """Always as many."""
        return cls(number, number, number)

    @property
    def number(self) -> int:
        """The limit as calls."""
        return int(self.limit)

    def after(self, began: datetime, ended: datetime, under_way: int, refused: bool) -> "AtOnce":
        """What an answer teaches. `under_way`: how many calls were, this one among them."""
        if refused or (ended - began).total_seconds() > self.slow_s:
            if self.lowered is not None and began <= self.lowered:
                return self  # of the round that was answered for already
            return replace(self, limit=max(float(self.lowest), self.limit / 2), lowered=ended)
        if under_way * 2 < self.number:
            return self
        return replace(self, limit=min(float(self.highest), self.limit + 1.0 / self.limit))


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a channel may go at this moment."""

    at_once: AtOnce
    buckets: tuple[Bucket, ...] = ()

    def wait_s(self, at: datetime, share: float) -> float:
        """Seconds until every bucket has a token."""
        return max((bucket.wait_s(at, share) for bucket in self.buckets), default=0.0)

    def taken(self, at: datetime, share: float) -> "Pace":
        """A message is about to go."""
        return replace(self, buckets=tuple(bucket.taken(at, share) for bucket in self.buckets))

    def given_back(self) -> "Pace":
        """It did not go."""
        return replace(self, buckets=tuple(bucket.given_back() for bucket in self.buckets))

    def answered(self, began: datetime, ended: datetime, under_way: int, answers: Iterable[Sent]) -> "Pace":
        """What the provider's answers to one call teach: how many at once, what is left, until when to stay away."""
        answers = list(answers)
        congested = [sent for sent in answers if sent.reason in CONGESTED]
        buckets = self.buckets
        for sent in answers:
            for allowance in sent.allowances:
                buckets = tuple(b.told(allowance) if b.window_s == allowance.window_s else b for b in buckets)
        for sent in congested:
            if sent.retry_after_s is not None:
                until = ended + timedelta(seconds=sent.retry_after_s)
                buckets = tuple(replace(b, shut=max(b.shut or until, until)) for b in buckets)
        at_once = self.at_once.after(began, ended, under_way, refused=bool(congested))
        return Pace(at_once, buckets)


def pace_for(channel: Channel, settings: Settings, at: datetime) -> Pace:
    """How fast a channel may go at first."""
    match channel:
        case Channel.EMAIL:
            # while one window's records are being written, another one has its connection
            return Pace(AtOnce.fixed(2 * settings.smtp_connections))
        case Channel.SMS:
            # a second's worth at once; what comes faster only waits in the provider's queue, until it is too old
            return Pace(AtOnce(16.0, 1, 64), (Bucket.full(settings.sms_per_s, settings.sms_per_s, 1.0, at),))
        case Channel.X:
            user = Bucket.within(settings.x_posts_per_quarter_hour, QUARTER_S, at)
            return Pace(AtOnce.fixed(1), (user, Bucket.within(settings.x_posts_per_day, DAY_S, at)))
        case Channel.WEBHOOK:
            # each goes to another receiver: one that hangs must not hold up the others
            return Pace(AtOnce.fixed(32))
        case _:
            return Pace(AtOnce.fixed(AT_ONCE))
