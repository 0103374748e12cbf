"""Subscribers who chose differently, as real ones do: drawn, so that the same seed gives the same people.

Most hear only of large failures, by their starts and ends. If everybody wanted every word on everything, the 399
incidents of GitHub would be told to ten thousand people in some fifteen million messages.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipeline import policy
from pipeline.errors import TocsinError

SHARES: Final = {"readers": 94.0, "customers": 4.0, "technical": 1.3, "executives": 0.5, "responders": 0.2}
COMPONENTS: Final = {0: 2.0, 1: 73.0, 2: 20.0, 3: 5.0}
"""How many parts of the service somebody chose; none means all."""
PLACES: Final = {
    ("America/New_York", "en"): 40.0, ("Europe/Berlin", "de"): 25.0, ("Europe/Berlin", "en"): 15.0,
    ("Asia/Tokyo", "en"): 20.0,
}  # fmt: skip
"""Time zones, and the languages that are read there."""
FREQUENCIES: Final = {"all": 70.0, "start_and_end": 20.0, "digest": 10.0}
LEVELS: Final = {None: 85.0, "customer": 15.0}
IN_OFFICE_HOURS, WITH_A_PHONE = 0.1, 0.01
"""Shares: who wants what is not urgent in office hours alone; who gave a number besides."""

READERS: Final = """
  # Who only wants to know of large failures, when they begin and when they are over.
  readers:
    level: customer
    hears from severity: major
    channels:
      email: [opened, resolved, reopened, maintenance started, maintenance completed, correction, retraction]
      sms: [opened, resolved, reopened, correction, retraction]
"""
_ANCHOR: Final = "\naudiences:\n"


def with_readers(shipped: Path, directory: Path) -> Path:
    """The policy that ships, with one audience more, written into a directory that is made."""
    documents = dict(policy.load(shipped).documents)
    before, anchor, after = documents["audiences.yaml"].partition(_ANCHOR)
    if not anchor:
        raise TocsinError(f"audiences.yaml in {shipped} has no line {_ANCHOR.strip()!r} any more")
    documents["audiences.yaml"] = before + anchor + READERS + after
    for name, text in documents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return directory


class Population:
    """Who is told. `fields(number)` is one of them, as a line of a file of subscribers would say it."""

    def __init__(self, components: Sequence[str], seed: int) -> None:
        self._components = sorted(components)
        self._seed = seed

    def fields(self, number: int) -> dict[str, Any]:
        """Their address, and what they chose; the same for the same number."""
        drawn = random.Random(f"{self._seed}/{number}")
        audience, parts = _one_of(drawn, SHARES), _one_of(drawn, COMPONENTS)
        zone, language = _one_of(drawn, PLACES)
        said: dict[str, Any] = {
            "audiences": [audience],
            "email": f"reader{number}@example.com",
            "components": sorted(drawn.sample(self._components, min(parts, len(self._components)))),
            "language": language,
            "time_zone": zone,
            "frequency": _one_of(drawn, FREQUENCIES),
            "office_hours_only": drawn.random() < IN_OFFICE_HOURS,
        }
        if audience == "technical" and (level := _one_of(drawn, LEVELS)) is not None:
            said["level"] = level
        if drawn.random() < WITH_A_PHONE:
            said["phone"] = f"+49151{10_000_000 + number}"
        return said


def _one_of(drawn: random.Random, shares: dict[Any, float]) -> Any:
    return drawn.choices(list(shares), list(shares.values()))[0]
