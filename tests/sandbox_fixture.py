"""A running sandbox for any test: `from tests.sandbox_fixture import sandbox  # noqa: F401`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.sandbox import Sandbox


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """All three doubles on free ports, with their truth in `tmp_path/sandbox`."""
    async with Sandbox(tmp_path / "sandbox") as running:
        yield running
