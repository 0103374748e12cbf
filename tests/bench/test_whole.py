"""The whole corpus: whom it is told to, how two projections are compared, and a small one recorded and replayed."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import policy
from pipeline.audit.places import InArchive
from pipeline.bench.sinks import tool
from pipeline.bench.whole.people import SHARES, Population, with_readers
from pipeline.bench.whole.recording import KILLED, Course, record
from pipeline.bench.whole.replaying import digest, replayed
from pipeline.broker.kafka import fetch_jars, java
from pipeline.errors import TocsinError
from pipeline.projection.homes import Files
from pipeline.projection.rebuilding import from_place, rebuild
from pipeline.recorded import read
from pipeline.registrations import registration
from pipeline.replay.past import pasts_of
from pipeline.settings import REPOSITORY, Settings
from tests.replay.told import archive

SHIPPED_POLICY = REPOSITORY / "deploy" / "policies" / "small-saas"
SHIPPED = sorted((REPOSITORY / "deploy" / "incidents").glob("*.json"))
COMPONENTS = ["API", "Login", "Search"]


def test_the_same_seed_gives_the_same_people_and_another_one_others() -> None:
    once, again, others = (Population(COMPONENTS, seed) for seed in (1, 1, 2))
    people = [once.fields(number) for number in range(300)]
    assert people == [again.fields(number) for number in range(300)]
    assert people != [others.fields(number) for number in range(300)]


def test_they_can_all_be_subscribed_and_chose_differently() -> None:
    chosen = [registration(Population(COMPONENTS, 1).fields(number)).choices for number in range(3000)]
    counted = Counter(choices.audiences[0] for choices in chosen)
    assert counted.keys() == SHARES.keys()
    assert counted.most_common(1)[0][0] == "readers"
    assert {len(choices.components) for choices in chosen} == {0, 1, 2, 3}
    assert len({(choices.language, choices.time_zone, choices.frequency) for choices in chosen}) == 12


def test_their_policy_is_the_one_that_ships_with_one_audience_more(tmp_path: Path) -> None:
    shipped = policy.compile(policy.load(SHIPPED_POLICY))
    theirs = policy.compile(policy.load(with_readers(SHIPPED_POLICY, tmp_path / "policy")))
    assert theirs.audiences.keys() - shipped.audiences.keys() == {"readers"}
    assert all(theirs.audiences[name] == audience for name, audience in shipped.audiences.items())


def tables(url: str, directory: Path) -> Path:
    home = Files(Settings(_env_file=None, data_dir=directory).data_dir / "projection")
    asyncio.run(rebuild(Settings(_env_file=None, data_dir=directory), home, from_place(InArchive(url))))
    return home.link


def test_tables_that_differ_in_one_value_have_another_digest(tmp_path: Path) -> None:
    url = archive(tmp_path)
    once, again = tables(url, tmp_path / "once"), tables(url, tmp_path / "again")
    assert digest(once) == digest(again)
    assert digest(once)["rows"] > 20
    for statement, alike in (
        ("UPDATE place SET topic_offset = 7", True),
        ("UPDATE deliveries SET reason = 'another' WHERE subscriber = 'berta' AND channel = 'sms'", False),
    ):
        with closing(sqlite3.connect(again)) as connection, connection:
            connection.execute(statement)
        assert (digest(once) == digest(again)) is alike


@pytest.mark.kafka
def test_a_small_one_in_which_each_room_is_killed_is_replayed_twice_to_the_same_bytes(tmp_path: Path) -> None:
    try:
        java()
        fetch_jars()
        tool("smtp-sink", "postfix")
    except TocsinError as error:
        pytest.skip(str(error))
    pasts = pasts_of(read(SHIPPED))
    url = tmp_path / "archive"
    recorded = asyncio.run(record(pasts, Course(subscribers=200, speed=60_000.0, seed=1), url))
    assert {killed["room"] for killed in recorded["killed"]} == KILLED.keys()
    assert recorded["lost"] == 0
    assert recorded["twice"]["email"] <= recorded["unknown"]
    assert recorded["settled"] == recorded["intents"] > 100
    found = replayed(str(url))
    assert (found["sound"], found["as_recorded"], found["alike"]) == (True, True, True)
    assert [one["incidents"] for one in found["decided_again"]] == [len(pasts)] * 2
    assert found["log"]["entries"] > recorded["intents"] / 10
