"""A PostgreSQL of the tests' own: a cluster in a temporary directory, on a free port of 127.0.0.1."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.broker.process import PORTS, is_free

START_S = 60.0


class NoPostgres(Exception):
    """There is none here; why."""


def binaries() -> Path:
    """Where the newest PostgreSQL that Debian's packages installed has its programs. Raises NoPostgres."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    if found:
        return found[-1].parent
    if (elsewhere := shutil.which("initdb")) is not None:
        return Path(elsewhere).resolve().parent
    raise NoPostgres("PostgreSQL is not installed: apt-get install postgresql")


@contextmanager
def cluster() -> Iterator[str]:
    """A running cluster; yields the URL of its database. Raises NoPostgres."""
    programs, user = binaries(), "postgres" if os.getuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="tocsin-postgres-"))
    try:
        if user is not None:  # which refuses to run as root
            shutil.chown(directory, user)
        data = directory / "data"
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        done = subprocess.run(initdb, user=user, cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoPostgres(f"initdb: {done.stderr.strip()}")
        port = next(port for port in random.sample(PORTS, 50) if is_free(port))
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": directory, "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (directory / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *options], user=user, cwd=directory, stdout=log, stderr=log
            )
        try:
            _await_answer(programs, port, server)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nobody needs the data any more
            server.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _await_answer(programs: Path, port: int, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_S
    while subprocess.run([programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode:
        if server.poll() is not None or time.monotonic() > until:
            raise NoPostgres(f"postgres does not start (status {server.returncode})")
        time.sleep(0.05)  # it says in no other way that it is there


def empty(url: str) -> None:
    """Drops what an earlier test has left: a database for each would cost more than the tests."""
    drop = "DROP SCHEMA IF EXISTS tocsin, tocsin_building, tocsin_before CASCADE"
    subprocess.run([binaries() / "psql", "-q", url, "-c", drop], check=True, stderr=subprocess.DEVNULL)
