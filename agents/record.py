"""The record room: exactly one of its workers appends to the audit log, the others stand by.

Who owns the one partition of `audit.turn` is the appender; Kafka's group decides, and the appender finds out by the
offset of its own append if the group was wrong (a worker that was paused and woke up).
"""

import asyncio
import logging
import os
import time
from collections.abc import Iterable
from typing import Any

import faust
from faust.types import TP

from agents.app import die, make_app, ready, unready
from agents.appender import Appender
from agents.lanes import record_of
from pipeline import clock
from pipeline.audit.keys import keys_for
from pipeline.private_keys import keys_of
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.audit import TurnTaken
from schemas.base import rfc3339
from schemas.codec import Undecodable

ROOM = "record"
TURN = TP(topics.AUDIT_TURN.name, 0)
STOP_WITHIN_S = 10.0

log = logging.getLogger("tocsin.record")


class RecordRoom:
    """Wires the room together; one per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = keys_for(settings.data_dir, keys_of(ROOM))
        self._holder = f"record-{settings.worker_id}-{os.getpid()}"
        self._appender: Appender | None = None
        self._task: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self.app = make_app(settings, ROOM)
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.app.on_before_shutdown.connect(self._stopping)
        turns = self.app.topic(topics.AUDIT_TURN.name, key_serializer="raw", value_serializer="raw")
        self.app.agent(turns, name=f"{ROOM}.turns", concurrency=1)(self._turns)

    async def _turns(self, stream: Any) -> None:
        """Who took the turn is for the log of whoever stands by; nothing hangs on it."""
        async for event in stream.noack().events():
            try:
                turn = codec.decode(record_of(event), TurnTaken).data
                log.info("%s took the turn with %d entries at %s", turn.holder, turn.size, rfc3339(turn.at))
            except Undecodable as error:
                log.warning("audit.turn holds something that is no turn: %s", error)
            event.ack()

    async def _assigned(self, _app: faust.App, assigned: Iterable[Any], **_: Any) -> None:
        async with self._changing:
            if TURN in set(assigned):
                if self._task is None or self._task.done():
                    self._appender = Appender(self._settings, self._keys, self._holder, clock.now, time.monotonic)
                    self._task = asyncio.create_task(self._append(self._appender))
            else:
                await self._let_go()
                log.info("another worker appends to the log; this one stands by")
                ready(self._settings, ROOM)

    async def _append(self, appender: Appender) -> None:
        try:
            await appender.run(lambda: self._at_work(appender))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            unready(self._settings, (ROOM,))
            die(error)

    def _at_work(self, appender: Appender) -> None:
        log.info("the log has %d entries; sealing goes on", appender.held.chain.size)
        ready(self._settings, ROOM)

    async def _revoked(self, _app: faust.App, revoked: Iterable[Any], **_: Any) -> None:
        async with self._changing:
            if TURN in set(revoked):
                await self._let_go()

    async def _stopping(self, _app: faust.App, **_: Any) -> None:
        async with self._changing:
            await self._let_go()

    async def _let_go(self) -> None:
        """Ends after the batch in hand, with a last checkpoint; in the midst of a long fold, at once.

        An archive that hangs does not keep the turn from others; only the lock of this data directory waits for it.
        """
        task, appender, self._task, self._appender = self._task, self._appender, None, None
        if task is None or appender is None:
            return
        appender.stop()
        done, _ = await asyncio.wait({task}, timeout=STOP_WITHIN_S)
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_WITHIN_S)


def build(settings: Settings) -> faust.App:
    """The room's Faust app, wired. Raises ConfigurationError where the log's keys are not as they should be."""
    return RecordRoom(settings).app
