"""What a person on call says, as flags and as answers, and the event it amounts to."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer

from pipeline.commands.facts import AMENDED, FLAGS, KINDS, OWN_FLAGS, Question, ask, build, shown, signature
from schemas.base import Severity, State
from schemas.incident import Consequences, Contact, Facts, IncidentOpened, IncidentResolved, Translation

NOW = datetime(2026, 3, 4, 3, 10, tzinfo=UTC)


def answering(answers: dict[str, str]) -> tuple[list[str], Callable[[Question, Callable[[str], Any]], Any]]:
    asked: list[str] = []

    def prompt(question: Question, check: Callable[[str], Any]) -> Any:
        asked.append(question.flag)
        return check(answers.get(question.flag, question.default or ""))

    return asked, prompt


def test_every_fact_of_the_wire_has_a_flag() -> None:
    reached = {flag.field.partition(".")[0] for flag in FLAGS.values()} - set(OWN_FLAGS)
    assert reached == set(Facts.model_fields)


@pytest.mark.parametrize("name", KINDS)
def test_every_question_is_about_a_flag_that_its_event_can_hold(name: str) -> None:
    parameters = signature(KINDS[name]).parameters
    assert all(question.flag in parameters for question in KINDS[name].questions)


def test_flags_become_an_event() -> None:
    said = {
        "title": "Search is slow", "severity": Severity.MINOR, "component": ["Search"], "now": "Slow.",
        "lasting": "None", "next_update": "in 30m", "contact": "Ann", "reach": "ann@example.com", "region": [],
    }  # fmt: skip
    assert build(KINDS["open"], said, NOW) == IncidentOpened(
        title="Search is slow",
        severity=Severity.MINOR,
        state=State.INVESTIGATING,
        components=("Search",),
        consequences=Consequences(now="Slow.", lasting="none"),
        next_update_at=NOW + timedelta(minutes=30),
        contact=Contact(name="Ann", reach="ann@example.com"),
    )


def test_other_languages_are_said_by_the_names_of_the_flags() -> None:
    said = {"summary": "Slow.", "translation": ["de.summary=Langsam.", "de.lasting=None", "fr.good-news=Ça va = mieux"]}
    event = build(KINDS["update"], said, NOW)
    assert event.translations == {
        "de": Translation(summary="Langsam.", consequences=Consequences(lasting="none")),
        "fr": Translation(good_news="Ça va = mieux"),
    }
    rows = {what: (value, who) for what, value, who in shown(event)}
    assert rows["summary (de)"] == ("Langsam.", "everyone")
    assert rows["lasting (de)"] == ("none", "everyone")


@pytest.mark.parametrize("given", ["summary=x", "de.severity=minor", "de.summary", "de.=x", "", "german.summary=x"])
def test_a_translation_that_cannot_be_meant_is_refused_by_its_flag(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="--translation"):
        build(KINDS["update"], {"translation": [given]}, NOW)


def test_an_amendment_says_something() -> None:
    assert build(AMENDED, {"summary": "x"}, NOW) == Facts(summary="x")
    with pytest.raises(typer.BadParameter, match="nothing is said"):
        build(AMENDED, {}, NOW)


def test_what_was_not_answered_stays_unsaid() -> None:
    asked, prompt = answering({"title": "Search is slow"})
    event = build(KINDS["open"], ask(KINDS["open"], {}, prompt, NOW), NOW)
    assert "reach" not in asked
    assert event == IncidentOpened(
        title="Search is slow",
        severity=Severity.MAJOR,
        state=State.INVESTIGATING,
        next_update_at=NOW + timedelta(minutes=30),
    )


def test_what_a_flag_says_is_not_asked_again() -> None:
    asked, prompt = answering({})
    ask(KINDS["update"], {"summary": "x", "next_update": None}, prompt, NOW)
    assert asked == ["next_update"]


def test_a_resolution_ends_now_unless_said_otherwise() -> None:
    _, prompt = answering({"began": "2h ago", "lasting": "none"})
    event = build(KINDS["resolve"], ask(KINDS["resolve"], {}, prompt, NOW), NOW)
    assert isinstance(event, IncidentResolved)
    assert (event.began_at, event.ended_at, event.state) == (NOW - timedelta(hours=2), NOW, State.RESOLVED)


@pytest.mark.parametrize(
    ("kind", "said", "complaint"),
    [
        ("open", {"title": "x"}, "--severity is missing"),
        ("open", {"title": "x", "severity": Severity.MINOR, "contact": "Ann"}, "--reach is missing"),
        ("update", {}, "at least --summary"),
        ("impact", {"summary": "x"}, "what changed"),
        ("milestone", {"summary": "x"}, "--milestone is missing"),
        ("update", {"summary": "x", "next_update": "soon"}, "--next-update: 'soon' is no moment"),
    ],
)
def test_what_is_missing_or_wrong_is_said_by_its_flag(kind: str, said: dict[str, Any], complaint: str) -> None:
    with pytest.raises(typer.BadParameter, match=complaint):
        build(KINDS[kind], said, NOW)


def test_a_wrong_answer_is_refused_when_it_is_given() -> None:
    for answers in ({"severity": "bad"}, {"next_update": "soon"}):
        _, prompt = answering({"title": "x", **answers})
        with pytest.raises(typer.BadParameter):
            ask(KINDS["open"], {}, prompt, NOW)


def test_an_answer_that_the_event_would_not_take_is_refused_when_it_is_given() -> None:
    for kind, answers in (("open", {"title": "x" * 2000}), ("resolve", {"summary": "x" * 100_000})):
        asked, prompt = answering(answers)
        with pytest.raises(typer.BadParameter, match=f"--{next(iter(answers))}: "):
            ask(KINDS[kind], {}, prompt, NOW)
        assert asked[-1] in answers


def test_who_names_a_contact_is_asked_how_to_reach_them_until_it_is_said() -> None:
    reach = next(question for question in KINDS["open"].questions if question.flag == "reach")
    assert reach.required
    asked, prompt = answering({"title": "x", "reach": "ann@example.com"})
    ask(KINDS["open"], {"contact": "Ann"}, prompt, NOW)
    assert "reach" in asked


def test_a_flag_that_cannot_be_used_is_refused_before_the_first_question() -> None:
    asked, prompt = answering({"title": "x"})
    with pytest.raises(typer.BadParameter, match="--next-update: 'soon' is no moment"):
        ask(KINDS["open"], {"next_update": "soon"}, prompt, NOW)
    assert not asked


def test_before_sending_it_is_shown_who_may_see_what() -> None:
    said = {"title": "x", "severity": Severity.MINOR, "technical": "t", "internal": "i", "ownership": "o", "now": "n"}
    rows = {what: (value, who) for what, value, who in shown(build(KINDS["open"], said, NOW))}
    assert rows["title"] == ("x", "everyone")
    assert rows["technical detail"] == ("t", "technical readers")
    assert rows["internal notes"] == ("i", "insiders")
    assert rows["ownership"] == ("o", "with approval (legal)")
    assert rows["expected"] == ("not yet known", "everyone")
