"""The command as a whole: quick, honest about errors, and every subcommand there."""

import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from pipeline import cli
from pipeline.errors import BrokerUnreachable
from tests.paths import REPOSITORY


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_subcommand_of_the_table_is_there_and_explains_itself(name: str) -> None:
    result = CliRunner().invoke(cli.app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.stdout


def test_help_names_every_subcommand() -> None:
    result = CliRunner().invoke(cli.app, ["--help"])
    assert all(name in result.stdout for name in [*cli.COMMANDS, "worker"])


def test_help_imports_nothing_that_makes_anyone_wait() -> None:
    code = "import sys; from pipeline.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "aiokafka",
        "faust",
        "pydantic",
        "aiohttp",
        "fastapi",
        "sqlalchemy",
        "pipeline.settings",
        "cloudevents",
    }


def test_an_error_that_its_user_can_act_on_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise BrokerUnreachable("nobody answers: start it with `tocsin up`")

    stand_in = typer.Typer()
    stand_in.command("status")(fails)
    monkeypatch.setattr(cli, "load", lambda name: typer.main.get_command(stand_in))
    result = CliRunner().invoke(cli.app, ["status"])
    assert (result.exit_code, result.stderr) == (1, "error: nobody answers: start it with `tocsin up`\n")


def test_a_wrong_setting_is_named_as_it_is_set() -> None:
    result = CliRunner().invoke(cli.app, ["play", "x"], env={"TOCSIN_PARTITIONS": "many", "TOCSIN_REPLICATION": "0"})
    assert result.exit_code == 1
    assert "TOCSIN_PARTITIONS: Input should be a valid integer" in result.stderr
    assert "TOCSIN_REPLICATION" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupted_command_exits_as_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    stand_in = typer.Typer()
    stand_in.command("status")(interrupted)
    monkeypatch.setattr(cli, "load", lambda name: typer.main.get_command(stand_in))
    assert CliRunner().invoke(cli.app, ["status"]).exit_code == 130


def test_a_mistyped_subcommand_is_answered_with_the_one_that_was_meant() -> None:
    assert "Did you mean 'status'" in CliRunner().invoke(cli.app, ["statu"]).stderr


def test_a_worker_becomes_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: became.append([path, *arguments]))
    assert CliRunner().invoke(cli.app, ["worker", "decide"]).exit_code == 0
    assert became == [[sys.executable, sys.executable, "-m", "agents", "decide"]]
    assert CliRunner().invoke(cli.app, ["worker", "kitchen"]).exit_code == 2
