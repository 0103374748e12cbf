"""An event loop whose time goes by only when nothing is left to do at the present moment."""

import asyncio
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from typing import Any

A_ROUND_S = 1e-7
"""What a round of the loop takes: whoever waits for a moment to be over, however short, sees it pass."""


class VirtualLoop(BaseEventLoop):
    """No selector, no sockets, no threads: callbacks in the order in which they were scheduled, timers by their time.

    `due`: the second at which somebody's background work has something to do next, None: nobody's; `tick` lets them do
    it. `quiet` is called where neither callback nor timer nor background work is left.
    """

    def __init__(self, due: Callable[[], float | None], tick: Callable[[], None], quiet: Callable[[], None]) -> None:
        super().__init__()
        self._at = 0.0
        self._due, self._tick, self._quiet = due, tick, quiet
        self._selector = self
        self.set_task_factory(_task)

    def time(self) -> float:
        return self._at

    def select(self, timeout: float | None) -> tuple[()]:
        """Where a real loop waits for the network: here time leaps to whatever comes next."""
        self._at += A_ROUND_S
        if timeout == 0:
            return ()
        until = None if timeout is None else self._at + timeout
        due = self._due()
        if due is not None and (until is None or due < until):
            self._at = max(self._at, due)
            self._tick()
        elif until is None:
            self._quiet()
        else:
            self._at = until
        return ()

    def _process_events(self, events: Any) -> None: ...

    def _write_to_self(self) -> None: ...

    def _check_closed(self) -> None:
        """Whoever is collected after the end of the world may still set a future; nobody will hear of it."""


def _task(loop: Any, work: Any, **more: Any) -> "asyncio.Task[Any]":
    """A task that may be left pending for ever: what was killed does not run its clean-up."""
    task = asyncio.Task(work, loop=loop, **more)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # of CPython's own task; there is no public word
    return task
