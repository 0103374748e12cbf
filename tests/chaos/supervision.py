"""The supervisor's part in a test: a room that ends by itself is started again, whenever that is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.system import System


@asynccontextmanager
async def supervised(system: System, *rooms: str) -> AsyncIterator[None]:
    """Starts `rooms` again as often as they end, until the block is left."""

    async def keep(room: str) -> None:
        while True:
            await system.processes[f"{room}-1"].wait()
            await system.spawn(room)

    keepers = [asyncio.create_task(keep(room)) for room in rooms]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.wait(keepers)
