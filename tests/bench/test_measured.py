"""The figures that need nothing but this machine, small: each contender does the work that it is measured by."""

from pathlib import Path

import pytest

from pipeline import policy
from pipeline.audit.segments import read_lines
from pipeline.audit.verify import exported, verify
from pipeline.bench import rebuild, replay
from pipeline.bench import verify as verifying
from pipeline.bench.figures import measured


def test_the_log_that_is_verified_for_a_figure_is_a_real_one(tmp_path: Path) -> None:
    export = tmp_path / "log.jsonl"
    vouchers = verifying.write(export, verifying.texts(10))
    lines = list(read_lines(export))
    assert verify(exported(lines), vouchers).ok
    assert not verify(exported([*lines[:4], lines[4] + b" ", *lines[5:]]), vouchers).ok


def test_the_verifier_is_measured_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "ENTRIES", 300)
    (found,) = measured("verify", 1)
    entry = found.entry()
    assert entry["unit"] == "entries/s"
    assert entry["peers"].keys() == {"hashlib, leaves alone", "pymerkle, the root alone"}
    assert min(entry["ours"], *entry["peers"].values()) > 0


def test_a_rebuild_is_measured_beside_the_least_that_it_could_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "MESSAGES", 60)
    (found,) = measured("rebuild", 1)
    entry = found.entry()
    assert (entry["unit"], entry["versions"]["entries"]) == ("entries/s", "240")
    assert entry["peers"].keys() == {"our verifier alone", "sqlite3, a row an entry"}
    assert min(entry["ours"], *entry["peers"].values()) > 0


def test_the_journals_that_are_replayed_hold_every_incident_that_ships() -> None:
    given = policy.compile(policy.load(replay.POLICY))
    named = {(record.key or b"").decode() for record in replay.journals(given, 1)}
    assert len(named) == len(list(replay.INCIDENTS.glob("*.json")))
