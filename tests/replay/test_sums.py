"""Figures of many incidents in sum."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.replay.results import AsTold, Prices
from pipeline.replay.sums import Spread, spread, summed
from tests.replay.trials import QUIET_PAST, opened, past, result

RESULT = result(QUIET_PAST)


def test_percentiles_are_values_that_occurred() -> None:
    assert spread(range(1, 11)) == Spread(10, 5, 9, 10)
    assert spread([7.0, None]) == Spread(1, 7.0, 7.0, 7.0)
    assert spread([None]) == Spread(0, None, None, None)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_at_least_half_lie_at_or_below_the_median_and_nine_tenths_below_the_next(values: list[float]) -> None:
    found = spread(values)
    assert sum(value <= found.p50 for value in values) * 2 >= len(values)
    assert sum(value <= found.p90 for value in values) * 10 >= len(values) * 9
    assert found.max == max(values)


def test_the_sums_add_up() -> None:
    sums = summed([RESULT, RESULT], Prices())
    assert sums.notices == 2 * len(RESULT.sent) == sum(sums.by_kind.values())
    assert sums.sizes == {"large": 2, "small": 0, "maintenance": 0}
    assert sums.costs.total == round(2 * RESULT.cost, 2)
    assert sums.promises["cadence"].made == 2 * len(RESULT.promises)
    assert sums.sound
    assert sums.really_told is None


def test_what_is_wrong_is_named_with_its_incident() -> None:
    broken = tuple(replace(promise, kept=False) for promise in RESULT.promises[:1])
    heard = RESULT.audiences | {"customers": replace(RESULT.audiences["customers"], unclosed=True)}
    sums = summed([replace(RESULT, promises=broken, audiences=heard)], Prices())
    assert (sums.broken, sums.unclosed, sums.sound) == (
        [f"search-1: {broken[0].audience}"], ["search-1: customers"], False,
    )  # fmt: skip


def test_what_was_really_told_is_beside_it() -> None:
    sums = summed([replace(RESULT, as_told=AsTold(5, 600.0, 2, 1)), RESULT], Prices())
    assert (sums.really_told.incidents, sums.really_told.promises, sums.really_told.kept) == (1, 2, 1)
    assert sums.silence_s["large"].as_told == Spread(1, 600.0, 600.0, 600.0)


def test_an_incident_that_upstream_never_ended_is_named_and_is_not_wrong() -> None:
    sums = summed([result(past((0, opened())))], Prices())
    assert (sums.never_ended, sums.cut_off, sums.unclosed) == (["search-1"], ["search-1"], [])
