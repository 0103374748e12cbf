"""One supervised process: started with a log of its own, started again when it ends, stopped in order."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO

import psutil
from pydantic import SecretStr

from pipeline.settings import Settings, bare_environment

BACKOFF_S = 0.5
BACKOFF_CAP_S = 30.0
STEADY_S = 60.0
"""A process that ran so long before it ended is started again as if for the first time."""
STOP_TIMEOUT_S = 30.0
LOG_BYTES = 10 * 1024 * 1024
Say = Callable[[str], None]


def environment(settings: Settings) -> dict[str, str]:
    """Our own environment with every setting in it as given, so that a child has these settings and no others."""
    given = {f"TOCSIN_{name.upper()}": _text(value) for name, value in settings if value is not None}
    return {**bare_environment(), **given, "PYTHONUNBUFFERED": "1"}


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


class Supervised:
    """A child process, kept running. `command` follows the interpreter: `-m agents decide`.

    `own`: what its environment has beside the settings, and nobody else's has.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        settings: Settings,
        *,
        own: Mapping[str, str] = MappingProxyType({}),
        is_ready: Callable[[int], bool],
        say: Say,
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.command = command
        self.settings = settings
        self.own = own
        self.log_file = settings.data_dir / "logs" / f"{name}.log"
        self.restarts = 0
        self._is_ready, self._say, self._changed = is_ready, say, changed
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process; None between an end and the next start."""
        return self._process.pid if self.is_running and self._process is not None else None

    @property
    def is_running(self) -> bool:
        """Whether the process lives now."""
        return self._process is not None and self._process.returncode is None

    @property
    def is_ready(self) -> bool:
        """Whether this very process has said that it can work."""
        return self.pid is not None and self._is_ready(self.pid)

    async def start(self) -> None:
        """Starts the process and keeps it running until `stop`."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def _spawn(self) -> None:
        with _open_log(self.log_file) as log:
            # In a session of its own: Ctrl-C on the terminal reaches the supervisor alone, which stops all in order.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.command,
                env={**environment(self.settings), **self.own},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._changed()

    async def _keep(self) -> None:
        backoff = BACKOFF_S
        while self._process is not None:
            started = time.monotonic()
            status = await self._process.wait()
            lasted = time.monotonic() - started
            backoff = BACKOFF_S if lasted >= STEADY_S else backoff
            self.restarts += 1
            self._say(
                f"{self.name} ended ({_ending(status)}) after {lasted:.0f} s; started again in {backoff:g} s, "
                f"restart {self.restarts}: {last_line(self.log_file)} [{self.log_file}]"
            )
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_CAP_S)
            await self._spawn()

    async def kill(self) -> None:
        """SIGKILL, and not started again before `start`. A room loses nothing by it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._process is not None and self.is_running:
            self._signal(signal.SIGKILL)
            await self._process.wait()
        self.restarts += 1

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """SIGTERM, and SIGKILL when it has not ended in time, which is said."""
        if self._keeper is not None:  # first, so that nothing is started again behind our back
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._process is None or not self.is_running:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            self._say(f"{self.name} (pid {self._process.pid}) did not end within {timeout_s:g} s and is killed")
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        try:
            if self._process is not None:
                self._process.send_signal(number)
        except ProcessLookupError:
            pass  # it ended by itself just now

    def describe(self) -> Mapping[str, object]:
        """For the run file: enough to tell the process from another that has got its pid later."""
        pid = self.pid
        try:
            created = psutil.Process(pid).create_time() if pid is not None else None
        except psutil.NoSuchProcess:
            pid = created = None
        return {"pid": pid, "created": created, "restarts": self.restarts, "log": str(self.log_file)}


def last_line(path: Path, size: int = 4096) -> str:
    """The last line of a log that says something, shortened."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return lines[-1][:300] if lines else "it said nothing"


def _ending(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
