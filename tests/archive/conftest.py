"""An S3-like store, moto's, over real HTTP on this machine."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipeline.broker.process import PORTS, is_free


@dataclass
class S3:
    """The server; what was stored is still there when it comes back."""

    port: int = field(default_factory=lambda: next(port for port in PORTS if is_free(port)))
    _server: Any = None

    def start(self) -> None:
        from moto.server import ThreadedMotoServer  # most tests of this folder need none, and it takes a second

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    server = S3()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The server, and an environment that leads to it as AWS's own tools are led."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_server.port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    system = fsspec.get_filesystem_class("s3")
    system.clear_instance_cache()
    yield s3_server
    system.clear_instance_cache()


@pytest.fixture
def s3_url(s3: S3, tmp_path: Path) -> str:
    """An address in a bucket of the test's own."""
    bucket = tmp_path.name.replace("_", "-").lower()[-50:].strip("-")
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}/deep/down"
