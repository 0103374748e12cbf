"""Keeping: what a worker knows of its people goes to a file now and then, and comes from there when it starts."""

import asyncio
import logging
import sqlite3
import time
from pathlib import Path

from agents.holdings import Holding
from pipeline import failpoints
from pipeline.deliver.store import Store, forsaken, place_behind

log = logging.getLogger("tocsin.deliver")


class Keeping:
    """The stores of this worker's partitions; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._stores: dict[Holding, Store] = {}
        self._one_at_a_time = asyncio.Lock()

    async def opened(self, partition: int) -> Holding:
        """The holding of a partition, as far as it was kept; empty if it was not, or another worker has the file."""
        holding = Holding(partition)
        if self._folder is None:
            return holding
        for earlier in [held for held in self._stores if held.partition == partition]:
            await self.let_go(earlier)
        store = Store(self._folder, partition)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if store.open():
                await asyncio.to_thread(self._load, holding, store)
                self._stores[holding] = store
        except (sqlite3.Error, OSError) as error:
            store.close()
            log.warning("the people of partition %d are folded anew and not kept: %s", partition, error)
            return Holding(partition)
        return holding

    async def keep(self, holding: Holding) -> None:
        """Writes what changed since. What goes wrong is said, and costs a longer start and nothing else."""
        async with self._one_at_a_time:
            store = self._stores.get(holding)
            changed = holding.subscribers.take_changed() if store else []
            if store is None or not changed:
                return
            places = {topic: place_behind(record) for topic, record in holding.last.items()}
            try:
                await asyncio.to_thread(store.save, changed, holding.places | places)
                failpoints.hit("deliver.after_keeping")
            except (sqlite3.Error, OSError) as error:
                holding.subscribers.changed_after_all(changed)
                log.warning("the people of partition %d cannot be kept: %s", holding.partition, error)

    async def tidy(self) -> None:
        """Deletes the files of partitions that are others' now."""
        if self._folder is None:
            return
        ours = {holding.partition for holding in self._stores}
        try:
            gone = await asyncio.to_thread(forsaken, self._folder, ours, time.time())
        except OSError as error:
            log.warning("what was kept of others' partitions cannot be deleted: %s", error)
            return
        if gone:
            log.info("what was kept of partitions %s is deleted: they are others' now", sorted(gone))

    async def forget(self, holding: Holding) -> Holding:
        """An empty holding in place of one whose file is not of this broker's topics."""
        async with self._one_at_a_time:
            log.warning("partition %d is folded anew: what was kept is not of these topics", holding.partition)
            empty = Holding(holding.partition)
            if (store := self._stores.pop(holding, None)) is not None:
                store.clear()
                self._stores[empty] = store
            return empty

    async def let_go(self, holding: Holding) -> None:
        """Writes what changed and gives the file back."""
        await self.keep(holding)
        async with self._one_at_a_time:
            if (store := self._stores.pop(holding, None)) is not None:
                store.close()

    @staticmethod
    def _load(holding: Holding, store: Store) -> None:
        holding.subscribers, holding.places = store.load(holding.roll)
        if holding.places:
            holding.forgetting.begun_in_the_middle()
