"""What is left is read again: an archive alone, each time by a process of its own that knows nothing of the others.

`seconds` are what a clock on the wall says, `cpu_s` what the process itself took: on a busy machine these tell more.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pipeline.audit.places import InArchive
from pipeline.audit.reading import verified
from pipeline.projection.homes import Files
from pipeline.projection.rebuilding import from_place, rebuild
from pipeline.projection.tables import METADATA, PLACE
from pipeline.replay.checking import check
from pipeline.replay.sealed_off import sealed_off
from pipeline.settings import Settings

TIMES: Final = 2
Found = dict[str, Any]


def replayed(archive: str) -> dict[str, Any]:
    """Verifies, decides everything again, and makes the tables anew; whether both times came to the same bytes."""
    log = _apart(_verify, archive)
    decided = [_apart(_decide, archive) for _ in range(TIMES)]
    tables = [_apart(_rebuild, archive) for _ in range(TIMES)]
    for found in (log, *decided, *tables):
        found["log_entries_per_s"] = round(log["entries"] / found["seconds"])
        found["log_entries_per_cpu_s"] = round(log["entries"] / found["cpu_s"])
    return {
        "log": log,
        "decided_again": decided,
        "tables_made_anew": tables,
        "sound": log["findings"] == [] and log["signed"] == log["entries"],
        "as_recorded": all(found["differences"] == [] for found in decided),
        "alike": len({found["sha256"] for found in decided}) == len({found["sha256"] for found in tables}) == 1,
    }


def _apart(work: Callable[[str], Found], archive: str) -> Found:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, work, archive).result()


def _measured(work: Callable[[str], Found], archive: str) -> Found:
    began, worked = time.perf_counter(), time.process_time()
    with sealed_off():
        found = work(archive)
    found["seconds"] = round(time.perf_counter() - began, 2)
    found["cpu_s"] = round(time.process_time() - worked, 2)
    found["most_mb"] = _most_mb()
    return found


def _most_mb() -> float | None:
    """The most resident memory that this very process had; getrusage would count what it was started from as well."""
    try:
        said = Path("/proc/self/status").read_text()
    except OSError:
        return None  # no Linux
    return round(int(said.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6, 1)


def _verify(archive: str) -> Found:
    result = asyncio.run(verified(InArchive(archive)))
    return {"entries": result.entries, "signed": result.signed, "findings": [str(one) for one in result.findings]}


def _decide(archive: str) -> Found:
    found = asdict(asyncio.run(check(InArchive(archive))))
    return found | {"differences": [str(one) for one in found["differences"]]}


def _rebuild(archive: str) -> Found:
    with TemporaryDirectory() as directory:
        settings = Settings(_env_file=None, data_dir=Path(directory))
        home = Files(settings.data_dir / "projection")
        entries = asyncio.run(rebuild(settings, home, from_place(InArchive(archive))))
        return {"entries": entries, **digest(home.link)}


def digest(database: Path) -> Found:
    """The tables of a projection in SQLite: how many rows, and one hash over all that stands there."""
    said, rows = sha256(), 0
    with closing(sqlite3.connect(database)) as connection:
        for table in METADATA.sorted_tables:
            # where its topic goes on hangs on where the log was read, not on what stands in it
            columns = ", ".join(column.name for column in table.columns if column is not PLACE.c.topic_offset)
            key = ", ".join(column.name for column in table.primary_key)
            said.update(table.name.encode())
            for row in connection.execute(f"SELECT {columns} FROM {table.name} ORDER BY {key}"):  # noqa: S608 - our own names
                said.update(json.dumps(row).encode())
                rows += 1
    return {"rows": rows, "sha256": said.hexdigest()}
