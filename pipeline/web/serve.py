"""The service as a process: binds, says where it is reached, serves until it is told to stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from pipeline import failpoints
from pipeline.broker import runfile
from pipeline.errors import ConfigurationError
from pipeline.receipts.desk import Desk
from pipeline.receipts.listener import Listener, mailbox_of
from pipeline.settings import Settings
from pipeline.vault import Vault
from pipeline.web.app import create_app
from pipeline.web.publisher import Publisher

MAX_REQUESTS = 500
"""At once; beyond it the answer is 503, and memory stays bounded."""


class _Server(uvicorn.Server):
    """uvicorn's server, which says that it is there once it listens."""

    def __init__(self, config: uvicorn.Config, ready: Path, ports: dict[str, int | None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._ports = ports

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, then writes the run file."""
        await super().startup(sockets)
        if self.started:
            runfile.write(self._ready, os.getpid(), **self._ports)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends serving at SIGTERM or SIGINT. uvicorn's own then dies of the signal, before the producer is closed."""
        loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError, naming the setting."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"TOCSIN_WEB_HOST, TOCSIN_WEB_PORT: cannot listen on {host}:{port}: {error}"
        ) from error
    # asyncio does so only where a socket names its protocol; without, an answer's second part waits 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def config_for(app: ASGIApp) -> uvicorn.Config:
    """How it is served: no access log of uvicorn's, no trust in forwarded headers, no name of the software.

    uvicorn's access log prints whole paths, tokens included. `access_log=False` only detaches it: any handler that
    is attached to it later turns it on again, so it is disabled besides.
    """
    logging.getLogger("uvicorn.access").disabled = True
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_REQUESTS,
        timeout_graceful_shutdown=10,
        ws="none",
        lifespan="off",
    )


@asynccontextmanager
async def _publisher(settings: Settings) -> AsyncIterator[Publisher]:
    publisher = Publisher(settings)
    try:
        yield publisher
    finally:
        await publisher.close()


@asynccontextmanager
async def _return_path(settings: Settings, vault: Vault, publisher: Publisher) -> AsyncIterator[int | None]:
    """Takes in mail to the return path where a port is set for it; yields the port."""
    if settings.bounce_port is None:
        yield None
        return
    listener = Listener(Desk(vault, settings.partitions, publisher), mailbox_of(settings))
    try:
        yield await listener.start(settings.bounce_host, settings.bounce_port)
    finally:
        await listener.stop()


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT; `<data_dir>/run/web.ready` holds pid, port and bounce_port while it does."""
    failpoints.arm(settings.failpoint, settings.data_dir / "run")
    vault = Vault.open(settings)
    ready = runfile.run_dir(settings.data_dir) / "web.ready"
    listening = bind(settings.web_host, settings.web_port)
    try:
        async with _publisher(settings) as publisher, _return_path(settings, vault, publisher) as bounce_port:
            app = create_app(settings, vault, publisher)
            ports = {"port": listening.getsockname()[1], "bounce_port": bounce_port}
            await _Server(config_for(app), ready, ports).serve(sockets=[listening])
    finally:
        listening.close()
        if (said := runfile.read(ready)) is not None and said["pid"] == os.getpid():
            ready.unlink(missing_ok=True)
