"""How a room works through a topic: partition by partition at once, record by record in each, acknowledged last."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.app import die
from schemas.codec import Record

Handle = Callable[[Record], Awaitable[bool]]
"""Returns whether the record has come to its durable result (and may be acknowledged)."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def serve(stream: Any, handle: Handle) -> None:
    """Feeds each partition's records to `handle`, one after another, partitions beside each other.

    Faust acknowledges in any order and commits the first gap, so partitions do not wait for one another; within one
    there is no concurrency (with it, Faust commits past a record that is still being worked on). An error of
    `handle`, or of the stream, ends the process: the record is not acknowledged and comes again.
    """
    lanes: dict[int, asyncio.Queue[Any]] = {}
    try:
        async with asyncio.TaskGroup() as tasks:
            async for event in stream.noack().events():
                partition = event.message.partition
                if partition not in lanes:
                    lanes[partition] = asyncio.Queue(maxsize=16)
                    tasks.create_task(_work(lanes[partition], handle))
                await lanes[partition].put(event)
    except Exception as error:
        die(error)


async def _work(lane: "asyncio.Queue[Any]", handle: Handle) -> None:
    unfinished: dict[str, tuple[int, int]] = {}
    while True:
        event = await lane.get()
        message = event.message
        topic, generation, offset = message.topic, message.generation_id, message.offset
        # What an older generation fetched comes again. So does what follows an unfinished record; acknowledged before
        # it, it would take that record along: Faust commits past a gap of one, or past any where nothing is committed.
        if generation != event.app.consumer_generation_id:
            continue
        since, first = unfinished.get(topic, (generation, offset))
        if generation == since and offset > first:
            continue  # a broker that was restarted may count its generations anew: then the offset tells
        unfinished.pop(topic, None)
        try:
            done = await handle(record_of(event))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            die(error)
        if done:
            event.ack()
        else:
            unfinished[topic] = (generation, offset)


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
    return EPOCH + timedelta(milliseconds=round(seconds * 1000))


def _pairs(headers: Any) -> Any:
    return headers.items() if hasattr(headers, "items") else headers or ()
