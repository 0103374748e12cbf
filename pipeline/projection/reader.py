"""Reading the tables that serve."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import ProjectionError
from pipeline.projection.homes import home
from pipeline.projection.store import Store
from pipeline.settings import Settings

DATABASE_ERRORS = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a database that is away, full or unwilling raises; asyncpg's own come from connecting."""


@asynccontextmanager
async def reader(settings: Settings) -> AsyncIterator[Store | None]:
    """The tables that serve, for the length of a block; None where there are none.

    Raises ProjectionError where they are of another version, or the database does not answer.
    """
    store = None
    try:
        store = await home(settings).serving()
        if store is not None and not await store.is_current():
            raise ProjectionError(
                "the projection is of another version of Tocsin: the projector, which `tocsin up` runs, makes it anew, "
                "and so does `tocsin rebuild`"
            )
        yield store
    except DATABASE_ERRORS as error:
        raise ProjectionError(f"the projection cannot be read: {said(error)}") from error
    finally:
        if store is not None:
            await store.close()


def said(error: BaseException) -> str:
    """What a database said, in one line and without the statement, whose values are nobody's business in a log."""
    text = str(getattr(error, "orig", None) or error)
    return text.splitlines()[0] if text else type(error).__name__
