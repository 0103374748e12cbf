"""The whole log decided again: byte for byte as it was, or named."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.audit.places import InArchive, InFiles
from pipeline.replay.checking import Checked, check
from pipeline.settings import Settings
from schemas.delivery import DeliveryAttempted
from tests.replay.told import archive, records, turns


def checked(url: str, incident: str | None = None) -> Checked:
    return asyncio.run(check(InArchive(url), incident))


def test_an_archive_alone_gives_the_same_decisions_and_the_same_words(tmp_path: Path) -> None:
    decided = turns()
    found = checked(archive(tmp_path, decided))
    assert found.differences == []
    assert (found.incidents, found.entries) == (1, len(decided))
    attempts = [record for record in records(decided) if ("ce_type", DeliveryAttempted.TYPE.encode()) in record.headers]
    assert found.messages == len(attempts) > 10
    assert found.renderings > 10


def test_what_comes_out_has_one_hash_wherever_the_log_lies_and_whenever_it_is_replayed(tmp_path: Path) -> None:
    decided = turns()
    once, again = (checked(archive(tmp_path / name, decided)) for name in ("once", "again"))
    assert once.sha256 == again.sha256
    assert checked(archive(tmp_path / "shorter", decided[:-1])).sha256 != once.sha256


def test_a_decision_that_comes_out_otherwise_is_named(tmp_path: Path) -> None:
    decided = turns()
    entry = decided[3].entry
    changed = replace(decided[3], entry=entry.model_copy(update={"decisions": ()}))
    found = checked(archive(tmp_path, (*decided[:3], changed, *decided[4:])))
    first = found.differences[0]
    assert (first.incident, first.seq, first.what) == ("search-1", entry.seq, "entry")


def test_words_that_no_entry_leads_to_are_named(tmp_path: Path) -> None:
    decided = turns()
    first = decided[0].notices[0]
    forged = tuple(r.model_copy(update={"sha256": "f" * 64}) for r in first.renderings)
    changed = replace(decided[0], notices=(first.model_copy(update={"renderings": forged}), *decided[0].notices[1:]))
    found = checked(archive(tmp_path, (changed, *decided[1:])))
    assert "no entry leads to these words" in {difference.again for difference in found.differences}


def test_a_stored_rendering_that_is_not_what_its_name_says_is_named(tmp_path: Path) -> None:
    url = archive(tmp_path)
    [path, *_] = sorted((tmp_path / "archive" / "records" / "renderings" / "0000").iterdir())
    path.write_bytes(path.read_bytes().replace(b"Searches take", b"Searches took", 1))
    assert {difference.what for difference in checked(url).differences} == {"a stored rendering"}


def test_an_export_has_no_policies_and_says_so(tmp_path: Path) -> None:
    archive(tmp_path)
    place = InFiles(tmp_path / "data" / "audit" / "segments", Settings(_env_file=None, data_dir=tmp_path))
    with pytest.raises(Exception, match="the log alone, no policies"):
        asyncio.run(check(place))


def test_nothing_is_checked_of_another_incident(tmp_path: Path) -> None:
    assert checked(archive(tmp_path), "other-1").entries == 0
