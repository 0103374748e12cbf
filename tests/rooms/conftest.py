"""The rooms decide and deliver, running on an embedded broker; one system for a module's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from tests.system import System, running


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """A fresh system for one test."""
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path), sandbox, ("decide", "deliver")) as found:
        yield found
