"""kill -9 of every process at every failpoint; `make kill-rounds ROUNDS=50` for as many as one likes, drawn by SEED."""

import os
from pathlib import Path
from statistics import median

import pytest

from tests.chaos.rounds import PASSES, Round, drawn, killed_again_and_again, room_of

OF_DELIVER = [name for name in PASSES if room_of(name) == "deliver"]
COUNT = int(os.environ.get("KILL_ROUNDS", len(OF_DELIVER)))
SEED = int(os.environ.get("KILL_SEED", 1))
TO_A_SYSTEM = 25
"""Rounds before a fresh one: the embedded broker writes all that it has again and again."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120 + 60 * COUNT)]


async def test_whatever_dies_wherever_nothing_is_lost_and_nothing_told_twice(tmp_path: Path) -> None:
    rounds = drawn(COUNT, SEED)
    shown: list[Round] = []
    try:
        for start in range(0, COUNT, TO_A_SYSTEM):
            async with killed_again_and_again(tmp_path / str(start)) as system:
                for points in rounds[start : start + TO_A_SYSTEM]:
                    shown.append(await system.round(points))
                    print(f"{len(shown)}/{COUNT} {shown[-1]}", flush=True)
    finally:
        print(table(shown))
    died = {name for one in shown for name in one.recovery_s}
    assert died == PASSES.keys() or len(OF_DELIVER) > COUNT


def table(shown: list[Round]) -> str:
    """A line a failpoint; what was told twice, or whose end nobody knew, is deliver's doing."""
    lines = [f"{'failpoint':<24} fired  lost  SMS, X twice  mails twice  unknown  recovery s"]
    for name in PASSES:
        found = [one for one in shown if name in one.recovery_s]
        took = [one.recovery_s[name] for one in found] or [0.0]
        lost = sum(one.verdict.lost for one in found)
        once_only = sum(one.verdict.duplicated_once_only for one in found)
        caused = found if name in OF_DELIVER else []
        mails, unknown = sum(one.mails_twice for one in caused), sum(one.unknown for one in caused)
        lines.append(
            f"{name:<24} {len(found):>5} {lost:>5} {once_only:>13} {mails:>12} {unknown:>8}"
            f"  {median(took):.1f} (max {max(took):.1f})"
        )
    kills = sum(len(one.recovery_s) for one in shown)
    return "\n" + "\n".join([*lines, f"{len(shown)} rounds, {kills} times kill -9"])
