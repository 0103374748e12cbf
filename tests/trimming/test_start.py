"""What a start folds before and after Kafka forgot: printed by `pytest -m slow -s tests/trimming/test_start.py`."""

import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest

from agents import archiving
from agents.desk import Desk
from agents.follow import Follower
from agents.holdings import FOLLOWED, Holding
from pipeline.broker import connect, topics
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.settings import Settings
from pipeline.trimming.trim import TRIMMED, trim
from schemas import codec
from schemas import topics as wire
from schemas.codec import Outgoing, Record
from schemas.journal import JournalEntry
from tests.audit.test_appender import appending
from tests.conftest import MakeSettings
from tests.trimming.given import closed, ended, going_on, journal, later, told

pytestmark = pytest.mark.slow

INCIDENTS, PEOPLE = 300, 200
"""Of the past: incidents that were told to so many each."""


async def write(settings: Settings, outgoing: Iterable[Outgoing]) -> None:
    async with connect.open_producer(settings) as producer:
        for one in outgoing:
            await producer.send(one.topic, value=one.value, key=one.key, partition=0, headers=list(one.headers))


class Start:
    """The folds of decide and deliver, by the followers that the rooms use: how long, of how much."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.desk, self.holding = Desk(0), Holding(0)
        self.records = self.bytes = 0

    async def fold(self) -> float:
        began = time.perf_counter()
        for followed, apply in (((wire.INCIDENT_JOURNAL,), self._journaled), (FOLLOWED, self.holding.apply)):
            follower = Follower(self._settings, followed, lambda record, apply=apply: self._take(record, apply))
            await follower.start()
            await follower.assign([0])
            await follower.caught_up(0)
            await follower.stop()
        return time.perf_counter() - began

    def _take(self, record: Record, apply: object) -> None:
        self.records += 1
        self.bytes += len(record.value or b"") + sum(len(name) + len(value) for name, value in record.headers)
        apply(record)  # type: ignore[operator]

    def _journaled(self, record: Record) -> None:
        self.desk.apply(codec.decode(record, JournalEntry).data, record.offset, None)


def on_disk(settings: Settings) -> int:
    return sum(path.stat().st_size for path in (settings.data_dir / "broker").rglob("*") if path.is_file())


async def test_a_start_folds_what_is_needed_and_the_disk_is_given_back(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "EVERY_S", 0.5)
    settings = make_settings(partitions=1, archive=str(tmp_path / "archive"), log_retention_days=7)
    people, past, goes_on = (
        [f"s-{n}" for n in range(PEOPLE)],
        [ended(f"INC-{n}") for n in range(INCIDENTS)],
        going_on("OPEN"),
    )
    broker = EmbeddedBroker(settings.data_dir)
    await broker.start()
    await topics.ensure(settings)
    sizes, seconds, starts = list[int](), list[float](), list[Start]()

    async def measured() -> None:
        await broker.stop()  # it saves what it holds
        sizes.append(on_disk(settings))
        await broker.start()
        starts.append(Start(settings))
        seconds.append(await starts[-1].fold())

    try:
        await write(settings, chain.from_iterable(map(journal, [*past, goes_on])))
        await write(
            settings, chain.from_iterable(told(story.incident, recipients=people) for story in [*past, goes_on])
        )
        await write(settings, map(closed, past))
        count = sum([len(await _all(settings, topic)) for topic in TRIMMED])
        async with appending(settings) as running:
            await running.until(lambda: running.appender.held.chain.size >= count)
        await measured()
        began = time.perf_counter()
        found = await trim(settings, later)
        took = time.perf_counter() - began
        await measured()
    finally:
        await broker.stop()
    for when, start, size, second in zip(("before", "after"), starts, sizes, seconds, strict=True):
        print(f"\n{when}: {start.records:,} records, {start.bytes:,} bytes folded in {second:.2f} s; "
              f"the broker's files {size:,} bytes", end="")  # fmt: skip
    print(f"\ntrimmed {sum(found.forgotten.values()):,} records in {took:.2f} s")
    before, after = starts
    assert after.desk.incidents == {"OPEN": goes_on.state}
    assert before.desk.incidents == after.desk.incidents, "what was closed is let go of"
    assert before.holding.ledger.counts() == {"accepted": (INCIDENTS + 1) * PEOPLE}
    assert after.holding.ledger.counts() == {"accepted": PEOPLE}
    assert after.records * 50 < before.records
    assert seconds[1] * 2 < seconds[0]


async def _all(settings: Settings, topic: wire.Topic) -> list[Record]:
    return [record async for record in connect.read_all(settings, topic.name)]
