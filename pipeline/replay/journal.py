"""Replays a journal: every recorded input is decided once more, and what comes out otherwise is named.

Nothing here can send: neither a channel nor a broker is within reach.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.decide.incident import Decided, decide, evolve, notices_of
from pipeline.decide.state import IncidentState
from pipeline.policy import Policy
from schemas.journal import JournalEntry

BEFORE, AFTER = 40, 80
"""Characters around the place where two texts part."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where deciding again does not give what was recorded. `recorded` and `again` are JSON, or a sentence."""

    incident: str
    seq: int
    what: str
    recorded: str
    again: str

    def __str__(self) -> str:
        pairs = enumerate(zip(self.recorded, self.again, strict=False))
        began = next((place for place, (was, now) in pairs if was != now), min(len(self.recorded), len(self.again)))
        was, now = (_around(text, began) for text in (self.recorded, self.again))
        return f"{self.incident} #{self.seq}: {self.what}: recorded {was}, and now {now}"


def replay(entries: Iterable[JournalEntry], policies: Mapping[str, Policy]) -> Iterator[Difference]:
    """The differences, byte for byte, between `entries` and what their inputs lead to under their own policies.

    The entries of one incident must come in order; incidents may be mixed. A rendering is named by the hash of its
    bytes, so equal entries mean equal words. After a difference it goes on from what was recorded.
    """
    states: dict[str, IncidentState] = {}
    for entry in entries:
        state = states.get(entry.incident, IncidentState(entry.incident))
        if (policy := policies.get(entry.policy)) is None:
            yield Difference(entry.incident, entry.seq, "policy", entry.policy, "this version is not at hand")
        else:
            yield from _compared(state, entry, policy, decide(state, entry.input, policy))
        states[entry.incident] = evolve(state, entry)


def _compared(state: IncidentState, entry: JournalEntry, policy: Policy, again: Decided) -> Iterator[Difference]:
    """Where `again`, what is decided now, is not `entry`, which was decided in that state under that policy."""
    recorded, anew = entry.model_dump_json(), again.entry.model_dump_json()
    if recorded != anew:
        yield Difference(entry.incident, entry.seq, "entry", recorded, anew)
    for first, second in zip(again.notices, notices_of(state, entry, policy), strict=False):
        if first != second:
            yield Difference(entry.incident, entry.seq, "notice", second.model_dump_json(), first.model_dump_json())


def _around(text: str, place: int) -> str:
    """The part of a text in which a difference begins."""
    start, end = max(0, place - BEFORE), place + AFTER
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
