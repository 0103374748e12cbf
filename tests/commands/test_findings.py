"""`tocsin policy findings`: how often each rule of the guard objects to what was once said, and where."""

import json
import time

import pytest
import typer
from typer.testing import CliRunner

from pipeline.commands.findings import findings, posts, summary
from pipeline.decide.guard import RULES
from pipeline.recorded import read
from schemas.journal import NoticeKind
from tests.paths import CORPUS, needs_corpus

GITHUB = CORPUS / "incidents" / "github-2022-2024.jsonl"
POSTS = [
    {"at": "2026-03-04T09:12:00Z", "status": "investigating", "body": "Logins fail on db-7."},
    {"at": "2026-03-04T09:20:00Z", "status": "update", "body": "Logins fail on db-7."},
    {"at": "2026-03-04T09:30:00Z", "status": "update", "body": "Logins fail. It should be fixed by 10:00."},
    {"at": "2026-03-04T09:40:00Z", "status": "update", "body": None},
    {"at": "2026-03-04T10:40:00Z", "status": "resolved", "body": "This incident has been resolved."},
]
INCIDENT = {
    "id": "logins",
    "name": "Logins fail [sometimes]",
    "impact": "major",
    "kind": "incident",
    "created_at": "2026-03-04T09:12:00Z",
    "updates": POSTS,
}

app = typer.Typer()
app.command()(findings)
runner = CliRunner()


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / "incidents.jsonl"
    path.write_text(json.dumps(INCIDENT) + "\n")
    return path


def run(*arguments):
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def flagged(output):
    return {rule: figures["flagged"] for rule, figures in json.loads(output)["rules"].items()}


def test_every_post_that_says_something_is_examined_as_its_readers_got_it(recorded):
    examined = list(posts(read([recorded])))
    assert [post.said.kind for post in examined] == [
        NoticeKind.OPENED,
        NoticeKind.UPDATED,
        NoticeKind.UPDATED,
        NoticeKind.RESOLVED,
    ]
    assert examined[0].said.fresh == {"title", "summary"}
    assert examined[1].said.before == examined[0].said.texts
    assert examined[3].said.final


def test_the_posts_that_each_rule_flags_are_counted(recorded):
    counted = json.loads(run(recorded, "--json"))
    assert counted["posts"] == 4
    assert counted["rules"].keys() == RULES.keys()
    assert counted["rules"]["promised-end"] == {"default": "mend", "flagged": 1, "share": 0.25}
    assert counted["rules"]["same-text"]["flagged"] == 1
    assert counted["rules"]["internal-name"]["flagged"] == 2


def test_what_was_said_before_is_not_counted_again(recorded, tmp_path):
    title = tmp_path / "title.jsonl"
    title.write_text(json.dumps(INCIDENT | {"name": "db-7 is down"}) + "\n")
    assert flagged(run(title, "--json"))["internal-name"] == flagged(run(recorded, "--json"))["internal-name"]


def test_the_table_names_every_rule(recorded):
    output = run(recorded)
    assert "4 posts" in output
    assert all(rule in output for rule in RULES)


def test_samples_show_the_words_between_marks(recorded):
    output = run(recorded, "--rule", "promised-end", "--samples", "5")
    assert "promised-end: 1 of 4 posts" in output
    assert "summary: Logins fail. It »should be fixed by 10:00«." in output


def test_samples_of_a_rule_about_the_whole_message_show_what_was_said(recorded):
    output = run(recorded, "--rule", "lasting-unsaid-at-end")
    assert "summary: This incident has been resolved." in output


def test_the_same_seed_shows_the_same_samples(recorded):
    arguments = (recorded, "--rule", "lasting-unsaid", "--samples", "2", "--json")
    assert run(*arguments, "--seed", "3") == run(*arguments, "--seed", "3")
    assert len(json.loads(run(*arguments))["samples"]) == 2


def test_a_rule_that_does_not_exist_is_refused_by_name(recorded):
    result = runner.invoke(app, [str(recorded), "--rule", "nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.output


def test_nothing_recorded_is_nothing_found():
    assert summary([])["posts"] == 0
    assert summary([])["rules"]["blame"]["share"] == 0.0


@needs_corpus
def test_the_shares_of_real_posts_are_near_to_what_was_counted_in_the_field():
    """communication.md: 2.6% of posts promise an end, 2.7% blame a third party, 0.1% mention data loss; GitHub less."""
    counted = summary(list(posts(read([GITHUB]))))
    shares = {rule: figures["share"] for rule, figures in counted["rules"].items()}
    assert counted["posts"] == 2_165
    assert 0.012 < shares["promised-end"] < 0.026
    assert 0.012 < shares["blame"] < 0.027
    assert 0.02 < shares["same-text"] < 0.03
    assert shares["secret"] == shares["file-path"] == shares["stack-trace"] == 0


@needs_corpus
@pytest.mark.slow
def test_a_real_post_is_examined_within_a_tenth_of_a_millisecond_at_the_median():
    from pipeline.decide.guard import examine

    messages = [post.said for post in posts(read([GITHUB]))]
    taken_ns = []
    for message in messages:  # the texts were seen above: an incident's texts come again with each of its notices
        began = time.process_time_ns()
        examine(message)
        taken_ns.append(time.process_time_ns() - began)
    assert sorted(taken_ns)[len(taken_ns) // 2] < 100_000
