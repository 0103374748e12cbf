"""How far the witness has followed the log, by the files of the record room's data directory."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.audit.checkpoint import checkpoint_path, cosigned_path, witness_key_path
from pipeline.audit.vouching import Distrusted, Head, Key, size_said


@dataclass(frozen=True, slots=True)
class Witnessed:
    """So many entries are signed for, and so many of them the witness has seen; `at`: when it cosigned last."""

    signed: int
    seen: int
    at: datetime | None

    @property
    def behind(self) -> int:
        """How many entries that are signed for it has not seen."""
        return max(0, self.signed - self.seen)


def witnessed(data_dir: Path) -> Witnessed | None:
    """As of now; None where no witness's key lies. What counts for nothing under that key was not seen by it."""
    try:
        key = Key.parse(witness_key_path(data_dir).read_text())
    except (OSError, Distrusted):
        return None
    signed, seen, at = 0, 0, None
    try:
        signed = size_said(checkpoint_path(data_dir).read_bytes())
        text, moment = key.open(cosigned_path(data_dir).read_bytes())
        seen, at = Head.parse(text).size, datetime.fromtimestamp(moment, UTC) if moment is not None else None
    except (OSError, Distrusted):
        pass  # not signed, or not cosigned, yet
    return Witnessed(signed, seen, at)
