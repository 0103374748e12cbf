"""`tocsin deadletters`: seeing why, and bringing it in again."""

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.broker import connect
from pipeline.commands.deadletters import NotKept, again
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.audit import Origin
from schemas.codec import Outgoing, Record
from schemas.deadletter import DeadLetter
from tests.commands.running import tocsin

AT = datetime(2026, 3, 4, tzinfo=UTC)


def letter(record: Record, **changes: object) -> DeadLetter:
    value = record.value or b""
    return DeadLetter(
        reason="invalid_json",
        detail="Expecting value\x1b[2J at column 1",
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
        appended_at=AT,
        room="decide",
        key=base64.b64encode(record.key or b"").decode(),
        headers=tuple((name, base64.b64encode(held).decode()) for name, held in record.headers),
        size=len(value),
        sha256=hashlib.sha256(value).hexdigest(),
        value=base64.b64encode(value).decode(),
    ).model_copy(update=changes)


async def bury(settings: Settings, buried: DeadLetter) -> str:
    async with connect.open_producer(settings) as producer:
        outgoing = codec.encode(topics.DEAD_LETTERS, buried, id="d", source="/tocsin/decide", partition=2)
        written = await connect.send(producer, outgoing)
    return f"2-{written.offset}"


async def input_records(settings: Settings) -> list[Record]:
    return [record async for record in connect.read_all(settings, topics.INCIDENT_EVENTS.name)]


@pytest.fixture
async def broken(own_broker: Settings) -> Record:
    async with connect.open_producer(own_broker) as producer:
        await connect.send(
            producer, Outgoing("incident.events", b"i1", b"{\x1b[2J\xff", (("ce_id", b"e1"),), partition=1)
        )
    [record] = await input_records(own_broker)
    return record


async def test_dead_letters_are_listed_and_shown_without_moving_the_cursor(
    own_broker: Settings, broken: Record
) -> None:
    name = await bury(own_broker, letter(broken))
    listed = await tocsin(own_broker, "deadletters", "list")
    assert name in listed.stdout
    assert "incident.events/1@0" in listed.stdout
    shown = await tocsin(own_broker, "deadletters", "show", name)
    assert "ce_id: e1" in shown.stdout
    assert "value     {\\x1b[2J\\xff" in shown.stdout
    assert "\x1b" not in shown.stdout + listed.stdout


async def test_none_is_said_where_there_are_none(own_broker: Settings) -> None:
    assert (await tocsin(own_broker, "deadletters", "list")).stdout == "no dead letters\n"


async def test_a_letter_that_is_not_there_is_named(own_broker: Settings) -> None:
    for name in ("2-7", "x", "99-0"):
        result = await tocsin(own_broker, "deadletters", "show", name)
        assert result.exit_code == 1
        assert f"there is no dead letter '{name}'" in result.stderr


async def test_a_replayed_letter_stands_in_its_topic_again_byte_for_byte(own_broker: Settings, broken: Record) -> None:
    name = await bury(own_broker, letter(broken, value=None))  # even if nothing was kept: it stands at its origin
    result = await tocsin(own_broker, "deadletters", "replay", name)
    assert "written: incident.events, partition 1, offset 1" in result.stdout
    first, second = await input_records(own_broker)
    assert (second.key, second.value, second.headers) == (first.key, first.value, first.headers)


async def test_a_mended_value_takes_the_place_of_the_broken_one(
    own_broker: Settings, broken: Record, tmp_path: Path
) -> None:
    name = await bury(own_broker, letter(broken))
    mended = tmp_path / "mended.json"
    mended.write_bytes(b"{}")
    result = await tocsin(own_broker, "deadletters", "replay", name, "--value", str(mended))
    assert result.exit_code == 0, result.output
    _, second = await input_records(own_broker)
    assert (second.key, second.value, second.headers) == (b"i1", b"{}", broken.headers)


async def test_what_is_gone_from_its_origin_is_replayed_from_what_was_kept(
    own_broker: Settings, broken: Record
) -> None:
    gone = replace(broken, offset=40, value=b'{"other": 1}')
    name = await bury(own_broker, letter(gone))
    assert (await tocsin(own_broker, "deadletters", "replay", name)).exit_code == 0
    assert (await input_records(own_broker))[-1].value == b'{"other": 1}'


async def test_a_sealed_value_is_opened_for_its_replay_only(own_broker: Settings, broken: Record) -> None:
    plain = b'{"email": "ann@example.com"'
    gone = replace(broken, topic="subscriber.events", offset=40, value=plain)
    sealed = Vault.open(own_broker).seal_blob(plain)
    name = await bury(own_broker, letter(gone, value=None, sealed=sealed))
    assert "ann@example.com" not in (await tocsin(own_broker, "deadletters", "show", name)).stdout
    assert (await tocsin(own_broker, "deadletters", "replay", name)).exit_code == 0
    [record] = [record async for record in connect.read_all(own_broker, "subscriber.events")]
    assert record.value == plain


def test_half_a_value_is_not_replayed() -> None:
    record = Record("incident.events", 1, 0, AT, b"i1", b"whole")
    half = letter(record)
    with pytest.raises(NotKept, match="of its 5 bytes 3 were kept"):
        again(half, None, b"who", None)
    assert again(half, None, b"who", b"new").value == b"new"
