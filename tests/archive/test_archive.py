"""What is archived is the log to the byte, with its checkpoint, and is read from nothing but the archive."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.archive import layout
from pipeline.archive.copying import LogCopy
from pipeline.archive.lines import line_of, record_of
from pipeline.archive.reading import Archive
from pipeline.archive.store import Store
from pipeline.audit.checkpoint import checkpoint_path
from pipeline.audit.keys import public_key_path
from pipeline.audit.places import InArchive, InFiles, place_of
from pipeline.audit.reading import select, verified
from pipeline.audit.segments import Segments
from pipeline.errors import ArchiveUnreachable, AuditError, ConfigurationError, NotFound
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.codec import Record
from tests.audit.logs import START, Log, a_log, receipt, seal_all, subscribed

EACH = 10


def a_data_dir(directory: Path, log: Log, upto: int | None = None) -> Segments:
    """A data directory as the appender leaves it, with the first `upto` entries."""
    segments = Segments(directory / "audit" / "segments", EACH)
    segments.open()
    segments.append(log.values[:upto])
    checkpoint_path(directory).write_bytes(log.checkpoint(upto))
    public_key_path(directory).parent.mkdir(exist_ok=True)
    public_key_path(directory).write_text(f"{log.key}\n")
    return segments


def copied(url: str, directory: Path) -> LogCopy:
    copy = LogCopy(Store(url), directory, EACH)
    copy.open()
    sum(copy.copying())
    return copy


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, a store that knows whole objects only, and one that is reached over HTTP."""
    match request.param:
        case "folder":
            return str(tmp_path / "archive")
        case "memory":
            return f"memory://{tmp_path.name}"
    return str(request.getfixturevalue("s3_url"))


def test_an_archive_holds_the_exact_bytes_and_verifies_by_itself(url: str, tmp_path: Path) -> None:
    log = a_log(25)
    segments = a_data_dir(tmp_path / "data", log, 13)
    copy = copied(url, tmp_path / "data")
    segments.append(log.values[13:])
    checkpoint_path(tmp_path / "data").write_bytes(log.checkpoint())
    assert sum(copy.copying()) == 12
    assert sum(copy.copying()) == 0
    assert [line for piece in Archive(url).log() for line in piece] == log.values
    result = asyncio.run(verified(InArchive(url)))
    assert (result.ok, result.entries, result.signed) == (True, 25, 25)


def test_it_goes_on_after_a_restart_and_copies_nothing_twice(url: str, tmp_path: Path) -> None:
    log = a_log(25)
    segments = a_data_dir(tmp_path / "data", log, 7)
    copied(url, tmp_path / "data")
    segments.append(log.values[7:])
    copied(url, tmp_path / "data")
    names = [piece.name for piece in layout.pieces(Store(url).names(layout.LOG))]
    assert names == [layout.log_piece(0, 7), layout.log_piece(7, 25)]


def test_entries_that_stand_in_two_pieces_are_read_once(url: str, tmp_path: Path) -> None:
    log = a_log(12)
    a_data_dir(tmp_path / "data", log)
    copied(url, tmp_path / "data")
    store = Store(url)
    store.put(layout.log_piece(5, 9), b"".join(value + b"\n" for value in log.values[5:9]))
    assert [line for piece in Archive(url).log() for line in piece] == log.values


@pytest.mark.parametrize("tamper", ["changed", "cut", "dropped"])
def test_whatever_is_done_to_an_archive_is_found(tamper: str, tmp_path: Path) -> None:
    log, folder = a_log(25), tmp_path / "archive"
    segments = a_data_dir(tmp_path / "data", log, 9)
    copy = copied(str(folder), tmp_path / "data")
    segments.append(log.values[9:])
    checkpoint_path(tmp_path / "data").write_bytes(log.checkpoint())
    sum(copy.copying())
    first, second = sorted((folder / "log").iterdir())
    match tamper:
        case "changed":
            first.write_bytes(first.read_bytes().replace(b"delivered", b"undeliver", 1))
        case "cut":
            second.write_bytes(b"".join(second.read_bytes().splitlines(keepends=True)[:-1]))
        case "dropped":
            first.unlink()
    assert not asyncio.run(verified(InArchive(str(folder)))).ok


