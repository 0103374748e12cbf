"""Figures of one incident, counted by eye: silences by audience and zone, promises, closure, what was held."""

from dataclasses import replace

import pytest

from pipeline.decide.incident import Decided
from pipeline.decide.state import Phase
from pipeline.replay.measure import measured
from pipeline.replay.results import Prices, Result
from schemas.base import Channel
from schemas.census import AudienceCount
from schemas.journal import (
    AudiencePutOff,
    AudienceSilent,
    DraftVoided,
    FieldWithheld,
    GuardFound,
    NoticeKind,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    ResolutionHeld,
    ResolutionUndone,
)
from tests.replay.made import held, post, rerun_of, sms, told, turn
from tests.replay.trials import QUIET_PAST, at, conditions, result

OPENED, RESOLVED = NoticeKind.OPENED, NoticeKind.RESOLVED


def figures(*turns: Decided, census: dict[str, AudienceCount] | None = None) -> Result:
    under = replace(conditions(), census=census or {})
    return measured(rerun_of(*turns), under, Prices())


def test_the_first_notice_counts_from_the_teams_first_word() -> None:
    found = figures(turn(0), turn(5, told("customers", OPENED)))
    assert found.audiences["customers"].first_s == 300
    assert found.audiences["public"].first_s is None


def test_silence_counts_heartbeats_but_no_reminders_and_ends_with_the_end() -> None:
    found = figures(
        turn(0, told("customers", OPENED)),
        turn(20, told("customers", NoticeKind.UNCHANGED)),
        turn(30, told("customers", NoticeKind.REMINDER)),
        turn(60, told("customers", RESOLVED), phase=Phase.OVER),
        turn(9000, told("customers", NoticeKind.REVIEW), phase=Phase.OVER),
    )
    assert found.audiences["customers"].silence_s == 40 * 60


def test_a_word_to_one_time_zone_breaks_the_silence_there_alone() -> None:
    census = {"customers": AudienceCount(total=2, zones={"Asia/Tokyo": 1, "Europe/Berlin": 1})}
    turns = (
        turn(0, told("customers", OPENED)),
        turn(50, told("customers", NoticeKind.UNCHANGED, zones=("Asia/Tokyo",))),
        turn(60, told("customers", RESOLVED), phase=Phase.OVER),
    )
    assert figures(*turns, census=census).audiences["customers"].silence_s == 60 * 60
    only_tokyo = {"customers": AudienceCount(total=1, zones={"Asia/Tokyo": 1})}
    assert figures(*turns, census=only_tokyo).audiences["customers"].silence_s == 50 * 60


def test_a_plan_is_no_beginning_of_silence() -> None:
    found = figures(
        turn(0, told("customers", NoticeKind.MAINTENANCE_SCHEDULED), phase=Phase.PLANNED),
        turn(600, told("customers", NoticeKind.MAINTENANCE_STARTED)),
        turn(630, told("customers", NoticeKind.MAINTENANCE_COMPLETED), phase=Phase.OVER),
    )
    assert found.audiences["customers"].silence_s == 30 * 60


def test_whoever_was_told_open_and_not_resolved_is_unclosed() -> None:
    found = figures(
        turn(0, told("customers", OPENED), told("public", OPENED)),
        turn(60, told("public", RESOLVED), phase=Phase.OVER),
    )
    assert found.unclosed == ("customers",)


def test_an_end_that_waits_for_approval_is_on_record_and_not_unclosed_until_it_is_voided() -> None:
    begun = turn(0, told("customers", OPENED))
    waits = turn(60, held("customers", RESOLVED), phase=Phase.OVER)
    found = figures(begun, waits)
    assert (found.unclosed, found.audiences["customers"].waiting) == ((), True)
    voided = turn(61, DraftVoided(draft="d", audience="customers", reason="rejected"), phase=Phase.OVER)
    assert figures(begun, waits, voided).unclosed == ("customers",)


def test_what_became_of_promises() -> None:
    made = PromiseMade(audience="customers", due=at(30), by="cadence")
    later = PromiseMade(audience="customers", due=at(60), by="cadence")
    theirs = PromiseMade(audience="public", due=at(30), by="upstream")
    found = figures(
        turn(0, made, theirs),
        turn(20, PromiseKept(audience="customers", due=at(30)), later),
        turn(31, PromiseBroken(audience="public", due=at(30))),
        turn(61, PromiseBroken(audience="customers", due=at(60))),
    )
    assert [(one.audience, one.by, one.kept) for one in found.promises] == [
        ("customers", "cadence", True),
        ("public", "upstream", False),
        ("customers", "cadence", False),
    ]
    assert [(one.audience, one.due) for one in found.broken] == [("customers", at(60))]


def test_a_promise_that_was_replaced_or_is_open_at_the_end_is_neither_kept_nor_broken() -> None:
    first, second = (PromiseMade(audience="customers", due=at(due), by="cadence") for due in (30, 60))
    assert [one.kept for one in figures(turn(0, first), turn(5, second)).promises] == [None, None]


def test_everything_else_is_counted() -> None:
    finding = GuardFound(rule="blame", action="mend", audiences=("customers",), field="summary", words="w", why="y")
    found = figures(
        turn(0, finding, AudienceSilent(audience="public", reason="r"), held("customers", OPENED)),
        turn(5, AudiencePutOff(audience="customers", kind=NoticeKind.UPDATED, until=at(9), reason="gap")),
        turn(9, finding, FieldWithheld(field="ownership", reason="r"), ResolutionHeld(until=at(20), reason="r")),
        turn(15, ResolutionUndone(reason="r")),
    )
    assert found.findings == {"blame: mend": 2}
    assert (found.silent, found.put_off, found.held) == ({"r": 1}, {"gap": 1}, {"customers": 1})
    assert (found.withheld, found.ends_held, found.ends_undone) == ({"ownership": 1}, 1, 1)


def test_a_notice_shows_what_its_sms_says_or_else_its_post() -> None:
    found = figures(
        turn(0, told("customers", OPENED, post("A post."), sms("A text."))),
        turn(1, told("public", OPENED, post("A post."))),
    )
    assert [one.text for one in found.sent] == ["A text.", "A post."]
    assert [one.channels for one in found.sent] == [(Channel.SMS, Channel.X), (Channel.X,)]


@pytest.mark.parametrize("name", ["small-saas", "enterprise", "regulated"])
def test_a_quiet_large_incident_is_sound_under_each_policy_that_ships(name: str) -> None:
    found = result(QUIET_PAST, conditions(name))
    assert (found.broken, found.unclosed) == ((), ())
    assert found.facts_silence_s == 300 * 60
    assert found.audiences["customers"].silence_s < 300 * 60
    assert found.large
    assert found.ended == at(330)
