"""An event loop whose time goes by only when nothing is left to do at the present moment."""

import asyncio
import heapq
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from contextvars import copy_context
from math import inf
from typing import Any
from weakref import WeakSet

A_ROUND_S = 1e-7
"""What a round of the loop takes: whoever waits for a moment to be over, however short, sees it pass."""
AT_MOST_S = 24 * 3600
"""No leap is longer, as no wait of a real loop is."""
RESOLUTION_S = 1e-9
MANY = 100
"""So many timers may wait before those that were cancelled are looked for among them."""


class _Handle(asyncio.Handle):
    """Without a look at whether the loop is debugged, and whence it came: most of what a world does is to wait."""

    __slots__ = ()

    def __init__(self, callback: Any, args: Any, loop: Any, context: Any) -> None:
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None


class _Timer(_Handle, asyncio.TimerHandle):
    """Its place among the others is by its time alone."""

    __slots__ = ()

    def __init__(self, when: float, *more: Any) -> None:
        super().__init__(*more)
        self._when, self._scheduled = when, False

    def __lt__(self, other: Any) -> bool:
        return bool(self._when < other._when)


class VirtualLoop(BaseEventLoop):
    """No selector, no sockets, no threads: callbacks in the order in which they were scheduled, timers by their time.

    `due`: the second at which somebody's background work has something to do next, None: nobody's before the second
    given; `tick` lets them do it. `quiet` is called where neither callback nor timer nor background work is left.

    A round does what the base class's does, in the same order, apart from what is for a debugger and other threads;
    and what a callback raises is raised, where the base class would log it and go on.
    """

    def __init__(
        self, due: Callable[[float], float | None], tick: Callable[[], None], quiet: Callable[[], None]
    ) -> None:
        super().__init__()
        self._at = 0.0
        self._due, self._tick, self._quiet = due, tick, quiet
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.set_task_factory(_task)

    def time(self) -> float:
        return self._at

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self._at + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    async def pause(self, for_s: float) -> None:
        """As `asyncio.sleep`, for what is done most."""
        woken = self.create_future()
        timer = self.call_at(self._at + for_s, _wake, woken)
        try:
            await woken
        except asyncio.CancelledError:
            timer.cancel()
            raise

    def _run_once(self) -> None:
        """One round: time goes by where nobody is ready, then whoever is has their turn."""
        ready, timers = self._ready, self._waiting()
        if ready or self._stopping:
            self._at += A_ROUND_S
        else:
            self._leap(min(max(0, timers[0]._when - self._at), AT_MOST_S) if timers else None)
        end = self._at + RESOLUTION_S
        while timers and timers[0]._when < end:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._context.run(handle._callback, *handle._args)

    def _waiting(self) -> list[Any]:
        """The timers as a heap, the first of them one that was not cancelled."""
        timers: list[Any] = self._scheduled
        if len(timers) > MANY and self._timer_cancelled_count / len(timers) > 0.5:
            for timer in timers:
                timer._scheduled = not timer._cancelled
            self._scheduled = timers = [timer for timer in timers if not timer._cancelled]
            heapq.heapify(timers)
            self._timer_cancelled_count = 0
        while timers and timers[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(timers)._scheduled = False
        return timers

    def _leap(self, for_s: float | None) -> None:
        """Where a real loop waits for the network: here time leaps to whatever comes next."""
        self._at += A_ROUND_S
        until = None if for_s is None else self._at + for_s
        due = self._due(inf if until is None else until)
        if due is not None and (until is None or due < until):
            self._at = max(self._at, due)
            self._tick()
        elif until is None:
            self._quiet()
        else:
            self._at = until

    def _write_to_self(self) -> None: ...

    def _check_closed(self) -> None:
        """Whoever is collected after the end of the world may still set a future; nobody will hear of it."""


def _wake(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)


def _task(loop: Any, work: Any, **more: Any) -> "asyncio.Task[Any]":
    """A task that may be left pending for ever: what was killed does not run its clean-up."""
    task = asyncio.Task(work, loop=loop, **more)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # of CPython's own task; there is no public word
    loop.tasks.add(task)
    return task
