"""What is reported is what the log says, by the back-test's own measure."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline import cli
from pipeline.commands.report import beginning
from pipeline.honesty.figures import FEW, Reach, Told, figures, reached
from pipeline.honesty.plots import dots
from pipeline.replay.measure import measured
from pipeline.replay.spans import percent
from pipeline.replay.sums import spread
from tests.honesty.made import DELAY, PEOPLE, projected
from tests.projection.made import run, trial

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a projection."""
    from pipeline.settings import Settings

    directory = tmp_path_factory.mktemp("projected")
    asyncio.run(projected(Settings(_env_file=None, data_dir=directory)))
    return directory


def tocsin(monkeypatch: pytest.MonkeyPatch, data_dir: Path, *words: str) -> str:
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(data_dir))
    done = CliRunner().invoke(cli.app, ["report", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_figures_of_an_incident_are_those_that_the_back_test_measures(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    found = json.loads(tocsin(monkeypatch, data_dir, "--since", "ever", "--json"))
    result = measured(run(), trial().conditions, trial().prices)
    told = {name: heard for name, heard in result.audiences.items() if heard.notices}
    for name, heard in told.items():
        assert found["audiences"][name]["decided_s"]["max"] == heard.first_s
        assert found["audiences"][name]["first_s"]["max"] == heard.first_s + DELAY.total_seconds()
        assert found["audiences"][name]["silence_s"]["max"] == heard.silence_s
    kept = [promise.kept for promise in result.promises if promise.by == "cadence"]
    own = found["sums"]["promises"]["cadence"]
    assert (own["made"], own["kept"], own["broken"]) == (len(kept), kept.count(True), kept.count(False))
    assert found["sums"]["findings"] == result.findings
    [incident] = found["incidents"]
    assert incident["silence_s"] == max(heard.silence_s or 0 for heard in told.values())


def test_reach_leaves_out_whom_a_rule_kept_from_being_told(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    mail = json.loads(tocsin(monkeypatch, data_dir, "--since", "ever", "--json"))["sums"]["reach"]["email"]
    each = mail["intended"] / 5
    assert (mail["accepted"], mail["suppressed"], mail["parked"], mail["unknown"]) == (2 * each, each, each, each)
    assert mail["share"] == 0.5
    assert mail["unknowns"] == each


def test_the_table_says_the_same_in_eighty_columns(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    said = tocsin(monkeypatch, data_dir, "--since", "ever")
    assert max(map(len, said.splitlines())) <= 96
    assert re.search(r"^email +\d+ +\d+ .* 50\.0%$", said, re.MULTILINE)
    assert "promises" in said
    assert run().past.title[:10] in said


def test_what_was_heard_of_before_is_left_out(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    assert "0 incidents since" in tocsin(monkeypatch, data_dir, "--since", "1d")


def test_one_incident_alone(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    assert "1 incident," in tocsin(monkeypatch, data_dir, "--incident", run().past.incident)


def test_the_page_asks_for_nothing_and_names_nobody(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    tocsin(monkeypatch, data_dir, "--since", "ever", "--html", str(file))
    page = file.read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "style=" not in page
    assert "<script" not in page
    assert run().past.title in page
    for person in PEOPLE:
        assert person not in page


def test_without_a_projection_it_says_how_to_come_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(cli.app, ["report"])
    assert done.exit_code == 1
    assert "`tocsin rebuild` makes one" in done.output


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30d", NOW - timedelta(days=30)),
        ("2w", NOW - timedelta(weeks=2)),
        ("48h", NOW - timedelta(hours=48)),
        ("2026-03-04", datetime(2026, 3, 4, tzinfo=UTC)),
        ("ever", None),
    ],
)
def test_since_is_read_as_people_write_it(text: str, moment: datetime | None) -> None:
    assert beginning(text, NOW) == moment


def test_since_that_says_nothing_is_refused_with_the_forms() -> None:
    with pytest.raises(typer.BadParameter, match="30d, 12w, 48h"):
        beginning("lately", NOW)


def told(heard_at: datetime, **reach: Reach) -> Told:
    from pipeline.replay.measure import story_of

    story = story_of(run().past, [(turn.entry, turn.after) for turn in run().turns])
    return Told(heard_at, story, reach, {"customers": 60.0})


def test_a_short_time_is_told_by_day_and_a_long_one_by_week() -> None:
    by_day = figures([told(NOW), told(NOW - timedelta(days=1))], NOW - FEW, NOW, 1)
    assert [period.begins.day for period in by_day.periods] == [25, 26]
    by_week = figures([told(NOW), told(NOW - timedelta(days=1))], NOW - 2 * FEW, NOW, 1)
    assert [(period.begins.weekday(), period.sums.incidents) for period in by_week.periods] == [(0, 2)]


def test_reach_adds_up_by_channel() -> None:
    one, other = {"email": Reach(intended=2, accepted=1)}, {"email": Reach(intended=3, accepted=3), "sms": Reach(1, 1)}
    assert reached([one, other]) == {"email": Reach(intended=5, accepted=4), "sms": Reach(intended=1, accepted=1)}
    assert Reach(intended=3, suppressed=3).share is None


@pytest.mark.parametrize(
    ("share", "words"), [(1.0, "100%"), (0.99999, "99.9%"), (0.5, "50.0%"), (0.00001, "0.1%"), (0.0, "0%"), (None, "-")]
)
def test_what_is_not_all_is_never_called_all(share: float | None, words: str) -> None:
    assert percent(share) == words


def test_a_title_cannot_become_markup() -> None:
    one = told(NOW)
    from dataclasses import replace

    hostile = replace(one, story=replace(one.story, title="<script>alert(1)</script>"))
    assert "<script" not in dots([hostile], lambda one: one.first_s, "x")


def test_no_incident_is_no_error() -> None:
    none = figures([], None, NOW, 0)
    assert (none.sums.incidents, none.sums.first_s, none.sums.promises_kept) == (0, spread([]), None)
