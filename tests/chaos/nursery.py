"""Rooms that are born quickly: forked from a process that has imported what they need, which is most of a start.

Each is a process of its own, as real as any other; only the reading of the code is shared. `python -m` this module is
that process: it takes one request a line, and says of each child when it was born and how it ended.
"""

import asyncio
import contextlib
import json
import os
import runpy
import selectors
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pipeline.settings import REPOSITORY


class Child:
    """What a test asks of a process; the part of asyncio's that it uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def end(self, status: int) -> None:
        """It ended so."""
        self.returncode = status
        self._ended.set()

    async def wait(self) -> int:
        """Returns when it has ended: how."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing, once it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Bears processes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._one_at_a_time = asyncio.Lock()
        self._born: asyncio.Queue[Child] = asyncio.Queue()
        self._children: dict[int, Child] = {}

    async def bear(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> Child:
        """A process that runs `command` (`-m module argument…`), with its output at the end of `log`."""
        async with self._one_at_a_time:
            request = {"command": list(command[1:]), "env": dict(env), "log": str(log)}
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            return await self._born.get()

    async def listen(self) -> None:
        """Hears of births and ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            word, pid, *status = line.split()
            if word == b"born":
                child = self._children[int(pid)] = Child(int(pid))
                self._born.put_nowait(child)
            else:
                self._children.pop(int(pid)).end(int(status[0]))


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """A nursery for the length of a block; whoever was born in it and still runs is killed at its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.nursery",
        cwd=REPOSITORY, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    found = Nursery(process)
    listening = asyncio.create_task(found.listen())
    try:
        yield found
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def _live(request: dict[str, Any]) -> None:
    """The child's whole life."""
    status = 70
    try:
        os.environ.clear()
        os.environ.update(request["env"])
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for given, fd in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(given, fd)
        module, *arguments = request["command"]
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _bear() -> None:
    import faust.transport.drivers.aiokafka  # noqa: F401 - read here, once for all

    import pipeline.cli
    import pipeline.web.serve  # noqa: F401 - likewise

    children: dict[int, int] = {}
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fd != 0:
                    waiting.unregister(key.fd)
                    os.close(key.fd)
                    pid, status = os.waitpid(children.pop(key.fd), 0)
                    _say("ended", pid, os.waitstatus_to_exitcode(status))
                elif line := sys.stdin.readline():
                    if (pid := os.fork()) == 0:
                        _live(json.loads(line))
                    children[fd := os.pidfd_open(pid)] = pid
                    waiting.register(fd, selectors.EVENT_READ)
                    _say("born", pid)
                else:
                    for pid in children.values():
                        os.kill(pid, signal.SIGKILL)
                        os.waitpid(pid, 0)
                    return


if __name__ == "__main__":
    _bear()
