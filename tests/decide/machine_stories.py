"""Stories of the machine, recorded for their breadth: each input, and a hash of all that was decided on it.

What the machine finds wrong are broken rules; what these find is any other decision than was made before, under five
policies, with every order that a person can give. Nobody reads them: `test_replay.py` names the entry that differs.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from unittest import mock

from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from pipeline.decide.incident import Decided
from schemas.journal import JournaledInput
from schemas.policy import PolicyPublished
from tests.decide import machine_policies
from tests.decide.machine import World
from tests.decide.machine_books import Entry
from tests.decide.test_machine import MANY, Machine

PATH = Path(__file__).parent / "journals" / "machine.jsonl.gz"
TRIED, KEPT, ENTRIES = 400, 40, 50
"""Examples tried, stories kept, entries kept of each incident."""


@dataclass(frozen=True, slots=True)
class Line:
    """One input of one story, and what its decision must be."""

    story: int
    incident: str
    policy: str
    input: JournaledInput
    fingerprint: str


def fingerprint(decided: Decided) -> str:
    """Of all that was decided: the entry, the notices with their words, the drafts."""
    parts = [decided.entry, *decided.notices, *decided.drafts]
    return sha256("\n".join(part.model_dump_json() for part in parts).encode()).hexdigest()[:16]


@cache
def read() -> tuple[list[PolicyPublished], list[Line]]:
    """The policies that the stories were decided under, and their lines in the order of the decisions."""
    rows = [json.loads(row) for row in gzip.decompress(PATH.read_bytes()).decode().split("\n")]
    documents = [PolicyPublished.model_validate(row) for row in rows if isinstance(row, dict)]
    lines = [
        Line(story, incident, policy, JournaledInput.model_validate(given), said)
        for story, incident, policy, given, said in (row for row in rows if isinstance(row, list))
    ]
    return documents, lines


def write() -> None:
    """Plays the machine anew, always alike, and keeps the stories that bring most that no other one brings."""
    played: list[list[Entry]] = []
    ends = World.ends

    def ends_and_is_kept(world: World) -> None:
        ends(world)
        made = {(e.decided.entry.incident, e.decided.entry.seq): e for w in world.lines.values() for e in w.entries}
        played.append([made[one.incident, one.seq] for one in world.journal if one.seq <= ENTRIES])

    with mock.patch.object(World, "ends", ends_and_is_kept):
        tried = settings(MANY, max_examples=TRIED, derandomize=True, phases=[Phase.generate])
        run_state_machine_as_test(Machine, settings=tried)
    rows = [documents.model_dump_json() for documents in machine_policies.published()]
    rows += [row for number, story in enumerate(_broadest(played)) for row in _rows(number, story)]
    PATH.write_bytes(gzip.compress("\n".join(rows).encode(), mtime=0))


def _broadest(played: list[list[Entry]]) -> Iterator[list[Entry]]:
    found: set[str] = set()
    for _ in range(KEPT):
        best = max(played, key=lambda story: len(_brings(story) - found))
        played.remove(best)
        found |= _brings(best)
        yield best


def _brings(story: list[Entry]) -> set[str]:
    """The rules, kinds and policies in it, without names and numbers."""
    said = {
        f"{entry.policy.name} {d.decision} {getattr(d, 'kind', '')} {getattr(d, 'reason', '')}"
        for entry in story
        for d in entry.decided.entry.decisions
    }
    return {re.sub(r"[0-9a-f]{32}|\d+", "", text) for text in said}


def _rows(number: int, story: list[Entry]) -> Iterator[str]:
    for entry in story:
        given = entry.given.model_dump(mode="json", exclude_none=True)
        incident, said = entry.decided.entry.incident, fingerprint(entry.decided)
        yield json.dumps([number, incident, entry.policy.hash, given, said], ensure_ascii=False)
