"""`tocsin explain` from a log that the appender sealed."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from pipeline import policy as policies
from pipeline.broker import connect
from pipeline.cli import app
from pipeline.replay.past import Past
from pipeline.replay.rerun import rerun
from pipeline.settings import REPOSITORY
from schemas import codec, topics
from schemas.base import Channel
from schemas.subscriber import Choices, SealedContact, Subscribed
from tests.audit.logs import record, record_of
from tests.audit.test_appender import appending, publish
from tests.replay.trials import QUIET_PAST, conditions

ANNA = "anna"
YEARS = timedelta(days=365 * 60)
LATER = Past("search-1", tuple(replace(event, at=event.at + YEARS) for event in QUIET_PAST.events))
"""So late that Anna has subscribed by then, whatever the broker's clock shows."""


@pytest.fixture
async def tocsin(own_broker, monkeypatch):
    """Runs a command line against a broker on which an incident was decided, and Anna subscribed before it."""
    version = policies.load(REPOSITORY / "deploy" / "policies" / "small-saas")
    contact = SealedContact(nonce="bm9uY2U=", ciphertext="c2VjcmV0")
    choices = Choices(audiences=("customers",), channels=(Channel.EMAIL,))
    event = Subscribed(choices=choices, contact=contact, address_tokens={})
    entries = [turn.entry for turn in rerun(LATER, replace(conditions(), channels=None)).turns]
    sealed = [record(topics.SUBSCRIBER_EVENTS_TOPIC, event, id="s", subject=ANNA, offset=0)]
    sealed += [record(topics.INCIDENT_JOURNAL, e, id=f"j{e.seq}", subject=e.incident, offset=e.seq) for e in entries]
    named = codec.encode(topics.POLICIES, version, id=version.hash, source="/t", subject=version.name)
    home = connect.partition_for(ANNA, own_broker.partitions)
    await publish(own_broker, sealed[:1], partition=home)
    await publish(own_broker, [record_of(named, 0), *sealed[1:]])
    async with appending(own_broker) as running:
        await running.sealed(len(sealed))
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(own_broker.data_dir))
    monkeypatch.setenv("TOCSIN_PARTITIONS", str(own_broker.partitions))
    monkeypatch.setenv("COLUMNS", "120")

    async def run(*arguments: str):
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run


async def test_it_says_entry_by_entry_which_rule_spoke_about_someone(tocsin) -> None:
    found = await tocsin("explain", "search-1", "--subscriber", ANNA)
    assert found.exit_code == 0, found.output
    assert "search-1, as far as it concerns anna" in found.stdout
    assert "for them, by email: they belong to customers" in found.stdout
    assert "0 messages to them taken by providers" in found.stdout
    as_json = json.loads((await tocsin("explain", "search-1", "--subscriber", ANNA, "--json")).stdout)
    assert (as_json["incident"], as_json["subscriber"]) == ("search-1", ANNA)
    assert as_json["moments"][0]["seq"] == 1
    assert {point["rule"] for one in as_json["moments"] for point in one["points"]}


async def test_who_or_what_is_nowhere_in_the_log_is_named(tocsin) -> None:
    nobody = await tocsin("explain", "search-1", "--subscriber", "nobody")
    assert nobody.exit_code == 1
    assert "nobody was ever called 'nobody'" in nobody.stderr
    nothing = await tocsin("explain", "nosuch", "--subscriber", ANNA)
    assert "nothing is sealed about an incident 'nosuch'" in nothing.stderr
    unclear = await tocsin("explain", "search-1", "--subscriber", ANNA, "--at", "someday")
    assert unclear.exit_code == 2
