"""What an answer means: done, again at a moment, or parked with the reason. Never for ever, never at once."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.channels.base import Sent
from pipeline.deliver.ledger import SoFar
from pipeline.deliver.retry import Patience, outcome_of, patience_for
from schemas.base import Channel
from schemas.delivery import Outcome, Result

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
PATIENCE = Patience(base_s=4, cap_s=60, attempts=5, unknown_hold_s=30, unknowns=2, deadline_s=3600)


def of(
    result: Result,
    *,
    attempt: int = 1,
    earlier_unknowns: int = 0,
    retry_after_s: float | None = None,
    late_s: float = 0,
) -> Outcome:
    sent = Sent(result=result, reason="test", code=None, detail=None, provider_id=None, retry_after_s=retry_after_s)
    return outcome_of(
        sent,
        "s1",
        SoFar(tries=attempt, unknowns=earlier_unknowns, since=AT),
        at=AT + timedelta(seconds=late_s),
        patience=PATIENCE,
        random=lambda: 0.5,
    )


def test_a_terminal_answer_has_no_due_time() -> None:
    assert of(Result.ACCEPTED).due is None
    assert of(Result.PERMANENT).due is None


def test_a_retryable_answer_waits_longer_each_time() -> None:
    dues = [of(Result.RETRYABLE, attempt=n).due for n in (1, 2, 3, 4)]
    waits = [(due - AT).total_seconds() for due in dues if due]
    assert waits == [2, 4, 8, 16]


def test_the_providers_own_retry_after_is_obeyed() -> None:
    assert of(Result.RETRYABLE, retry_after_s=77).due == AT + timedelta(seconds=77)


def test_exhausted_attempts_are_parked_with_the_reason() -> None:
    outcome = of(Result.RETRYABLE, attempt=5)
    assert (outcome.result, outcome.reason) == (Result.PARKED, "attempts_exhausted_after_test")


def test_an_unknown_end_is_held_and_then_parked() -> None:
    assert of(Result.UNKNOWN).due == AT + timedelta(seconds=30)
    assert of(Result.UNKNOWN, earlier_unknowns=1).result is Result.PARKED


def test_what_would_come_after_the_deadline_is_parked() -> None:
    outcome = of(Result.RETRYABLE, late_s=3599)
    assert (outcome.result, outcome.reason) == (Result.PARKED, "deadline_passed_after_test")


@given(st.integers(1, 60), st.floats(0, 0.999))
def test_a_back_off_is_never_at_once_and_never_beyond_its_cap(attempt: int, drawn: float) -> None:
    assert PATIENCE.base_s / 2 <= PATIENCE.backoff_s(attempt, lambda: drawn) <= PATIENCE.cap_s


def test_sms_and_x_wait_longer_for_proof_than_mail() -> None:
    held = {channel: patience_for(channel, 5, 60).unknowns for channel in Channel}
    assert held[Channel.EMAIL] == 2
    assert held[Channel.SMS] > 2
    assert held[Channel.X] > 2
