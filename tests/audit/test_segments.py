import logging
from pathlib import Path

import pytest

from pipeline.audit.segments import Segments, read_lines
from pipeline.errors import AuditError
from tests.audit.logs import a_log, no_file_larger_than

VALUES = a_log(25).values


def opened(directory: Path) -> Segments:
    segments = Segments(directory, entries_each=10)
    segments.open()
    return segments


def test_what_is_appended_stands_there_line_by_line(tmp_path):
    segments = opened(tmp_path / "segments")
    segments.append(VALUES[:3])
    segments.append(VALUES[3:25])
    assert list(segments) == VALUES
    assert [path.name for path in sorted((tmp_path / "segments").iterdir())] == [
        "00000000.jsonl",
        "00000001.jsonl",
        "00000002.jsonl",
    ]
    assert (tmp_path / "segments" / "00000002.jsonl").read_bytes() == b"".join(v + b"\n" for v in VALUES[20:])
    assert list(read_lines(tmp_path / "segments")) == VALUES


def test_it_goes_on_where_it_was(tmp_path):
    opened(tmp_path).append(VALUES[:13])
    segments = opened(tmp_path)
    assert segments.size == 13
    segments.append(VALUES[13:])
    assert list(opened(tmp_path)) == VALUES


def test_a_line_that_a_crash_left_half_written_is_cut_off_and_said_so(tmp_path, caplog):
    opened(tmp_path).append(VALUES[:13])
    with (tmp_path / "00000001.jsonl").open("ab") as file:
        file.write(VALUES[13][:50])
    with caplog.at_level(logging.WARNING):
        segments = opened(tmp_path)
    assert segments.size == 13
    assert "half written" in caplog.text
    segments.append(VALUES[13:])
    assert list(segments) == VALUES


def test_a_line_that_is_being_written_is_not_read_yet_and_the_last_of_an_export_is(tmp_path):
    """Else whoever verifies a log that goes on would be told of damage that there is none of."""
    opened(tmp_path / "segments").append(VALUES[:13])
    with (tmp_path / "segments" / "00000001.jsonl").open("ab") as file:
        file.write(VALUES[13][:50])
    assert list(read_lines(tmp_path / "segments")) == VALUES[:13]
    export = tmp_path / "log.jsonl"
    export.write_bytes(b"\n".join(VALUES))
    assert list(read_lines(export)) == VALUES


def test_a_missing_or_short_segment_is_named(tmp_path):
    opened(tmp_path).append(VALUES)
    first = tmp_path / "00000000.jsonl"
    first.write_bytes(b"".join(v + b"\n" for v in VALUES[:9]))
    with pytest.raises(AuditError, match="has 9 entries, expected 10"):
        opened(tmp_path)
    first.unlink()
    with pytest.raises(AuditError, match="lacks a segment"):
        opened(tmp_path)


def test_a_full_disk_is_named_and_leaves_no_half_line(tmp_path):
    segments = opened(tmp_path)
    segments.append(VALUES[:2])
    room = sum(len(value) + 1 for value in VALUES[:3]) + 50
    with no_file_larger_than(room), pytest.raises(AuditError, match=r"cannot be written \(File too large\)"):
        segments.append(VALUES[2:5])
    assert segments.size == 2
    assert list(segments) == VALUES[:2]
    segments.append(VALUES[2:])
    assert list(segments) == VALUES


def test_a_directory_without_segments_is_no_export(tmp_path):
    with pytest.raises(AuditError, match="no segments"):
        list(read_lines(tmp_path))
    with pytest.raises(AuditError, match="No such file"):
        list(read_lines(tmp_path / "absent"))
