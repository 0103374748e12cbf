"""`tocsin audit` and `tocsin replay` on a log that the appender made."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from pipeline.audit.segments import read_lines
from pipeline.cli import app
from schemas.base import Channel
from schemas.delivery import Result
from tests.audit.test_appender import appending, publish
from tests.audit.test_timeline import INCIDENT, ended, intended, journal, tell


@pytest.fixture
async def tocsin(own_broker, monkeypatch):
    """Runs a command line against a broker with an incident of four sealed records, one of which speaks of two."""
    records = [
        journal(1, tell("customers", Channel.EMAIL)),
        intended("s-1", "s-2"),
        ended(Result.ACCEPTED, "s-1"),
        ended(Result.SUPPRESSED, "s-2", reason="unsubscribed"),
    ]
    await publish(own_broker, records)
    async with appending(own_broker) as running:
        await running.sealed(5)
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(own_broker.data_dir))
    monkeypatch.setenv("COLUMNS", "120")

    async def run(*arguments: str):
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run


async def test_a_sound_log_is_verified_with_the_one_line_that_scripts_look_for(tocsin):
    result = await tocsin("audit", "verify")
    assert (result.exit_code, result.stdout) == (0, "log verified: 5 entries\n")


async def test_an_export_is_verified_by_the_checkpoint_beside_it(tocsin, tmp_path):
    export = tmp_path / "log.jsonl"
    assert (await tocsin("audit", "export", str(export))).exit_code == 0
    assert list(read_lines(export)) == list(read_lines(tmp_path / "audit" / "segments"))
    result = await tocsin("audit", "verify", "--export", str(export))
    assert (result.exit_code, result.stdout) == (0, "log verified: 5 entries\n")


async def test_a_tampered_export_fails_and_the_entry_is_named(tocsin, tmp_path):
    export = tmp_path / "log.jsonl"
    await tocsin("audit", "export", str(export))
    lines = export.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"subject":"inc-1"', b'"subject":"inc-9"')
    export.write_bytes(b"".join(lines))
    result = await tocsin("audit", "verify", "--export", str(export))
    assert result.exit_code == 1
    assert "entry 1: changed: expected leaf" in result.stderr
    assert "log NOT verified" in result.stderr
    assert "log verified" not in result.stdout


async def test_a_cut_export_fails(tocsin, tmp_path):
    export = tmp_path / "log.jsonl"
    await tocsin("audit", "export", str(export))
    export.write_bytes(b"".join(export.read_bytes().splitlines(keepends=True)[:3]))
    result = await tocsin("audit", "verify", "--export", str(export))
    assert result.exit_code == 1
    assert "entry 3: cut off: expected 5 entries" in result.stderr


async def test_without_a_checkpoint_it_says_what_it_cannot_see(tocsin, tmp_path):
    export = tmp_path / "log.jsonl"
    await tocsin("audit", "export", str(export))
    (tmp_path / "log.jsonl.checkpoint").unlink()
    result = await tocsin("audit", "verify", "--export", str(export))
    assert result.exit_code == 0
    assert "a tail that was cut off cannot be seen" in result.stdout


async def test_show_lists_the_sealed_entries_of_an_incident(tocsin):
    result = await tocsin("audit", "show", INCIDENT)
    assert result.exit_code == 0
    assert "delivery.intended #1 email customers for 2" in result.stdout


async def test_show_gives_the_entries_themselves_as_json(tocsin, tmp_path):
    result = await tocsin("audit", "show", INCIDENT, "--json")
    lines = result.stdout.splitlines()
    sealed = [json.loads(line) for line in read_lines(tmp_path / "audit/segments")]
    assert [json.loads(line) for line in lines] == [entry for entry in sealed if entry.get("subject") == INCIDENT]


async def test_replay_prints_the_timeline(tocsin):
    result = await tocsin("replay", INCIDENT)
    assert result.exit_code == 0
    assert "email to 1 customers: taken by the provider" in result.stdout
    assert "email to 1 customers: not told: unsubscribed" in result.stdout


async def test_an_unknown_incident_is_said_to_be_unknown(tocsin):
    for command in (("replay", "nothing"), ("audit", "show", "nothing")):
        result = await tocsin(*command)
        assert result.exit_code == 1
        assert "nothing is sealed about an incident 'nothing'; `tocsin status` lists" in result.stderr
