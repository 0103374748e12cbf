"""The whole back-test: however many share the work, and on real incidents."""

from collections import Counter
from functools import cache

import orjson
import pytest

from pipeline.recorded import read
from pipeline.replay.backtest import ALONE, backtest
from pipeline.replay.past import Past, pasts_of
from pipeline.replay.results import Result
from pipeline.replay.sums import summed
from schemas.journal import NoticeKind
from tests.paths import CORPUS, needs_corpus
from tests.replay.trials import news, opened, over, past, trial

NEWS = frozenset({NoticeKind.UPDATED, NoticeKind.MILESTONE})
GITHUB = CORPUS / "incidents" / "github-2022-2024.jsonl"


def github() -> list[Past]:
    return pasts_of(read([GITHUB]))


@cache
def results(name: str = "small-saas") -> tuple[Result, ...]:
    return tuple(backtest(github(), trial(name), jobs=2))


def test_the_results_are_the_same_however_many_share_the_work() -> None:
    pasts = [
        past((0, opened()), (number, news(f"News {number}.")), (60 + number, over()), incident=f"search-{number}")
        for number in range(1, ALONE + 2)
    ]
    alone, shared = backtest(pasts, trial(), jobs=1), backtest(pasts, trial(), jobs=3)
    assert orjson.dumps(alone) == orjson.dumps(shared)
    assert [result.incident for result in shared] == [one.incident for one in pasts]


@needs_corpus
@pytest.mark.slow
@pytest.mark.parametrize("name", ["small-saas", "enterprise", "regulated"])
def test_all_real_incidents_are_sound_under_each_policy_that_ships(name: str) -> None:
    """Every promise that Tocsin makes by itself is kept, and every open is closed, on 399 incidents of GitHub's."""
    under = trial(name)
    sums = summed(results(name), under.prices)
    assert len(results(name)) == 399
    assert sums.events == 2165
    assert (sums.broken, sums.unclosed, sums.never_ended, sums.cut_off) == ([], [], [], [])
    assert sums.promises["cadence"].kept > 1000
    assert sums.really_told is not None
    assert (sums.really_told.incidents, sums.really_told.posts) == (399, 2165)


@needs_corpus
@pytest.mark.slow
def test_in_large_real_incidents_customers_are_never_left_alone_for_long() -> None:
    """GitHub was once silent for seven and a half hours."""
    large = [result for result in results() if result.large]
    assert len(large) == 66
    assert max(result.as_told.silence_s or 0 for result in large if result.as_told) > 7 * 3600
    assert max(result.audiences["customers"].silence_s or 0 for result in large) <= 90 * 60


@needs_corpus
@pytest.mark.slow
def test_nobody_is_told_two_things_in_one_entry() -> None:
    """An intent is named by incident, entry, recipient and channel: a second one would be taken for the first."""
    for result in results():
        told = Counter(
            (one.seq, one.audience, zone, channel)
            for one in result.sent
            for channel in one.channels
            for zone in one.zones or ("",)
        )
        assert max(told.values(), default=1) == 1, (result.incident, told.most_common(1))


@needs_corpus
@pytest.mark.slow
def test_small_real_incidents_are_told_at_their_start_and_end_and_when_it_was_promised() -> None:
    small = [result for result in results() if result.severity == "minor"]
    between = [one for result in small for one in result.sent if one.audience == "customers" and one.kind in NEWS]
    assert not [one for one in between if one.event is not None]
    assert len(between) < len(small)
