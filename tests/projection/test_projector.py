"""The projector, against a broker: it follows the log, whatever becomes of the tables meanwhile."""

import asyncio
import random
import sys
from collections.abc import Callable, Sequence

import pytest

from pipeline.broker import connect
from pipeline.commands.lag import projection_lag
from pipeline.errors import AuditError
from pipeline.processes import environment
from pipeline.projection.homes import home
from pipeline.projection.projector import Projector
from pipeline.projection.reader import reader
from pipeline.projection.rebuilding import from_topic, rebuild
from pipeline.projection.tables import PLACE
from pipeline.settings import Settings
from schemas import topics
from schemas.delivery import Result
from tests.audit.logs import a_log
from tests.projection.made import SOME, attempted, ended, intended, sealed, tables
from tests.projection.postgres import empty

AWAITED_S = 30.0


async def append(settings: Settings, values: Sequence[bytes]) -> None:
    async with connect.open_producer(settings) as producer:
        for value in values:
            await producer.send(topics.AUDIT_LOG.name, value, partition=0)


async def entries(settings: Settings) -> int:
    async with reader(settings) as store:
        return 0 if store is None else (await store.place()).entries


async def until(settings: Settings, wanted: int) -> None:
    async with asyncio.timeout(AWAITED_S):
        while await entries(settings) < wanted:
            await asyncio.sleep(0.05)


async def following(settings: Settings, meanwhile: Callable[[], object]) -> None:
    """Runs a projector around `meanwhile`, which is awaited."""
    projector = Projector(settings, lambda: None, again_s=0.1)
    running = asyncio.create_task(projector.run())
    done, _ = await asyncio.wait(
        {running, asyncio.ensure_future(meanwhile())},  # type: ignore[arg-type]
        return_when=asyncio.FIRST_COMPLETED,
    )
    projector.stop()
    await asyncio.gather(running, *done)


async def test_it_follows_the_log_over_a_rebuild_and_another_version(own_broker: Settings) -> None:
    log = sealed(*SOME)

    async def meanwhile() -> None:
        await append(own_broker, log[:3])
        await until(own_broker, 3)
        assert await projection_lag(own_broker) == 0
        assert await rebuild(own_broker, home(own_broker), from_topic(own_broker)) == 3
        await append(own_broker, [log[1], b"void", *log[3:8]])
        await until(own_broker, 8)

    await following(own_broker, meanwhile)
    await append(own_broker, log[8:10])
    assert await projection_lag(own_broker) == 2
    async with reader(own_broker) as store:
        assert store is not None
        async with store.engine.begin() as connection:
            await connection.execute(PLACE.update().values(version="0-old"))

    async def of_this_version() -> None:
        async with asyncio.timeout(AWAITED_S):
            while True:
                try:
                    return await until(own_broker, 10)
                except Exception:  # it is of another version until it was made anew
                    await asyncio.sleep(0.05)

    await following(own_broker, of_this_version)
    assert await entries(own_broker) == 10


async def test_an_offset_that_means_another_place_does_no_harm(own_broker: Settings) -> None:
    log = sealed(*SOME)
    await append(own_broker, log[:5])
    await rebuild(own_broker, home(own_broker), from_topic(own_broker))
    async with reader(own_broker) as store:
        assert store is not None
        async with store.engine.begin() as connection:
            await connection.execute(PLACE.update().values(topic_offset=8))
    await append(own_broker, log[5:])
    await following(own_broker, lambda: until(own_broker, len(log)))
    assert await entries(own_broker) == len(log)


async def test_another_log_is_refused_and_the_tables_stay(own_broker: Settings) -> None:
    await append(own_broker, sealed(*SOME)[:5])
    await rebuild(own_broker, home(own_broker), from_topic(own_broker))
    async with reader(own_broker) as store:
        assert store is not None
        async with store.engine.begin() as connection:
            await connection.execute(PLACE.update().values(leaf="1" * 64))
    await append(own_broker, a_log(20).values[5:])
    await append(own_broker, sealed(*SOME)[5:])
    projector = Projector(own_broker, lambda: None)
    with pytest.raises(AuditError, match="does not go on from entry 5"):
        await asyncio.wait_for(projector.run(), AWAITED_S)
    assert await entries(own_broker) == 5


@pytest.mark.chaos
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_projector_that_is_killed_again_and_again_takes_each_entry_once(
    own_broker: Settings, database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres") if database == "postgresql" else None
    if url is not None:
        empty(url)
    settings = Settings(_env_file=None, **{**dict(own_broker), "database_url": url})
    records = [
        one(*(f"p{number}-{place}" for place in range(20)), seq=number)
        for number in range(1, 300)
        for one in (intended, attempted, lambda *who, seq: ended(Result.ACCEPTED, *who, seq=seq))
    ]
    log = sealed(*records)
    chance, written = random.Random(3), 0
    while (before := await entries(settings)) < len(log):
        await append(settings, log[written : written + 225])
        written = min(written + 225, len(log))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pipeline.cli", "projector",
            env=environment(settings), stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(AWAITED_S):
            while await entries(settings) == before:
                await asyncio.sleep(chance.random() * 0.05)
        process.kill()  # somewhere in the midst
        await process.wait()
    async with reader(settings) as store:
        assert store is not None
        followed = await tables(store)
    await rebuild(settings, home(settings), from_topic(settings))
    async with reader(settings) as store:
        assert store is not None
        assert await tables(store) == followed
