"""What decide emits once more when it takes a partition over, and when an input comes again; and what it does not."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, cast

import pytest

from agents.desks import Desks
from agents.emit import Emitter
from pipeline import clock, policy
from pipeline.operators import Registry
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Lane, Severity
from schemas.codec import Outgoing, Record
from schemas.incident import IncidentOpened
from schemas.policy import PolicyPublished
from tests.conftest import MakeSettings
from tests.rooms.test_desks import record

JOURNAL = topics.INCIDENT_JOURNAL.name
NOTICES = frozenset(topics.notices(lane).name for lane in Lane)
VAULT = Vault.of(b"a secret for tests, 32 characters")


class Written(NamedTuple):
    """Where a record stands."""

    offset: int


class Journal:
    """The journal's one partition, to which several workers may write."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, outgoing: Outgoing) -> Written:
        self.records.append(record(outgoing, len(self.records)))
        return Written(len(self.records) - 1)


class Pen(Emitter):
    """Keeps what is written. `first`: what another worker writes to the journal just before this one."""

    def __init__(self, journal: Journal) -> None:
        self._source, self._journal = "tests", journal
        self.written = list[Outgoing]()
        self.first = list[Record]()

    async def forward(self, outgoing: Outgoing) -> Any:
        self.written.append(outgoing)
        if outgoing.topic != JOURNAL:
            return Written(0)
        for other in self.first:
            self._journal.add(Outgoing(other.topic, other.key, other.value, other.headers))
        self.first = []
        return self._journal.add(outgoing)

    def told(self) -> dict[str, list[bytes | None]]:
        """The notices of each incident."""
        found: dict[str, list[bytes | None]] = {}
        for one in self.written:
            if one.topic in NOTICES:
                found.setdefault((one.key or b"").decode(), []).append(one.value)
        return found


class Reading:
    """A follower that reads when it is told to, and goes on from where it is until nothing is assigned to it."""

    def __init__(self, there: Journal, apply: Callable[[Record], None]) -> None:
        self._there, self._apply = there, apply
        self._next: int | None = None
        self.asked, self.goes_on = asyncio.Event(), asyncio.Event()

    async def start(self) -> None: ...

    async def assign(self, partitions: Iterable[int]) -> None:
        if not set(partitions):
            self._next = None
        elif self._next is None:
            self._next = 0

    def read(self, up_to: int) -> None:
        while self._next is not None and self._next < up_to:
            self._next += 1
            self._apply(self._there.records[self._next - 1])

    async def caught_up(self, partition: int) -> None:
        self.asked.set()
        end = len(self._there.records)
        await self.goes_on.wait()
        self.read(end)


class Worker:
    """One of the decide room's. `knows`: whether it has read the policy that is in force."""

    def __init__(self, journal: Journal, good: PolicyPublished, acknowledged: int = 0, knows: bool = True) -> None:
        self.pen, self._reached = Pen(journal), acknowledged
        self._published = Journal()
        self._published.add(codec.encode(topics.POLICIES, good, id=good.hash, source="/tests", subject=good.name))
        self._nothing, self._journal = Journal(), journal
        self.followers: dict[str, Reading] = {}
        self.desks = Desks(
            self.pen, cast(Any, None), self._follow, Registry(VAULT), self._acknowledged, clock.now,
            partitions=1, sandbox=False,
        )  # fmt: skip
        self.journal = self.followers[JOURNAL]
        if knows:
            self.followers[topics.POLICIES.name].read(1)

    def _follow(self, of: Iterable[topics.Topic], apply: Callable[[Record], None]) -> Any:
        first, *others = of
        there = {JOURNAL: self._journal, topics.POLICIES.name: self._published}.get(first.name, self._nothing)
        follower = Reading(self._nothing if others else there, apply)
        if first.name != JOURNAL:
            follower._next = 0
            follower.goes_on.set()
        if not others:
            self.followers[first.name] = follower
        return follower

    async def _acknowledged(self, _partitions: Collection[int]) -> Mapping[tuple[str, int], int]:
        return {(topics.INCIDENT_EVENTS.name, 0): self._reached}

    async def opens(self) -> "Worker":
        self.journal.goes_on.set()
        await self.desks.own({0})
        return self


def said(incident: str, offset: int) -> Record:
    event = IncidentOpened(title="Search is slow", severity=Severity.MAJOR)
    sent = codec.encode(topics.INCIDENT_EVENTS, event, id=f"e-{incident}", source="/tests", subject=incident)
    return record(sent, offset)


@pytest.fixture
def good(make_settings: MakeSettings) -> PolicyPublished:
    return policy.load(make_settings().policy_dir)


async def journaled(good: PolicyPublished, *incidents: str) -> tuple[Journal, Worker]:
    """These, one after another, by a worker that died after the last of them."""
    journal = Journal()
    died = await Worker(journal, good).opens()
    for offset, incident in enumerate(incidents):
        assert await died.desks.handle(said(incident, offset))
    return journal, died


async def test_the_last_entry_is_emitted_by_the_same_bytes_though_its_policy_was_published_while_the_worker_slept(
    good: PolicyPublished,
) -> None:
    journal, died = await journaled(good, "INC-1")
    after = await Worker(journal, good, knows=False).opens()
    assert died.pen.told()["INC-1"]
    assert after.pen.told() == died.pen.told()


async def test_everybody_is_on_their_way_to_being_told_before_the_words_are_put_away(good: PolicyPublished) -> None:
    _, worker = await journaled(good, "INC-1")
    places: dict[bool, list[int]] = {True: [], False: []}
    for place, one in enumerate(worker.pen.written):
        if one.topic in NOTICES or one.topic == topics.RENDERINGS.name:
            places[one.topic in NOTICES].append(place)
    assert places[True]
    assert places[False]
    assert max(places[True]) < min(places[False])


async def test_an_entry_whose_input_is_acknowledged_is_not_told_to_whoever_came_since(good: PolicyPublished) -> None:
    journal, _ = await journaled(good, "INC-1", "INC-2")
    after = await Worker(journal, good, acknowledged=2).opens()
    assert not after.pen.told()


async def test_what_upstream_says_a_second_time_is_not_emitted_a_second_time(good: PolicyPublished) -> None:
    journal, _ = await journaled(good, "INC-1")
    after = await Worker(journal, good, acknowledged=1).opens()
    assert await after.desks.handle(said("INC-1", 7))
    assert not after.pen.told()


async def test_the_last_entry_is_emitted_though_the_group_formed_twice_in_the_middle_of_the_fold(
    good: PolicyPublished,
) -> None:
    journal, _ = await journaled(good, "INC-1", "INC-2")
    after = Worker(journal, good)
    first = asyncio.create_task(after.desks.own({0}))
    await after.journal.asked.wait()
    after.journal.read(1)
    second = asyncio.create_task(after.desks.own({0}))
    await asyncio.sleep(0)
    after.journal.goes_on.set()
    await asyncio.gather(first, second)
    assert set(after.pen.told()) == {"INC-2"}


async def test_what_a_worker_that_was_thought_dead_has_journaled_is_emitted_when_its_input_comes_again(
    good: PolicyPublished,
) -> None:
    late, _ = await journaled(good, "INC-2")
    journal = Journal()
    after = await Worker(journal, good).opens()
    after.pen.first = late.records
    assert await after.desks.handle(said("INC-1", 1))
    assert await after.desks.handle(said("INC-2", 0))
    assert set(after.pen.told()) == {"INC-1", "INC-2"}
