"""Faults of the matrix from 8 on that one worker can meet: all on one running system, each with people of its own."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from pipeline.audit.in_topics import InTopics
from pipeline.audit.reading import verified
from pipeline.audit.verify import verify
from pipeline.settings import REPOSITORY
from schemas import codec, topics
from schemas.base import Severity
from schemas.delivery import Result
from schemas.incident import ImpactChanged, IncidentResolved
from schemas.journal import JournalEntry
from schemas.policy import PolicyPublished, hash_of
from tests.chaos.ward import Ward, opened, phone, ward
from tests.system import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ward]:
    async with ward(tmp_path_factory.mktemp("ward"), "decide", "deliver", "record") as found:
        yield found


Armed = dict[str, Any]
PROVIDERS: dict[int, tuple[str, dict[str, int], list[Armed], list[Result]]] = {
    8: (
        "SMTP 421 and 450",
        {"mails": 4},
        [
            {"service": "smtp", "kind": "refuse", "stage": "rcpt", "code": 421, "match": "f8-0"},
            {"service": "smtp", "kind": "refuse", "stage": "rcpt", "code": 450, "match": "f8-1", "times": 2},
        ],
        [Result.ACCEPTED] * 4,
    ),
    9: (
        "SMTP 550",
        {"mails": 3},
        [{"service": "smtp", "kind": "refuse", "stage": "rcpt", "code": 550, "match": "f9-0"}],
        [Result.ACCEPTED, Result.ACCEPTED, Result.PERMANENT],
    ),
    10: (
        "connection lost mid-DATA and after the final dot",
        {"mails": 4},
        [
            {"service": "smtp", "kind": "lose_in_data", "match": "f10-0"},
            {"service": "smtp", "kind": "lose_after_dot", "match": "f10-1"},
        ],
        [Result.ACCEPTED] * 4,
    ),
    11: (
        "slow-loris server",
        {"mails": 3},
        [{"service": "smtp", "kind": "dribble", "stage": "rcpt", "seconds": 0.2, "match": "f11-0"}],
        [Result.ACCEPTED] * 3,
    ),
    12: (
        "Twilio 429 and 5xx",
        {"phones": 3},
        [
            {"service": "twilio", "kind": "error", "code": 20429, "match": phone(12, 0)},
            {"service": "twilio", "kind": "html", "code": 503, "match": phone(12, 1)},
        ],
        [Result.ACCEPTED] * 3,
    ),
    13: (
        "Twilio accepts, then hangs",
        {"phones": 2},
        [{"service": "twilio", "kind": "hang_after_accept", "match": phone(13, 0)}],
        [Result.ACCEPTED] * 2,
    ),
    15: (
        "X accepts, times out, then 403 duplicate",
        {"x": 1},
        [{"service": "x", "kind": "hang_after_accept", "match": "FAULT-15"}],
        [Result.ACCEPTED],
    ),
    16: (
        "X 429 until reset",
        {"x": 1, "mails": 2},
        [{"service": "x", "kind": "rate_limit", "seconds": 4, "match": "FAULT-16"}],
        [Result.ACCEPTED] * 3,
    ),
}
"""What is injected, on whom, and how their messages end."""
HELD_S = 3.0
"""Before the time of X's reset, mails of the same incident are taken: the loop is not blocked."""


@pytest.mark.parametrize("number", PROVIDERS)
async def test_what_providers_do(running: Ward, number: int) -> None:
    says, people, faults, ends = PROVIDERS[number]
    for fault in faults:
        running.system.sandbox.fault(**fault)
    count = await running.people(number, people.get("mails", 0), people.get("phones", 0), bool(people.get("x")))
    await running.tell(number)
    await running.settled(number, count)
    verdict = running.judge(number, says, running.fired(number))
    assert running.results(number) == sorted(ends)
    assert verdict.fired >= len(faults)
    if number == 16:
        first = min(m.at for m in running.system.sandbox.mails if m.recipients[0].startswith("f16-"))
        [post] = [post for post in running.system.sandbox.posts if "FAULT-16" in post.text]
        assert post.at - first >= timedelta(seconds=HELD_S)


