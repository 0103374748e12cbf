"""What the tables hold, in SQLite and in PostgreSQL alike."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from pipeline.audit.places import place_of
from pipeline.audit.seal import seal_own
from pipeline.errors import AuditError
from pipeline.projection.homes import Home, home
from pipeline.projection.rebuilding import Part, from_place, rebuild
from pipeline.projection.store import Store
from pipeline.projection.tables import COUNTS, DELIVERIES, PLACE, REACH
from pipeline.replay.measure import measured, promises_in
from pipeline.replay.results import Story
from pipeline.settings import Settings
from schemas import topics
from schemas.audit import KeyIntroduced
from schemas.base import Channel
from schemas.codec import Record
from schemas.delivery import Result
from schemas.ids import derived
from schemas.journal import NoticeDecided, NoticeHeld
from schemas.subscriber import Choices, Erased, SealedContact, Subscribed
from tests.audit.logs import record, seal_all, subscribed, unsubscribed
from tests.conftest import MakeSettings
from tests.projection.made import (
    SOME,
    apply,
    attempted,
    ended,
    intended,
    journaled,
    mixed,
    receipt,
    run,
    s,
    sealed,
    tables,
    trial,
)


async def test_an_incident_stands_in_the_tables_as_it_was_decided(store: Store) -> None:
    entries = [turn.entry for turn in run().turns]
    await apply(store, sealed(*journaled(entries)))
    found = await tables(store)
    [incident] = found["incidents"]
    after = run().turns[-1].after
    assert (incident["title"], incident["phase"]) == (after.known.title, after.phase)
    assert (incident["severity"], incident["opened_at"], incident["over_at"]) == (
        after.worst, after.opened_at, after.over_at,
    )  # fmt: skip
    decided = [one for entry in entries for one in entry.decisions]
    assert len(found["notices"]) == sum(isinstance(one, NoticeDecided) for one in decided)
    assert {row["draft"] for row in found["drafts"]} == {
        one.draft for one in decided if hasattr(one, "draft") and one.draft is not None
    }
    assert [(row["audience"], row["due"], row["kept"]) for row in found["promises"]] == [
        (one.audience, one.due, one.kept) for one in promises_in(entries)
    ]
    held = {one.draft for one in decided if isinstance(one, NoticeHeld)}
    assert held
    assert {row["draft"] for row in found["approvals"]} <= {row["draft"] for row in found["drafts"]}
    assert all(row["roles"] for row in found["approvals"])


async def test_the_figures_of_an_incident_are_those_of_the_back_test(store: Store) -> None:
    await apply(store, sealed(*journaled(turn.entry for turn in run().turns)))
    [row] = (await tables(store))["stories"]
    story = TypeAdapter(Story).validate_json(row["story"])
    result = measured(run(), trial().conditions, trial().prices)
    assert story.facts_silence_s == result.facts_silence_s
    assert (story.promises, story.findings, story.said) == (result.promises, result.findings, result.said)
    told = {name: heard for name, heard in result.audiences.items() if heard.notices}
    assert {name: heard for name, heard in story.audiences.items() if heard.notices} == told


async def test_deliveries_stand_by_person_and_counted(store: Store) -> None:
    await apply(store, sealed(*SOME))
    found = await tables(store)
    standing = {(row["subscriber"], row["channel"]): (row["result"], row["unknowns"]) for row in found["deliveries"]}
    assert standing == {
        ("ann", "email"): ("accepted", 0),
        ("bob", "email"): ("accepted", 1),
        ("cem", "email"): ("retryable", 0),
        ("dora", "email"): ("suppressed", 0),
        ("ann", "sms"): ("accepted", 0),
    }
    mail, sms = found["reach"]
    counts = {name: mail[name] for name in COUNTS if mail[name]}
    assert counts == {"intended": 4, "accepted": 2, "suppressed": 1, "waiting": 1, "attempts": 4, "unknowns": 1}
    assert (mail["first_accepted_at"], mail["last_accepted_at"]) == (s(2), s(9))
    assert (sms["accepted"], sms["arrived"], sms["came_back"]) == (1, 1, 0)


async def test_what_came_back_after_it_had_arrived_counts_as_it_was_said_last(store: Store) -> None:
    log = sealed(*SOME, receipt("ann", "undelivered", at=5))
    await apply(store, log)
    sms = (await tables(store))["reach"][1]
    assert (sms["arrived"], sms["came_back"]) == (0, 1)


async def test_the_same_entries_twice_in_any_parts_make_the_same_tables(where: Home, store: Store) -> None:
    log, chance = mixed(), random.Random(4)
    await apply(store, log)
    once = await tables(store)
    other = await where.new()
    at = 0
    while at < len(log):
        back, on = chance.randint(0, at), chance.randint(1, 9)
        await apply(other, log[back : at + on])
        at += on
    await apply(other, log)
    assert await tables(other) == once
    await other.close()


async def test_the_counts_are_those_of_the_persons(store: Store) -> None:
    chance = random.Random(7)
    people, records = [f"p{n}" for n in range(12)], []
    for number in range(120):
        who, channel = chance.sample(people, 3), chance.choice((Channel.EMAIL, Channel.SMS))
        made: Record = chance.choice(
            (
                lambda who=who, channel=channel: intended(*who, channel=channel),
                lambda who=who, channel=channel, n=number: attempted(*who, channel=channel, attempt=n + 1),
                lambda who=who, channel=channel, n=number: ended(
                    chance.choice(tuple(Result)), *who, channel=channel, attempt=n + 1
                ),
                lambda who=who, channel=channel: receipt(
                    who[0], chance.choice(("sent", "delivered", "failed")), channel=channel
                ),
            )
        )()
        records.append(made)
    log = sealed(*records)
    while log:
        part = chance.randint(1, 20)
        await apply(store, log[:part])
        log = log[part:]
    found = await tables(store)
    persons = Counter((row["channel"], row["audience"] or "") for row in found["deliveries"])
    assert {(row["channel"], row["audience"]): row["intended"] for row in found["reach"] if row["intended"]} == persons
    for name in ("accepted", "unknown", "permanent", "parked", "suppressed"):
        by_result = sum(row["result"] == name for row in found["deliveries"])
        assert sum(row[name] for row in found["reach"]) == by_result
    assert sum(row["unknowns"] for row in found["reach"]) == sum(row["unknowns"] for row in found["deliveries"])
    arrived = sum(row["receipt"] == "delivered" for row in found["deliveries"])
    assert sum(row["arrived"] for row in found["reach"]) == arrived


async def test_entries_that_do_not_link_are_void(store: Store) -> None:
    log = mixed()
    await apply(store, [log[0], b"no entry", None, log[0], log[2], *log[1:]])
    assert (await store.place()).entries == len(log)


async def test_an_entry_that_holds_a_hash_only_is_counted(store: Store) -> None:
    broken = record(topics.INCIDENT_JOURNAL, run().turns[0].entry, id="j", subject="x", offset=0)
    await apply(store, sealed(Record(broken.topic, 0, 0, broken.timestamp, b"x", b"no JSON", broken.headers), *SOME))
    place = await store.place()
    assert (place.by_hash, place.entries) == (1, len(SOME) + 1)


async def test_what_the_log_says_of_itself_is_an_entry_like_any_other_and_concerns_no_table(store: Store) -> None:
    sealed_ones = seal_all(SOME)
    own = KeyIntroduced(note="note")
    last = seal_own(sealed_ones[-1].chain, own, s(9))
    await apply(store, [*(one.value for one in sealed_ones), last.value])
    place = await store.place()
    assert (place.by_hash, place.entries) == (0, len(SOME) + 1)


async def test_an_export_that_lacks_an_entry_is_refused_and_the_old_tables_serve_on(
    settings: Settings, where: Home, store: Store, tmp_path: Path
) -> None:
    log = mixed()
    await apply(store, log)
    export = tmp_path / "log.jsonl"
    export.write_bytes(b"".join(value + b"\n" for place, value in enumerate(log) if place != 5))
    with pytest.raises(AuditError, match="what should be entry 5 does not follow"):
        await rebuild(settings, where, from_place(place_of(settings, export)))
    served = await where.serving()
    assert served is not None
    assert (await served.place()).entries == len(log)
    await served.close()
    export.write_bytes(b"".join(value + b"\n" for value in log))
    assert await rebuild(settings, where, from_place(place_of(settings, export))) == len(log)


async def test_place_and_rows_are_written_together_or_not_at_all(store: Store) -> None:
    log = mixed()
    await apply(store, log[:2])
    before = await store.place()
    async with store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE reach RENAME TO elsewhere"))
    with pytest.raises(DBAPIError):
        await apply(store, log)
    async with store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO reach"))
    assert await store.place() == before
    assert (await tables(store))["incidents"] == []
    await apply(store, log)
    assert (await store.place()).entries == len(log)


async def test_no_contact_data_is_in_any_table_not_even_sealed(store: Store) -> None:
    await apply(store, mixed())
    everything = str(await tables(store))
    assert "customers" in everything
    for secret in ("c2VjcmV0", "bm9uY2U=", "ciphertext"):
        assert secret not in everything


async def test_whoever_is_erased_leaves_no_more_than_that_there_was_someone(store: Store) -> None:
    gone = record(topics.SUBSCRIBER_EVENTS_TOPIC, Erased(), id=derived("erased"), subject="ann", offset=3, at=s(60))
    await apply(store, sealed(subscribed("ann", 0), subscribed("bob", 1), gone, unsubscribed("ann", 4)))
    ann, bob = (await tables(store))["subscribers"]
    assert bob["audiences"] == ["customers"]
    assert ann["erased"]
    left = {name for name, value in ann.items() if value not in (None, False)}
    assert left == {"subscriber", "kind", "erased", "opted_out", "at", "state"}
    assert "customers" not in ann["state"]
    assert "token" not in ann["state"].replace('"address_tokens"', "")


async def test_what_an_erased_person_had_chosen_is_overwritten_in_the_file(make_settings: MakeSettings) -> None:
    where = home(make_settings())
    store = await where.new()
    joined = Subscribed(
        choices=Choices(audiences=("customers",), channels=(Channel.EMAIL,)),
        contact=SealedContact(nonce="", ciphertext=""),
        address_tokens={},
        consent="asked at the fair",
    )
    one = record(topics.SUBSCRIBER_EVENTS_TOPIC, joined, id="s", subject="ann", offset=0)
    gone = record(topics.SUBSCRIBER_EVENTS_TOPIC, Erased(), id="e", subject="ann", offset=1)
    log, file = sealed(one, gone), Path(str(store.engine.url.database))

    async def on_disk() -> bytes:
        async with store.engine.connect() as connection:
            await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        return file.read_bytes()

    await apply(store, log[:1])
    assert b"asked at the fair" in await on_disk()
    await apply(store, log[1:])
    assert b"asked at the fair" not in await on_disk()
    await store.close()


async def parts(log: list[bytes], each: int = 40):
    for begin in range(0, len(log), each):
        yield Part(log[begin : begin + each], begin + each)


async def test_a_rebuild_makes_the_same_while_the_old_one_serves(settings: Settings, where: Home, store: Store) -> None:
    log = mixed()
    await apply(store, log)
    before, seen = await tables(store), []

    async def slowly():
        async for part in parts(log):
            served = await where.serving()
            assert served is not None
            assert (await served.place()).entries == len(log)
            await served.close()
            seen.append(len(part.values))
            yield part

    assert await rebuild(settings, where, slowly()) == len(log)
    assert len(seen) > 1
    served = await where.serving()
    assert served is not None
    assert await tables(served) == before
    await served.close()


async def test_a_rebuild_that_fails_changes_nothing(settings: Settings, where: Home, store: Store) -> None:
    log = mixed()
    await apply(store, log[:50])

    async def broken():
        yield Part(log[:20])
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        await rebuild(settings, where, broken())
    served = await where.serving()
    assert served is not None
    assert (await served.place()).entries == 50
    await served.close()
    assert await rebuild(settings, where, parts(log)) == len(log)


async def test_whoever_writes_into_what_was_replaced_changes_nothing(
    settings: Settings, where: Home, store: Store
) -> None:
    log = mixed()
    await apply(store, log[:50])
    await rebuild(settings, where, parts(log[:60]))
    if not where.moved(store):  # PostgreSQL: the same name is another schema, and what is written goes on from there
        await apply(store, log[40:70])
    served = await where.serving()
    assert served is not None
    await apply(served, log)
    other = await where.new()
    await apply(other, log)
    assert await tables(served) == await tables(other)
    await served.close()
    await other.close()


async def test_tables_of_another_version_are_known_as_such(store: Store) -> None:
    assert await store.is_current()
    async with store.engine.begin() as connection:
        await connection.execute(PLACE.update().values(version="0-old"))
    assert not await store.is_current()


async def test_two_who_write_at_once_write_each_entry_once(where: Home, store: Store) -> None:
    log = sealed(*SOME)
    other = await where.serving()
    assert other is not None
    await asyncio.gather(*(apply(one, log[:at]) for at in range(1, len(log) + 1) for one in (store, other)))
    async with store.engine.connect() as connection:
        accepted = (await connection.execute(select(REACH.c.accepted).order_by(REACH.c.channel))).scalars().all()
        persons = len((await connection.execute(select(DELIVERIES.c.subscriber))).all())
    assert (list(accepted), persons) == ([2, 1], 5)
    await other.close()
