"""The embedded broker, kept running: started again when it dies, its topics restored before any room reads on."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from pipeline.broker.process import BrokerProcess
from pipeline.errors import BrokerUnreachable, TocsinError
from pipeline.processes import BACKOFF_CAP_S, BACKOFF_S, STEADY_S, Say, Supervised

POLL_S = 0.5
T = TypeVar("T")


async def keep(
    broker: BrokerProcess,
    *,
    restore: Callable[[], Coroutine[Any, Any, None]],
    rooms: Sequence[Supervised],
    say: Say,
) -> None:
    """Until cancelled. Whatever goes wrong is said and tried again, later each time, as with a room that ends.

    `restore` makes the topics whole; it may be broken off anywhere and begun again. `rooms`: who reads them.
    """
    backoff = BACKOFF_S
    while True:
        started = time.monotonic()
        while not broker.has_died:
            await asyncio.sleep(POLL_S)
        backoff = BACKOFF_S if time.monotonic() - started >= STEADY_S else backoff
        fault: str | None = f"{broker.SAID} died and is started again"
        while fault is not None:
            say(f"{fault} in {backoff:g} s [{broker.log_file}]")
            fault = await _fault_of(_brought_back(broker, restore, rooms, backoff))
            backoff = min(backoff * 2, BACKOFF_CAP_S)


async def _fault_of(work: Awaitable[None]) -> str | None:
    try:
        await work
    except TocsinError as error:
        return f"{error}; tried again"
    except Exception as error:
        # of a client, of the system, of ours: if it ended the keeping, the rooms would stay killed without a word
        return f"the topics cannot be restored: {error!r}; tried again"
    return None


async def _brought_back(
    broker: BrokerProcess,
    restore: Callable[[], Coroutine[Any, Any, None]],
    rooms: Sequence[Supervised],
    backoff: float,
) -> None:
    """The rooms are killed first: none may read on, or send, while the topics lack what was written to them.

    The groups of the embedded broker do not always take a member of before its restart back, either.
    """
    await asyncio.gather(*(room.kill() for room in rooms))
    await asyncio.sleep(backoff)
    if not broker.is_running:  # one that runs is only slow: another start may find its port taken
        await broker.restart()
    await while_it_runs(broker, restore())
    for room in rooms:
        await room.start()


async def while_it_runs(broker: BrokerProcess, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. Raises BrokerUnreachable when the broker's process ends before it, and then breaks it off.

    A client that reads to an end waits for ever for a broker that is gone.
    """
    task = asyncio.create_task(work)
    try:
        while not task.done():
            if broker.has_died:
                raise BrokerUnreachable(f"{broker.SAID} died while its topics were made ready")
            await asyncio.wait([task], timeout=POLL_S)
        if task.cancelled():  # by aiokafka, on its own account: passed on, it would end whoever waits here
            raise BrokerUnreachable(f"a client of {broker.SAID} broke off")
        return task.result()
    finally:
        await cancelled(task)


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Said until it is heard: aiokafka swallows a cancellation that comes while one of its clients starts or stops."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1.0)
    if not task.cancelled():
        task.exception()  # what it says of its being broken off concerns nobody
