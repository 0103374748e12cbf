"""Bad input becomes a dead letter with its reason and origin; the partition goes on."""

import json

from pipeline.broker import connect
from schemas import codec, topics
from schemas.base import Severity
from schemas.deadletter import DeadLetter
from schemas.incident import IncidentOpened, IncidentResolved
from tests.system import System, eventually

STRUCTURED = (("content-type", b"application/cloudevents+json"),)
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/tests",
    "type": "io.tocsin.incident.opened.v1",
    "subject": "INC-1",
    "data": {"title": "Search is slow", "severity": "major"},
}


def structured(**change: object) -> bytes:
    return json.dumps(EVENT | change).encode()


BAD: dict[str, tuple[bytes | None, bytes]] = {
    "invalid_json": (b"INC-1", b"{"),
    "unknown_type": (b"INC-1", structured(type="com.example.other")),
    "missing_field": (b"INC-1", structured(data={"title": "no severity"})),
    "invalid_field": (b"INC-1", structured(data={"title": "t", "severity": "huge"})),
    "too_large": (b"INC-1", structured(data={"title": "t", "severity": "major", "summary": "x" * 2_000_000})),
    "bad_utf8": (b"INC-1", b'{"id":"\xff"}'),
    "wrong_key": (b"INC-2", structured()),
    "not_a_cloudevent": (b"INC-1", b"{}"),
}


async def test_each_bad_input_is_a_dead_letter_and_the_partition_goes_on(system: System) -> None:
    await system.subscribe("mail-1", email="a@example.com")
    partition = 1
    for key, value in BAD.values():
        await system.write(codec.Outgoing(topics.INCIDENT_EVENTS.name, key, value, STRUCTURED, partition))
    good = IncidentOpened(title="Search is slow", severity=Severity.MAJOR)
    await system.write(
        codec.encode(topics.INCIDENT_EVENTS, good, id="good", source="/t", subject="INC-9", partition=partition)
    )
    await system.sandbox.wait_for(lambda: system.sandbox.mails, timeout=30)

    async def letters() -> list[DeadLetter] | None:
        found = [codec.decode(record, DeadLetter).data for record in await system.read(topics.DEAD_LETTERS)]
        return found if len(found) == len(BAD) else None

    found = await eventually(letters, 20, "a dead letter each")
    assert {letter.reason for letter in found} == BAD.keys()
    assert {letter.origin.offset for letter in found} == set(range(len(BAD)))
    assert all(letter.origin.topic == "incident.events" and letter.origin.partition == partition for letter in found)
    assert all(letter.detail for letter in found)


async def test_an_event_that_stands_in_another_partition_than_its_keys_is_moved_there(system: System) -> None:
    await system.subscribe("mail-1", email="a@example.com")
    home = connect.partition_for("INC-1", system.settings.partitions)
    strange = (home + 1) % system.settings.partitions
    opened = IncidentOpened(title="Search is slow", severity=Severity.MAJOR)
    resolved = IncidentResolved(summary="Search is quick again.")
    for n, (event, partition) in enumerate([(opened, strange), (opened, home), (resolved, strange)]):
        await system.write(
            codec.encode(
                topics.INCIDENT_EVENTS, event, id=f"e{n // 2}", source="/t", subject="INC-1", partition=partition
            )
        )
    found = await system.all_settled(2)
    assert len(found.intended) == 2
    entries = await system.read(topics.INCIDENT_JOURNAL)
    assert {entry.partition for entry in entries} == {home}
    assert len(entries) == 2


async def test_an_address_in_clear_on_subscriber_events_is_refused_and_kept_sealed(system: System) -> None:
    plain = json.dumps({"choices": {"audiences": ["customers"], "channels": ["email"]}, "email": "secret@example.com"})
    headers = {
        "ce_specversion": "1.0",
        "ce_id": "1",
        "ce_source": "/t",
        "ce_type": "io.tocsin.subscriber.subscribed.v1",
        "ce_subject": "s1",
    }
    raw = tuple((name, value.encode()) for name, value in headers.items())
    await system.write(codec.Outgoing(topics.SUBSCRIBER_EVENTS_TOPIC.name, b"s1", plain.encode(), raw))

    async def letter() -> DeadLetter | None:
        found = [codec.decode(record, DeadLetter).data for record in await system.read(topics.DEAD_LETTERS)]
        return found[0] if found else None

    found = await eventually(letter, 20, "the dead letter")
    assert found.value is None
    assert b"secret" not in found.model_dump_json().encode()
    assert found.sealed is not None
    assert b"secret@example.com" in system.vault.unseal_blob(found.sealed)
