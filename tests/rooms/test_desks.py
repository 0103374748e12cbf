"""The decide room's desks while its group forms again and again, and its policies when a bad one is published."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from agents.desks import Desks
from agents.inforce import InForce
from pipeline import clock, policy
from pipeline.operators import Registry
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Severity
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


async def nothing_acknowledged(_partitions: Collection[int]) -> Mapping[tuple[str, int], int]:
    return {}


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def desks(journal: Journal) -> Desks:
    vault, nobody = Vault.of(b"a secret for tests, 32 characters"), cast(Any, None)
    return Desks(
        nobody, nobody, lambda *_: cast(Any, journal), Registry(vault), nothing_acknowledged, clock.now,
        partitions=1, sandbox=False,
    )  # fmt: skip


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
