"""What a figure is, which ones there are, and the file they are kept in."""

import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, Protocol

FIGURES: Final[Mapping[str, str]] = {
    "email_engine": "mails a second through one process, beside smtp-source and aiosmtplib's own loop",
    "pipeline": "one notice to many mail subscribers through everything, the log on",
    "latency": "event published to mail taken, idle and while a large update is being sent",
    "fanout": "a notice walked through 10,000, 100,000 and 1,000,000 subscribers",
    "sms": "one notice to many subscribers of text messages, beside twilio's own client",
    "x": "a burst of incidents posted on X, beside tweepy's own client",
    "replay": "recorded journals decided on again, entry by entry",
    "rebuild": "the SQL projection made anew of an exported log, into SQLite, beside SQLite alone",
    "verify": "an exported log of 100,000 entries verified, beside hashlib and pymerkle",
}
"""Module in this package -> what it measures."""

RESULTS: Final = Path("build") / "bench.json"


Row = tuple[str, str, str, str, str]
"""Figure, unit, whose, value, how ours compares."""


class Figure(Protocol):
    """What a module here yields."""

    @property
    def name(self) -> str:
        """Under which it stands in the file."""

    def entry(self) -> dict[str, Any]:
        """As it stands in the file."""

    def rows(self) -> list[Row]:
        """As it stands in the table."""


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

    def rows(self) -> list[Row]:
        """Ours, then the peers'."""
        theirs = [("", "", name, f"{value:,.1f}", f"{self.ratios[name]:.2f} x") for name, value in self.peers.items()]
        return [(self.name, self.unit, "Tocsin", f"{self.ours:,.1f}", ""), *theirs]


@dataclass(frozen=True)
class Latency:
    """How long something takes, milliseconds."""

    name: str
    times_ms: Sequence[float]
    versions: Mapping[str, str] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {**self._cuts(), "count": len(self.times_ms), "versions": dict(self.versions)}

    def rows(self) -> list[Row]:
        """The median, the slowest of a hundred, the worst."""
        return [
            (self.name, "ms", name.removesuffix("_ms"), f"{value:,.1f}", "") for name, value in self._cuts().items()
        ]

    def _cuts(self) -> dict[str, float]:
        cuts = quantiles(self.times_ms, n=100, method="inclusive") if len(self.times_ms) > 1 else [*self.times_ms] * 99
        return {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1), "worst_ms": round(max(self.times_ms), 1)}


@dataclass(frozen=True)
class Growth:
    """How time and memory grow with size."""

    name: str
    runs: Sequence[Mapping[str, float]]
    """`subscribers`, `seconds` and `peak_mb` of each."""

    def entry(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {"unit": "s, MB", "runs": [dict(run) for run in self.runs]}

    def rows(self) -> list[Row]:
        """A row a size."""
        return [
            (
                self.name,
                "s",
                f"{run['subscribers']:,.0f} subscribers",
                f"{run['seconds']:,.2f}",
                f"{run['peak_mb']:,.0f} MB",
            )
            for run in self.runs
        ]


def measured(figure: str, runs: int) -> Iterator[Figure]:
    """Measures one figure, each as the median of `runs`. Raises TocsinError where a tool that it needs is missing."""
    yield from importlib.import_module(f"pipeline.bench.{figure}").measure(runs)


def merge(results: Path, found: Figure) -> None:
    """Puts a figure into the file; the others stay as they are."""
    known = json.loads(results.read_text("utf-8")) if results.exists() else {}
    known[found.name] = found.entry()
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", "utf-8")


def rate(run: Callable[[], object], count: int) -> float:
    """How many a second, where `run` does so many."""
    begun = time.perf_counter()
    run()
    return count / (time.perf_counter() - begun)


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each contender over all rounds."""
    return {name: median(one[name] for one in rounds) for name in rounds[0]}
