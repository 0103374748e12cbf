"""What a figure is, which ones there are, and the file they are kept in."""

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

FIGURES: Final[Mapping[str, str]] = {
    "email_engine": "mails a second through one process, beside smtp-source and aiosmtplib's own loop",
}
"""Module in this package -> what it measures."""

RESULTS: Final = Path("build") / "bench.json"


@dataclass(frozen=True)
class Measured:
    """One figure: ours and the peers', in the same unit, medians of the same run."""

    name: str
    unit: str
    ours: float
    peers: Mapping[str, float]
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of whatever was measured, and measured with."""

    @property
    def ratios(self) -> dict[str, float]:
        """Ours divided by each peer's."""
        return {name: self.ours / value for name, value in self.peers.items()}

    def entry(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "unit": self.unit,
            "ours": round(self.ours, 3),
            "peers": {name: round(value, 3) for name, value in self.peers.items()},
            "ratios": {name: round(value, 3) for name, value in self.ratios.items()},
            "versions": dict(self.versions),
        }


def measured(figure: str, runs: int) -> Iterator[Measured]:
    """Measures one figure, each as the median of `runs`. Raises TocsinError where a tool that it needs is missing."""
    yield from importlib.import_module(f"pipeline.bench.{figure}").measure(runs)


def merge(results: Path, found: Measured) -> None:
    """Puts a figure into the file; the others stay as they are."""
    known = json.loads(results.read_text("utf-8")) if results.exists() else {}
    known[found.name] = found.entry()
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", "utf-8")


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each contender over all rounds."""
    return {name: median(one[name] for one in rounds) for name in rounds[0]}
