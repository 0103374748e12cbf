"""Operators' orders on their whole way: signed on the command line, verified and decided on in the decide room."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import Result

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.operators import make_key
from pipeline.sandbox import Sandbox
from schemas import codec, topics
from schemas.journal import CommandRefused, JournalEntry
from tests.commands.running import tocsin
from tests.system import System, eventually, running

pytestmark = pytest.mark.slow  # a broker and a room each

OPEN = ("open", "--id", "INC-1", "--title", "Search is slow", "--severity", "major", "--summary", "Searches take 20 s.")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[System]:
    """The decide room, with two operators who hold a role each."""
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path), sandbox, ("decide",), shipped=True) as found:
        for name, role in (("ann", "incident-manager"), ("ben", "legal")):
            added = await tocsin(found.settings, "operator", "add", name, "--role", role)
            assert added.exit_code == 0, added.output
        yield found


async def incident(desk: System, *arguments: str, by: str = "ann") -> Result:
    return await tocsin(desk.settings, "incident", *arguments, "--as", by, "--yes")


async def decided(desk: System, entries: int) -> None:
    """Waits until so many inputs are decided on: an event is not waited for on the command line, as an order is."""

    async def there() -> bool:
        return len(await desk.read(topics.INCIDENT_JOURNAL)) >= entries

    await eventually(there, 30, f"{entries} entries in the journal; decide says: {desk.log('decide')}")


async def refusals(desk: System) -> list[str]:
    entries = [codec.decode(record, JournalEntry).data for record in await desk.read(topics.INCIDENT_JOURNAL)]
    return [d.reason for entry in entries for d in entry.decisions if isinstance(d, CommandRefused)]


async def draft_id(desk: System, whom: str) -> str:
    listed = await tocsin(desk.settings, "incident", "drafts", "INC-1")
    found = next(line for line in listed.stdout.splitlines() if f"  {whom}: " in line)
    return found.split()[0]


async def test_what_is_held_is_released_by_who_may(desk: System) -> None:
    await incident(desk, *OPEN)
    refused = await incident(desk, "hold", "INC-1", "--audience", "customers", by="ben")
    assert refused.exit_code == 1
    assert "incident-manager" in refused.stdout
    held = await incident(desk, "hold", "INC-1", "--audience", "customers")
    assert held.exit_code == 0, held.output
    assert "ann holds everything to customers back" in held.stdout
    await incident(desk, "impact", "INC-1", "--severity", "critical", "--summary", "No search comes back.")
    await decided(desk, 4)
    shown = await tocsin(desk.settings, "incident", "show", await draft_id(desk, "customers"))
    assert "No search comes back." in shown.stdout
    released = await incident(desk, "release", "INC-1", "--audience", "customers")
    assert released.exit_code == 0, released.output
    assert "tell customers" in released.stdout


async def test_what_is_put_off_goes_out_when_somebody_says_so(desk: System) -> None:
    await incident(desk, *OPEN)
    await incident(desk, "update", "INC-1", "--summary", "Searches take 10 s now.")
    await decided(desk, 2)
    told = await incident(desk, "publish-now", "INC-1")
    assert told.exit_code == 0, told.output
    assert re.search("tell .*customers.* ordered by ann not to wait", told.stdout)


async def test_a_draft_is_edited_and_its_successor_approved(desk: System) -> None:
    await incident(desk, *OPEN)
    await incident(desk, "hold", "INC-1", "--audience", "customers")
    await incident(desk, "impact", "INC-1", "--severity", "critical", "--summary", "No search comes back.", by="ben")
    await decided(desk, 3)
    first = await draft_id(desk, "customers")
    edited = await incident(desk, "edit", first, "--summary", "Most searches fail.")
    assert edited.exit_code == 0, edited.output
    second = await draft_id(desk, "customers")
    assert second != first
    for draft, by, told in ((first, "ann", "waits no more"), (second, "ann", "nobody approves their own words")):
        refused = await incident(desk, "approve", draft, by=by)
        assert refused.exit_code == 1
        assert told in refused.output
    rejected = await incident(desk, "reject", second, "--because", "the number is not confirmed")
    assert rejected.exit_code == 0, rejected.output
    assert "rejected by ann: the number is not confirmed" in rejected.stdout


async def test_an_admission_waits_for_a_lawyer_who_did_not_write_it(desk: System) -> None:
    await incident(desk, *OPEN, "--ownership", "The mistake was ours.", by="ben")
    await decided(desk, 1)
    draft = await draft_id(desk, "ownership")
    for by, why in (("ben", "nobody approves their own words"), ("ann", "does not hold the role")):
        refused = await incident(desk, "approve", draft, by=by)
        assert refused.exit_code == 1
        assert why in refused.stdout
    await tocsin(desk.settings, "operator", "add", "cid", "--role", "legal")
    approved = await incident(desk, "approve", draft, by="cid")
    assert approved.exit_code == 0, approved.output
    assert "The mistake was ours." in approved.stdout


async def test_who_was_told_wrong_is_told_right(desk: System) -> None:
    await incident(desk, *OPEN)
    await incident(desk, "update", "INC-1", "--summary", "Every search fails.")
    await decided(desk, 2)
    corrected = await incident(
        desk, "correct", "INC-1", "--seq", "1", "--explanation", "The number was too high.", "--summary", "One in ten."
    )
    assert corrected.exit_code == 0, corrected.output
    assert "to those who got #1" in corrected.stdout


async def test_nobody_orders_anything_without_being_registered(desk: System) -> None:
    await incident(desk, *OPEN)
    make_key(desk.settings, "eve")
    await tocsin(desk.settings, "operator", "remove", "ann", "--yes")
    for by in ("eve", "ann"):
        refused = await incident(desk, "hold", "INC-1", by=by)
        assert refused.exit_code == 1
        assert "an order of nobody known is not carried out" in refused.stdout
    assert len(await refusals(desk)) == 2


async def test_an_order_that_was_changed_on_its_way_is_refused(desk: System) -> None:
    """As it was signed for one audience, for another incident, under another id: none of them counts."""
    await incident(desk, *OPEN)
    await incident(desk, *(part.replace("INC-1", "INC-2") for part in OPEN))
    await incident(desk, "hold", "INC-1", "--audience", "customers")
    [order] = [record for record in await desk.read(topics.INCIDENT_COMMANDS) if b"audiences" in (record.value or b"")]
    headers = dict(order.headers)
    forged = [
        (b"INC-1", {**headers, "ce_id": b"other"}, order.value),
        (b"INC-2", {**headers, "ce_subject": b"INC-2"}, order.value),
        (b"INC-1", {**headers, "ce_id": b"wider"}, b'{"audiences":["public"]}'),
        (b"INC-1", {**headers, "ce_id": b"mine", "ce_operator": b"ben"}, order.value),
    ]
    await desk.write(*(codec.Outgoing(order.topic, key, value, tuple(given.items())) for key, given, value in forged))
    released = await incident(desk, "release", "INC-1", "--audience", "customers")
    assert released.exit_code == 0, released.output
    assert "ann lets what is for customers go out again" in released.stdout

    async def all_refused() -> bool:
        return len(await refusals(desk)) == len(forged)

    await eventually(all_refused, 30, "every forged order is refused on record")
