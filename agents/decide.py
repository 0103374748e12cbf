"""The decide room: what comes in is taken to the desk of its partition, and acknowledged when that is done with it."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import faust
from aiokafka.errors import KafkaError

from agents.app import Background, die, make_app, ready
from agents.deadletters import DeadLetters
from agents.desks import Desks
from agents.emit import Emitter
from agents.follow import Follower
from agents.lanes import serve
from pipeline import clock
from pipeline.broker import connect
from pipeline.commands.lag import WORKED_OFF, committed
from pipeline.operators import Registry
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import topics
from schemas.codec import Record

ROOM = "decide"
INPUTS = WORKED_OFF[ROOM]

log = logging.getLogger("tocsin.decide")


class Decide:
    """Wires the room together; one per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._vault = Vault.open(settings)
        self._started = asyncio.Event()
        self._announced = False
        self._background = Background()
        self.app = make_app(settings, ROOM)
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.app.task(self._start)
        source = self.app.topic(*(topic.name for topic in INPUTS), key_serializer="raw", value_serializer="raw")
        self.app.agent(source, name="decide", concurrency=1)(self._work)

    async def _work(self, stream: Any) -> None:
        await self._started.wait()
        await serve(stream, self._desks.handle)

    async def _start(self) -> None:
        try:
            emitter = Emitter(await connect.producer(self._settings), ROOM)
            self._desks = Desks(
                emitter,
                DeadLetters(emitter, self._vault, ROOM),
                self._follow,
                Registry(self._vault),
                self._acknowledged,
                clock.now,
                partitions=self._settings.partitions,
                sandbox=self._settings.sandbox,
            )
            await self._desks.start()
            self._started.set()
            self._background.run(self._desks.clockwork.run(self._desks.awaited))
        except Exception as error:
            die(error)

    def _follow(self, of: Iterable[topics.Topic], apply: Callable[[Record], None]) -> Follower:
        return Follower(self._settings, of, apply)

    async def _acknowledged(self, partitions: Collection[int]) -> Mapping[tuple[str, int], int]:
        parts = [(topic.name, partition) for topic in INPUTS for partition in partitions]
        try:
            async with connect.open_admin(self._settings) as admin:
                return await committed(admin, ROOM, parts)
        except KafkaError as error:  # then all counts as not acknowledged: to emit twice is better than never
            log.warning("what the inputs' group has acknowledged is not known: %r", error)
            return {}

    async def _assigned(self, _app: faust.App, assigned: Iterable[Any], **_: Any) -> None:
        self._background.run(self._own({tp.partition for tp in assigned if tp.topic == topics.INCIDENT_EVENTS.name}))

    async def _own(self, partitions: set[int]) -> None:
        """In the background: the group must not wait for a long fold."""
        await self._started.wait()
        await self._desks.own(partitions)
        if not self._announced:
            self._announced = True
            log.info("decide is ready with %d partitions", len(partitions))
            ready(self._settings, ROOM)

    async def _revoked(self, _app: faust.App, revoked: Iterable[Any], **_: Any) -> None:
        if self._started.is_set():
            self._desks.suspend()
            self._desks.let_go({tp.partition for tp in revoked})


def build(settings: Settings) -> faust.App:
    """The room's Faust app, wired."""
    return Decide(settings).app
