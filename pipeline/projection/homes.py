"""Where the tables live: an SQLite file in the data directory, or a schema of a PostgreSQL database.

A new set of tables is made beside the one that serves, and takes its place in one step: of files a link is set anew,
of schemas the name is changed. Whoever reads sees the old ones or the new ones, whole.
"""

import os
from pathlib import Path
from typing import Protocol

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pipeline.errors import ConfigurationError
from pipeline.projection.store import Store
from pipeline.projection.tables import PLACE
from pipeline.settings import Settings
from schemas.ids import derived

SCHEMA, BUILDING, BEFORE = "tocsin", "tocsin_building", "tocsin_before"
PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous={}; PRAGMA busy_timeout=30000; PRAGMA secure_delete=ON"
"""The last: what an erased person had chosen is overwritten with zeros, not only let go."""


class Home(Protocol):
    """One place for tables."""

    async def serving(self) -> Store | None:
        """The tables that serve; None before there were any."""

    async def new(self) -> Store:
        """Empty tables that do not serve yet. What an earlier attempt has left of such is gone."""

    async def swap(self, made: Store) -> None:
        """Lets `made` serve, and removes what served before. `made` is closed."""

    def moved(self, store: Store) -> bool:
        """Whether others serve by now in place of `store`."""


def home(settings: Settings) -> Home:
    """The home that the settings name. Raises ConfigurationError."""
    if settings.database_url is None:
        return Files(settings.data_dir / "projection")
    return Schemas(_url(settings.database_url.get_secret_value()))


class Files:
    """SQLite: files with names of their own, since a write-ahead log belongs to a name; a link says which serves."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.link = directory / "projection.sqlite"

    async def serving(self) -> Store | None:
        """The file that the link leads to."""
        path = self._target()
        return None if path is None else Store(_sqlite(path, durable=True))

    async def new(self) -> Store:
        """A file beside it; safe from a crash only once it serves."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove(self._others())
        path = self._directory / f"tables-{derived('projection', os.getpid(), os.urandom(8).hex())[:8]}.sqlite"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        store = Store(_sqlite(path, durable=False))
        await store.create()
        return store

    async def swap(self, made: Store) -> None:
        """The link is replaced; whoever has the old file open keeps it until they close it."""
        path = Path(str(made.engine.url.database))
        async with made.engine.connect() as connection:
            await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        await made.close()
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        scratch = self._directory / f".link.{os.getpid()}"
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(path.name)
        scratch.replace(self.link)
        _remove(self._others())

    def moved(self, store: Store) -> bool:
        """Whether the link leads elsewhere by now."""
        return self._target() != Path(str(store.engine.url.database))

    def _target(self) -> Path | None:
        try:
            path = self._directory / os.readlink(self.link)
        except FileNotFoundError:
            return None
        return path if path.exists() else None

    def _others(self) -> list[Path]:
        served = self._target()
        return [path for path in self._directory.glob("tables-*.sqlite") if path != served]


class Schemas:
    """PostgreSQL: the schema `tocsin` serves. Its name alone is asked for, so nobody needs to connect anew."""

    def __init__(self, url: URL) -> None:
        self._url = url

    async def serving(self) -> Store | None:
        """The schema `tocsin`, if it is there."""
        store = Store(_postgresql(self._url, SCHEMA))
        try:
            async with store.engine.connect() as connection:
                named = text("SELECT to_regclass(:name)::text").bindparams(name=f"{SCHEMA}.{PLACE.name}")
                there = await connection.scalar(named) is not None
        except BaseException:
            await store.close()
            raise
        if there:
            return store
        await store.close()
        return None

    async def new(self) -> Store:
        """A schema beside it."""
        store = Store(_postgresql(self._url, BUILDING))
        async with store.engine.begin() as connection:
            await connection.execute(text(f"DROP SCHEMA IF EXISTS {BUILDING} CASCADE"))
            await connection.execute(text(f"CREATE SCHEMA {BUILDING}"))
        await store.create()
        return store

    async def swap(self, made: Store) -> None:
        """The names change in one transaction; what served before is dropped once nobody is in the midst of it."""
        async with made.engine.begin() as connection:
            there = await connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :n").bindparams(n=SCHEMA))
            await connection.execute(text(f"DROP SCHEMA IF EXISTS {BEFORE} CASCADE"))
            if there:
                await connection.execute(text(f"ALTER SCHEMA {SCHEMA} RENAME TO {BEFORE}"))
            await connection.execute(text(f"ALTER SCHEMA {BUILDING} RENAME TO {SCHEMA}"))
        async with made.engine.begin() as connection:
            await connection.execute(text(f"DROP SCHEMA IF EXISTS {BEFORE} CASCADE"))
        await made.close()

    def moved(self, store: Store) -> bool:
        """Never: whoever asks for the name gets what serves."""
        return False


def _sqlite(path: Path, durable: bool) -> AsyncEngine:
    engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(path)))

    @event.listens_for(engine.sync_engine, "connect")
    def begin(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in PRAGMAS.format("NORMAL" if durable else "OFF").split("; "):
            cursor.execute(pragma)
        cursor.close()

    return engine


def _postgresql(url: URL, schema: str) -> AsyncEngine:
    return create_async_engine(url, connect_args={"server_settings": {"search_path": schema}})


def _url(given: str) -> URL:
    """The URL as asyncpg takes it, which calls libpq's `sslmode` `ssl`."""
    wrong = ConfigurationError("TOCSIN_DATABASE_URL must be postgresql://[user[:password]@]host[:port]/name")
    try:
        url = make_url(given)
    except ArgumentError:
        raise wrong from None
    if url.drivername not in {"postgresql", "postgres", "postgresql+asyncpg"}:
        raise wrong
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


def _remove(files: list[Path]) -> None:
    for path in files:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
