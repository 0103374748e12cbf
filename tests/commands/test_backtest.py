"""`tocsin backtest` as a person, or a program, runs it."""

import asyncio
import json
from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner, Result

from pipeline.broker import connect
from pipeline.cli import app
from pipeline.commands import backtest as command
from pipeline.commands import backtests
from pipeline.policy import load
from pipeline.recorded import read
from pipeline.replay.past import pasts_of
from pipeline.replay.rerun import rerun
from pipeline.replay.results import Prices
from pipeline.replay.sums import summed
from schemas import codec, topics
from schemas.base import Channel
from schemas.census import AudienceCount, Census
from tests.commands.running import tocsin
from tests.paths import REPOSITORY
from tests.replay.trials import QUIET_PAST, conditions, result

OURS = REPOSITORY / "deploy" / "incidents"
LARGE, SMALL = OURS / "large-overnight-payments.json", OURS / "small-search-slow.json"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["backtest", *map(str, arguments)], env={"COLUMNS": "80", "NO_COLOR": "1"})


def test_the_summary_fits_a_terminal_and_names_who_is_told_and_how_long_they_are_left_alone() -> None:
    found = run("--policy", "small-saas", LARGE, SMALL)
    assert found.exit_code == 0, found.output
    assert all(len(line) <= 80 for line in found.stdout.splitlines())
    for words in ("2 incidents", "customers", "messages to customers", "kept by Tocsin itself", "cost at most"):
        assert words in found.stdout
    assert 'whoever was told "open" was told "resolved"' in found.stdout


def test_json_has_the_number_of_incidents_the_sums_and_each_incident() -> None:
    found = json.loads(run("--policy", "small-saas", "--json", LARGE, SMALL).stdout)
    assert (found["incidents"], len(found["per_incident"])) == (2, 2)
    assert found["sound"] is True
    assert found["sums"]["promises"]["cadence"]["broken"] == 0
    assert found["per_incident"][0]["sent"][0]["at"].endswith("Z")


def test_two_policies_are_compared_down_to_the_notice() -> None:
    found = json.loads(run("--policy", "enterprise", "--against", "small-saas", "--json", LARGE).stdout)
    counts = found["difference"]["counts"]
    listed = [change["change"] for one in found["difference"]["per_incident"] for change in one["changes"]]
    assert {name: listed.count(name) for name in counts if name != "same"} == {
        k: v for k, v in counts.items() if k != "same"
    }
    text = run("--policy", "enterprise", "--against", "small-saas", LARGE).stdout
    assert "difference" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_policy_against_itself_changes_nothing() -> None:
    found = json.loads(run("--policy", "small-saas", "--against", "small-saas", "--json", LARGE).stdout)
    assert {name for name, count in found["difference"]["counts"].items() if count} == {"same"}


def test_one_incident_is_shown_in_full() -> None:
    (past,) = pasts_of(read([SMALL]))
    found = run("--policy", "small-saas", "--incident", past.incident, LARGE, SMALL)
    assert found.exit_code == 0
    assert "the team opened (investigating)" in found.stdout
    assert "customers by email and sms; public by x (opened): a start is told at once" in " ".join(found.stdout.split())
    assert run("--policy", "small-saas", "--incident", "nosuch", SMALL).exit_code == 1


def test_the_report_and_the_picture_are_written(tmp_path) -> None:
    html, svg = tmp_path / "report.html", tmp_path / "silence.svg"
    assert run("--policy", "small-saas", "--html", html, "--picture", svg, SMALL).exit_code == 0
    assert html.read_text().startswith("<!doctype html>")
    assert svg.read_text().startswith("<svg")
    assert "cannot be written" in run("--policy", "small-saas", "--html", tmp_path / "no" / "r.html", SMALL).stderr


