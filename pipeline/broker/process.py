"""A broker that Tocsin runs itself: one process, found again by its run file, never anybody else's."""

import asyncio
import random
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import psutil

from pipeline.broker import runfile
from pipeline.broker.locks import Lock
from pipeline.broker.ready import await_ready
from pipeline.errors import BrokerError, BrokerUnreachable
from pipeline.settings import bare_environment

PORTS = range(20_000, 32_000)
"""Below the range from which systems take the ports of outgoing connections. A client that keeps trying to reach a
stopped broker on a port of that range ends up connected to itself, and then holds the port."""
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
"""Saving a large store takes the embedded broker long: 500,000 records took 15 s."""


class BrokerProcess(ABC):
    """Starts, awaits and stops the broker of a data directory. One owner at a time; usable from any event loop."""

    NAME: ClassVar[str]
    """Of its directory, its log and its run file."""
    SAID: ClassVar[str]
    """What messages call it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.store = data_dir / self.NAME
        self.run_file = data_dir / "run" / f"{self.NAME}.json"
        self.log_file = data_dir / "logs" / f"{self.NAME}.log"
        self._lock = Lock(data_dir / "run" / f"{self.NAME}.lock")
        self._process: psutil.Process | None = None

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """The command line that serves `store` on 127.0.0.1:`port`; prepares what it needs."""

    @property
    def port(self) -> int | None:
        """The port last used here; None before the first start."""
        content = runfile.read(self.run_file)
        return None if content is None else int(content["port"])

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients. Raises BrokerUnreachable before the first start."""
        if (port := self.port) is None:
            raise BrokerUnreachable(f"{self.SAID} of {self.data_dir} was never started")
        return f"127.0.0.1:{port}"

    @property
    def pid(self) -> int | None:
        """The broker's process, while it runs under this owner."""
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether our broker process lives (a zombie does not).

        Of a child only its end counts: killed, its first thread is a zombie while others still hold the port.
        """
        process = self._process
        if process is None:
            return False
        if isinstance(process, psutil.Popen):
            return process.poll() is None
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def has_died(self) -> bool:
        """Whether it was started, was not stopped by us, and yet is gone."""
        return self._process is not None and not self.is_running

    async def start(self) -> None:
        """Starts the broker and returns once it answers a metadata request.

        A broker that an owner who was killed has left behind is taken over. Raises AlreadyRunning, naming the pid, when
        another owner has it; BrokerError, with the end of its log, when it does not come up.
        """
        runfile.run_dir(self.data_dir)
        self._lock.acquire(self._refusal)
        try:
            self._process = runfile.process_of(runfile.read(self.run_file))
            if self._process is None:
                await self._spawn()
            else:
                await await_ready(self.bootstrap, READY_TIMEOUT_S, lambda: self.is_running)
        except BaseException:
            await self.stop()
            raise

    async def _spawn(self) -> None:
        earlier = self.port
        tried = ([earlier] if earlier is not None else []) + random.sample(PORTS, 20)
        for port in filter(is_free, tried):
            self._process = await asyncio.to_thread(self._run, port)
            runfile.write(self.run_file, self._process.pid, port=port)
            try:
                await await_ready(f"127.0.0.1:{port}", READY_TIMEOUT_S, lambda: self.is_running)
                return
            except BrokerUnreachable as error:
                ending = self._log_tail()
                if not self.is_running and "already in use" in ending:
                    continue  # someone took the port between the look at it and the start
                raise BrokerError(f"{self.SAID} did not come up: {error}\n{ending}") from error
        raise BrokerError(f"no free port for {self.SAID} in {PORTS.start}-{PORTS.stop}")

    def _run(self, port: int) -> psutil.Popen:
        for directory in (self.store, self.log_file.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = self.command(port)
        with self.log_file.open("ab") as log:
            # In a session of its own: Ctrl-C on the terminal must reach the workers first, and the broker through us.
            return psutil.Popen(
                command,
                env=bare_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def quiesce(self) -> None:  # noqa: B027 - most brokers need nothing here
        """Ends the taking of records before the SIGTERM, where the broker needs that."""

    def saved(self) -> None:  # noqa: B027 - likewise
        """What follows from an orderly end, at which it saves everything."""

    async def stop(self) -> None:
        """SIGTERM, which makes it save everything, and waits until it is gone. The port stays noted for the next start.

        Raises BrokerError when it is still there after a minute: killing it would lose what it is saving.
        """
        try:
            if self._process is not None and self.is_running:
                await self.quiesce()
                self._process.terminate()
                if not await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S):
                    self.saved()
        except psutil.TimeoutExpired as error:
            raise BrokerError(
                f"{self.SAID} (pid {error.pid}) is still saving after {STOP_TIMEOUT_S:.0f} s; "
                "it is left to finish, nothing was killed"
            ) from None
        finally:
            self._process = None
            self._lock.release()

    async def kill9(self) -> None:
        """SIGKILL, as a crash would: for the tests of what survives one."""
        if self._process is not None and self.is_running:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        self._process = None
        self._lock.release()

    async def restart(self) -> None:
        """An orderly stop and a start on the same port, so that clients find it again."""
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _refusal(self, holder: int | None) -> str:
        content = runfile.read_live(self.run_file)
        broker = f", broker pid {content['pid']}" if content else ""
        return (
            f"{self.SAID} already runs on {self.data_dir} (started by pid {holder or 'unknown'}{broker}): "
            "stop that one, or set another TOCSIN_DATA_DIR"
        )

    def _log_tail(self, size: int = 1500) -> str:
        return self.log_file.read_bytes()[-size:].decode(errors="replace").strip()


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
