"""What the README says must be so: commands, targets, settings, the sample event."""

import re
import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
import typer

from pipeline import cli
from pipeline.private_keys import PrivateKeys
from pipeline.settings import Settings
from schemas import codec
from schemas.incident import IncidentOpened
from tests.paths import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [line for language, body in FENCES if language == "sh" for line in body.splitlines()]
INLINE = re.findall(r"`((?:tocsin|make) [^`]*)`", README)
CALLS = [line for line in [*SHELL, *INLINE] if line.startswith(("tocsin ", "make "))]


@pytest.mark.parametrize("line", [call for call in CALLS if call.startswith("tocsin ")])
def test_every_command_exists_with_its_flags(line: str) -> None:
    command: Any = typer.main.get_command(cli.app)
    words = shlex.split(line, comments=True)[1:]
    assert words[0] in {*cli.COMMANDS, "worker"}
    command = cli.load(words[0]) if words[0] in cli.COMMANDS else command.commands[words[0]]
    rest = words[1:]
    while getattr(command, "commands", None):
        command, rest = command.commands[rest[0]], rest[1:]
    known = {flag for parameter in command.params for flag in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


@pytest.mark.parametrize("line", [call for call in CALLS if call.startswith("make ")])
def test_every_make_target_exists(line: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert line.split()[1] in targets


def test_every_setting_is_in_the_table_with_its_default_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `(TOCSIN_\w+)` \| (.+?) \| ", README, re.MULTILINE))
    assert set(rows) == {f"TOCSIN_{name.upper()}" for name in (*Settings.model_fields, *PrivateKeys.model_fields)}
    for name, field in Settings.model_fields.items():
        shown = rows[f"TOCSIN_{name.upper()}"]
        if shown.startswith("`") and name != "policy_dir":
            assert shown == f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def test_the_sample_event_is_taken_as_it_stands() -> None:
    [sample] = [body for language, body in FENCES if language == "json"]
    headers = (("content-type", codec.STRUCTURED.encode()),)
    record = codec.Record("incident.events", 0, 0, datetime.now(UTC), b"api-errors", sample.encode(), headers)
    assert isinstance(codec.decode_input(record).data, IncidentOpened)


def test_every_path_that_is_named_exists() -> None:
    for path in set(re.findall(r"`((?:deploy|schemas|pipeline|agents|tests)/[\w./-]*)`", README)):
        assert (REPOSITORY / path).exists(), path