def test_prices_and_a_census_make_the_cost(tmp_path) -> None:
    census = tmp_path / "census.json"
    census.write_text(
        json.dumps({"customers": AudienceCount(total=10, channels={Channel.SMS: 10}).model_dump(mode="json")})
    )
    found = json.loads(
        run("--policy", "small-saas", "--json", "--census", census, "--sms-price", "1", "--x-price", "0", LARGE).stdout
    )
    costs = found["sums"]["costs"]
    assert costs["total"] == costs["sms_segments"] > 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--policy", "nosuch", SMALL], "no policy 'nosuch'"),
        (["--policy", "small-saas"], "name files of recorded incidents, --from-log or --archive"),
        (["--policy", "small-saas", "--from-log", SMALL], "only one of them"),
        (["--policy", "small-saas", "--from-log", "--archive", "there"], "only one of them"),
        (["--policy", "small-saas", "nowhere.json"], "nowhere.json: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: list[object], why: str) -> None:
    found = run(*arguments)
    assert found.exit_code == 1
    assert why in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1


def test_approvals_are_none_or_after_so_long() -> None:
    assert command._approvals("none") is None
    assert command._approvals("after=10m") == timedelta(minutes=10)
    with pytest.raises(typer.BadParameter, match="neither"):
        command._approvals("soon")


def test_with_approvals_nothing_goes_out_in_templated_words() -> None:
    held = json.loads(run("--policy", "enterprise", "--json", LARGE).stdout)
    approved = json.loads(run("--policy", "enterprise", "--json", "--approvals", "after=1m", LARGE).stdout)
    assert held["sums"]["safe"] > 0
    assert approved["sums"]["safe"] < held["sums"]["safe"]


def test_what_must_not_be_is_named_with_its_incident() -> None:
    """And then the exit status is 1."""
    sums = summed([result(QUIET_PAST)], Prices())
    assert list(backtests.problems(sums)) == []
    sums.broken.append("search-1: customers")  # type: ignore[attr-defined]
    sums.unclosed.append("search-2: public")  # type: ignore[attr-defined]
    assert list(backtests.problems(sums)) == [
        "a promise of Tocsin's own was broken: search-1: customers",
        'told "open" and never "resolved": search-2: public',
    ]


def test_an_unsound_run_ends_with_status_1(monkeypatch) -> None:
    monkeypatch.setattr(backtests, "problems", lambda _: ["a promise of Tocsin's own was broken: search-1: customers"])
    found = run("--policy", "small-saas", SMALL)
    assert found.exit_code == 1
    assert "search-1: customers" in found.stderr


async def test_the_running_systems_own_incidents_are_run_under_a_published_version(own_broker) -> None:
    """Only what upstream said is taken from the journal: the clock's old calls would be a stranger's."""
    policy = load(REPOSITORY / "deploy" / "policies" / "small-saas")
    records = [codec.encode(topics.POLICIES, policy, id=policy.hash, source="/t", subject=policy.name)]
    (past,) = pasts_of(read([SMALL]))
    for number, turn in enumerate(rerun(past, conditions()).turns):
        entry = codec.encode(topics.INCIDENT_JOURNAL, turn.entry, id=f"j{number}", source="/t", subject=past.incident)
        records.append(entry)
    census = Census(policy=policy.hash, audiences={"customers": AudienceCount(total=7, channels={Channel.SMS: 7})})
    records.append(codec.encode(topics.CENSUS, census, id="c", source="/t", subject="0", partition=0))
    async with connect.open_producer(own_broker) as producer:
        for record in records:
            await connect.send(producer, record)
    found = await tocsin(own_broker, "backtest", "--policy", policy.hash[:10], "--from-log", "--json")
    assert found.exit_code == 0, found.output
    from_log = json.loads(found.stdout)
    from_file = json.loads((await asyncio.to_thread(run, "--policy", "small-saas", "--json", SMALL)).stdout)
    assert from_log["incidents"] == 1
    assert from_log["readers"]["audiences"]["customers"]["total"] == 7
    assert _told(from_log) == _told(from_file)


def _told(said: dict) -> list[tuple[str, str, str]]:
    """What does not hang on where the readers are."""
    return [(one["at"], one["audience"], one["kind"]) for one in said["per_incident"][0]["sent"] if not one["zones"]]
