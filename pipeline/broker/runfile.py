"""Run files: what a running process says of itself in `<data_dir>/run`, so that others find it and none is mistaken.

A pid alone is no identity, since systems use pids again: the process's creation time stands beside it.
"""

import json
import os
from pathlib import Path
from typing import Any

import psutil

CLOCK_GRAIN_S = 1.0
"""Creation times are derived from the boot time and may differ by rounding between two readings."""


def run_dir(data_dir: Path) -> Path:
    """Where run files and locks of a data directory lie; created when missing, for its owner only."""
    directory = data_dir / "run"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def write(path: Path, pid: int, **fields: Any) -> None:
    """Replaces the run file at once, so that no reader ever sees half of it. Raises psutil.NoSuchProcess."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {"pid": pid, "created": psutil.Process(pid).create_time(), **fields}
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(content, indent=1) + "\n")
    scratch.replace(path)


def write_own(path: Path, **fields: Any) -> None:
    """The run file of this very process."""
    write(path, os.getpid(), **fields)


def read(path: Path) -> dict[str, Any] | None:
    """What the file says, whether or not its process still lives; None when there is none or it is damaged."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("pid"), int) else None


def process_of(content: dict[str, Any] | None) -> psutil.Process | None:
    """The process that wrote the file, if it is the very same one and lives."""
    if content is None:
        return None
    try:
        process = psutil.Process(content["pid"])
        same = abs(process.create_time() - float(content.get("created", 0))) <= CLOCK_GRAIN_S
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if same and alive else None


def read_live(path: Path) -> dict[str, Any] | None:
    """What the file says, if its process lives; None otherwise."""
    content = read(path)
    return content if process_of(content) is not None else None
