"""Who signs what is ordered and said, and what of it never shows."""

import logging

import pytest

from pipeline.broker import connect
from pipeline.operators import Signer, make_key
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.journal import DraftApproved
from tests.commands.desk import deciding, is_signed_by, journal, ordered
from tests.commands.running import tocsin
from tests.entries import entry, held


@pytest.fixture
def ann(own_broker: Settings) -> Signer:
    return make_key(own_broker, "ann")


async def test_without_a_key_it_is_said_how_to_get_one(own_broker: Settings) -> None:
    await journal(own_broker, entry(held()))
    for arguments, told in (
        (("approve", "d1aa", "--yes"), "tocsin operator add NAME --role ROLE"),
        (("approve", "d1aa", "--yes", "--as", "ben"), "ben.key"),
        (("open", "--title", "x", "--severity", "minor", "--as", "ben"), "ben.key"),
    ):
        result = await tocsin(own_broker, "incident", *arguments)
        assert result.exit_code == 1
        assert told in result.stderr.replace("\n", "")
    assert await ordered(own_broker) == []


async def test_a_key_that_others_can_read_signs_nothing(own_broker: Settings, ann: Signer) -> None:
    await journal(own_broker, entry(held()))
    (own_broker.data_dir / "operators" / "ann.key").chmod(0o644)
    result = await tocsin(own_broker, "incident", "approve", "d1aa", "--yes")
    assert result.exit_code == 1
    assert "chmod 600" in result.stderr
    assert await ordered(own_broker) == []


async def test_what_is_said_of_an_incident_is_signed_where_somebody_is_named(own_broker: Settings, ann: Signer) -> None:
    opened = ("incident", "open", "--title", "Search is slow", "--severity", "minor")
    await tocsin(own_broker, *opened, "--id", "INC-1")
    await tocsin(own_broker, *opened, "--id", "INC-2", "--as", "ann")
    await tocsin(own_broker, *opened, "--id", "INC-3", TOCSIN_OPERATOR="ann")
    said = [codec.decode_input(r) async for r in connect.read_all(own_broker, topics.INCIDENT_EVENTS.name)]
    by_incident = {event.subject: event for event in said}
    assert not by_incident["INC-1"].extensions.keys() & {"operator", "signature"}
    assert is_signed_by(ann, by_incident["INC-2"])
    assert is_signed_by(ann, by_incident["INC-3"])


async def test_no_private_key_and_no_signature_is_printed_or_logged(
    own_broker: Settings, ann: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await journal(own_broker, entry(held()))
    async with deciding(
        own_broker, lambda _: (DraftApproved(draft="d1aaaaaa", audience="customers", by="ann"),)
    ) as orders:
        result = await tocsin(own_broker, "incident", "approve", "d1aa", "--yes")
    secret = (own_broker.data_dir / "operators" / "ann.key").read_text().splitlines()[1]
    ours = "\n".join(f"{r.getMessage()} {r.__dict__}" for r in caplog.records if r.name.startswith("tocsin"))
    for one in (secret, orders[0].extensions["signature"]):
        assert one not in result.output
        assert one not in ours
