"""An archive in an S3-like store over HTTP: it is written, the store goes away and comes back, it is read elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from agents import archiving
from pipeline.archive.store import Store
from pipeline.audit.places import InArchive
from pipeline.audit.reading import verified
from pipeline.errors import ArchiveUnreachable
from pipeline.settings import Settings
from tests.archive.conftest import S3
from tests.audit.logs import receipt
from tests.audit.test_appender import appending, publish
from tests.paths import REPOSITORY

pytestmark = pytest.mark.slow


async def test_the_appender_archives_there_waits_while_it_is_away_and_goes_on(
    own_broker: Settings, s3: S3, s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(archiving, "EVERY_S", 0.05)
    settings = own_broker.model_copy(update={"archive": s3_url, "archive_behind_s": 1.0})
    await publish(settings, [receipt(n) for n in range(5)])
    async with appending(settings) as running:
        await running.sealed(5)
        s3.stop()
        await running.until(lambda: running.appender.archive_late)
        await publish(settings, [receipt(n) for n in range(5, 8)])
        s3.start()
        await running.sealed(8)
    result = await verified(InArchive(s3_url))
    assert (result.ok, result.entries, result.signed) == (True, 8, 8)
    # Whoever has the address alone, on another machine: neither data directory nor broker.
    command = [sys.executable, "-m", "pipeline.cli", "audit", "verify", "--archive", s3_url]
    elsewhere = {**os.environ, "TOCSIN_DATA_DIR": str(tmp_path / "elsewhere")}
    done = subprocess.run(command, cwd=REPOSITORY, env=elsewhere, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "log verified: 8 entries"), done.stderr


def test_more_objects_are_listed_than_one_answer_holds(s3_url: str) -> None:
    store = Store(s3_url)
    names = [f"checkpoints/{number:012d}" for number in range(1_003)]
    fsspec.filesystem("s3").pipe({f"{s3_url}/{name}": b"note" for name in names})  # many at once
    assert store.names("checkpoints") == names


def test_an_object_is_there_for_whoever_else_looks_as_soon_as_it_is_written(s3_url: str) -> None:
    one, other = Store(s3_url), Store(s3_url)
    assert other.names("log") == []
    assert other.get("log/a") is None
    one.put("log/a", b"first")
    assert (other.names("log"), other.get("log/a")) == (["log/a"], b"first")
    one.put("log/a", b"second")
    assert other.get("log/a") == b"second"
    assert other.names("lo") == []


@pytest.mark.parametrize(
    ("address", "unset", "said"),
    [
        ("s3://no-such-bucket/here", (), "The specified bucket does not exist"),
        ("s3://no-such-bucket/here", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "Unable to locate credentials"),
    ],
)
def test_what_is_wrong_with_the_address_or_the_credentials_is_said(
    s3: S3, address: str, unset: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.aws of a developer's
    for name in unset:
        monkeypatch.delenv(name)
    with pytest.raises(ArchiveUnreachable, match=said):
        Store(address).put("log/x", b"1")
