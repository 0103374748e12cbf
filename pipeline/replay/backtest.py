"""The back-test: incidents of the past under a policy, in virtual time, each by itself, on as many cores as are given.

Pure but for the processes: the same incidents, policy and census give the same results, however many share the work.
"""

import gc
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.replay.measure import measured
from pipeline.replay.past import Past
from pipeline.replay.rerun import Conditions, rerun
from pipeline.replay.results import Prices, Result

ALONE = 24
"""So few incidents are done sooner by one process than others are started."""
PART = 4
"""Incidents handed out at a time: few, because some take a hundred times as long as others."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What each incident is put through."""

    conditions: Conditions
    prices: Prices

    def of(self, past: Past) -> Result:
        """The figures of one incident. Raises `PolicyError` where a template of the policy fails."""
        return measured(rerun(past, self.conditions), self.conditions, self.prices)


_work: list[tuple[Trial, Sequence[Past]]] = []
"""A forked worker's work, taken over from its parent's memory: a compiled policy cannot be sent to another process."""


def backtest(pasts: Sequence[Past], trial: Trial, jobs: int = 1) -> list[Result]:
    """The results of `pasts`, in their order. Raises `PolicyError`."""
    if jobs < 2 or len(pasts) < ALONE or "fork" not in multiprocessing.get_all_start_methods():
        return [trial.of(past) for past in pasts]
    trial.of(pasts[0])  # whatever is imported or compiled at its first use is then there before the workers are
    gc.freeze()  # so that no collection in a worker touches, and copies, what all share
    try:
        with multiprocessing.get_context("fork").Pool(jobs, _begin, (trial, pasts)) as pool:
            return list(pool.imap(_of_number, range(len(pasts)), chunksize=PART))
    finally:
        gc.unfreeze()


def _begin(trial: Trial, pasts: Sequence[Past]) -> None:
    gc.disable()  # a worker lives for seconds, and nothing that it makes refers to itself
    _work.append((trial, pasts))


def _of_number(number: int) -> Result:
    trial, pasts = _work[0]
    return trial.of(pasts[number])
