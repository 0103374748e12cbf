"""A log in which somebody wrote what the record room never would, and made it link: whoever reads it is told so."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.audit.tree import leaf_hash
from pipeline.cli import app
from tests.audit.asked import ANNA, LOG
from tests.audit.test_timeline import INCIDENT

COMMANDS = {
    "search": ["audit", "search", "--incident", INCIDENT],
    "show": ["audit", "show", INCIDENT],
    "who-knew": ["audit", "who-knew", "--subscriber", ANNA],
    "csv": ["audit", "export", "log.csv"],
    "rebuild": ["rebuild"],
}


def forged(number: int, change: dict[str, Any]) -> bytes:
    """The log with entry `number` changed, and all that follow it linked to what it is now."""
    values: list[bytes] = []
    for index, value in enumerate(LOG.values):
        entry = json.loads(value)
        if index == number:
            body = {**entry["body"], **change.get("in_body", {})}
            entry = {**entry, "body": body, **{key: said for key, said in change.items() if key != "in_body"}}
        entry["prev"] = leaf_hash(values[-1]).hex() if values else entry["prev"]
        values.append(json.dumps(entry).encode())
    return b"".join(value + b"\n" for value in values)


INTENDED = next(n for n, one in enumerate(LOG.sealed) if one.entry.record_type.endswith("delivery.intended.v1"))
FORGED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a body that is no object": ({"body": [1]}, {"search", "show", "csv", "rebuild"}),
    "a moment that is none": ({"appended_at": "yesterday"}, set(COMMANDS)),
    "recipients that are a number": ({"in_body": {"recipients": 7}}, {"search", "show", "csv"}),
    "an incident that is an object": ({"in_body": {"incident": {"a": 1}}}, {"search", "who-knew"}),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_makes_no_sense_is_named_and_ends_no_command_with_a_traceback(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, refused = FORGED[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path))
    (tmp_path / "forged.jsonl").write_bytes(forged(INTENDED, change))
    for command, words in COMMANDS.items():
        done = CliRunner().invoke(app, [*words, "--export", "forged.jsonl"])
        assert isinstance(done.exception, SystemExit | None), (command, done.exception)
        if command in refused:
            assert done.exit_code == 1, command
            assert f"what stands as entry {INTENDED} makes no sense" in done.stderr, command
