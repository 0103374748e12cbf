"""Does the log go on? What could not be proved is not sent: while sealing stands still, no window of sends begins.

The record room says so each time it has signed for what it sealed (`audit.checkpoints`), and it has something to sign
whenever an attempt is put on record. So whoever waits for its word longer than the bound knows that it is not there,
has no room on its disk, or cannot reach the broker; a log with nothing to seal says nothing, and nobody waits for it.
"""

import asyncio
import logging
from collections.abc import Callable

from schemas.codec import Record

log = logging.getLogger("tocsin.deliver")


class Sealing:
    """What one worker knows of the log."""

    def __init__(self, within_s: float, monotonic: Callable[[], float]) -> None:
        """`within_s`: how long after an attempt sending goes on without a word of the log."""
        self._within_s = within_s
        self._now = monotonic
        self._owed_since: float | None = None
        self._heard = asyncio.Event()
        self._said = False

    def heard(self, _: Record) -> None:
        """The log was signed for."""
        self._owed_since = None
        self._heard.set()
        if self._said:
            log.warning("the log goes on, and so does sending")
            self._said = False

    def owes(self) -> None:
        """An attempt is on record, and the log has yet to seal it."""
        if self._owed_since is None:
            self._owed_since = self._now()

    @property
    def stands_still(self) -> bool:
        """Whether the log owes its word for longer than it may."""
        return self._owed_since is not None and self._now() - self._owed_since > self._within_s

    async def goes_on(self) -> None:
        """Returns at once while the log goes on, else when it does again. Who waits here has attempted nothing."""
        while self.stands_still:
            if not self._said:
                log.error(
                    "the log has stood still for over %g s: nothing is sent before it goes on; "
                    "see to the record room and to the disk under its data directory",
                    self._within_s,
                )
                self._said = True
            self._heard.clear()
            await self._heard.wait()
