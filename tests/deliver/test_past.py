"""The past: what counts as newer, as heard, as sent; who is owed the end, and who got the wrong text."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.deliver.ledger import Ledger
from pipeline.deliver.past import NOTHING, Lookback, Past, got, owed
from schemas.base import Channel
from schemas.delivery import DeliveryBatch, NoticeSuperseded, Result
from schemas.journal import NoticeKind
from schemas.notice import Manners, PlayedClock
from tests.deliver.given import AT, EMAIL, SMS, X, attempted, batch, ended, intended

MAIL = {EMAIL}


def folded(*records: object) -> Ledger:
    ledger = Ledger()
    for record in records:
        ledger.apply(record)
    return ledger


def told(*recipients: str, result: Result = Result.ACCEPTED, **named: Any) -> list[object]:
    """All records of one notice."""
    place = {name: named[name] for name in ("seq", "channel", "incident", "at") if name in named}
    return [
        intended(*recipients, **named),
        *([] if result in (Result.SUPPRESSED, Result.DEFERRED) else [attempted(*recipients, **place)]),
        ended(result, *recipients, due=AT, **place),
    ]


def past_of(ledger: Ledger, batch: DeliveryBatch, recipient: str, at: datetime) -> Past:
    return Lookback(ledger, batch, at).of(recipient)


def superseded(seq: int, *, and_earlier: bool, audience: str = "customers") -> NoticeSuperseded:
    return NoticeSuperseded(
        incident="INC-1", seq=seq, audience=audience, and_earlier=and_earlier, by_notice="n9", by_seq=9, at=AT
    )


def test_of_whom_nothing_is_known_there_is_no_past() -> None:
    assert past_of(Ledger(), batch(channel=EMAIL), "s1", AT) is NOTHING
    assert past_of(folded(*told("s2")), batch(channel=EMAIL, seq=2), "s1", AT) is NOTHING


@pytest.mark.parametrize("result", [Result.ACCEPTED, Result.UNKNOWN, Result.RETRYABLE, Result.DEFERRED])
def test_a_later_notice_that_was_told_or_is_still_to_be_is_newer(result: Result) -> None:
    ledger = folded(*told("s1", seq=3, result=result, kind=NoticeKind.UPDATED))
    assert past_of(ledger, batch(channel=EMAIL, seq=2), "s1", AT).newer
    assert not past_of(ledger, batch(channel=EMAIL, seq=4), "s1", AT).newer
    assert not past_of(ledger, batch(channel=SMS, seq=2), "s1", AT).newer


@pytest.mark.parametrize("result", [Result.SUPPRESSED, Result.PERMANENT, Result.PARKED])
def test_a_later_notice_that_will_not_reach_them_makes_nothing_old(result: Result) -> None:
    ledger = folded(*told("s1", seq=3, result=result, kind=NoticeKind.UPDATED))
    assert not past_of(ledger, batch(channel=EMAIL, seq=2), "s1", AT).newer


@pytest.mark.parametrize("kind", [NoticeKind.REVIEW, NoticeKind.CORRECTION, NoticeKind.REMINDER])
def test_what_does_not_say_how_it_stands_makes_nothing_old(kind: NoticeKind) -> None:
    past = past_of(folded(*told("s1", seq=3, kind=kind)), batch(channel=EMAIL, seq=2), "s1", AT)
    assert not past.newer
    assert past.begun


def test_a_later_end_is_known_as_an_end() -> None:
    ledger = folded(*told("s1", seq=3, kind=NoticeKind.RESOLVED, closing=True, result=Result.RETRYABLE))
    past = past_of(ledger, batch(channel=EMAIL, seq=2), "s1", AT)
    assert (past.newer, past.newer_end, past.heard) == (True, True, False)


def test_a_notice_is_old_by_a_correction_of_it_and_by_an_end_after_it() -> None:
    corrected, over = folded(superseded(2, and_earlier=False)), folded(superseded(2, and_earlier=True))
    for seq, expected in ((1, (False, True)), (2, (True, True)), (3, (False, False))):
        of = batch(channel=EMAIL, seq=seq)
        seen = past_of(corrected, of, "s1", AT).corrected, past_of(over, of, "s1", AT).ended
        assert seen == expected
    assert not past_of(over, batch(channel=EMAIL, audience="technical"), "s1", AT).ended


def test_the_cap_counts_messages_within_the_window_over_all_incidents_but_not_their_ends() -> None:
    minutes = [timedelta(minutes=n) for n in range(8)]
    ledger = folded(
        *told("s1", incident="A", at=AT - minutes[7]),
        *told("s1", incident="B", at=AT - minutes[4], result=Result.RETRYABLE),
        attempted("s1", incident="B", attempt=2, at=AT - minutes[3]),
        *told("s1", incident="C", at=AT - minutes[2], closing=True),
        *told("s2", incident="D", at=AT - minutes[1]),
        *told("s1", incident="E", channel=SMS, at=AT),
    )
    five = Manners(at_most={EMAIL: 2}, cap_window_s=300)
    assert past_of(ledger, batch(channel=EMAIL, manners=five), "s1", AT).sends == (AT - minutes[3],)
    ten = Manners(at_most={EMAIL: 2}, cap_window_s=600)
    assert past_of(ledger, batch(channel=EMAIL, manners=ten), "s1", AT).sends == (AT - minutes[7], AT - minutes[3])
    assert past_of(ledger, batch(channel=EMAIL), "s1", AT).sends == ()


def test_each_recipients_own_time_counts_whenever_the_notice_went_to_others() -> None:
    early, late = AT - timedelta(minutes=9), AT - timedelta(minutes=1)
    ledger = folded(*told("s1", incident="A", at=early), *told("s2", incident="A", at=late))
    five = batch(channel=EMAIL, manners=Manners(at_most={EMAIL: 1}, cap_window_s=300))
    assert past_of(ledger, five, "s1", AT).sends == ()
    assert past_of(ledger, five, "s2", AT).sends == (late,)


def test_what_is_tried_again_does_not_count_against_itself() -> None:
    ledger = folded(*told("s1", result=Result.RETRYABLE))
    again = batch(channel=EMAIL, attempt=2, manners=Manners(at_most={EMAIL: 1}))
    assert past_of(ledger, again, "s1", AT).sends == ()
    other = batch(channel=EMAIL, incident="INC-2", manners=Manners(at_most={EMAIL: 1}))
    assert past_of(ledger, other, "s1", AT).sends == (AT,)


def test_what_may_have_arrived_makes_older_things_old_even_if_it_was_given_up() -> None:
    given_up = ended(Result.PARKED, "s1", seq=3, attempt=2)
    ledger = folded(*told("s1", seq=3, result=Result.UNKNOWN, kind=NoticeKind.UPDATED), given_up)
    assert past_of(ledger, batch(channel=EMAIL, seq=2), "s1", AT).newer


def test_a_played_incident_counts_by_its_own_clock() -> None:
    ledger = folded(*told("s1", incident="A", at=AT - timedelta(seconds=5)))
    clock = PlayedClock(time=AT + timedelta(days=9), speed=60.0, real=AT)
    hour = batch(channel=EMAIL, manners=Manners(at_most={EMAIL: 1}, cap_window_s=3600), clock=clock)
    assert past_of(ledger, hour, "s1", AT).sends == (AT + timedelta(days=9) - timedelta(minutes=5),)
    minute = batch(channel=EMAIL, manners=Manners(at_most={EMAIL: 1}, cap_window_s=60), clock=clock)
    assert past_of(ledger, minute, "s1", AT).sends == ()


def channels(*of: Channel) -> frozenset[Channel]:
    return frozenset(of)


@pytest.mark.parametrize("result", [Result.ACCEPTED, Result.UNKNOWN, Result.RETRYABLE, Result.DEFERRED])
def test_who_was_told_of_it_or_may_still_be_is_owed_the_end(result: Result) -> None:
    assert owed(folded(*told("s1", result=result)), "INC-1", "customers") == {"s1": channels(EMAIL)}


@pytest.mark.parametrize("result", [Result.SUPPRESSED, Result.PERMANENT, Result.PARKED])
def test_who_was_not_told_of_it_is_not_owed_the_end(result: Result) -> None:
    assert owed(folded(*told("s1", result=result)), "INC-1", "customers") == {}


def test_the_end_is_owed_in_the_audience_in_which_they_were_told_last() -> None:
    ledger = folded(*told("s1"), *told("s1", seq=2, audience="technical", channel=SMS), *told("s1", seq=3, channel=SMS))
    assert owed(ledger, "INC-1", "customers") == {"s1": channels(EMAIL, SMS)}
    ledger = folded(*told("s1"), *told("s1", seq=2, audience="technical"))
    assert owed(ledger, "INC-1", "customers") == {}
    assert owed(ledger, "INC-1", "technical") == {"s1": channels(EMAIL)}


def test_who_heard_the_end_is_owed_no_other_unless_they_were_told_that_it_began_again() -> None:
    closed = [*told("s1"), *told("s1", seq=2, kind=NoticeKind.RESOLVED, closing=True)]
    assert owed(folded(*closed), "INC-1", "customers") == {}
    assert owed(folded(*closed, *told("s1", seq=3, kind=NoticeKind.REVIEW)), "INC-1", "customers") == {}
    reopened = told("s1", seq=3, kind=NoticeKind.REOPENED)
    assert owed(folded(*closed, *reopened), "INC-1", "customers") == {"s1": channels(EMAIL)}


def test_an_end_that_only_waits_is_still_owed() -> None:
    waits = told("s1", seq=2, kind=NoticeKind.RESOLVED, closing=True, result=Result.DEFERRED)
    assert owed(folded(*told("s1"), *waits), "INC-1", "customers") == {"s1": channels(EMAIL)}


def test_those_who_got_the_wrong_text_or_still_wait_for_it_are_found_by_channel() -> None:
    ledger = folded(
        *told("a", "b", seq=2),
        *told("a", seq=2, channel=SMS, result=Result.UNKNOWN),
        *told("c", seq=2, channel=X, result=Result.DEFERRED),
        *told("d", seq=2, channel=X, result=Result.SUPPRESSED),
        *told("e", seq=3),
    )
    assert got(ledger, "INC-1", 2, "customers") == {
        "a": channels(EMAIL, SMS),
        "b": channels(EMAIL),
        "c": channels(X),
    }
    assert got(ledger, "INC-1", 2, "technical") == {}
