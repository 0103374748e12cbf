"""Trimming, every day, by whoever appends to the log: what it forgets must be in the archive, and there is one of it.

In a process of its own, since it folds all that Kafka still keeps: it would share loop and interpreter with sealing. It
gets no private key. A run that is ended in its midst has forgotten less, and the next one goes on.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.private_keys import PrivateKeys, variable
from pipeline.settings import Settings

EVERY_S = 24 * 3600.0
FIRST_S = 60.0
"""After a start others have more urgent things to read."""
COMMAND = ("-m", "pipeline.cli", "trim")

log = logging.getLogger("tocsin.trimming")


@asynccontextmanager
async def trimming(settings: Settings) -> AsyncIterator[None]:
    """Trims now and then, beside the work of the block; does nothing where Kafka is to keep all."""
    if settings.archive is None or settings.log_retention_days is None:
        yield
        return
    task = asyncio.create_task(_every_day())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _every_day() -> None:
    await asyncio.sleep(FIRST_S)
    while True:
        try:
            await once()
        except OSError as error:
            log.error("nothing could be trimmed, which is tried again in a day: %s", error)
        await asyncio.sleep(EVERY_S)


async def once() -> None:
    """One run, to its end; what it said is in the log. What goes wrong costs room, and nothing else."""
    private = set(map(variable, PrivateKeys.model_fields))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *COMMAND, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if name not in private},
    )  # fmt: skip
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    words = said.decode(errors="replace").strip()
    log.log(logging.ERROR if process.returncode else logging.INFO, "%s", words or f"ended with {process.returncode}")
