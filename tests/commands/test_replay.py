"""`tocsin replay` on an archive: no broker is there, and none is asked."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli import app
from tests.replay.told import archive


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = archive(tmp_path)
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["replay", *arguments, "--archive", url])

    return run


def test_the_timeline_of_an_incident(replay) -> None:
    found = replay("search-1")
    assert found.exit_code == 0, found.output
    assert "incident opened: Search is slow" in found.stdout
    assert "messages taken by providers" in found.stdout


def test_a_span_of_time_has_what_happened_in_it_and_no_more(replay) -> None:
    found = replay("--since", "2026-03-04T14:20:00Z", "--until", "2026-03-04T15:00:00Z")
    assert found.exit_code == 0, found.output
    assert "incident resolved" in found.stdout
    assert "incident opened" not in found.stdout
    assert replay("--since", "2027-01-01T00:00:00Z").exit_code == 1


def test_everything_is_decided_again(replay) -> None:
    found = replay("--check")
    assert found.exit_code == 0, found.output
    assert "byte for byte as it was" in found.stdout
    assert "what is decided and worded now: sha256 " in found.stdout


def test_it_is_said_again_into_a_sandbox(replay, tmp_path: Path) -> None:
    found = replay("search-1", "--sandbox", "--keep", str(tmp_path / "kept"))
    assert found.exit_code == 0, found.output
    assert "email" in found.stdout
    assert (tmp_path / "kept" / "truth.jsonl").stat().st_size > 1000


def test_it_is_run_under_another_policy(replay) -> None:
    found = replay("search-1", "--policy", "regulated")
    assert found.exit_code in {0, 1}, found.output
    assert "search-1" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "name an incident"),
        (["search-1", "--check", "--sandbox"], "give one of them"),
        (["nosuch"], "nothing is sealed about an incident 'nosuch'"),
        (["nosuch", "--check"], "no decision on an incident 'nosuch'"),
        (["--since", "soon"], "is no moment"),
    ],
)
def test_what_cannot_be_done_is_said(replay, arguments: list[str], why: str) -> None:
    found = replay(*arguments)
    assert found.exit_code != 0
    assert why in found.output
