"""A first notice goes its whole way between two stretches of an update that is being fanned out."""

import asyncio

from agents.fanning import Turns
from schemas.base import Lane


async def walks(turns: Turns, lane: Lane, name: str, stretches: int, said: list[str]) -> None:
    with turns.of(lane) as turn:
        for _ in range(stretches):
            said.append(name)
            await turn.passes()


async def test_what_is_first_overtakes_an_update_under_way_and_the_update_goes_on_afterwards() -> None:
    turns, said = Turns(), list[str]()
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
    turns = Turns()
    try:
        with turns.of(Lane.FIRST):
            raise ValueError
    except ValueError:
        pass
    await asyncio.wait_for(walks(turns, Lane.UPDATE, "update", 2, []), 1)
