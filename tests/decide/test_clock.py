"""What time itself triggers, rule by rule: exactly when, for whom, and when not."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from pipeline.decide.cadence.clock import draft_waits as draft_that_waits
from pipeline.decide.cadence.clock import (
    duty,
    first_notice_deadline,
    heartbeats,
    last_notice_deadline,
    maintenance_soon,
    promise_passes,
)
from pipeline.decide.cadence.due import Due, Remind, Tell
from pipeline.decide.occasion import Occasion, Telling
from pipeline.decide.state import Draft, IncidentState, Phase, Promise, Told, Word
from pipeline.decide.view import Known
from pipeline.policy import Policy
from schemas.base import Channel, Lane, Level, Severity, State
from schemas.journal import NoticeKind
from tests.decide.stories import START, a_policy

KIND = NoticeKind
MS, MINUTE, HOUR = timedelta(milliseconds=1), timedelta(minutes=1), timedelta(hours=1)
MARGIN = a_policy().cadence.heartbeat.margin


def duties(*, customers: str, technical: str = "") -> Policy:
    """Stages within which customers, and perhaps technical readers, must be told."""
    line = "  customers:\n    level: customer"
    change = f"{line} => {line}\n    must be told within: {{{customers}}}"
    if technical:
        line = "  technical:\n    level: technical"
        change += f" && {line} => {line}\n    must be told within: {{{technical}}}"
    return a_policy(audiences=change)


def told(*kinds: NoticeKind, at: datetime = START, since_seq: int = 1, open: bool = True) -> Told:
    words = tuple(Word(since_seq + n, START, kind, Known()) for n, kind in enumerate(kinds))
    return Told(START, at, Level.CUSTOMER, (Channel.EMAIL,), Known(), START, open=open, words=words)


def draft(kind: NoticeKind, since: datetime = START, since_seq: int = 1, audience: str = "customers") -> Draft:
    telling = Telling(audience, Level.CUSTOMER, kind, Lane.FIRST, (Channel.EMAIL,), "")
    occasion = Occasion("x", 1, since, Known(), Known(), False, False, None, "", since)
    return Draft("d1", telling, occasion, since, since_seq, "", ("communications",), 1, False, None, False, None)


def state(phase: Phase = Phase.OPEN, **more: object) -> IncidentState:
    return IncidentState("x", seq=9, phase=phase, opened_at=START, **more)  # type: ignore[arg-type]


def reminders(dues: Iterable[Due]) -> list[tuple[str, datetime]]:
    return [(due.act.rule, due.at) for due in dues if isinstance(due.act, Remind)]


def tellings(dues: Iterable[Due]) -> list[tuple[str, datetime]]:
    return [(due.act.audience, due.at) for due in dues if isinstance(due.act, Tell)]


# --- whoever must be told within a span

THREE = "word: 24h, the report: 30d, notes: 72h"
"""Neither in the order of time nor, in that, of their names."""


@pytest.mark.parametrize(
    ("words", "asked", "told_at"),
    [
        ((), ("word to customers", 18), None),
        ((KIND.OPENED,), ("notes to customers", 54), 72),
        ((KIND.OPENED, KIND.UPDATED), ("the report to customers", 29 * 24), 30 * 24),
        ((KIND.OPENED, KIND.UPDATED, KIND.UPDATED), ("the report to customers", 29 * 24), 30 * 24),
    ],
)
def test_every_stage_takes_a_word_of_its_own_and_the_last_one_the_end(words, asked, told_at):
    heard = {"customers": told(*words)} if words else {}
    dues = list(duty(state(told=heard), duties(customers=THREE)))
    rule, hours = asked
    assert reminders(dues) == [(rule, START + hours * HOUR)]
    text = next(due.act.text for due in dues if isinstance(due.act, Remind))
    assert text == f"the {rule} is due {6 if hours == 18 else 18 if hours == 54 else 24} hours from now"
    assert tellings(dues) == ([("customers", START + told_at * HOUR - MARGIN)] if told_at else [])


@pytest.mark.parametrize(
    ("within", "left"),
    [
        ("22h", "6 hours"),
        ("8h", "2 hours"),
        ("4h", "1 hour"),
        ("2h", "30 minutes"),
        ("10m", "2 minutes"),
        ("4m", "1 minute"),
    ],
)
def test_what_is_due_soon_says_in_how_many_hours_or_minutes(within, left):
    [due] = duty(state(), duties(customers=f"a word: {within}"))
    assert due.act.text == f"the a word to customers is due {left} from now"


def test_the_end_is_the_last_stage_and_so_is_a_review():
    for last in (KIND.RESOLVED, KIND.REVIEW):
        heard = {"customers": told(KIND.OPENED, KIND.UPDATED, last)}
        assert list(duty(state(told=heard), duties(customers=THREE))) == []


def test_of_two_stages_the_second_is_the_end_and_where_there_is_one_any_word_does():
    two, heard = "word: 24h, the report: 30d", {"customers": told(KIND.OPENED, KIND.UPDATED)}
    assert reminders(duty(state(told=heard), duties(customers=two))) == [
        ("the report to customers", START + 29 * 24 * HOUR)
    ]
    assert list(duty(state(told={"customers": told(KIND.OPENED)}), duties(customers="word: 24h"))) == []


def test_a_word_told_at_the_moment_of_a_stage_is_that_stage():
    heard = {"customers": told(KIND.OPENED, at=START + 72 * HOUR - MARGIN)}
    assert [rule for rule, _ in reminders(duty(state(told=heard), duties(customers=THREE)))] == [
        "the report to customers"
    ]


def test_whoever_was_told_that_it_is_over_is_asked_for_only():
    heard = {"customers": told(KIND.OPENED, open=False)}
    dues = list(duty(state(told=heard), duties(customers=THREE)))
    assert reminders(dues)
    assert not tellings(dues)


def test_each_audience_has_its_own_duties():
    dues = duty(state(), duties(customers=THREE, technical="a note: 48h"))
    assert [rule for rule, _ in reminders(dues)] == ["a note to technical", "word to customers"]


# --- what waits for approval


def test_an_audience_whose_approval_may_take_longer_waits_longer_at_the_beginning_and_at_the_end():
    line = "  customers:\n    level: customer"
    consent = "{by: [communications], of: every notice, or the safe text goes out after: 20m}"
    policy = a_policy(audiences=f"{line} => {line}\n    needs approval: {consent}")
    begins = state(drafts={"customers": draft(KIND.OPENED)})
    assert tellings(first_notice_deadline(begins, policy)) == [("customers", START + 20 * MINUTE)]
    ends = state(Phase.OVER, drafts={"customers": draft(KIND.RESOLVED)}, told={"customers": told()})
    assert tellings(last_notice_deadline(ends, policy)) == [("customers", START + 20 * MINUTE)]


def test_a_review_that_waits_for_approval_has_no_safe_text():
    over = state(Phase.OVER, drafts={"customers": draft(KIND.REVIEW)}, told={"customers": told(KIND.OPENED)})
    assert list(last_notice_deadline(over, a_policy())) == []


def test_an_end_that_waits_where_the_promised_update_has_passed_is_told_right_after_it_was_decided():
    owed = {"customers": Promise(START + MARGIN, START - HOUR, "cadence")}
    over = state(
        Phase.OVER, drafts={"customers": draft(KIND.RESOLVED)}, told={"customers": told(KIND.OPENED)}, promises=owed
    )
    assert tellings(last_notice_deadline(over, a_policy())) == [("customers", START + MS)]


def test_an_end_of_before_does_not_stand_for_the_one_that_waits_now():
    again = draft(KIND.RESOLVED, since_seq=5)
    before = {"customers": told(KIND.OPENED, KIND.RESOLVED)}
    over = state(Phase.OVER, drafts={"customers": again}, told=before)
    assert tellings(last_notice_deadline(over, a_policy()))
    with_it = {"customers": told(KIND.RESOLVED, since_seq=5)}
    assert not list(last_notice_deadline(state(Phase.OVER, drafts={"customers": again}, told=with_it), a_policy()))


def test_whoever_may_approve_is_told_for_whom():
    (due,) = draft_that_waits(state(drafts={"customers": draft(KIND.OPENED)}), a_policy())
    assert isinstance(due.act, Remind)
    assert due.act.text == "a notice to customers waits for approval by communications"


# --- promises and silence


def test_a_promise_is_broken_one_millisecond_after_its_time():
    (due,) = promise_passes(state(promises={"customers": Promise(START, START - HOUR, "cadence")}), a_policy())
    assert due.at == START + MS


@pytest.mark.parametrize(
    ("made", "due", "told_at", "expected"),
    [
        (-HOUR, HOUR, -HOUR, HOUR - MARGIN),
        (-HOUR, HOUR, HOUR - MS, HOUR - MS),
        (0 * HOUR, MARGIN, -HOUR, MARGIN / 2),
        (0 * HOUR, MARGIN + MS, -HOUR, MS),
    ],
)
def test_a_promise_is_kept_before_its_time_and_not_before_what_was_told_or_half_way(made, due, told_at, expected):
    owed = {"customers": Promise(START + due, START + made, "cadence")}
    found = heartbeats(state(promises=owed, told={"customers": told(KIND.OPENED, at=START + told_at)}), a_policy())
    assert found == {"customers": START + expected}


@pytest.mark.parametrize(("work", "minutes"), [(State.IDENTIFIED, 45), (State.MONITORING, 90)])
def test_without_a_promise_silence_is_broken_before_it_is_longer_than_this_state_of_the_work_allows(work, minutes):
    silent = state(
        known=Known(severity=Severity.MAJOR, state=work), worst=Severity.MAJOR, told={"customers": told(KIND.OPENED)}
    )
    assert heartbeats(silent, a_policy()) == {"customers": START + minutes * MINUTE - MARGIN}


# --- maintenance


def test_a_maintenance_that_has_begun_is_not_announced_again():
    planned = Known(starts_at=START + 48 * HOUR, ends_at=START + 50 * HOUR)
    heard = {"customers": told(KIND.MAINTENANCE_SCHEDULED)}
    ahead = tellings(maintenance_soon(state(Phase.PLANNED, known=planned, told=heard), a_policy()))
    assert ahead == [("customers", START + 24 * HOUR), ("customers", START + 47 * HOUR)]
    begun = state(Phase.OPEN, known=planned, told=heard, maintenance=True)
    assert reminders(maintenance_soon(begun, a_policy())) == [("maintenance ends", START + 50 * HOUR)]
    assert tellings(maintenance_soon(begun, a_policy())) == []
