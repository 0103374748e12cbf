"""The second pure decider: is this recipient told now, later, or not, and by which rule?"""

from dataclasses import dataclass

from pipeline.deliver.ledger import Work
from schemas.delivery import DeliveryBatch, Result
from schemas.subscriber import Subscriber


@dataclass(frozen=True, slots=True)
class Send:
    """To be sent now. `reconcile`: first find out what an earlier attempt, whose end nobody knows, came to."""

    attempt: int
    reconcile: bool = False


@dataclass(frozen=True, slots=True)
class Suppress:
    """Not to be sent, ever, by the rule named."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing to do here: it is done, under way, or another record brings it back."""

    reason: str


Verdict = Send | Suppress | Skip


def admit(subscriber: Subscriber | None, batch: DeliveryBatch, work: Work | None) -> Verdict:
    """Decides on one recipient of `batch`, read from the folds at this very moment."""
    if (skip := _already(work, batch.attempt)) is not None:
        return skip
    if subscriber is None:
        return Suppress("unknown_subscriber")
    if subscriber.erased:
        return Suppress("erased")
    if (opted_out := subscriber.opted_out.get(batch.channel)) is not None:
        return Suppress(opted_out.reason)
    if subscriber.contact is None:
        return Suppress("no_contact")
    return Send(batch.attempt, reconcile=work is not None and work.result is Result.UNKNOWN)


def _already(work: Work | None, attempt: int) -> Skip | None:
    if work is None:
        return None if attempt == 1 else Skip("never_intended")
    if work.terminal:
        return Skip("done")
    if work.open:
        return Skip("under_way")
    if attempt <= work.attempt:
        return Skip("waits_for_its_time")
    return None
