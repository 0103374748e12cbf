"""The room as a process of its own, as `tocsin worker record` runs it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pipeline.audit.checkpoint import checkpoint_path
from pipeline.audit.keys import public_key_path
from pipeline.audit.verify import Vouchers, verify
from pipeline.broker import connect
from pipeline.settings import Settings
from schemas import topics
from tests.audit.logs import receipt
from tests.audit.test_appender import publish
from tests.paths import REPOSITORY

DEADLINE_S = 45.0


async def eventually(condition) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def room(settings: Settings, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The room, ready; killed at the end if it still runs."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    mark = settings.data_dir / "run" / "record.ready"
    mark.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agents", "record",
        cwd=REPOSITORY,
        env={
            **os.environ,
            "TOCSIN_DATA_DIR": str(settings.data_dir),
            "TOCSIN_PARTITIONS": str(settings.partitions),
            **environment,
        },
        stderr=(settings.data_dir / "room.log").open("ab"),
    )  # fmt: skip

    async def ready() -> bool:
        assert process.returncode is None, (settings.data_dir / "room.log").read_text()
        return mark.exists()

    try:
        await eventually(ready)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def sealed(settings: Settings, count: int) -> None:
    async def there() -> bool:
        return len([r async for r in connect.read_all(settings, topics.AUDIT_LOG.name)]) >= count

    await eventually(there)


@pytest.mark.chaos
async def test_the_room_seals_signs_at_its_end_and_goes_on_after_a_kill(own_broker):
    await publish(own_broker, [receipt(n) for n in range(3)])
    async with room(own_broker, TOCSIN_FAILPOINT="record.after_append:2") as process:
        await sealed(own_broker, 3)
        await publish(own_broker, [receipt(n) for n in range(3, 6)])
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == -signal.SIGKILL
    assert (own_broker.data_dir / "run" / "fired.record.after_append").exists()
    async with room(own_broker) as process:
        await publish(own_broker, [receipt(6)])
        await sealed(own_broker, 7)
        process.terminate()
        await asyncio.wait_for(process.wait(), DEADLINE_S)
    assert "Traceback" not in (own_broker.data_dir / "room.log").read_text()
    assert not (own_broker.data_dir / "run" / "record.ready").exists()
    stored = [
        (record.value, dict(record.headers)["ce_root"])
        async for record in connect.read_all(own_broker, topics.AUDIT_LOG.name)
    ]
    checkpoint = checkpoint_path(own_broker.data_dir).read_bytes()
    result = verify(stored, Vouchers(checkpoint, public_key_path(own_broker.data_dir).read_text()))
    assert (result.ok, result.entries, result.signed) == (True, 7, 7)
