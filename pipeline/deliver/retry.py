"""When something is tried again, and when given up: back-off with full jitter, bounded by attempts and time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.channels.base import Sent
from pipeline.deliver.ledger import SoFar
from schemas.base import Channel
from schemas.delivery import Outcome, Result


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait and how often to try. Seconds."""

    base_s: float = 5.0
    cap_s: float = 900.0
    attempts: int = 10
    unknown_hold_s: float = 60.0
    unknowns: int = 2
    deadline_s: float = 24 * 3600.0

    def backoff_s(self, attempt: int, random: Callable[[], float]) -> float:
        """Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), never below half a base."""
        ceiling = min(self.cap_s, self.base_s * 2 ** min(attempt - 1, 30))
        return float(max(self.base_s / 2, ceiling * random()))


def outcome_of(
    sent: Sent,
    recipient: str,
    so_far: SoFar,
    *,
    at: datetime,
    patience: Patience,
    random: Callable[[], float],
) -> Outcome:
    """What a sender's answer means for the intent: done, tried again at a moment, or parked with the reason."""
    result, reason, due = sent.result, sent.reason, None
    if result is Result.RETRYABLE:
        wait_s = max(patience.backoff_s(so_far.tries, random), sent.retry_after_s or 0.0)
        due = at + timedelta(seconds=wait_s)
        if so_far.tries >= patience.attempts:
            result, reason, due = Result.PARKED, f"attempts_exhausted_after_{reason}", None
    elif result is Result.UNKNOWN:
        due = at + timedelta(seconds=patience.unknown_hold_s)
        if so_far.unknowns + 1 >= patience.unknowns:
            result, reason, due = Result.PARKED, f"still_unknown_after_{reason}", None
    if due is not None and due > (so_far.since or at) + timedelta(seconds=patience.deadline_s):
        result, reason, due = Result.PARKED, f"deadline_passed_after_{reason}", None
    return Outcome(
        recipient=recipient,
        result=result,
        reason=reason,
        code=sent.code,
        detail=sent.detail,
        provider_id=sent.provider_id,
        due=due,
    )


def patience_for(channel: Channel, base_s: float, unknown_hold_s: float) -> Patience:
    """SMS and X wait for proof before anything is said twice; a mail (RFC 1047), as all else, is repeated once."""
    unknowns = {Channel.SMS: 4, Channel.X: 4}.get(channel, 2)
    return Patience(base_s=base_s, unknown_hold_s=unknown_hold_s, unknowns=unknowns)
