"""The house rules that a machine can check."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.settings import Settings
from schemas import codec, topics
from tests.paths import REPOSITORY


def test_no_import_crosses_a_wall() -> None:
    """The contracts of import-linter in pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_message_of_a_topic_names_its_type() -> None:
    for topic in topics.ALL:
        for model in topic.holds:
            assert "TYPE" in vars(model), f"{model.__name__} on {topic.name} names no TYPE of its own"
            assert model.TYPE.startswith("io.tocsin."), model  # type: ignore[attr-defined]
            assert model.TYPE.rpartition(".v")[2].isdecimal(), f"{model.__name__}'s type has no version"  # type: ignore[attr-defined]


def test_no_two_messages_share_a_type() -> None:
    models = {model for topic in topics.ALL for model in topic.holds}
    assert len(models) == len(codec.TYPES)


def test_every_topic_says_who_writes_and_who_reads_it() -> None:
    for topic in topics.ALL:
        assert topic.description.endswith(".")
        assert topic.written_by
        assert topic.read_by


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"TOCSIN_{name.upper()}" in (REPOSITORY / "README.md").read_text("utf-8")


def test_no_room_reads_pickles() -> None:
    """Faust's pickle codec would run what it reads."""
    for room in (REPOSITORY / "agents").glob("*.py"):
        assert "pickle" not in room.read_text("utf-8"), room


def test_help_imports_no_stream_processor() -> None:
    """`tocsin --help` answers at once: what it imports is counted, since time on a busy machine says little."""
    shown = subprocess.run(
        [sys.executable, "-c", "import sys, json, pipeline.cli; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    loaded = {name.partition(".")[0] for name in json.loads(shown.stdout)}
    assert not loaded & {"faust", "aiokafka", "fastapi", "twilio", "tweepy", "aiosmtplib"}
