"""The decide room's desks while its group forms again and again, and its policies when a bad one is published."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import pytest

from agents.desks import Desks
from agents.emit import Emitter
from agents.inforce import InForce
from pipeline import clock, policy
from pipeline.operators import Registry
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Lane, Severity
from schemas.codec import Outgoing, Record
from schemas.incident import IncidentOpened
from schemas.policy import PolicyPublished, hash_of
from tests.conftest import MakeSettings

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Journal:
    """A follower whose fold takes until it is told that it is done."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.asked = asyncio.Event()

    async def assign(self, partitions: Iterable[int]) -> None: ...

    async def caught_up(self, partition: int) -> None:
        self.asked.set()
        await self.done.wait()


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def desks(journal: Journal) -> Desks:
    vault, nobody = Vault.of(b"a secret for tests, 32 characters"), cast(Any, None)
    return Desks(nobody, nobody, lambda *_: cast(Any, journal), Registry(vault), clock.now, partitions=1, sandbox=False)


def record(outgoing: Outgoing, offset: int = 0) -> Record:
    return Record(outgoing.topic, 0, offset, AT, outgoing.key, outgoing.value, outgoing.headers)


def opened() -> Record:
    event = IncidentOpened(title="Search is slow", severity=Severity.MAJOR)
    return record(codec.encode(topics.INCIDENT_EVENTS, event, id="1", source="/tests", subject="INC-1"))


async def test_an_input_that_waits_for_a_desk_is_let_go_when_the_desk_is_taken_away(
    desks: Desks, journal: Journal
) -> None:
    owning = asyncio.create_task(desks.own({0}))
    await journal.asked.wait()
    waiting = asyncio.create_task(desks.handle(opened()))
    await asyncio.sleep(0)
    again = asyncio.create_task(desks.own(()))
    assert await asyncio.wait_for(waiting, 5) is False
    journal.done.set()
    await asyncio.gather(owning, again)


async def test_a_desk_is_open_only_when_its_own_fold_has_ended(desks: Desks, journal: Journal) -> None:
    first = asyncio.create_task(desks.own({0}))
    await journal.asked.wait()
    second = asyncio.create_task(desks.own({0}))
    await asyncio.sleep(0)
    desk = desks._desks[0]
    assert not desk.opened.is_set()
    journal.done.set()
    await asyncio.gather(first, second)
    assert desk.opened.is_set()
    assert desks._desks[0] is desk


async def test_of_a_policy_that_cannot_be_used_the_last_good_one_stays_in_force(make_settings: MakeSettings) -> None:
    in_force, good = InForce(), policy.load(make_settings().policy_dir)
    documents = {"languages.yaml": "languages: ["}
    bad = PolicyPublished(name=good.name, hash=hash_of(documents), documents=documents)
    for published in (good, bad):
        in_force.published(
            record(codec.encode(topics.POLICIES, published, id=published.hash, source="/tests", subject=published.name))
        )
    assert (await in_force.policy()).hash == good.hash


class Written(NamedTuple):
    """Where a record stands."""

    offset: int


class Pen(Emitter):
    """Keeps what is written."""

    def __init__(self) -> None:
        self._source, self.written = "tests", list[Outgoing]()

    async def forward(self, outgoing: Outgoing) -> Any:
        self.written.append(outgoing)
        return Written(self.number(outgoing.topic) - 1)

    def number(self, topic: str) -> int:
        return sum(outgoing.topic == topic for outgoing in self.written)


class Behind:
    """A follower that has read nothing until it is asked to read up to the end."""

    def __init__(self, records: Iterable[Record], apply: Callable[[Record], None]) -> None:
        self._left, self._apply = list(records), apply

    async def assign(self, partitions: Iterable[int]) -> None: ...

    async def caught_up(self, partition: int) -> None:
        while self._left:
            self._apply(self._left.pop(0))


async def test_an_entry_is_emitted_again_though_its_policy_was_published_while_the_worker_slept(
    make_settings: MakeSettings,
) -> None:
    good = policy.load(make_settings().policy_dir)
    published = record(codec.encode(topics.POLICIES, good, id=good.hash, source="/tests", subject=good.name))
    vault, nobody = Vault.of(b"a secret for tests, 32 characters"), cast(Any, None)

    def worker(pen: Pen, journal: Iterable[Record] = ()) -> Desks:
        there = {topics.POLICIES.name: [published], topics.INCIDENT_JOURNAL.name: journal}

        def follow(of: Iterable[topics.Topic], apply: Callable[[Record], None]) -> Any:
            first, *others = of
            return Behind(() if others else there.get(first.name, ()), apply)

        return Desks(pen, nobody, follow, Registry(vault), clock.now, partitions=1, sandbox=False)

    first, second = Pen(), Pen()
    died = worker(first)
    died.in_force.published(published)
    await died.own({0})
    assert await died.handle(opened())
    journaled = [record(one) for one in first.written if one.topic == topics.INCIDENT_JOURNAL.name]
    notices = topics.notices(Lane.FIRST).name
    await worker(second, journaled).own({0})
    told, again = ([one.value for one in pen.written if one.topic == notices] for pen in (first, second))
    assert told
    assert again == told
