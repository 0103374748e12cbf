import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from pipeline.broker import kafka as apache
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.broker.ready import await_ready
from pipeline.errors import BrokerError, ConfigurationError

FIX = "apt-get install openjdk-17-jre-headless maven"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which nothing is but what a test puts there."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def script(directory: Path, name: str, body: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("tools")
def test_where_java_is_missing_the_fix_is_named() -> None:
    with pytest.raises(ConfigurationError, match=f"Java is missing: {FIX}"):
        java()


@pytest.mark.parametrize(("version", "named"), [("11.0.2", "11"), ("1.8.0_292", "1")])
def test_a_java_that_is_too_old_is_named_with_the_fix(tools: Path, version: str, named: str) -> None:
    script(tools, "java", f"echo 'openjdk version \"{version}\" 2019-01-15' >&2")
    with pytest.raises(ConfigurationError, match=rf"Kafka needs Java 17, but .*java is {named}: {FIX}"):
        java()


@pytest.mark.usefixtures("tools")
def test_where_maven_is_missing_the_fix_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"Maven is missing, .*: {FIX}"):
        fetch_jars(target=tmp_path / "libs")


def test_a_maven_that_does_not_reach_its_repository_is_quoted_and_asked_again(tools: Path, tmp_path: Path) -> None:
    script(tools, "mvn", "echo 'Could not transfer artifact'; exit 1")
    with pytest.raises(BrokerError, match="did not fetch Kafka's jars:\nCould not transfer artifact"):
        fetch_jars(target=tmp_path / "libs")
    script(tools, "mvn", "exit 0")
    assert fetch_jars(target=tmp_path / "libs") == tmp_path / "libs"


def test_jars_are_fetched_once_for_each_version_of_the_pom(tools: Path, tmp_path: Path) -> None:
    pom, target, calls = tmp_path / "pom.xml", tmp_path / "kafka" / "libs", tmp_path / "calls"
    script(tools, "mvn", f'echo once >> "{calls}"; /bin/mkdir -p "{target}"')
    for content in ("<one/>", "<one/>", "<two/>", "<two/>"):
        pom.write_text(content)
        fetch_jars(pom, target)
    assert calls.read_text().count("once") == 2


@pytest.mark.kafka
async def test_the_command_says_how_to_point_at_it_and_stops_on_sigterm(kafka: ApacheKafka, tmp_path: Path) -> None:
    assert kafka.jars == apache.JARS  # they are there: the command fetches nothing
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from pipeline.cli import main; main()", "kafka", "--data-dir", str(tmp_path),
        env=dict(os.environ), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while "Ctrl-C stops it" not in said:
        line = await process.stdout.readline()
        assert line, f"it ended by itself: {said}"
        said += line.decode()
    found = re.search(r"^export TOCSIN_BROKER=kafka://(\S+)$", said, re.MULTILINE)
    assert found is not None
    await await_ready(found[1], 5, lambda: True)
    process.terminate()
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
