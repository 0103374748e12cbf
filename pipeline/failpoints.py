"""Places where a test may have a process kill itself, as a crash would: SIGKILL, no clean-up (reliability tests only).

`TOCSIN_FAILPOINT=deliver.after_effect` dies there at the first pass, `deliver.after_effect:7` at the seventh. `@`
stands for what `<data_dir>/run/failpoint` says, a line each, and may begin to say at any time: so a room that runs is
told where to die. A process that dies at one leaves `<data_dir>/run/fired.<name>`, so that a test can tell that the
fault happened, and does not die there again after its restart.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

NAMES = {
    "decide.before_journal": "decided, and nothing on record: the input comes again",
    "decide.after_journal": "on record, and nobody was told",
    "decide.before_renderings": "told, and the words stand in the notices alone",
    "decide.after_notices": "told, and not acknowledged: the same input comes again",
    "fanout.after_batches": "a stretch's batches are there, and the record does not say how far it came",
    "fanout.after_place": "the record says how far it came, and the notice is not acknowledged",
    "deliver.after_intent": "intended, and not attempted",
    "deliver.before_effect": "the attempt is on record, and nobody was called",
    "deliver.after_effect": "the provider has it, and the record does not say so",
    "deliver.after_wake": "what is to be tried again waits, and no record says why",
    "deliver.after_record": "the end is on record, and the batch is not acknowledged",
    "deliver.after_woken": "what waited is among the deliveries again, and still waits",
    "deliver.after_receipt": "what came back is on record, and what it means for the subscriber is not",
    "deliver.in_keeping": "the file of people is half written",
    "deliver.after_keeping": "the file of people is ahead of everything else that this worker did",
    "record.after_append": "the broker has the entries, the disk has not",
    "record.after_segments": "entries on disk, and no checkpoint over them",
    "record.key_introduced": "the log says by which key it goes on, and the old one still signs",
    "record.after_checkpoint": "signed for, and nobody was told that sealing goes on",
    "web.before_answer": "what was asked stands in the broker, and whoever asked does not know",
}
"""Where one can die, and what is so special about it."""
FROM_FILE = "@"


_run_dir: Path | None = None
_armed: dict[str, int] = {}
"""Which are armed, and at which pass one dies there."""
_passes: Counter[str] = Counter()
_told: str | None = None
"""What the file said last; None: the environment alone says."""


def arm(spec: str | None, run_dir: Path) -> None:
    """Arms the failpoint that `spec` (`name[:nth]`, `@`) names, unless it has fired before on this data directory."""
    global _run_dir, _told
    _run_dir, _told = run_dir, "" if spec == FROM_FILE else None
    _begin([] if spec in {None, FROM_FILE} else [spec or ""])


def hit(name: str) -> None:
    """Dies here if this failpoint is armed and its turn has come."""
    if _told is not None:
        _ask_the_file()
    if name not in _armed:
        return
    _passes[name] += 1
    if _passes[name] >= _armed[name]:
        marker = _marker(name)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(f"{os.getpid()}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def _ask_the_file() -> None:
    global _told  # noqa: PLW0603 - see `arm`
    try:
        says = (_dir() / "failpoint").read_text()
    except FileNotFoundError:
        says = ""
    if says != _told:
        _told = says
        _begin(says.splitlines())


def _begin(specs: Iterable[str]) -> None:
    _armed.clear()
    _passes.clear()
    for spec in specs:
        name, _, nth = spec.partition(":")
        if name not in NAMES:
            raise ValueError(f"no failpoint is called {name!r}; there are: {', '.join(NAMES)}")
        if not _marker(name).exists():
            _armed[name] = int(nth or 1)


def _marker(name: str) -> Path:
    return _dir() / f"fired.{name}"


def _dir() -> Path:
    if _run_dir is None:
        raise RuntimeError("arm() comes first")
    return _run_dir
