"""While something first is at hand an update begins nothing new; for a moment, and not for ever."""

import asyncio

from agents.turns import HOLD_S, Turns
from schemas.base import Lane


class Watch:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.shows = 100.0

    def __call__(self) -> float:
        return self.shows


async def walks(turns: Turns, lane: Lane, name: str, stretches: int, said: list[str]) -> None:
    with turns.of(lane):
        for _ in range(stretches):
            said.append(name)
            await turns.passes(lane)


async def test_what_is_first_overtakes_an_update_under_way_and_the_update_goes_on_afterwards() -> None:
    turns, said = Turns(Watch()), list[str]()
    update = asyncio.create_task(walks(turns, Lane.UPDATE, "update", 100, said))
    while len(said) < 3:
        await asyncio.sleep(0)
    urgent = [asyncio.create_task(walks(turns, Lane.FIRST, f"first {n}", 20, said)) for n in range(2)]
    await asyncio.gather(*urgent)
    begun = said.index("first 0")
    meanwhile = said[begun : max(i for i, name in enumerate(said) if name.startswith("first"))]
    assert meanwhile.count("update") <= 1
    await update
    assert said.count("update") == 100


async def test_a_first_notice_that_fails_lets_the_updates_go_on() -> None:
    turns = Turns(Watch())
    try:
        with turns.of(Lane.FIRST):
            raise ValueError
    except ValueError:
        pass
    await asyncio.wait_for(walks(turns, Lane.UPDATE, "update", 2, []), 1)


async def test_a_first_notice_that_hangs_holds_an_update_up_for_a_moment_only() -> None:
    watch, said = Watch(), list[str]()
    turns = Turns(watch)
    with turns.of(Lane.FIRST):
        assert turns.holds(Lane.UPDATE)
        assert not turns.holds(Lane.FIRST)
        watch.shows += HOLD_S
        assert not turns.holds(Lane.UPDATE)
        await asyncio.wait_for(walks(turns, Lane.UPDATE, "update", 2, said), 1)
        with turns.of(Lane.FIRST):
            assert turns.holds(Lane.UPDATE)
        assert not turns.holds(Lane.UPDATE)
    assert said == ["update", "update"]
