"""Servers to measure against, on loopback: Postfix's smtp-sink, the sandbox, a delay before them, TLS before them."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from pipeline.errors import ConfigurationError
from pipeline.sandbox import Sandbox
from pipeline.sandbox.server import NO_LIMIT

HOST: Final = "127.0.0.1"
_START_S: Final = 10.0
_MAILS: Final = re.compile(rb"mesg=(\d+)")


def tool(name: str, package: str) -> str:
    """Where a program is. Raises ConfigurationError naming the package that has it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ConfigurationError(f"{name} is not installed: apt-get install {package} (no daemon of it need run)")
    return found


@contextmanager
def smtp_sink() -> Iterator[int]:
    """The port of an smtp-sink, which offers PIPELINING and throws mail away."""
    port = _free_port()
    with _running(_smtp_sink(port), port):
        yield port


class Taken:
    """How many mails an smtp-sink that counts has taken so far."""

    def __init__(self, said: IO[bytes]) -> None:
        self.mails = 0
        self._said = said
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        kept = b""
        while said := os.read(self._said.fileno(), 1 << 16):
            # It says all its counts anew after each mail, ended by a carriage return.
            whole, _, kept = (kept + said).rpartition(b"\r")
            if counts := _MAILS.findall(whole):
                self.mails = int(counts[-1])


@contextmanager
def counting_sink() -> Iterator[tuple[int, Taken]]:
    """The same, and what it has taken."""
    port = _free_port()
    with _running(_smtp_sink(port, "-c"), port, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        yield port, Taken(process.stdout)


def _smtp_sink(port: int, *options: str) -> list[str]:
    # It refuses to run as root without being told whom to become.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    return [tool("smtp-sink", "postfix"), *options, *user, f"inet:{HOST}:{port}", "1000"]


@contextmanager
def delayed(target: int, delay_ms: int) -> Iterator[int]:
    """The port of a relay to `target` that holds every reply back; smtp-sink itself can only wait whole seconds."""
    port = _free_port()
    command = [sys.executable, "-m", "pipeline.bench.delay", str(port), str(target), str(delay_ms)]
    with _running(command, port):
        yield port


@contextmanager
def doubles(delay_ms: int = 0) -> Iterator[dict[str, str]]:
    """The settings that lead to the sandbox's Twilio and X, in a process of their own, replies `delay_ms` late.

    Twilio reports nothing on a message once it has it: whoever is measured has no web service to be told.
    """
    port = _free_port()
    command = [sys.executable, "-m", "pipeline.cli", "sandbox", "--http-port", str(port), "--x-limit", NO_LIMIT]
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(_running(command, port, {"TOCSIN_DATA_DIR": directory}))
        fault = json.dumps({"service": "twilio", "kind": "stuck", "times": None}).encode()
        urllib.request.urlopen(f"http://{HOST}:{port}/faults", fault, timeout=_START_S).close()
        port = stack.enter_context(delayed(port, delay_ms)) if delay_ms else port
        environment = Sandbox(http_port=port, x_posts_per_window=int(NO_LIMIT)).settings_env()
        given = {name.removeprefix("TOCSIN_").lower(): value for name, value in environment.items()}
        del given["smtp_url"]  # mail is not what it is for
        yield given


@contextmanager
def stunnel(target: int, *, certificate: Path | None) -> Iterator[int]:
    """The port of an stunnel to `target`: a TLS server with a certificate and key in one file, a client without."""
    port = _free_port()
    options = {
        "foreground": "yes",
        "pid": "",
        "debug": "err",
        "syslog": "no",
        **({} if certificate else {"client": "yes"}),
    }
    service = {"accept": f"{HOST}:{port}", "connect": f"{HOST}:{target}"}
    service |= {"cert": str(certificate)} if certificate else {}
    text = "\n".join([*map(" = ".join, options.items()), "[smtp]", *map(" = ".join, service.items()), ""])
    with tempfile.TemporaryDirectory() as directory:
        configuration = Path(directory) / "stunnel.conf"
        configuration.write_text(text, "utf-8")
        with _running([tool("stunnel4", "stunnel4"), str(configuration)], port):
            yield port


def version_of(package: str) -> str:
    """A Debian package's version; "unknown" elsewhere."""
    try:
        asked = ["dpkg-query", "--show", "--showformat=${Version}", package]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout or "unknown"
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _running(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own that listens on `port`."""
    given = {**os.environ, **(environment or {})}
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=given)
    try:
        _await_port(process, port)
        yield process
    finally:
        process.terminate()
        process.communicate()


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    process.kill()
    said = process.communicate()[1].decode(errors="replace").strip()
    raise ConfigurationError(f"{process.args!r} does not listen: {said or 'it said nothing'}")