async def test_14_who_was_refused_by_21610_is_not_asked_again(running: Ward) -> None:
    """Twilio knows that they said STOP; from then on, so do we."""
    running.system.sandbox.fault("twilio", "error", code=21610, match=phone(14, 0))
    count = await running.people(14, phones=2)
    await running.tell(14)
    await running.settled(14, count)
    await running.system.publish("FAULT-14", IncidentResolved(summary="It works again."), start=1)
    await running.settled(14, 2 * count)
    running.judge(14, "Twilio 21610", running.fired(14))
    assert running.results(14) == sorted([Result.ACCEPTED, Result.ACCEPTED, Result.PERMANENT, Result.SUPPRESSED])
    assert [text.to for text in running.system.sandbox.texts if text.to in (phone(14, 0), phone(14, 1))] == [
        phone(14, 1)
    ] * 2


async def journal_of(running: Ward, incident: str) -> list[JournalEntry]:
    found = [codec.decode(record, JournalEntry).data for record in await running.system.read(topics.INCIDENT_JOURNAL)]
    return [entry for entry in found if entry.incident == incident]


async def test_17_a_duplicate_upstream_event_is_decided_on_once(running: Ward) -> None:
    count = await running.people(17, mails=2, phones=2)
    await running.tell(17)
    await running.tell(17)
    await running.system.publish("FAULT-17", IncidentResolved(summary="It works again."), start=1)
    await running.settled(17, 2 * count)
    events = [record.value or b"" for record in await running.system.read(topics.INCIDENT_EVENTS)]
    published = sum(b"Nothing works." in value and b"FAULT-17" in value for value in events)
    running.judge(17, "duplicate upstream event", fired=published - 1)
    assert [entry.seq for entry in await journal_of(running, "FAULT-17")] == [1, 2]


async def test_18_what_comes_out_of_order_and_late_is_told_in_the_end(running: Ward) -> None:
    count = await running.people(18, mails=2)
    late = (datetime.now(UTC) - timedelta(hours=3)).replace(microsecond=0)
    name = "FAULT-18"
    changed = ImpactChanged(severity=Severity.CRITICAL, summary="All of it fails.", components=(name,))
    await running.system.write(
        codec.encode(topics.INCIDENT_EVENTS, changed, id=f"{name}/1", source="/tests", subject=name, time=late)
    )
    await running.tell(18)
    await running.system.publish(name, IncidentResolved(summary="It works again."), start=2)
    await running.settled(18, 2 * count)
    entries = await journal_of(running, name)
    late_ones = [entry.input.id for entry in entries if entry.input.occurred_at == late]
    running.judge(18, "out of order, late", fired=len(late_ones))
    assert [entry.input.id for entry in entries][:2] == [f"{name}/1", f"{name}/0"]


async def test_19_poison_is_a_dead_letter_and_the_partition_goes_on(running: Ward) -> None:
    count = await running.people(19, mails=2)
    structured = (("content-type", b"application/cloudevents+json"),)
    poison = (b"{", b'{"id":"\xff"}', b'{"id":"1","data":"' + b"x" * 1_000_000 + b'"}', b"\x00" * 100)
    before = len(await running.system.read(topics.DEAD_LETTERS))
    for partition in range(running.system.settings.partitions):
        for value in poison:
            await running.system.write(
                codec.Outgoing(topics.INCIDENT_EVENTS.name, b"FAULT-19", value, structured, partition)
            )
    await running.tell(19)
    await running.settled(19, count)
    buried = len(await running.system.read(topics.DEAD_LETTERS)) - before
    running.judge(19, "poison, oversized, bad UTF-8", fired=buried)
    assert buried >= len(poison)


async def test_20_html_and_line_breaks_in_texts_are_words_and_nothing_else(running: Ward) -> None:
    count = await running.people(20, mails=2)
    hostile = opened(
        20, "{} <script>alert(1)</script>", "<img src=x onerror=alert(1)>\r\nBcc: evil@example.com\r\n\r\nx"
    )
    running.begin(20)
    await running.system.publish("FAULT-20", hostile)
    await running.settled(20, count)
    mails = [mail for mail in running.system.sandbox.mails if mail.recipients[0].startswith("f20-")]
    running.judge(20, "HTML and CRLF in texts", fired=sum("alert(1)" in mail.text for mail in mails))
    for mail in mails:
        assert len(mail.recipients) == 1
        assert mail.header("Bcc") is None
        assert not re.search(r"<script|<img src=x", mail.html)


