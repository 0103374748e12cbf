"""What is asked of the log, and answered from the log: who knew what when, and where a rule, a person, an id stand."""

import asyncio
import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from pipeline.audit.keys import public_key_path
from pipeline.audit.proof_page import SCRIPT
from pipeline.audit.reading import Kept
from pipeline.audit.search import Question, Search, approvers
from pipeline.audit.told import merged_into, told
from pipeline.broker import connect
from pipeline.cli import app
from pipeline.commands.auditing.searching import in_words, tally
from schemas import topics
from schemas.audit import AuditEntry
from schemas.base import Channel
from schemas.delivery import Result
from schemas.journal import PromiseMade
from schemas.subscriber import Merged
from tests.audit.asked import ANNA, BEN, CORA, EVERYONE, LOG, RECORDS, at, ended, intended, words
from tests.audit.logs import record, seal_all
from tests.audit.test_appender import appending, publish
from tests.audit.test_timeline import INCIDENT, journal, tell
from tests.entries import MAIL
from tests.paths import REPOSITORY

APPROVED = journal(1, tell("customers", Channel.EMAIL).model_copy(update={"approved_by": ("lena",)}))
ENTRIES = [one.entry for one in LOG.sealed]


def channels(
    person: str, until: float | None = None, entries: list[AuditEntry] = ENTRIES
) -> list[tuple[Channel, Result]]:
    found = told(entries, person, None if until is None else at(until))
    return [(message.channel, message.result) for message in found]


def test_told_is_what_a_provider_took_and_what_nobody_knows():
    assert channels(ANNA) == [(Channel.EMAIL, Result.ACCEPTED), (Channel.SMS, Result.UNKNOWN)]
    assert channels(BEN) == [(Channel.EMAIL, Result.ACCEPTED)]
    assert channels("nobody") == []


def test_by_a_moment_is_what_was_taken_by_then():
    (first, second) = told(ENTRIES, ANNA)
    assert channels(ANNA, 101.9) == []
    assert channels(ANNA, 102) == [(Channel.EMAIL, Result.ACCEPTED)]
    assert first.at < second.at
    assert (told(ENTRIES, ANNA, first.at)[0].status, first.status) == (None, "delivered")


def test_what_is_final_is_not_undone_by_what_comes_late():
    late = [*RECORDS[:5], ended(Channel.EMAIL, Result.UNKNOWN, ANNA, seq=1)]
    assert channels(ANNA, entries=[one.entry for one in seal_all(late)]) == [(Channel.EMAIL, Result.ACCEPTED)]


def test_an_unknown_that_was_sent_again_counts_once():
    first = ended(Channel.EMAIL, Result.UNKNOWN, ANNA)
    again = ended(Channel.EMAIL, Result.ACCEPTED, ANNA)
    entries = [one.entry for one in seal_all([intended(MAIL, Channel.EMAIL, ANNA), first, again])]
    assert channels(ANNA, entries=entries) == [(Channel.EMAIL, Result.ACCEPTED)]


def test_who_turned_out_to_be_another_is_told_as_them_from_then_on():
    event = record(topics.SUBSCRIBER_EVENTS_TOPIC, Merged(into=BEN), id="m", subject=ANNA, offset=9, at=at(50))
    entries = [one.entry for one in seal_all([*RECORDS[:1], event])]
    assert merged_into(entries) == (BEN, at(50))
    assert merged_into(entries, at(49)) is None
    assert merged_into(ENTRIES) is None


def found(**asked) -> list[str]:
    search = Search(Question(**asked))
    return [entry.record_type.split(".")[-2] for entry in ENTRIES if search.wants(entry)]


def test_a_search_takes_what_fits_all_that_is_asked():
    assert found(subscriber=ANNA, channel=Channel.SMS) == ["intended", "ended"]
    assert found(incident=INCIDENT, subscriber=BEN) == ["intended", "ended", "receipt_recorded"]
    assert found(incident="inc-2") == ["intended", "ended"]
    assert found(provider_id=f"<{CORA}.1@mail>") == ["ended"]
    assert found(rule="AS IT WAS", incident=INCIDENT) == ["ended", "ended"]
    assert found(subscriber="nobody") == []
    assert found(since=at(10_000)) == []
    assert found(until=at(-1)) == []
    assert len(found(until=at(0))) == len(ENTRIES)


def test_a_rule_is_found_by_the_words_in_which_it_is_shown():
    said = journal(1, tell("customers", Channel.EMAIL), PromiseMade(audience="customers", due=at(0), by="upstream"))
    quiet = ended(Channel.SMS, Result.DEFERRED, ANNA)
    quiet = replace(quiet, value=(quiet.value or b"").replace(b"as it was", b"quiet_hours"))
    decided, put_off = (one.entry for one in seal_all([said, quiet]))
    assert "quiet hours" in in_words(put_off)
    for asked in ("quiet hours", "Quiet_Hours", "hours"):
        assert Search(Question(rule=asked)).wants(put_off)
    assert not approvers(decided), "a promise of upstream's is nobody's approval"
    assert not Search(Question(approver="upstream")).wants(decided)


def test_how_messages_ended_is_summed_up_beside_what_is_found():
    kept = [Kept(entry, b"") for entry in ENTRIES]
    assert tally(kept) == "; ends of messages: 3 accepted, 2 suppressed, 1 unknown"
    assert tally(kept[:3]) == ""


