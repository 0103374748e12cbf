"""The projector: follows the log into the tables that serve.

It is a process of its own, so that nothing here can hold up sealing: neither a database that does not answer nor a
batch that takes long. It reads the log as anyone may.
"""

import asyncio
import logging
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.broker import connect
from pipeline.errors import AlreadyRunning, AuditError
from pipeline.projection.homes import Home, home
from pipeline.projection.reader import DATABASE_ERRORS, said
from pipeline.projection.reading import Batch, parsed
from pipeline.projection.rebuilding import AT_ONCE, from_topic, rebuild
from pipeline.projection.store import Store
from pipeline.settings import Settings
from schemas import topics

LOG = TopicPartition(topics.AUDIT_LOG.name, 0)
WAIT_MS = 500
AGAIN_S = 5.0

log = logging.getLogger("tocsin.projection")


class Projector:
    """Follows until it is told to stop. One use."""

    def __init__(self, settings: Settings, at_work: Callable[[], None], again_s: float = AGAIN_S) -> None:
        self._settings = settings
        self._at_work = at_work
        self._again_s = again_s
        self._home: Home = home(settings)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Asks it to end after what it has in hand; `run` returns then."""
        self._stopping.set()

    async def run(self) -> None:
        """Follows the log. A database that fails is tried again; raises BrokerError, and AuditError for another log."""
        self._at_work()
        while not self._stopping.is_set():
            try:
                await self._serve()
            except DATABASE_ERRORS as error:
                log.error("the projection cannot be written, tried again in %g s: %s", self._again_s, said(error))
                await self._pause()

    async def _serve(self) -> None:
        store = await self._home.serving()
        if store is not None and not await store.is_current():
            await store.close()
            store = None
            log.warning("the projection is of another version: it is made anew, the old one serves until then")
        if store is None:
            try:
                entries = await rebuild(self._settings, self._home, from_topic(self._settings))
            except AlreadyRunning as error:
                log.info("%s: waiting until it is done", error)
                return await self._pause()
            log.info("the projection was made of %d entries", entries)
            return None
        try:
            return await self._follow(store)
        finally:
            await store.close()

    async def _follow(self, store: Store) -> None:
        """Until others serve in place of `store`, or it is told to stop."""
        consumer = AIOKafkaConsumer(
            **connect.client_options(self._settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=connect.MAX_REQUEST_BYTES,
        )
        try:
            await consumer.start()
            consumer.assign([LOG])
            consumer.seek(LOG, (await store.place()).topic_offset)
            await self._take(consumer, store)
        except KafkaError as error:
            raise connect.unreachable(self._settings, error) from error
        finally:
            await consumer.stop()

    async def _take(self, consumer: AIOKafkaConsumer, store: Store) -> None:
        from_start = False
        while not self._stopping.is_set() and not self._home.moved(store):
            fetched = await consumer.getmany(LOG, timeout_ms=WAIT_MS, max_records=AT_ONCE)
            records = fetched.get(LOG, ())
            if not records:
                continue
            values = [record.value for record in records]
            batch = await store.apply(values, records[-1].offset + 1)
            if _is_beyond(batch, values[-1]):
                if from_start:
                    raise AuditError(
                        f"the log does not go on from entry {batch.after.entries}, up to which the projection was "
                        "made: it is another log, or was changed. `tocsin audit verify`, then `tocsin rebuild`"
                    )
                from_start = True
                await consumer.seek_to_beginning(LOG)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self._again_s)
        except TimeoutError:
            pass  # time to try again


def _is_beyond(batch: Batch, value: bytes | None) -> bool:
    """Whether what was read last lies beyond what comes next: then the offset to go on from meant another place."""
    entry = parsed(value or b"")
    return batch.entries == 0 and entry is not None and entry.get("index", 0) > batch.after.entries
