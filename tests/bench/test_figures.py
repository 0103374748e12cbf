"""Figures: what is kept of them, and the delay they are measured with."""

import asyncio
import importlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.bench.figures import FIGURES, Measured, medians, merge
from pipeline.bench.sinks import delayed, tool
from pipeline.cli import app
from pipeline.errors import ConfigurationError

FOUND = Measured("speed", "mails/s", 30.0, {"theirs": 10.0, "others'": 60.0}, {"theirs": "1.2"})


def test_a_figure_keeps_ours_theirs_and_how_they_compare(tmp_path: Path) -> None:
    results = tmp_path / "build" / "bench.json"
    merge(results, Measured("size", "MB", 1.0, {"theirs": 2.0}))
    merge(results, Measured("speed", "mails/s", 1.0, {}))
    merge(results, FOUND)
    kept = json.loads(results.read_text())
    assert kept["speed"] == {
        "unit": "mails/s",
        "ours": 30.0,
        "peers": {"theirs": 10.0, "others'": 60.0},
        "ratios": {"theirs": 3.0, "others'": 0.5},
        "versions": {"theirs": "1.2"},
    }
    assert kept["size"]["ratios"] == {"theirs": 0.5}


def test_a_contenders_value_is_its_median() -> None:
    assert medians([{"a": 1.0, "b": 9.0}, {"a": 3.0, "b": 7.0}, {"a": 2.0, "b": 8.0}]) == {"a": 2.0, "b": 8.0}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_measured(name: str) -> None:
    assert callable(importlib.import_module(f"pipeline.bench.{name}").measure)


def test_the_command_measures_merges_and_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(figure: str, runs: int) -> Iterator[Measured]:
        assert (figure, runs) == ("email_engine", 2)
        yield FOUND

    monkeypatch.setattr("pipeline.commands.bench.measured", measure)
    results = tmp_path / "bench.json"
    done = CliRunner().invoke(app, ["bench", "email_engine", "--runs", "2", "--results", str(results)])
    assert done.exit_code == 0, done.output
    assert "3.00 x" in done.output
    assert json.loads(results.read_text())["speed"]["ours"] == 30.0


def test_a_figure_that_does_not_exist_is_named() -> None:
    done = CliRunner().invoke(app, ["bench", "nonsense"])
    assert done.exit_code != 0
    assert "nonsense" in done.output


def test_a_tool_that_is_missing_names_its_package() -> None:
    with pytest.raises(ConfigurationError, match="apt-get install nowhere"):
        tool("no-such-tool", "nowhere")


async def test_only_replies_are_held_back_and_nothing_is_lost() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    with delayed(server.sockets[0].getsockname()[1], 50) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = time.perf_counter()
        writer.write(b"x" * 1_000_000)
        assert await reader.readexactly(1_000_000) == b"x" * 1_000_000
        assert time.perf_counter() - begun >= 0.05
        writer.close()
    server.close()