def test_what_is_looked_for_is_written_as_it_stands_in_an_entry():
    odd = 'queued as "7" \\ ü'
    assert json.dumps({"id": odd}, ensure_ascii=False).count(*Question(provider_id=odd).words) == 1


def test_every_entry_that_answers_holds_one_of_the_words_that_it_is_looked_for_by():
    for asked in (
        {"incident": INCIDENT},
        {"subscriber": ANNA},
        {"provider_id": f"<{CORA}.1@mail>"},
        {"approver": "lena"},
    ):
        question = Question(**asked)
        search = Search(question)
        for one in LOG.sealed:
            if search.wants(one.entry):
                assert not question.words or any(word.encode() in one.value for word in question.words)


@pytest.fixture
async def tocsin(own_broker, monkeypatch):
    """Runs a command line against a broker with the log to ask, the words, and an order that Lena signed."""
    for one in words():
        await publish(own_broker, [one], connect.partition_for(one.key.decode(), own_broker.partitions))
    await publish(own_broker, [APPROVED, *RECORDS])
    async with appending(own_broker) as running:
        await running.sealed(len(LOG.sealed) + 1)
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(own_broker.data_dir))
    monkeypatch.setenv("TOCSIN_PARTITIONS", str(own_broker.partitions))

    async def run(*arguments: str):
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run


async def test_the_questions_of_an_auditor_each_have_one_command(tocsin, tmp_path, own_broker):
    knew = await tocsin("audit", "who-knew", "--subscriber", ANNA, "--at", "2026-03-04T02:02:00Z")
    assert knew.exit_code == 0, knew.output
    assert f"{ANNA}: 1 message by 2026-03-04T02:02:00Z, UTC" in knew.stdout
    assert "    Since 13:00 CET searches take long." in knew.stdout
    assert "taken by the provider as <anna-4f1c.1@mail>" in knew.stdout
    as_json = json.loads((await tocsin("audit", "who-knew", "--subscriber", ANNA, "--json")).stdout)
    assert [one["sha256"] == one["rendering"] for one in as_json] == [True, True]
    stranger = await tocsin("audit", "who-knew", "--subscriber", "nobody")
    assert (stranger.exit_code, "nothing is sealed about a subscriber 'nobody'" in stranger.stderr) == (1, True)

    approved = await tocsin("audit", "search", "--approver", "lena")
    assert approved.exit_code == 0
    assert re.search(rf"{INCIDENT} +journal\.entry #1 .* by lena", approved.stdout)
    assert (await tocsin("audit", "search", "--approver", "nobody")).exit_code == 1
    assert "ask for something" in (await tocsin("audit", "search")).stderr
    by_id = await tocsin("audit", "search", "--provider-id", f"<{CORA}.1@mail>", "--json")
    (line,) = by_id.stdout.splitlines()
    assert CORA in line
    entry = await tocsin("audit", "show", "--entry", str(json.loads(line)["index"]))
    assert f'"{CORA}"' in entry.stdout
    assert "leaf" in entry.stdout

    out = tmp_path / "proof.json"
    proved = await tocsin("audit", "prove", INCIDENT, "--subscriber", ANNA, "--out", str(out))
    assert proved.exit_code == 0, proved.output
    assert not [
        one for one in EVERYONE if one != ANNA and one in out.read_text() + out.with_suffix(".html").read_text()
    ]
    command = [sys.executable, "-I", str(SCRIPT), str(out), str(public_key_path(own_broker.data_dir))]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == f"TRUE: entries of a log of 16; 2 messages to {ANNA} about {INCIDENT}"
    never = await tocsin("audit", "prove", "inc-2", "--subscriber", BEN, "--out", str(out))
    assert (never.exit_code, "`tocsin explain` says why" in never.stderr) == (1, True)


async def test_each_question_of_the_readme_is_answered_by_its_one_command(tocsin, tmp_path, monkeypatch):
    section = (
        (REPOSITORY / "README.md").read_text("utf-8").partition("## Questions to the log")[2].partition("\n## ")[0]
    )
    asked = re.findall(r"^\| (.+\?) \| `tocsin (.+?)` \|$", section, re.MULTILINE)
    assert len(asked) == 10
    names = {
        "INCIDENT": INCIDENT, "ID": ANNA, "TIME": "2026-03-04T02:04:00Z", "RULE": "as it was", "OPERATOR": "lena",
        "PROVIDER_ID": f"<{ANNA}.1@mail>",
    }  # fmt: skip
    answers = {
        "replay": "email to 3 customers: taken by the provider", "who-knew": "Suche langsam seit 13:00 CET [red]",
        "explain": f"{INCIDENT}, as far as it concerns {ANNA}", "--rule": "as it was", "--approver": "by lena",
        "--provider-id": f"<{ANNA}.1@mail>", "--channel": "delivery.intended #2 sms", "prove": "2 messages proved",
        "verify": "log verified: 16 entries", "export": "22 rows of 16 entries in log.csv",
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for question, line in asked:
        words = [names.get(word, word) for word in line.split()]
        if "--since" in words:
            words[words.index("--since") + 1] = "2026-03-04T01:00:00Z"
        if "--channel" in words:
            words[words.index("--until") + 1] = "2100-01-01T00:00:00Z"
        given = await tocsin(*words)
        assert given.exit_code == 0, (question, given.output)
        (expected,) = [said for name, said in answers.items() if name in words]
        assert expected in given.stdout, question
