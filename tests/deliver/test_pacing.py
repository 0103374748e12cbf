"""Token buckets, and how many calls at once: values that change by what happens and when."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channels.base import Allowance, Sent
from pipeline.deliver.pacing import QUARTER_S, AtOnce, Bucket, Pace
from schemas.delivery import Result
from tests.deliver.given import AT

TAKEN = Sent(Result.ACCEPTED, "provider_accepted")
TOO_MUCH = Sent(Result.RETRYABLE, "rate_limited")


def after(seconds: float) -> "timedelta":
    return timedelta(seconds=seconds)


def test_a_bucket_gives_its_burst_and_then_a_token_at_a_time() -> None:
    bucket = Bucket.full(2.0, 3.0, 1.0, AT)
    for _ in range(3):
        assert bucket.wait_s(AT) == 0
        bucket = bucket.taken(AT)
    assert bucket.wait_s(AT) == pytest.approx(0.5)
    assert bucket.wait_s(AT + after(0.5)) == 0


def test_what_was_not_used_comes_back() -> None:
    bucket = Bucket.full(1.0, 1.0, 1.0, AT).taken(AT)
    assert bucket.given_back().wait_s(AT) == 0


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    bucket = Bucket.full(1.0, 1.0, 1.0, AT).taken(AT)
    assert bucket.wait_s(AT - after(3600)) == pytest.approx(1.0)


@given(st.lists(st.floats(0, 120), min_size=1, max_size=400))
def test_no_window_wherever_it_lies_sees_more_than_the_limit(gaps: list[float]) -> None:
    """Whoever asks as often as they like, and goes when they may."""
    bucket, at, gone = Bucket.within(10, QUARTER_S, AT), AT, []
    for gap in gaps:
        at += after(gap)
        if bucket.wait_s(at) == 0:
            bucket = bucket.taken(at)
            gone.append(at)
    for first in gone:
        assert sum(first <= other < first + after(QUARTER_S) for other in gone) <= 10


def test_two_workers_with_half_the_partitions_each_go_half_as_fast() -> None:
    bucket = Bucket.full(2.0, 2.0, 1.0, AT).taken(AT, 0.5)
    assert bucket.wait_s(AT, 0.5) == pytest.approx(1.0)


def test_the_providers_own_word_on_what_is_left_counts_where_it_is_less() -> None:
    bucket = Bucket.within(100, QUARTER_S, AT).told(Allowance(QUARTER_S, 1, AT + after(60)))
    assert bucket.wait_s(AT) == 0
    assert bucket.taken(AT).wait_s(AT) > 0
    assert Bucket.within(100, QUARTER_S, AT).told(Allowance(QUARTER_S, 99, AT)).tokens == 50


def test_a_used_up_limit_shuts_until_it_begins_anew() -> None:
    bucket = Bucket.within(100, QUARTER_S, AT).told(Allowance(QUARTER_S, 0, AT + after(600)))
    assert bucket.wait_s(AT) == pytest.approx(600)
    assert bucket.wait_s(AT + after(600)) == 0


def test_an_allowance_of_another_window_says_nothing_about_this_one() -> None:
    pace = Pace(AtOnce.fixed(1), (Bucket.within(100, QUARTER_S, AT), Bucket.within(1000, 86400.0, AT)))
    answer = TAKEN._replace(allowances=(Allowance(QUARTER_S, 0, AT + after(60)),))
    quarter, day = pace.answered(AT, AT, 1, [answer]).buckets
    assert (quarter.tokens, day.tokens) == (0, 500)


def test_a_refusal_that_names_its_time_shuts_the_channel_until_then() -> None:
    pace = Pace(AtOnce(16.0, 1, 64), (Bucket.full(100.0, 100.0, 1.0, AT),))
    refused = pace.answered(AT, AT, 8, [TOO_MUCH._replace(retry_after_s=30.0)])
    assert refused.wait_s(AT, 1.0) == pytest.approx(30)


def test_good_answers_add_one_a_round() -> None:
    found = AtOnce(4.0, 1, 64)
    for _ in range(4):
        found = found.after(AT, AT + after(0.1), 4, refused=False)
    assert found.number == pytest.approx(4, abs=1)
    assert 4.9 < found.limit < 5.0


def test_a_limit_that_nothing_tests_does_not_grow() -> None:
    assert AtOnce(16.0, 1, 64).after(AT, AT + after(0.1), 7, refused=False).limit == 16


def test_a_round_of_refusals_halves_once() -> None:
    found = AtOnce(16.0, 1, 64)
    for n in range(8):
        found = found.after(AT, AT + after(0.1 * (n + 1)), 8 - n, refused=True)
    assert found.number == 8
    assert found.after(AT + after(5), AT + after(5.1), 4, refused=True).number == 4


def test_slowness_is_a_refusal() -> None:
    assert AtOnce(16.0, 1, 64, slow_s=10.0).after(AT, AT + after(10.5), 16, refused=False).number == 8


def test_it_stays_between_its_bounds() -> None:
    low = high = AtOnce(2.0, 1, 3)
    for n in range(20):
        began = AT + after(n)
        low = low.after(began, began + after(0.5), 2, refused=True)
        high = high.after(began, began + after(0.5), 3, refused=False)
    assert (low.number, high.number) == (1, 3)
