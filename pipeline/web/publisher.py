"""The service's one producer: opened when it is needed, and opened anew after the broker was away."""

import asyncio
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from pipeline import failpoints
from pipeline.broker import connect
from pipeline.errors import BrokerError, BrokerUnreachable
from pipeline.settings import Settings
from schemas.codec import Outgoing

PATIENCE_S = 8.0
"""Twilio waits 15 s for an answer, mailbox providers hardly longer: better a clear 503 before that."""

log = logging.getLogger("tocsin.web")


class Publisher:
    """Publishes, and says so only when the broker has it. `close` at the end."""

    def __init__(self, settings: Settings, patience_s: float = PATIENCE_S) -> None:
        self._settings = settings
        self._patience_s = patience_s
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, outgoing: Outgoing) -> None:
        """Writes one record. Raises BrokerError; after a time-out the record may or may not be there."""
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._patience_s):
                producer = await self._opened()
                await connect.send(producer, outgoing)
            failpoints.hit("web.before_answer")
        except (TimeoutError, BrokerError) as error:
            log.warning("nothing published", extra={"fields": {"topic": outgoing.topic, "error": repr(error)}})
            self._discard(producer)
            if isinstance(error, BrokerError):
                raise
            raise BrokerUnreachable(f"no acknowledgement within {self._patience_s:g} s") from None

    async def close(self) -> None:
        """Flushes and closes."""
        self._discard(self._producer)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _opened(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._producer is None:
                self._producer = await connect.producer(self._settings)
            return self._producer

    def _discard(self, producer: AIOKafkaProducer | None) -> None:
        """The next record gets a new one: a refusal broke the old one's sequence, or a restart its address."""
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        task = asyncio.create_task(self._stop(producer))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await producer.stop()
        except (TimeoutError, KafkaError) as error:
            log.warning("producer not closed in order", extra={"fields": {"error": repr(error)}})
