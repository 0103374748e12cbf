"""Lanes: what is acknowledged, and what must come again first."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

from agents.lanes import serve
from schemas.codec import Record


class App:
    consumer_generation_id = 1


class Event:
    """As much of a Faust event as a lane needs."""

    def __init__(self, app: App, offset: int, generation: int) -> None:
        self.app, self.acked = app, False
        self.message = SimpleNamespace(
            topic="t", partition=0, offset=offset, generation_id=generation, timestamp=0.0,
            key=None, value=b"", headers=None,
        )  # fmt: skip

    def ack(self) -> None:
        self.acked = True


class Stream:
    """Gives what it is told, then waits."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    def give(self, *events: Event) -> None:
        for event in events:
            self._events.put_nowait(event)

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[Event]:
        while True:
            yield await self._events.get()


async def served(app: App, rounds: Sequence[tuple[int, Sequence[Event]]], results: dict[int, list[bool]]) -> list[int]:
    """The offsets that were handled, over rounds of (generation, events); `results` by offset, then True."""
    handled: list[int] = []
    stream: Any = Stream()
    end = Event(app, 999, 0)
    reached = asyncio.Event()

    async def handle(record: Record) -> bool:
        handled.append(record.offset)
        if record.offset == end.message.offset:
            reached.set()
        left = results.get(record.offset)
        return left.pop(0) if left else True

    task = asyncio.create_task(serve(stream, handle))
    for generation, events in rounds:
        app.consumer_generation_id = generation
        stream.give(*events)
        marker = Event(app, 999, generation)
        marker.message.topic = "marker"
        reached.clear()
        stream.give(marker)
        await asyncio.wait_for(reached.wait(), 5)
    task.cancel()
    await asyncio.wait([task])
    return [offset for offset in handled if offset != end.message.offset]


async def test_nothing_behind_an_unfinished_record_is_acknowledged_before_it_has_come_again() -> None:
    app = App()
    first, behind = Event(app, 0, 1), Event(app, 1, 1)
    again, next_ = Event(app, 0, 2), Event(app, 1, 2)
    handled = await served(app, [(1, [first, behind]), (2, [again, next_])], {0: [False, True]})
    assert handled == [0, 0, 1]
    assert (first.acked, behind.acked, again.acked, next_.acked) == (False, False, True, True)


async def test_what_an_older_generation_fetched_is_left_to_its_redelivery() -> None:
    app = App()
    old, new = Event(app, 5, 1), Event(app, 4, 2)
    assert await served(app, [(2, [old, new])], {}) == [4]
    assert not old.acked
    assert new.acked


async def test_a_broker_that_counts_its_generations_anew_does_not_stop_a_lane() -> None:
    app = App()
    first, again, next_ = Event(app, 3, 1), Event(app, 3, 1), Event(app, 4, 1)
    assert await served(app, [(1, [first]), (1, [again, next_])], {3: [False, True]}) == [3, 3, 4]
    assert again.acked
    assert next_.acked
