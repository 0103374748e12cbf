"""The virtual day: what happens on it, what is said of it at its end, and its picture."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiosmtplib
import pytest

from pipeline.bench.day.picture import picture
from pipeline.bench.day.progress import called_at_once
from pipeline.bench.day.story import DAY, one_day
from pipeline.bench.day.telling import Size, tell
from pipeline.bench.day.verdict import Arrived, OnRecord, fold, verdict
from pipeline.bench.sinks import HOST, counting_sink, tool
from pipeline.broker.kafka import fetch_jars, java
from pipeline.errors import TocsinError
from pipeline.recorded import read
from pipeline.settings import REPOSITORY
from schemas.base import Channel, rfc3339
from schemas.command import WakeReason
from schemas.delivery import DeliveriesEnded, Outcome, Result
from schemas.ids import derived
from schemas.journal import WakeScheduled
from tests.system import eventually

SHIPPED = read(sorted((REPOSITORY / "deploy" / "incidents").glob("*.json")))
ACCEPTED = {
    (Channel.EMAIL, Result.ACCEPTED): 5,
    (Channel.SMS, Result.ACCEPTED): 2,
    (Channel.X, Result.ACCEPTED): 1,
}

NAMED: dict[str, Any] = {
    "batch_id": "b",
    "notice_id": "n",
    "incident": "INC",
    "seq": 1,
    "channel": Channel.EMAIL,
    "at": DAY,
}


def told(intents: int = 8, still_open: int = 0) -> OnRecord:
    return OnRecord(intents, still_open, ended=Counter(ACCEPTED), texts={"one", "two"})


def test_every_incident_keeps_its_time_of_day_and_its_course() -> None:
    moved = one_day(SHIPPED, 10)
    assert moved == sorted(moved, key=lambda event: event.at)
    for name in {event.incident for event in moved}:
        before = [event for event in SHIPPED if event.incident == name]
        after = [event for event in moved if event.incident == name]
        assert [event.event for event in after] == [event.event for event in before]
        assert DAY <= after[0].at < DAY + timedelta(days=1)
        assert after[0].at.time() == before[0].at.time()
        assert after[-1].at - after[0].at == before[-1].at - before[0].at


def test_only_the_first_incidents_happen_and_no_maintenance() -> None:
    (name,) = {event.incident for event in one_day(SHIPPED, 1)}
    assert name != "maintenance-database"
    assert "maintenance-database" not in {event.incident for event in one_day(SHIPPED, 10)}


@pytest.mark.parametrize(
    ("record", "arrived", "lost", "twice"),
    [
        (told(), Arrived(5, Counter(one=1, two=1), 1), 0, {"email": 0, "sms": 0, "x": 0}),
        (told(still_open=1), Arrived(5, Counter(one=1, two=1), 1), 1, {"email": 0, "sms": 0, "x": 0}),
        (told(intents=7), Arrived(5, Counter(one=1, two=1), 1), 1, {"email": 0, "sms": 0, "x": 0}),
        (told(), Arrived(4, Counter(one=1, two=1), 1), 1, {"email": 0, "sms": 0, "x": 0}),
        (told(), Arrived(5, Counter(one=1), 0), 2, {"email": 0, "sms": 0, "x": 0}),
        (told(), Arrived(7, Counter(one=1, two=2), 2), 0, {"email": 2, "sms": 1, "x": 1}),
    ],
)
def test_what_is_lost_or_told_twice_is_counted(
    record: OnRecord, arrived: Arrived, lost: int, twice: dict[str, int]
) -> None:
    found = verdict(8, record, arrived)
    assert (found["lost"], found["twice"]) == (lost, twice)


def ended(result: Result, reason: str) -> DeliveriesEnded:
    outcomes = (Outcome(recipient="ada", result=result, reason=reason),)
    return DeliveriesEnded(**NAMED, attempt=1, outcomes=outcomes)


def test_that_somebody_was_told_counts_whatever_comes_later() -> None:
    found, ends = OnRecord(), {}
    fold(found, ends, ended(Result.UNKNOWN, "timeout_after_request"))
    assert ends == {("INC", 1, Channel.EMAIL): {}}
    fold(found, ends, ended(Result.ACCEPTED, "provider_accepted"))
    fold(found, ends, ended(Result.SUPPRESSED, "superseded"))
    assert ends == {("INC", 1, Channel.EMAIL): {"ada": (Result.ACCEPTED, "provider_accepted")}}
    assert found.unknown == 1


def test_the_day_waits_for_the_wakes_of_what_is_overdue_and_for_no_later_ones() -> None:
    wakes = [WakeScheduled(due=DAY + timedelta(seconds=s), reason=WakeReason.REMINDER) for s in (0.001, 300)]
    entry = {"incident": "INC", "at": rfc3339(DAY), "decisions": [wake.model_dump(mode="json") for wake in wakes]}
    assert called_at_once(entry) == {derived("wake", "INC", WakeReason.REMINDER, wakes[0].due.isoformat())}


def a_day(seconds: float = 90.0) -> dict[str, Any]:
    samples = [
        {"s": seconds * n / 2000, "settled": n * 10, "mb": {"deliver": 100.0, "decide": 90.0 + n / 100}}
        for n in range(2001)
    ]
    found = verdict(8, told(), Arrived(5, Counter(one=1, two=1), 1))
    about = {"incidents": 2, "events": 9, "subscribers": {"email": 5}, "broker": "a <broker>", "seconds": seconds}
    return {**found, **about, "samples": samples}


def test_the_picture_is_one_whole_file_and_not_larger_than_what_can_be_seen() -> None:
    drawn = picture(a_day())
    curves = [one for one in ElementTree.fromstring(drawn).iter() if one.tag.endswith("polyline")]
    assert len(curves) == 3
    assert all(len(curve.attrib["points"].split()) < 1000 for curve in curves)
    assert "settled 20,000" in drawn
    assert "a &lt;broker&gt;" in drawn


async def test_the_sink_counts_what_it_takes() -> None:
    try:
        tool("smtp-sink", "postfix")
    except TocsinError as error:
        pytest.skip(str(error))
    with counting_sink() as (port, taken):
        async with aiosmtplib.SMTP(hostname=HOST, port=port, start_tls=False) as client:
            for _ in range(3):
                await client.sendmail("us@example.com", ["them@example.com"], b"Subject: x\r\n\r\nx\r\n")

        async def three() -> bool:
            return taken.mails == 3

        await eventually(three, 10, "three mails counted")


@pytest.mark.kafka
async def test_a_small_day_loses_nobody(tmp_path: Path) -> None:
    try:
        java()
        fetch_jars()
        tool("smtp-sink", "postfix")
    except TocsinError as error:
        pytest.skip(str(error))
    small = read([REPOSITORY / "deploy" / "incidents" / "small-search-slow.json"])
    day = await tell(one_day(small, 1), Size(mails=40, texts=3))
    assert (day["lost"], day["twice"], day["unknown"]) == (0, {"email": 0, "sms": 0, "x": 0}, 0)
    assert day["expected"] == day["intents"] == day["settled"] > 80
    assert day["samples"][-1]["settled"] == day["intents"]
    assert day["samples"][-1]["mb"].keys() == {"decide", "deliver", "record", "broker"}
    assert "lost 0" in picture(day)
