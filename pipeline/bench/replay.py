"""Replay: journals read from the bytes that stand in their topic, and every entry of them decided on once more.

The journals are those of the incidents that ship with Tocsin, told under the policy that ships, with every wake of
their clocks, under several names until they are enough. What comes out must be what was recorded, byte for byte.
Nobody else decides on our journal; so beside it stands what only reading it takes: orjson, the fastest reader of JSON
that Python has, and our codec, which checks each field. What is left of the time went into deciding.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Final

import orjson

from pipeline import policy
from pipeline.bench.figures import Measured, medians, rate
from pipeline.commands.play import renamed
from pipeline.errors import TocsinError
from pipeline.policy import Policy
from pipeline.recorded import read
from pipeline.replay.census import example
from pipeline.replay.journal import replay
from pipeline.replay.past import pasts_of
from pipeline.replay.rerun import Conditions, rerun
from pipeline.settings import REPOSITORY
from schemas import codec, topics
from schemas.base import Channel
from schemas.journal import JournalEntry

INCIDENTS: Final = REPOSITORY / "deploy" / "incidents"
POLICY: Final = REPOSITORY / "deploy" / "policies" / "small-saas"
NAMES: Final = 25
"""Under so many names each incident happens."""


def measure(runs: int) -> Iterator[Measured]:
    """Entries a second: inputs, each with all decisions that followed."""
    given = policy.compile(policy.load(POLICY))
    records = list(journals(given, NAMES))

    def ours() -> None:
        if (difference := next(replay(_entries(records), {given.hash: given}), None)) is not None:
            raise TocsinError(f"decided otherwise than recorded: {difference}")

    contenders = {
        "ours": ours,
        "orjson, reading alone": lambda: _read(records),
        "our codec, reading alone": lambda: _checked(records),
    }
    found = medians([{name: rate(run, len(records)) for name, run in contenders.items()} for _ in range(runs)])
    yield Measured(
        "replay", "entries/s", found.pop("ours"), found, {"entries": f"{len(records):,}", "orjson": version("orjson")}
    )


def journals(given: Policy, names: int) -> Iterator[codec.Record]:
    """The journal's records of every incident that ships, under so many names."""
    conditions = Conditions(given, example(given), channels=tuple(Channel))
    told = read(sorted(INCIDENTS.glob("*.json")))
    for number in range(names):
        for past in pasts_of(renamed(event, str(number)) for event in told):
            for offset, turn in enumerate(rerun(past, conditions).turns):
                yield _record(turn.entry, offset)


def _record(entry: JournalEntry, offset: int) -> codec.Record:
    topic = topics.INCIDENT_JOURNAL
    sent = codec.encode(topic, entry, id=f"{entry.incident}/{entry.seq}", source="/bench", subject=entry.incident)
    return codec.Record(topic.name, 0, offset, entry.at, sent.key, sent.value, sent.headers)


def _entries(records: Iterable[codec.Record]) -> Iterator[JournalEntry]:
    return (codec.decode(record, JournalEntry).data for record in records)


def _read(records: Iterable[codec.Record]) -> None:
    for record in records:
        orjson.loads(record.value or b"")


def _checked(records: Iterable[codec.Record]) -> None:
    for _ in _entries(records):
        pass
