"""`/metrics` for Prometheus, beside the projector: on an address of its own.

The web service is reached from the internet, by whoever was sent a link; how well people are told is said inside the
house. Nothing else is served here, and nothing is taken in.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from pipeline.audit.witnessed import witnessed
from pipeline.clock import now
from pipeline.errors import ConfigurationError, TocsinError
from pipeline.honesty.exporter import text
from pipeline.honesty.gathering import gather
from pipeline.projection.reader import reader
from pipeline.settings import Settings

FRESH_S = 10.0
"""For so long an answer is given again: however often somebody asks, the database is asked as often as that."""
Behind = Callable[[], Awaitable[int | None]]


class Metrics:
    """The answer, and when it was made."""

    def __init__(self, settings: Settings, behind: Behind, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._behind, self._monotonic = settings, behind, monotonic
        self._said, self._at = b"", float("-inf")

    async def answer(self, _request: web.Request) -> web.Response:
        """The metrics; 503 with the reason where the database or the broker does not answer."""
        if self._monotonic() - self._at >= FRESH_S:
            try:
                self._said = await self._made()
            except TocsinError as error:
                return web.Response(status=503, text=f"{error}\n")
            self._at = self._monotonic()
        return web.Response(body=self._said, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _made(self) -> bytes:
        async with reader(self._settings) as store:
            if store is None:
                raise TocsinError("there is no projection yet")
            found = await gather(store, None, now())
        return text(found, await self._behind() or 0, witnessed(self._settings.data_dir))


@asynccontextmanager
async def serving(settings: Settings, behind: Behind) -> AsyncIterator[int | None]:
    """Serves the metrics for the length of a block; yields the port, None where none is set.

    Raises ConfigurationError, naming the setting, where it cannot listen.
    """
    if settings.metrics_port is None:
        yield None
        return
    app = web.Application()
    app.router.add_get("/metrics", Metrics(settings, behind).answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.metrics_host, settings.metrics_port)
        try:
            await site.start()
        except OSError as error:
            where = f"{settings.metrics_host}:{settings.metrics_port}"
            raise ConfigurationError(
                f"TOCSIN_METRICS_HOST, TOCSIN_METRICS_PORT: cannot listen on {where}: {error}"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
