"""The second pure decider: is this recipient told now, later, or not, and by which rule?

The rules stand in `pipeline.deliver.rules`, each a function of its own; here is the order in which they are asked.
"""

from dataclasses import dataclass
from datetime import datetime

from pipeline.deliver import rules
from pipeline.deliver.past import NOTHING, Past
from pipeline.deliver.people import Person, Someone
from pipeline.deliver.rules import Case
from pipeline.deliver.work import Work
from schemas.delivery import DeliveryBatch

NEVER = (
    rules.opted_out,
    rules.unreachable,
    rules.asked_long_ago,
    rules.unconfirmed,
    rules.never_told,
    rules.retracted,
    rules.nothing_to_take_back,
    rules.superseded_by_the_end,
    rules.superseded_by_newer,
    rules.start_and_end_only,
)
"""By these a message is not told at all; the first that applies is named. What holds for good stands before what may
not have come to pass tomorrow, and each reason is one that the recipient could be told."""

OLD_NEWS = (rules.superseded_by_the_end, rules.superseded_by_newer, rules.start_and_end_only)
"""Of these: what is only too late to be told, or no longer of interest."""

STANDS = tuple(rule for rule in NEVER if rule not in OLD_NEWS)
"""What holds of a message that may have been told already: that is found out first, and put on record as it is."""

LATER = (rules.quiet_hours, rules.office_hours, rules.digest, rules.flood_cap)
"""By these it is told later: at the latest of the moments that they name, by the rule that names it."""

PUT_OFF_AT_MOST = 20
"""Turns. Rules that leave no common moment (quiet hours as long as the office is open) must not put off for ever: what
was put off so often is told, since a message at a bad hour is better than none."""


@dataclass(frozen=True, slots=True)
class Send:
    """To be sent now. `reconcile`: first find out what an earlier attempt, whose end nobody knows, came to."""

    attempt: int
    reconcile: bool = False


@dataclass(frozen=True, slots=True)
class Defer:
    """To be admitted again at `until`, by the incident's clock; then every rule is asked anew."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Suppress:
    """Not to be sent, ever, by the rule named."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing to do here: it is done, under way, or another record brings it back."""

    reason: str


Verdict = Send | Defer | Suppress | Skip


def admit(subscriber: Someone | None, batch: DeliveryBatch, work: Work | None, past: Past, at: datetime) -> Verdict:
    """Decides on one recipient of `batch`, read from the folds at this very moment; `at` by the incident's clock."""
    if (skip := _already(work, batch.attempt)) is not None:
        return skip
    if subscriber is None:
        return Suppress("unknown_subscriber")
    case = Case(subscriber, batch, past, at)
    uncertain = work is not None and work.uncertain
    for rule in STANDS if uncertain else NEVER:
        if (reason := rule(case)) is not None:
            return Suppress(reason)
    if work is None or work.deferred < PUT_OFF_AT_MOST:
        moments = [(until, rule.__name__) for rule in LATER if (until := rule(case)) is not None and until > at]
        if moments:
            return Defer(*max(moments))
    return Send(batch.attempt, reconcile=uncertain)


class Admission:
    """Admits the recipients of one batch at one moment. Those who stand alike are decided on once: hundreds do."""

    def __init__(self, batch: DeliveryBatch, at: datetime) -> None:
        self._batch = batch
        self._at = at
        self._decided: dict[tuple[int, int], tuple[Work | None, Verdict]] = {}
        """By whose choices are alike and which work it is; that work is kept, so that no other takes its place."""

    def of(self, person: Person | None, work: Work | None, past: Past) -> Verdict:
        """As `admit` decides."""
        alike = person.alike if person is not None and past is NOTHING else None
        if alike is None:
            return admit(person, self._batch, work, past, self._at)
        found = self._decided.get((alike, id(work)))
        if found is None:
            found = work, admit(person, self._batch, work, past, self._at)
            self._decided[alike, id(work)] = found
        return found[1]


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
