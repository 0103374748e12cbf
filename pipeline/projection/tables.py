"""The tables. There are no migrations: a change of a table, or of what is written into it, is another `VERSION`.

Moments are UTC: `timestamptz` in PostgreSQL, RFC 3339 in SQLite. Of a played incident `at` is by its own clock.
"""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sqlalchemy import JSON as _JSON
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, MetaData, Table, Text
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeDecorator

MEANING = 1
"""To be raised when the same columns come to hold something else."""
METADATA = MetaData()
JSON = _JSON(none_as_null=True)


class Moment(TypeDecorator[datetime]):
    """An instant; SQLite has no type for it, and gets RFC 3339 in UTC, which its functions read and which sorts."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """The column's type."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """As the database takes it."""
        return _spelled(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """In UTC."""
        if value is None:
            return None
        return _read(value) if isinstance(value, str) else value.astimezone(UTC)


@lru_cache(maxsize=4096)  # a batch of a thousand has few moments
def _spelled(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=4096)
def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _table(name: str, *columns: Column[Any]) -> Table:
    return Table(name, METADATA, *columns, sqlite_with_rowid=False)


def _key(name: str, type_: Any = Text) -> Column[Any]:
    return Column(name, type_, primary_key=True, autoincrement=False)


def _count(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False, default=0)


PLACE = _table(
    "place",
    _key("one", Integer),
    Column("version", Text, nullable=False),
    Column("entries", BigInteger, nullable=False),  # how many of the log are in the tables: the index of the next
    Column("leaf", Text, nullable=False),  # of the last one, which the next must name
    Column("topic_offset", BigInteger, nullable=False),  # where to go on reading; a hint, the leaf decides
    Column("by_hash", BigInteger, nullable=False),  # entries that say no more than the hash of what was too large
    Column("appended_at", Moment),  # when the last one was written, by the broker's clock
)
"""How far the tables are. Written in one transaction with them."""
JOURNAL = _table(
    "journal",
    _key("incident"),
    _key("seq", Integer),
    Column("entry", BigInteger, nullable=False),  # its index in the log
    Column("at", Moment, nullable=False),
    Column("body", Text, nullable=False),
)
"""The journal as it was sealed: what the rows of an incident are made of, again after each of its entries."""
INCIDENTS = _table(
    "incidents",
    _key("incident"),
    Column("title", Text),
    Column("severity", Text),  # the worst that was said
    Column("phase", Text, nullable=False),
    Column("maintenance", Boolean, nullable=False),
    Column("played", Boolean, nullable=False),
    Column("components", JSON, nullable=False),
    Column("reported_at", Moment, index=True),
    Column("opened_at", Moment),
    Column("over_at", Moment),
    Column("last_at", Moment, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("policy", Text, nullable=False),
)
STORIES = _table(
    "stories",
    _key("incident"),
    Column("heard_at", Moment, nullable=False, index=True),  # of it, first, by the broker's clock
    Column("story", Text, nullable=False),
)
"""The figures of each incident, as `pipeline.replay.results.Story` in JSON."""
NOTICES = _table(
    "notices",
    _key("notice"),
    Column("incident", Text, nullable=False, index=True),
    Column("seq", Integer, nullable=False),
    Column("audience", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("decided_at", Moment, nullable=False),  # by the broker's clock
    Column("channels", JSON, nullable=False),  # the SHA-256 of the renderings, by channel
    Column("zones", JSON, nullable=False),
    Column("safe", Boolean, nullable=False),
    Column("corrects", Integer),
    Column("expected", Integer),
    Column("draft", Text),
    Column("approved_by", JSON, nullable=False),
)
PROMISES = _table(
    "promises",
    _key("incident"),
    _key("number", Integer),
    Column("audience", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("kept", Boolean),  # null: replaced by a later one, or still open
)
DRAFTS = _table(
    "drafts",
    _key("incident"),
    _key("draft"),
    Column("seq", Integer, nullable=False),
    Column("held_at", Moment, nullable=False),
    Column("audience", Text),
    Column("about", Text, nullable=False),  # the kind of notice, or the field
    Column("content", Text),
    Column("needs", JSON, nullable=False),
    Column("people", Integer, nullable=False),
    Column("by_operator", Boolean, nullable=False),
    Column("author", Text),
    Column("reason", Text, nullable=False),
    Column("became", Text),  # told, released, voided; null: it waits
    Column("became_at", Moment),
    Column("why", Text),
)
APPROVALS = _table(
    "approvals",
    _key("incident"),
    _key("draft"),
    _key("by"),
    Column("seq", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("missing", Text, nullable=False),
)
FINDINGS = _table(
    "findings",
    _key("incident"),
    _key("number", Integer),
    Column("seq", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("rule", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("audiences", JSON, nullable=False),
    Column("field", Text, nullable=False),
    Column("why", Text, nullable=False),
)
DELIVERIES = _table(
    "deliveries",
    _key("incident"),
    _key("seq", Integer),
    _key("channel"),
    _key("subscriber"),
    Column("audience", Text),
    Column("intent", Text, nullable=False, index=True),
    Column("intended_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("unknowns", Integer, nullable=False),
    Column("result", Text),  # null: without an outcome so far
    Column("reason", Text),
    Column("code", Text),
    Column("ended_at", Moment),
    Column("receipt", Text),  # what the provider said last
    Column("received_at", Moment),
)
"""One message to one subscriber, who is a random id."""
REACH = _table(
    "reach",
    _key("incident"),
    _key("seq", Integer),
    _key("channel"),
    _key("audience"),
    *map(
        _count,
        ("intended", "accepted", "permanent", "suppressed", "parked", "unknown", "waiting", "attempts", "unknowns",
         "arrived", "came_back"),
    ),
    Column("first_accepted_at", Moment),
    Column("last_accepted_at", Moment),
)  # fmt: skip
"""The deliveries of one notice on one channel, counted: `waiting` has no end yet, `unknown` ended without anyone
knowing how, `unknowns` counts the attempts that ever did, `arrived` and `came_back` are what providers said later."""
SUBSCRIBERS = _table(
    "subscribers",
    _key("subscriber"),
    Column("kind", Text, nullable=False),
    Column("audiences", JSON),
    Column("channels", JSON),
    Column("components", JSON),
    Column("frequency", Text),
    Column("level", Text),
    Column("language", Text),
    Column("time_zone", Text),
    Column("roles", JSON),
    Column("contract", Text),
    Column("country", Text),
    Column("consent", Text),
    Column("unconfirmed", JSON),
    Column("opted_out", JSON, nullable=False),
    Column("merged_into", Text),
    Column("erased", Boolean, nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", Text, nullable=False),  # the whole fold but for contact data, to go on from
)

OF_AN_INCIDENT = (INCIDENTS, STORIES, NOTICES, PROMISES, DRAFTS, APPROVALS, FINDINGS)
"""What is made anew of an incident's journal whenever it has grown."""
COUNTS = tuple(column.name for column in REACH.columns if isinstance(column.type, Integer) and not column.primary_key)


def _version() -> str:
    declared = "".join(str(CreateTable(table).compile(dialect=sqlite.dialect())) for table in METADATA.sorted_tables)
    return f"{MEANING}-{sha256(declared.encode()).hexdigest()[:12]}"


VERSION = _version()
"""Of the tables and of what they mean."""
