"""Places where a test may have a process kill itself, as a crash would: SIGKILL, no clean-up (reliability tests only).

`TOCSIN_FAILPOINT=deliver.after_effect` dies there at the first pass, `deliver.after_effect:7` at the seventh. A
process that dies at one leaves `<data_dir>/run/fired.<name>`, so that a test can tell that the fault happened, and
does not die there again after its restart.
"""

import os
import signal
from pathlib import Path

NAMES = (
    "decide.after_journal",
    "deliver.before_effect",
    "deliver.after_effect",
    "deliver.after_record",
    "record.after_append",
    "record.key_introduced",
)

_armed: tuple[str, int, Path] | None = None
_passes = 0


def arm(spec: str | None, run_dir: Path) -> None:
    """Arms the failpoint that `spec` (`name[:nth]`) names, unless it has fired before on this data directory."""
    global _armed, _passes  # noqa: PLW0603 - one failpoint a process, set once at start
    _armed, _passes = None, 0
    if spec is None:
        return
    name, _, nth = spec.partition(":")
    if name not in NAMES:
        raise ValueError(f"no failpoint is called {name!r}; there are: {', '.join(NAMES)}")
    marker = run_dir / f"fired.{name}"
    if not marker.exists():
        _armed = (name, int(nth or 1), marker)


def hit(name: str) -> None:
    """Dies here if this failpoint is armed and its turn has come."""
    global _passes  # noqa: PLW0603 - see `arm`
    if _armed is None or _armed[0] != name:
        return
    _passes += 1
    if _passes >= _armed[1]:
        _armed[2].parent.mkdir(parents=True, exist_ok=True)
        _armed[2].write_text(f"{os.getpid()}\n")
        os.kill(os.getpid(), signal.SIGKILL)
