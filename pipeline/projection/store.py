"""One set of tables in a database: a batch of the log's entries goes in with the place that they reach, or not at all.

Whoever writes takes the row of the place first, so that of two writers one waits, then finds that the other was there.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Row as Found
from sqlalchemy import Table, case, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import Insert

from pipeline.audit.history import Delivery
from pipeline.projection.people import after, row_of
from pipeline.projection.reached import Reached, Told, named_in, told_in
from pipeline.projection.reading import Batch, Place, Said, batch_of
from pipeline.projection.tables import (
    COUNTS,
    DELIVERIES,
    JOURNAL,
    METADATA,
    OF_AN_INCIDENT,
    PLACE,
    REACH,
    SUBSCRIBERS,
    VERSION,
)
from pipeline.projection.told import rows_of
from schemas.delivery import ParkedOrdered, ReceiptRecorded
from schemas.journal import JournalEntry
from schemas.subscriber import Subscriber

AT_ONCE = 500
"""Names in one question to the database."""


class Store:
    """The tables behind one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._postgresql = engine.dialect.name == "postgresql"

    async def create(self) -> None:
        """Makes the tables, empty, before the first entry of the log."""
        async with self.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            await connection.execute(
                insert(PLACE).values(
                    one=1, version=VERSION, entries=0, leaf=Place().leaf, topic_offset=0, by_hash=0, appended_at=None
                )
            )

    async def place(self) -> Found[Any]:
        """How far the tables are: the row of `PLACE`."""
        async with self.engine.connect() as connection:
            return (await connection.execute(select(PLACE))).one()

    async def is_current(self) -> bool:
        """Whether these are the tables that this program writes; if not, nothing but the version is known of them."""
        async with self.engine.connect() as connection:
            return await connection.scalar(select(PLACE.c.version)) == VERSION

    async def apply(self, values: Sequence[bytes | None], topic_offset: int) -> Batch:
        """Takes what follows in the log, in one transaction; says what of it was new.

        `topic_offset`: where the topic goes on after them.
        """
        async with self.engine.begin() as connection:
            # a write first: who only reads first may find on writing that another was faster (SQLite), or not notice
            await connection.execute(update(PLACE).values(one=PLACE.c.one))
            at = (await connection.execute(select(PLACE.c.entries, PLACE.c.leaf))).one()
            batch = batch_of(Place(at.entries, at.leaf), values)
            await self._journal(connection, batch.journal)
            await self._deliveries(connection, batch.deliveries)
            await self._receipts(connection, batch.receipts)
            await self._people(connection, batch.people)
            await connection.execute(
                update(PLACE).values(
                    entries=batch.after.entries,
                    leaf=batch.after.leaf,
                    topic_offset=topic_offset,
                    by_hash=PLACE.c.by_hash + batch.by_hash,
                    appended_at=batch.appended_at or PLACE.c.appended_at,
                )
            )
        return batch

    async def close(self) -> None:
        """Gives the connections back."""
        await self.engine.dispose()

    async def _journal(self, connection: AsyncConnection, entries: Iterable[tuple[int, JournalEntry]]) -> None:
        """A second entry of a number repeats the first after a crash, and is passed over."""
        rows: list[dict[str, Any]] = [
            {"incident": one.incident, "seq": one.seq, "entry": at, "at": one.at, "body": one.model_dump_json()}
            for at, one in entries
        ]
        if not rows:
            return
        await connection.execute(self._insert(JOURNAL).on_conflict_do_nothing(), rows)
        for incident in dict.fromkeys(row["incident"] for row in rows):
            bodies = await connection.execute(
                select(JOURNAL.c.body).where(JOURNAL.c.incident == incident).order_by(JOURNAL.c.seq)
            )
            made = rows_of(incident, [JournalEntry.model_validate_json(body) for (body,) in bodies])
            for table in OF_AN_INCIDENT:
                await connection.execute(delete(table).where(table.c.incident == incident))
                if made.get(table):
                    await connection.execute(insert(table), made[table])

    async def _deliveries(self, connection: AsyncConnection, records: Sequence[Delivery | ParkedOrdered]) -> None:
        named: dict[Told, dict[str, None]] = defaultdict(dict)
        for record in records:
            named[told_in(record)].update(dict.fromkeys(named_in(record)))
        reached = Reached()
        for told, subscribers in named.items():
            of_it = (DELIVERIES.c.incident, DELIVERIES.c.seq, DELIVERIES.c.channel)
            which = select(DELIVERIES).where(*(c == value for c, value in zip(of_it, told, strict=True)))
            for part in _parts(subscribers):
                for row in (await connection.execute(which.where(DELIVERIES.c.subscriber.in_(part)))).mappings():
                    reached.hold(dict(row))
        for record in records:
            reached.deliver(record)
        await self._write(connection, reached)

    async def _receipts(self, connection: AsyncConnection, receipts: Iterable[ReceiptRecorded]) -> None:
        """They name the intent alone; of one that is not known nothing can be told."""
        said: dict[str, list[ReceiptRecorded]] = defaultdict(list)
        for one in receipts:
            said[one.intent_id].append(one)
        reached = Reached()
        for part in _parts(said):
            for row in (await connection.execute(select(DELIVERIES).where(DELIVERIES.c.intent.in_(part)))).mappings():
                told = reached.hold(dict(row))
                for receipt in said[row["intent"]]:
                    reached.receive(receipt, told, row["subscriber"])
        await self._write(connection, reached)

    async def _write(self, connection: AsyncConnection, reached: Reached) -> None:
        if rows := reached.rows():
            await connection.execute(self._upsert(DELIVERIES), rows)
            await connection.execute(self._add(), reached.counted())

    async def _people(self, connection: AsyncConnection, people: Iterable[Said]) -> None:
        said: dict[str, list[Said]] = defaultdict(list)
        for one in people:
            said[one.subscriber].append(one)
        rows = []
        held: dict[str, str] = {}
        for part in _parts(said):
            which = select(SUBSCRIBERS.c.subscriber, SUBSCRIBERS.c.state).where(SUBSCRIBERS.c.subscriber.in_(part))
            held |= {row.subscriber: row.state for row in await connection.execute(which)}
        for subscriber, events in said.items():
            found = Subscriber.model_validate_json(held[subscriber]) if subscriber in held else None
            for one in events:
                found = after(found, one)
            if found is not None:
                rows.append(row_of(found))
        if rows:
            await connection.execute(self._upsert(SUBSCRIBERS), rows)

    def _insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        return postgresql.insert(table) if self._postgresql else sqlite.insert(table)

    def _upsert(self, table: Table) -> Insert:
        made = self._insert(table)
        new = {column.name: made.excluded[column.name] for column in table.columns if not column.primary_key}
        return made.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)

    def _add(self) -> Insert:
        """Counts are added to what is there; of moments the earlier, or the later, stays."""
        made = self._insert(REACH)
        there, new = REACH.c, made.excluded
        sums = {name: there[name] + new[name] for name in COUNTS}
        first, last = "first_accepted_at", "last_accepted_at"
        moments = {
            first: case((there[first] < new[first], there[first]), else_=func.coalesce(new[first], there[first])),
            last: case((there[last] > new[last], there[last]), else_=func.coalesce(new[last], there[last])),
        }
        return made.on_conflict_do_update(index_elements=list(REACH.primary_key), set_={**sums, **moments})


def _parts(names: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(names)
    while part := list(islice(rest, AT_ONCE)):
        yield part
