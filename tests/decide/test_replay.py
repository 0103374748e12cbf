"""Recorded journals decided again give the same bytes, and a replay finds whatever was changed in them."""

import dataclasses
import re
import subprocess
import sys
from functools import cache

import pytest

from pipeline import policy
from pipeline.decide.incident import decide, drafts_of, evolve, notices_of
from pipeline.decide.state import IncidentState
from pipeline.replay.journal import replay
from schemas.journal import JournalEntry, NoticeDecided
from schemas.policy import PolicyPublished
from tests.decide import machine_stories
from tests.decide.machine_stories import Line, fingerprint
from tests.decide.record import JOURNALS, POLICIES

PATHS = sorted(JOURNALS.glob("*.jsonl"))


@pytest.fixture(scope="module")
def policies() -> dict[str, policy.Policy]:
    found = [PolicyPublished.model_validate_json(path.read_text("utf-8")) for path in POLICIES.glob("*.json")]
    return {published.hash: policy.compile(published) for published in found}


def entries_of(path) -> list[JournalEntry]:
    return [JournalEntry.model_validate_json(line) for line in path.read_text("utf-8").splitlines()]


def test_there_are_journals_of_all_kinds():
    assert {path.stem for path in PATHS} >= {"odd"}
    assert len(PATHS) >= 4


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_recorded_journal_decided_again_gives_the_same_bytes(path, policies):
    entries = entries_of(path)
    assert "".join(entry.model_dump_json() + "\n" for entry in entries) == path.read_text("utf-8")
    differences = "\n".join(map(str, replay(entries, policies)))
    assert not differences, (
        f"another decision than was recorded; if that is meant: python -m tests.decide.record\n{differences}"
    )


def test_a_change_of_code_that_alters_a_past_decision_is_named_by_incident_and_entry(policies, monkeypatch):
    entries = entries_of(JOURNALS / "small-search-slow.jsonl")
    changed = next(entry for entry in entries if any(isinstance(d, NoticeDecided) for d in entry.decisions))

    def otherwise(*args, **kwargs):
        decided = decide(*args, **kwargs)
        fewer = tuple(d for d in decided.entry.decisions if not isinstance(d, NoticeDecided))
        return dataclasses.replace(decided, entry=decided.entry.model_copy(update={"decisions": fewer}))

    monkeypatch.setattr("pipeline.replay.journal.decide", otherwise)
    said = [str(difference) for difference in replay(entries, policies)]
    assert said[0].startswith(f"{changed.incident} #{changed.seq}: entry: recorded …")
    recorded, _, again = said[0].partition(", and now ")
    assert '"decisions":[{"audience":"responders"' in recorded
    assert '"decisions":[{"audience":"responders"' not in again
    assert len(said[0]) < 400


def machine_lines() -> dict[int, list[Line]]:
    stories: dict[int, list[Line]] = {}
    for line in machine_stories.read()[1]:
        stories.setdefault(line.story, []).append(line)
    return stories


@cache
def machine_policies() -> dict[str, policy.Policy]:
    return {published.hash: policy.compile(published) for published in machine_stories.read()[0]}


@pytest.mark.parametrize("story", machine_lines().values(), ids=lambda story: str(story[0].story))
def test_what_the_machine_played_is_decided_as_it_was(story):
    states: dict[str, IncidentState] = {}
    for line in story:
        state = states.get(line.incident, IncidentState(line.incident))
        decided = decide(state, line.input, machine_policies()[line.policy])
        entry = decided.entry
        said = "\n".join(decision.model_dump_json(exclude_none=True) for decision in entry.decisions)
        assert fingerprint(decided) == line.fingerprint, (
            f"another decision than was recorded of {entry.incident}/{entry.seq} ({entry.input.type}); now:\n{said}\n"
            "if that is meant: python -m tests.decide.record"
        )
        after = states[line.incident] = evolve(state, entry)
        assert decided.after == after, (
            f"what the decision knew is not what its journal says: {entry.incident}/{entry.seq}"
        )
        args = state, entry, machine_policies()[line.policy]
        assert (notices_of(*args), drafts_of(*args)) == (decided.notices, decided.drafts)


def test_journals_of_several_incidents_may_be_mixed(policies):
    columns = [entries_of(path) for path in PATHS]
    mixed = [column[n] for n in range(max(map(len, columns))) for column in columns if n < len(column)]
    assert list(replay(mixed, policies)) == []


@pytest.mark.parametrize("change", ["input", "decision", "rendering", "time"])
def test_a_changed_entry_is_found_and_named(change, policies):
    entries = entries_of(JOURNALS / "odd.jsonl")
    index = next(n for n, e in enumerate(entries) if any(isinstance(d, NoticeDecided) for d in e.decisions))
    entry = entries[index]
    first = next(d for d in entry.decisions if isinstance(d, NoticeDecided))
    match change:
        case "input":
            said = entry.input.model_copy(update={"data": entry.input.data | {"summary": "Something else."}})
            changed = entry.model_copy(update={"input": said})
        case "decision":
            changed = entry.model_copy(update={"decisions": tuple(d for d in entry.decisions if d is not first)})
        case "rendering":
            other = first.model_copy(update={"renderings": dict.fromkeys(first.renderings, ("0" * 64,))})
            changed = entry.model_copy(update={"decisions": tuple(other if d is first else d for d in entry.decisions)})
        case "time":
            later = entry.at.replace(microsecond=1000)
            changed = entry.model_copy(update={"at": later})
    found = list(replay([*entries[:index], changed, *entries[index + 1 :]], policies))
    assert found
    assert (found[0].incident, found[0].seq) == (entry.incident, entry.seq)
    assert found[0].recorded != found[0].again


def test_a_policy_that_is_not_at_hand_is_a_difference():
    entries = entries_of(JOURNALS / "odd.jsonl")
    found = list(replay(entries, {}))
    assert len(found) == len(entries)
    assert {difference.what for difference in found} == {"policy"}


def test_a_replay_holds_no_sender():
    """A process that replays has neither a channel nor a broker's client in it."""
    modules = "import sys, pipeline.replay.journal; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, check=True).stdout
    senders = r"pipeline\.(channels|broker|sandbox|web)|faust|aiokafka|aiohttp|aiosmtplib|twilio|tweepy|smtplib"
    assert [line for line in loaded.splitlines() if re.match(rf"({senders})(\.|$)", line)] == []
