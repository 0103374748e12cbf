"""Tables of the log as files: CSV, and Parquet where pyarrow is installed (the extra `parquet`)."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from pipeline.audit.rows import Row
from pipeline.errors import ConfigurationError

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for a formula: a cell that begins so gets an apostrophe before it."""


class Table(Protocol):
    """Takes rows."""

    def write(self, rows: list[Row]) -> None:
        """Some rows more."""
        ...


def table_for(path: Path) -> "type[Csv] | type[Parquet] | None":
    """The kind of table that a file of this name is; None if it is none. Raises ConfigurationError."""
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ConfigurationError("Parquet is written by pyarrow, which is not installed: pip install 'tocsin[parquet]'")
    if path.suffix == ".csv":
        return Csv
    return Parquet if path.suffix == ".parquet" else None


class Csv:
    """RFC 4180, in UTF-8."""

    def __init__(self, file: Any) -> None:
        self._writer = csv.writer(file)
        self._writer.writerow(Row._fields)

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> "Iterator[Table]":
        """A new file."""
        with path.open("w", newline="", encoding="utf-8") as file:
            yield cls(file)

    def write(self, rows: list[Row]) -> None:
        """Some rows more."""
        self._writer.writerows([_harmless(cell) for cell in row] for row in rows)


class Parquet:
    """Apache Parquet; moments are UTC, in microseconds."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> "Iterator[Table]":
        """A new file."""
        import pyarrow.parquet

        with pyarrow.parquet.ParquetWriter(path, _schema()) as writer:
            yield cls(writer)

    def write(self, rows: list[Row]) -> None:
        """Some rows more, as one group."""
        import pyarrow as pa

        said = [{**row._asdict(), "appended_at": datetime.fromisoformat(row.appended_at)} for row in rows]
        self._writer.write_table(pa.Table.from_pylist(said, schema=_schema()))


def _schema() -> Any:
    import pyarrow as pa

    kinds = {"entry": pa.int64(), "seq": pa.int64(), "appended_at": pa.timestamp("us", tz="UTC")}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in Row._fields])


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
