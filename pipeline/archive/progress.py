"""How far the archive goes, and when it was reached last: a file of the data directory."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import orjson

from schemas.base import rfc3339


@dataclass(frozen=True, slots=True)
class Progress:
    """So many sealed entries were in the archive of that address at that moment."""

    entries: int
    at: datetime
    url: str

    @staticmethod
    def path(data_dir: Path) -> Path:
        """Where it stands."""
        return data_dir / "audit" / "archived"

    @property
    def line(self) -> bytes:
        """As it stands in the file."""
        return orjson.dumps({"entries": self.entries, "at": rfc3339(self.at), "url": self.url}) + b"\n"

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What the file says; None where there is none, or it is damaged."""
        try:
            said = orjson.loads(path.read_bytes())
            return cls(int(said["entries"]), datetime.fromisoformat(said["at"]), str(said["url"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
