"""A worker that starts again goes on from what it kept, if the topics are still those that it was folded from."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from agents.holdings import NOWHERE, Holding, Holdings
from agents.keeping import Keeping
from pipeline.deliver.store import Place, proof_of
from pipeline.registrations import registration
from pipeline.subscribers import event_record, key_record, subscribe
from pipeline.vault import Vault
from schemas import topics
from schemas.codec import Outgoing, Record
from schemas.subscriber import Erased
from tests.deliver.given import AT

VAULT = Vault.of(b"a secret for tests, 32 characters")
PEOPLE = (topics.SUBSCRIBER_EVENTS_TOPIC.name, topics.SUBSCRIBER_KEYS.name)


class Log:
    """One partition of each topic, and a follower of it that counts what it had to read."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {topic: [] for topic in PEOPLE}
        self.read = 0
        self._next: dict[str, int] = {}

    def append(self, *outgoing: Outgoing) -> None:
        for one in outgoing:
            at = len(self.records[one.topic])
            self.records[one.topic].append(Record(one.topic, 0, at, AT, one.key, one.value, one.headers))

    def subscribe(self, *ids: str) -> None:
        for id_ in ids:
            row = registration({"audiences": ["customers"], "email": f"{id_}@example.com"})
            self.append(*subscribe(VAULT, row, id_, AT))

    def followed(self, apply: Callable[[Record], None]) -> "Log":
        self._apply = apply
        return self

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def assign(self, partitions: Iterable[int], starts: Mapping[tuple[str, int], int] = NOWHERE) -> None:
        self._next = {topic: starts.get((topic, 0), 0) for topic in PEOPLE}

    async def holds(self, topic: str, partition: int, place: Place) -> bool:
        log = self.records[topic]
        return len(log) >= place.next and proof_of(log[place.next - 1]) == place.proof

    async def caught_up(self, partition: int, *of: topics.Topic) -> None:
        for topic, records in self.records.items():
            for record in records[self._next[topic] :]:
                self.read += 1
                self._apply(record)
            self._next[topic] = len(records)


async def nothing_to_take_over(_holding: Holding) -> None: ...


async def started(log: Log, folder: Path) -> tuple[Holdings, Holding]:
    log.read = 0
    holdings = Holdings(log.followed, nothing_to_take_over, Keeping(folder))
    await holdings.own({0})
    holding = await holdings.get(0)
    assert holding is not None
    return holdings, holding


@pytest.mark.parametrize("stopped", ["in order", "by losing its partition"])
async def test_only_what_came_since_is_folded_by_whoever_starts_again(tmp_path, stopped):
    log = Log()
    log.subscribe("s1", "s2", "s3")
    holdings, _ = await started(log, tmp_path)
    assert log.read == 6
    if stopped == "in order":
        await holdings.keep()
        await holdings.stop()
    else:
        await holdings.own(set())
        await holdings.stop()
    log.subscribe("s4")
    _, holding = await started(log, tmp_path)
    assert log.read == 2
    assert sorted(holding.subscribers) == ["s1", "s2", "s3", "s4"]
    assert all(holding.subscribers.key(id_) is not None for id_ in holding.subscribers)


async def test_after_a_crash_what_was_not_kept_is_folded_once_more(tmp_path):
    log = Log()
    log.subscribe("s1")
    holdings, holding = await started(log, tmp_path)
    await holdings.keep()
    log.subscribe("s2")
    await log.caught_up(0)
    for store in holdings._keeper._stores.values():  # type: ignore[attr-defined]
        store.close()  # as the kernel does, with whatever ends the process
    _, holding = await started(log, tmp_path)
    assert log.read == 2
    assert sorted(holding.subscribers) == ["s1", "s2"]


async def test_what_was_kept_of_other_topics_is_not_believed(tmp_path, caplog):
    log = Log()
    log.subscribe("s1", "s2")
    holdings, _ = await started(log, tmp_path)
    await holdings.stop()
    other = Log()
    other.subscribe("t1", "t2")
    holdings, holding = await started(other, tmp_path)
    assert sorted(holding.subscribers) == ["t1", "t2"]
    assert "folded anew" in caplog.text
    await holdings.stop()
    _, holding = await started(other, tmp_path)
    assert other.read == 0, "and the file is of these topics from now on"


async def test_a_key_that_was_destroyed_long_ago_is_not_in_the_file_for_ever(tmp_path):
    log = Log()
    log.subscribe("s1")
    holdings, _ = await started(log, tmp_path)
    await holdings.stop()
    log.append(event_record("s1", Erased(), AT), key_record("s1", None, AT))
    del log.records[topics.SUBSCRIBER_KEYS.name][-1]  # the tombstone has outlived its time
    holdings, holding = await started(log, tmp_path)
    assert holding.subscribers.key("s1") is None
    await holdings.stop()
    _, holding = await started(log, tmp_path)
    assert holding.subscribers.key("s1") is None


async def test_where_nothing_can_be_kept_people_are_told_all_the_same(tmp_path, caplog):
    log = Log()
    log.subscribe("s1")
    (tmp_path / "file").write_text("no folder")
    holdings, holding = await started(log, tmp_path / "file" / "below")
    assert sorted(holding.subscribers) == ["s1"]
    assert "not kept" in caplog.text
    await holdings.keep()
    await holdings.stop()


async def test_two_workers_do_not_share_a_file(tmp_path):
    log = Log()
    log.subscribe("s1")
    holdings, _ = await started(log, tmp_path)
    other = Log()
    other.records = log.records
    _, holding = await started(other, tmp_path)
    assert (other.read, sorted(holding.subscribers)) == (2, ["s1"])
    await holdings.stop()
