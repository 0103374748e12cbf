"""Does the log go on? What could not be proved is not sent: while sealing stands still, no window of sends begins.

The record room says so each time it has signed for what it sealed (`audit.checkpoints`), and it has something to sign
whenever an attempt is put on record. So whoever waits for its word longer than the bound knows that it is not there,
has no room on its disk, or cannot reach the broker; a log with nothing to seal says nothing, and nobody waits for it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from schemas import codec, topics
from schemas.audit import CheckpointSigned
from schemas.codec import Record, Undecodable

log = logging.getLogger("tocsin.deliver")


class Sealing:
    """What one worker knows of the log."""

    def __init__(self, within_s: float, monotonic: Callable[[], float]) -> None:
        """`within_s`: how long after an attempt sending goes on without a word of the log."""
        self._within_s = within_s
        self._now = monotonic
        self._read: tuple[int, ...] = ()
        self._owed: dict[int, deque[tuple[int, float]]] = {}
        """Of each partition the attempts that are not known to be sealed: offset, and since when."""
        self._heard = asyncio.Event()
        self._said = False

    def heard(self, record: Record) -> None:
        """The log was signed for, up to where the word says: whoever starts anew and seals nothing says so as well."""
        try:
            read = codec.decode(record, CheckpointSigned).data.read
        except Undecodable as error:
            log.error("what stands in %s at %d is no word of the log: %s", record.topic, record.offset, error)
            return
        self._read = read.get(topics.DELIVERY_RECORDS_TOPIC.name, ())
        for partition, after in enumerate(self._read):
            owed = self._owed.get(partition)
            while owed and owed[0][0] < after:
                owed.popleft()
        self._heard.set()
        if self._said and not self.stands_still:
            log.warning("the log goes on, and so does sending")
            self._said = False

    def owes(self, partition: int, offset: int) -> None:
        """An attempt is on record there, and the log has yet to seal it, if it has not."""
        if partition >= len(self._read) or self._read[partition] <= offset:
            self._owed.setdefault(partition, deque()).append((offset, self._now()))

    @property
    def stands_still(self) -> bool:
        """Whether the log owes its word for longer than it may."""
        earliest = min((owed[0][1] for owed in self._owed.values() if owed), default=None)
        return earliest is not None and self._now() - earliest > self._within_s

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