async def test_21_a_clock_that_jumps_back_over_the_change_to_summer_time_loses_nothing(running: Ward) -> None:
    count = await running.people(21, mails=2)
    running.begin(21)
    moments = ("2026-03-29T00:59:50Z", "2026-03-29T01:30:00Z", "2026-03-29T00:30:00Z")
    events = (
        opened(21),
        ImpactChanged(severity=Severity.CRITICAL, summary="All of it fails."),
        IncidentResolved(summary="It works again."),
    )
    for n, (moment, event) in enumerate(zip(moments, events, strict=True)):
        await running.system.write(
            codec.encode(
                topics.INCIDENT_EVENTS,
                event,
                id=f"FAULT-21/{n}",
                source="/tests",
                subject="FAULT-21",
                extensions={"virtualtime": moment, "virtualspeed": "60"},
            )
        )
    await running.settled(21, 3 * count)
    entries = await journal_of(running, "FAULT-21")
    jumps = sum(entry.input.virtual is not None for entry in entries)
    running.judge(21, "clock jumps, over the change to summer time", fired=jumps)
    assert all(earlier.at <= later.at for earlier, later in pairwise(entries))


async def test_22_a_broken_policy_changes_nothing_and_is_cried_out(running: Ward) -> None:
    count = await running.people(22, mails=2)
    documents = {"audiences.yaml": "audiences: [", "cadence.yaml": "no: policy"}
    broken = PolicyPublished(name="broken", hash=hash_of(documents), documents=documents)
    await running.system.write(codec.encode(topics.POLICIES, broken, id=broken.hash, source="/tests", subject="broken"))

    async def said() -> int:
        return running.system.log("decide", whole=True).count("a policy was published that cannot be used")

    fired = await eventually(said, 30, "decide says that the policy cannot be used")
    await running.tell(22)
    await running.settled(22, count)
    running.judge(22, "broken policy on reload", fired=fired)
    assert {entry.policy for entry in await journal_of(running, "FAULT-22")} != {broken.hash}


async def test_25_a_replay_while_live_sends_nothing_and_decides_the_same(running: Ward) -> None:
    count = await running.people(25, mails=6, phones=2)
    await running.tell(25)
    await running.settled(25, count)
    replay = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline.cli", "replay", "FAULT-25", "--check",
        cwd=REPOSITORY, env={**os.environ, **running.system.env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    await running.system.publish("FAULT-25", IncidentResolved(summary="It works again."), start=1)
    await running.settled(25, 2 * count)
    said = (await replay.communicate())[0].decode()
    running.judge(25, "replay while live", fired=int(replay.returncode == 0))
    assert replay.returncode == 0, said
    mails = running.system.mails_by_intent()
    assert max(mails.values()) <= 2, "what was told before was not told again"


async def test_26_whatever_is_done_to_the_log_is_found(running: Ward) -> None:
    count = await running.people(26, mails=2)
    await running.tell(26)
    await running.settled(26, count)
    places = InTopics(running.system.settings)

    async def signed() -> bool:
        result = await verified(places)
        return result.ok and result.signed == result.entries

    await eventually(signed, 30, "the log is signed for to its end")
    vouchers, stored = places.vouchers(), [one async for batch in places.stored() for one in batch]
    middle = len(stored) // 2
    value, root = stored[middle]
    assert value is not None
    forged = value.replace(b'"record_id"', b'"record_iD"', 1)
    attacks = {
        "tampered": [*stored[:middle], (forged, root), *stored[middle + 1 :]],
        "truncated": stored[:-1],
        "an entry taken out": [*stored[:middle], *stored[middle + 1 :]],
        "forked": [*stored[:middle], *[(v, None) for v, _ in stored[middle + 1 :]], (value, None)],
    }
    assert verify(stored, vouchers, voids_allowed=True).ok
    found = {name: verify(attacked, vouchers, voids_allowed=True) for name, attacked in attacks.items()}
    running.judge(26, f"log {', '.join(attacks)}", fired=sum(not result.ok for result in found.values()))
    assert not any(result.ok for result in found.values())
