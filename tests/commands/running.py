"""Runs commands as a person would, against a broker of the test's own."""

import asyncio

from typer.testing import CliRunner, Result

from pipeline.cli import app
from pipeline.settings import Settings


async def tocsin(settings: Settings, *arguments: str, typed: str | None = None, **environment: str) -> Result:
    """A command runs its own event loop, so it gets a thread beside the test's."""
    environment = {
        "TOCSIN_DATA_DIR": str(settings.data_dir),
        "TOCSIN_PARTITIONS": str(settings.partitions),
        "COLUMNS": "200",
        **environment,
    }
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), input=typed, env=environment)
