"""`tocsin status`: what a person on call must know, with and without a broker."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from pipeline import policy
from pipeline.broker import connect, runfile
from pipeline.commands.lag import behind
from pipeline.commands.overview import Journal
from pipeline.commands.status import counted, gather, its_now, span, workers
from pipeline.commands.witness import following, line_of
from pipeline.decide.incident import decide
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.audit import CheckpointSigned
from schemas.base import Channel, Severity
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, Outcome, Result
from schemas.incident import ImpactChanged, IncidentEvent, IncidentOpened, IncidentResolved
from schemas.journal import JournaledInput, JournalEntry, NoticeKind, VirtualClock
from tests.audit.logs import SEEN_AT, witness_follows
from tests.commands.running import tocsin
from tests.conftest import MakeSettings

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
POLICY = policy.compile(policy.load(Settings.model_fields["policy_dir"].default))


def given(event: IncidentEvent, number: int, virtual: VirtualClock | None = None) -> JournaledInput:
    return JournaledInput(
        id=f"e{number}",
        source="/test",
        type=event.TYPE,
        topic="incident.events",
        partition=0,
        offset=number,
        appended_at=NOW + timedelta(minutes=number),
        virtual=virtual,
        data=json.loads(event.model_dump_json(exclude_none=True)),
    )


def journal_of(incident: str, events: Sequence[IncidentEvent]) -> list[codec.Outgoing]:
    journal, found = Journal(), []
    for number, event in enumerate(events):
        state = journal.states.get(incident) or _fresh(incident)
        entry = decide(state, given(event, number), POLICY).entry
        outgoing = codec.encode(topics.INCIDENT_JOURNAL, entry, id=f"{incident}{number}", source="/t", subject=incident)
        journal.apply(codec.Record("incident.journal", 0, number, NOW, outgoing.key, outgoing.value, outgoing.headers))
        found.append(outgoing)
    return found


def _fresh(incident: str) -> Any:
    from pipeline.decide.state import IncidentState

    return IncidentState(incident)


def opened(**more: Any) -> IncidentOpened:
    return IncidentOpened(title="Search is slow", severity=Severity.MINOR, **more)


async def write(settings: Settings, outgoings: Sequence[codec.Outgoing]) -> None:
    async with connect.open_producer(settings) as producer:
        for outgoing in outgoings:
            await connect.send(producer, outgoing)


async def test_open_incidents_and_owed_promises_are_told_the_most_urgent_first(own_broker: Settings) -> None:
    late, soon = NOW + timedelta(minutes=1), NOW + timedelta(minutes=30)
    await write(
        own_broker,
        [
            *journal_of("quiet", [opened()]),
            *journal_of("over", [opened(), IncidentResolved()]),
            *journal_of(
                "soon",
                [opened(next_update_at=late), ImpactChanged(severity=Severity.MINOR, summary="x", next_update_at=soon)],
            ),
            *journal_of("late", [opened(next_update_at=late)]),
        ],
    )
    found = await gather(own_broker, NOW + timedelta(minutes=5))
    assert found.incidents is not None
    assert [(one.incident, one.overdue) for one in found.incidents] == [
        ("late", True), ("soon", False), ("quiet", False),
    ]  # fmt: skip
    shown = (await tocsin(own_broker, "status")).stdout
    assert "late: Search is slow (open, minor), next update by 2026-03-04 09:01 UTC, overdue by " in shown
    assert f", {connect.bootstrap(own_broker)}\n" in shown


def test_lengths_of_time_and_numbers_are_said_as_people_say_them() -> None:
    assert [span(s) for s in (59, 28 * 60, 125 * 60)] == ["0 min", "28 min", "2 h 05 min"]
    assert [counted(n, "delivery", "deliveries") for n in (1, 2)] == ["1 delivery", "2 deliveries"]
    assert counted(2, "dead letter") == "2 dead letters"


async def test_how_far_the_witness_has_followed_is_said_in_red_if_it_is_silent(make_settings: MakeSettings) -> None:
    settings = make_settings()
    assert (await gather(settings, NOW)).witness is None
    witness_follows(settings.data_dir, seen=6)
    soon, later = SEEN_AT + timedelta(seconds=20), SEEN_AT + timedelta(minutes=75)
    assert [(found.signed, found.seen, found.at, found.late) for at in (soon, later)
            if (found := (await gather(settings, at)).witness)] == [
        (10, 6, SEEN_AT, False), (10, 6, SEEN_AT, True),
    ]  # fmt: skip
    found = following(settings, later)
    assert found is not None
    assert line_of(found, later).startswith(
        "[red]witness   has not seen the last 4 of 10 entries; cosigned last at 2026-03-04T03:00:00Z, 1h 15 ago[/red]"
    )
    all_seen = found.model_copy(update={"seen": 10, "late": False})
    assert line_of(all_seen, soon) == (
        "witness   has seen all 10 entries; cosigned last at 2026-03-04T03:00:00Z, 20 s ago"
    )


async def test_lag_counts_what_no_room_has_worked_off(own_broker: Settings) -> None:
    events = [
        codec.encode(topics.INCIDENT_EVENTS, opened(), id=f"e{n}", source="/t", subject=f"i{n}") for n in range(3)
    ]
    await write(own_broker, [*events, *journal_of("i0", [opened()])])
    found = await gather(own_broker, NOW)
    assert found.lag == {"decide": 3, "deliver": 0, "record": 1}


async def test_a_log_that_stands_still_is_said_since_when(own_broker: Settings) -> None:
    await write(own_broker, journal_of("i0", [opened()]))
    [record] = [r async for r in connect.read_all(own_broker, topics.INCIDENT_JOURNAL.name)]
    late = record.timestamp + timedelta(seconds=61)
    assert (await gather(own_broker, late - timedelta(seconds=1))).standstill is None, "it may be so late"
    assert (await gather(own_broker, late)).standstill == record.timestamp
    read = {record.topic: tuple(int(number == record.partition) for number in range(own_broker.partitions))}
    signed = CheckpointSigned(holder="record-1", size=1, root="0" * 64, read=read, at=NOW)
    await write(
        own_broker,
        [codec.encode(topics.AUDIT_CHECKPOINTS, signed, id="s", source="/t", subject="r", key="log", partition=0)],
    )
    found = await gather(own_broker, late + timedelta(hours=1))
    assert found.standstill is None, "nothing waits to be sealed"
    assert found.lag is not None
    assert found.lag["record"] == 0


async def test_deliveries_that_wait_are_counted_until_their_end(own_broker: Settings) -> None:
    common: dict[str, Any] = {
        "batch_id": "b", "notice_id": "n", "incident": "i", "seq": 1, "channel": Channel.SMS, "at": NOW,
    }  # fmt: skip
    due = NOW + timedelta(minutes=3)

    def ended(attempt: int, result: Result, recipients: str, due: datetime | None = None) -> DeliveriesEnded:
        outcomes = tuple(Outcome(recipient=r, result=result, reason="x", due=due) for r in recipients)
        return DeliveriesEnded(**common, attempt_id=f"a{attempt}", attempt=attempt, outcomes=outcomes)

    intended = DeliveriesIntended(
        **common, kind=NoticeKind.OPENED, audience="customers", rendering="0" * 64, recipients=("p", "q")
    )
    records = [intended, ended(1, Result.RETRYABLE, "pq", due), ended(2, Result.ACCEPTED, "p")]
    await write(
        own_broker,
        [
            codec.encode(topics.DELIVERY_RECORDS_TOPIC, record, id=f"{n}", source="/t", partition=0)
            for n, record in enumerate(records)
        ],
    )
    found = await gather(own_broker, NOW)
    assert found.waiting is not None
    assert (found.waiting.count, found.waiting.next) == (1, due)


async def test_what_waits_for_a_person_is_said_with_its_reason_and_the_way_on(own_broker: Settings) -> None:
    common: dict[str, Any] = {"batch_id": "b", "notice_id": "n", "incident": "INC-1", "seq": 1, "at": NOW}
    parked = tuple(Outcome(recipient=r, result=Result.PARKED, reason="spending_cap") for r in "pq")
    ended = DeliveriesEnded(**common, channel=Channel.SMS, attempt=1, outcomes=parked)
    await write(own_broker, [codec.encode(topics.DELIVERY_RECORDS_TOPIC, ended, id="1", source="/t", partition=0)])
    found = await gather(own_broker, NOW)
    assert found.parked is not None
    assert [(heap.incident, heap.reason, heap.count) for heap in found.parked] == [("INC-1", "spending_cap", 2)]
    shown = (await tocsin(own_broker, "status")).stdout
    assert "2 sms messages of INC-1: spending_cap, since 2026-03-04T09:00:00Z: tocsin deliveries" in shown
    listed = (await tocsin(own_broker, "deliveries", "parked")).stdout
    assert listed == "INC-1  sms  2  spending_cap  since 2026-03-04T09:00:00Z\n"
    refused = await tocsin(own_broker, "deliveries", "retry", "--reason", "spending_cap", "--yes")
    assert refused.exit_code == 1, "nobody's key is here"


async def test_for_programs_there_is_json(own_broker: Settings) -> None:
    result = await tocsin(own_broker, "status", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["lag"] == {"decide": 0, "deliver": 0, "record": 0}
    assert (told["incidents"], told["dead_letters"], told["problem"]) == ([], 0, None)
    assert [worker["name"] for worker in told["workers"]] == ["broker"]


async def test_without_a_broker_the_workers_are_told_all_the_same(make_settings: Any) -> None:
    settings: Settings = make_settings()
    (runfile.run_dir(settings.data_dir) / "decide.ready").write_text(f"{os.getpid()}\n")
    result = await tocsin(settings, "status")
    assert result.exit_code == 1
    assert f"decide    ready (pid {os.getpid()})" in result.stdout
    assert "no embedded broker runs" in result.stdout


def test_a_process_that_only_bears_the_same_number_is_not_taken_for_the_worker(make_settings: Any) -> None:
    settings: Settings = make_settings()
    mine = {"pid": os.getpid(), "restarts": 2, "log": "x"}
    runfile.write_own(
        runfile.run_dir(settings.data_dir) / "up.json",
        processes={
            "decide": {**mine, "created": 0.0},
            "record": {**mine, "created": psutil.Process().create_time()},
            "web": {**mine, "created": psutil.Process().create_time()},
        },
    )
    runfile.write_own(settings.data_dir / "run" / "web.ready", port=80)
    (settings.data_dir / "run" / "record.ready").write_text(f"{os.getpid()}\n")
    told = {worker.name: (worker.alive, worker.ready, worker.restarts) for worker in workers(settings)}
    assert told == {"decide": (False, False, 2), "record": (True, True, 2), "web": (True, True, 2)}


@pytest.mark.parametrize(
    ("reached", "lag"), [({}, 15), ({("a", 0): 10, ("b", 0): 25}, 0), ({("a", 0): 3}, 12), ({("b", 0): 4}, 15)]
)
def test_what_retention_has_removed_is_no_lag(reached: dict[tuple[str, int], int], lag: int) -> None:
    assert behind({("a", 0): 0, ("b", 0): 20}, {("a", 0): 10, ("b", 0): 25}, reached) == lag


def test_a_played_incident_is_seen_by_its_own_clock() -> None:
    virtual = VirtualClock(time=NOW - timedelta(days=20), speed=60)
    entry = JournalEntry(
        incident="i", seq=1, at=virtual.time, policy="0" * 64, input=given(opened(), 0, virtual), decisions=()
    )
    assert its_now(entry, NOW + timedelta(minutes=2)) == NOW - timedelta(days=20) + timedelta(hours=2)
