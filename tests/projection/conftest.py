"""Each of the two databases in turn: one suite holds for both."""

from collections.abc import AsyncIterator, Iterator

import pytest

from pipeline.projection.homes import Home, home
from pipeline.projection.store import Store
from pipeline.settings import Settings
from tests.conftest import MakeSettings
from tests.projection.postgres import NoPostgres, cluster, empty


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """One PostgreSQL for the whole run; skipped with the reason where there is none."""
    try:
        running = cluster()
        url = running.__enter__()
    except NoPostgres as why:
        pytest.skip(str(why))
    yield url
    running.__exit__(None, None, None)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def settings(request: pytest.FixtureRequest, make_settings: MakeSettings) -> Settings:
    """Settings with a database of the test's own."""
    if request.param == "sqlite":
        return make_settings()
    url = request.getfixturevalue("postgres")
    empty(url)
    return make_settings(database_url=url)


@pytest.fixture
def where(settings: Settings) -> Home:
    return home(settings)


@pytest.fixture
async def store(where: Home) -> AsyncIterator[Store]:
    """Empty tables that serve."""
    await where.swap(await where.new())
    found = await where.serving()
    assert found is not None
    yield found
    await found.close()
