"""How a room works through a topic: partition by partition at once, record by record in each, acknowledged last."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from agents.app import die
from schemas.codec import Record

Handle = Callable[[Record], Awaitable[bool]]
"""Returns whether the record has come to its durable result (and may be acknowledged)."""


async def serve(stream: Any, handle: Handle) -> None:
    """Feeds each partition's records to `handle`, one after another, partitions beside each other.

    Faust acknowledges in any order and commits the first gap, so partitions do not wait for one another; within one
    there is no concurrency (with it, Faust commits past a record that is still being worked on). An error of
    `handle` ends the process: the record is not acknowledged and comes again.
    """
    lanes: dict[int, asyncio.Queue[Any]] = {}
    async with asyncio.TaskGroup() as tasks:
        async for event in stream.noack().events():
            partition = event.message.partition
            if partition not in lanes:
                lanes[partition] = asyncio.Queue(maxsize=16)
                tasks.create_task(_work(lanes[partition], handle))
            await lanes[partition].put(event)


async def _work(lane: "asyncio.Queue[Any]", handle: Handle) -> None:
    while True:
        event = await lane.get()
        try:
            done = await handle(record_of(event))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            die(error)
        if done:
            event.ack()


def record_of(event: Any) -> Record:
    """A Faust event as a record; its timestamp is the broker's append time."""
    message = event.message
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=_moment(message.timestamp),
        key=message.key,
        value=message.value,
        headers=tuple((str(name), bytes(value or b"")) for name, value in _pairs(message.headers)),
    )


def _moment(seconds: float) -> datetime:
    """Exact to the millisecond, as the broker said it; a float's own conversion loses one now and then."""
    whole, ms = divmod(round(seconds * 1000), 1000)
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=ms * 1000)


def _pairs(headers: Any) -> Any:
    return headers.items() if hasattr(headers, "items") else headers or ()
