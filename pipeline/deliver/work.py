"""Work: where one intent stands, and how a record moves it on. Forward only: a record seen twice changes nothing.

Each turn n has its steps: intended (turn 0), put off (n), attempted (n), ended (n). A terminal result is never left,
but for what was parked: a person may order it tried again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, Kind, ParkedOrdered, Result


class Told(NamedTuple):
    """One notice on one channel; with a recipient, an intent."""

    incident: str
    seq: int
    channel: Channel


@dataclass(frozen=True, slots=True)
class About:
    """What an intent was for: the notice's audience and kind, and which journal entry's notice it corrects."""

    audience: str
    kind: Kind
    closing: bool
    corrects: int | None = None


class Step(IntEnum):
    """How far a turn has come. What was put off and then attempted all the same (by two workers) was attempted."""

    INTENDED = 0
    PUT_OFF = 1
    ATTEMPTED = 2
    ENDED = 3


@dataclass(frozen=True, slots=True)
class Work:
    """Where one intent stands.

    `attempt`: its turn. `due`: when its next turn comes, if it is waiting. `unknowns`: how often nobody knew how an
    attempt ended; `uncertain`: of the last one nobody does. `deferred`: how many turns only put it off; `released`:
    until when the last of them did. `tried`: when the last attempt began.
    """

    attempt: int
    step: Step
    result: Result | None = None
    due: datetime | None = None
    unknowns: int = 0
    uncertain: bool = False
    deferred: int = 0
    released: datetime | None = None
    tried: datetime | None = None
    about: About | None = None

    @property
    def terminal(self) -> bool:
        """Whether nothing more will be tried."""
        return self.result is not None and self.result.terminal

    @property
    def reopened(self) -> bool:
        """Whether it was parked, and is to be tried again because a person ordered so."""
        return self.step is Step.ENDED and self.result is Result.DEFERRED

    @property
    def open(self) -> bool:
        """Whether an attempt was begun whose end is not on record."""
        return self.step is Step.ATTEMPTED

    @property
    def heard(self) -> bool:
        """Whether the provider took it, or nobody knows."""
        return self.result is Result.ACCEPTED or self.unknowns > 0

    @property
    def may_have_heard(self) -> bool:
        """Whether the provider took it, or may have, or may be about to."""
        return self.heard or self.open

    @property
    def stands(self) -> bool:
        """Whether they were told, or are still to be."""
        return not self.terminal or self.result is Result.ACCEPTED


Advance = Callable[[Work | None], Work]


def attempted(before: Work | None, attempt: int, at: datetime) -> Work:
    """After an attempt was begun in this turn."""
    before = before or Work(0, Step.INTENDED)
    if before.terminal or (before.attempt, before.step) >= (attempt, Step.ATTEMPTED):
        return before
    return Work(
        attempt,
        Step.ATTEMPTED,
        unknowns=before.unknowns,
        uncertain=before.uncertain,
        deferred=before.deferred,
        released=before.released,
        tried=at,
        about=before.about,
    )


def ending(record: DeliveriesEnded, result: Result, due: datetime | None) -> Advance:
    """How an outcome ends a turn. One without an attempt was decided before any, and ends none that was begun."""
    put_off, unknown = result is Result.DEFERRED, result is Result.UNKNOWN
    step = Step.PUT_OFF if put_off else Step.ENDED

    def advance(given: Work | None) -> Work:
        before = given or Work(0, Step.INTENDED)
        if not _is_news(before, record, result, step):
            return before
        return Work(
            record.attempt,
            step,
            result,
            due,
            unknowns=before.unknowns + unknown,
            uncertain=unknown or (record.attempt_id is None and before.uncertain),
            deferred=before.deferred + put_off,
            released=due if put_off else before.released,
            tried=before.tried,
            about=before.about,
        )

    return advance


def ordered(record: ParkedOrdered) -> Advance:
    """How a person's order ends the parking of that very turn: to be tried afresh, or given up for good."""

    def advance(given: Work | None) -> Work:
        before = given or Work(0, Step.INTENDED)
        if before.result is not Result.PARKED or before.attempt != record.attempt:
            return before
        if record.order.order == "give_up":
            return replace(before, result=Result.SUPPRESSED)
        # what was tried before does not count against the new tries
        return replace(
            before, step=Step.ENDED, result=Result.DEFERRED, due=record.at, deferred=before.attempt, released=record.at
        )

    return advance


def _is_news(before: Work, record: DeliveriesEnded, result: Result, step: Step) -> bool:
    if before.terminal:
        return False
    if result is Result.ACCEPTED:
        return True  # a proof, by whichever worker and however late: nothing more is to be sent
    if record.attempt_id is None and before.open and before.attempt == record.attempt:
        return False
    if (before.attempt, before.step) == (record.attempt, step):
        # a worker that was thought dead, or the provider's own callback, may still prove what nobody knew
        return before.result is Result.UNKNOWN and result.terminal
    return (before.attempt, before.step) < (record.attempt, step)
