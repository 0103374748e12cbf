"""The log handed on: its exact bytes, or as a table that spreadsheets and notebooks read."""

import csv
import io
import json
import sys
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from pipeline.audit.rows import Row, rows
from pipeline.audit.tables import Csv
from pipeline.cli import app
from tests.audit.asked import ANNA, EVERYONE, LOG


@pytest.fixture
def export(tmp_path, monkeypatch):
    """A file with the log's exact bytes."""
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path))
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(value + b"\n" for value in LOG.values))
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, ["audit", "export", *map(str, arguments)])


def test_a_table_has_a_row_for_what_each_entry_says_of_one_person(export, tmp_path):
    done = run(tmp_path / "log.csv", "--export", export)
    assert (done.exit_code, done.stdout.split(" in ")[0]) == (0, "21 rows of 15 entries")
    with (tmp_path / "log.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    took = [row for row in table if row["result"] == "accepted"]
    assert [(row["recipient"], row["provider_id"]) for row in took] == [(p, f"<{p}.1@mail>") for p in EVERYONE]
    assert {row["entry"] for row in table} == {str(n) for n in range(15)}
    assert {row["leaf"] for row in table} == {one.chain.last.hex() for one in LOG.sealed}
    assert not any(ANNA in row["said"] for row in table if row["recipient"])


def test_parquet_holds_the_same_with_moments_and_numbers(export, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra `parquet`")
    done = run(tmp_path / "log.parquet", "--export", export)
    assert done.exit_code == 0, done.output
    table = parquet.read_table(tmp_path / "log.parquet").to_pylist()
    expected = [row for one in LOG.sealed for row in rows(one.entry, one.value)]
    assert [row["entry"] for row in table] == [row.entry for row in expected]
    assert [row["said"] for row in table] == [row.said for row in expected]
    assert table[0]["appended_at"] == datetime(2026, 3, 4, 2, tzinfo=UTC)


def test_without_pyarrow_it_is_said_what_to_install(export, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = run(tmp_path / "log.parquet", "--export", export)
    assert done.exit_code == 1
    assert "pip install 'tocsin[parquet]'" in done.stderr
    assert not (tmp_path / "log.parquet").exists()


def test_a_cell_is_never_a_formula():
    row = next(rows(LOG.sealed[0].entry, LOG.values[0]))._replace(reason="=1+1", code="-2", provider_id="fine")
    out = io.StringIO()
    Csv(out).write([row])
    (cells,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (cells["reason"], cells["code"], cells["provider_id"]) == ("'=1+1", "'-2", "fine")
    assert tuple(cells) == Row._fields


def test_beside_the_exact_bytes_lie_the_leaves_by_which_verify_names_what_is_changed_later(export, tmp_path):
    (tmp_path / "log.jsonl.checkpoint").write_bytes(LOG.checkpoint())
    assert run(tmp_path / "out.jsonl", "--export", export).exit_code == 0
    assert (tmp_path / "out.jsonl.leaves").read_bytes() == b"".join(one.chain.last for one in LOG.sealed)
    lines = LOG.values
    lines[-1] = lines[-1].replace(b"2026", b"2027")
    (tmp_path / "out.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    (tmp_path / "key").write_text(f"{LOG.key}\n")
    command = ["audit", "verify", "--export", str(tmp_path / "out.jsonl"), "--key", str(tmp_path / "key")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert f"entry {len(lines) - 1}: changed" in done.stderr


def test_an_export_onto_itself_or_that_fails_leaves_what_was_there(export, tmp_path, monkeypatch):
    before = export.read_bytes()
    assert run(export, "--export", export).exit_code == 0
    assert export.read_bytes() == before
    assert run(export, "--export", tmp_path / "nowhere.jsonl").exit_code == 1
    assert export.read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_exported_once_more_is_the_same_bytes(export, tmp_path):
    assert run(tmp_path / "again.jsonl", "--export", export).exit_code == 0
    assert (tmp_path / "again.jsonl").read_bytes() == export.read_bytes()
    assert json.loads(export.read_bytes().splitlines()[0])["index"] == 0


def test_an_export_of_a_damaged_log_says_that_it_is_not_all(export, tmp_path):
    lines = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(b"".join([*lines[:5], *lines[6:]]))
    for name in ("part.jsonl", "part.csv"):
        done = run(tmp_path / name, "--export", export)
        assert done.exit_code == 1
        assert "the log does not verify" in done.stderr
    assert (tmp_path / "part.jsonl").read_bytes() == b"".join(lines[:5])