def test_a_place_that_holds_less_than_before_is_not_taken_for_the_archive(tmp_path: Path) -> None:
    """As when nothing is mounted on the folder: what was copied there would be lost in another place."""
    log, folder = a_log(25), tmp_path / "archive"
    segments = a_data_dir(tmp_path / "data", log, 9)
    copy = copied(str(folder), tmp_path / "data")
    segments.append(log.values[9:])
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()
    with pytest.raises(ArchiveUnreachable, match="which it had: is it mounted"):
        sum(copy.copying())
    again = LogCopy(Store(str(folder)), tmp_path / "data", EACH)
    with pytest.raises(ArchiveUnreachable, match="holds 0 entries, and held 9 before"):
        again.open(at_least=9)
    assert not list(folder.rglob("*.jsonl"))
    folder.rmdir()
    (tmp_path / "unmounted").rename(folder)
    assert sum(copy.copying()) == 16


def test_a_place_without_a_log_is_not_verified(url: str) -> None:
    with pytest.raises(NotFound, match="holds no log: is the address right"):
        asyncio.run(verified(InArchive(url)))


def test_the_archive_of_another_log_is_left_alone(url: str, tmp_path: Path) -> None:
    a_data_dir(tmp_path / "one", a_log(12))
    copied(url, tmp_path / "one")
    other = Log(seal_all(receipt(n + 1) for n in range(12)), a_log(1).private)
    a_data_dir(tmp_path / "two", other)
    with pytest.raises(AuditError, match="another log"):
        copied(url, tmp_path / "two")
    a_data_dir(tmp_path / "three", a_log(5))
    with pytest.raises(AuditError, match="another log"):
        copied(url, tmp_path / "three")


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path: Path) -> None:
    log, url = a_log(5), str(tmp_path / "archive")
    a_data_dir(tmp_path / "data", log, 4)
    with (tmp_path / "data/audit/segments/00000000.jsonl").open("ab") as file:
        file.write(log.values[4][:30])
    assert copied(url, tmp_path / "data").size == 4


@pytest.mark.parametrize("value", [b"{}", None, b"\xff\x00", "Größe\n".encode()])
def test_a_record_comes_back_from_its_line_byte_for_byte(value: bytes | None) -> None:
    at = START + timedelta(milliseconds=17)
    record = Record("renderings", 3, 42, at, b"\xfe", value, (("ce_id", b"1"), ("odd", b"\xff"), ("ce_id", b"")))
    line = line_of(record)
    assert b"\n" not in line
    assert record_of(line) == record


def test_what_is_no_line_is_named() -> None:
    with pytest.raises(AuditError, match="no archived record"):
        record_of(b'{"topic": 1}')


def test_the_records_of_sealed_topics_come_from_their_entries(tmp_path: Path) -> None:
    log = Log(seal_all([*(receipt(n) for n in range(3)), subscribed("s-1", 0)]), a_log(1).private)
    a_data_dir(tmp_path, log)
    url = str(tmp_path / "archive")
    copied(url, tmp_path)

    async def read(**key: str) -> list[Record]:
        return [record async for record in InArchive(url).records(topics.DELIVERY_RECORDS_TOPIC, **key)]

    found = asyncio.run(read())
    assert [codec.decode(one).data for one in found] == [codec.decode(receipt(n)).data for n in range(3)]
    assert [one.offset for one in asyncio.run(read(key=(found[1].key or b"").decode()))] == [1]


def test_an_export_says_what_it_does_not_hold(tmp_path: Path) -> None:
    a_data_dir(tmp_path, a_log(3))

    async def ask() -> None:
        place = InFiles(tmp_path / "audit" / "segments", Settings(_env_file=None, data_dir=tmp_path))
        _ = [one async for one in place.records(topics.RENDERINGS)]

    with pytest.raises(NotFound, match="the log alone, no renderings"):
        asyncio.run(ask())


def test_entries_are_selected_from_an_archive_as_from_the_topic(tmp_path: Path) -> None:
    a_data_dir(tmp_path, a_log(25))
    copied(str(tmp_path / "archive"), tmp_path)
    entries, result = asyncio.run(select(InArchive(str(tmp_path / "archive")), lambda entry: entry.index in {3, 24}))
    assert [entry.index for entry in entries] == [3, 24]
    assert result.ok


def test_errors_name_the_address_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no address that fsspec knows"):
        Store("nonsense://there")
    with pytest.raises(ConfigurationError, match="two places"):
        place_of(Settings(_env_file=None, data_dir=tmp_path), tmp_path, "there")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveUnreachable, match=r"cannot be used: Not a directory"):
        Store(str(tmp_path / "file")).put("log/x", b"")
