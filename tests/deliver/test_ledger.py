"""The ledger moves forward only, so that crashes, repeats and late records change nothing."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.ledger import Ledger
from pipeline.deliver.work import Step, Told
from schemas.base import Channel
from schemas.delivery import Result
from schemas.ids import intent_id, notice_id
from tests.deliver.given import AT, attempted, ended, intended

TOLD = Told("INC-1", 1, Channel.EMAIL)


def folded(*records: object) -> Ledger:
    ledger = Ledger()
    for record in records:
        ledger.apply(record)
    return ledger


def test_an_attempt_without_an_end_is_found_at_start() -> None:
    ledger = folded(intended("s1", "s2"), attempted("s1", "s2"), ended(Result.ACCEPTED, "s1"))
    assert list(ledger.open_attempts()) == []  # its end is on record, whatever it says of whom
    ledger = folded(intended("s1", "s2"), attempted("s1", "s2"))
    assert [found.recipients for found in ledger.open_attempts()] == [("s1", "s2")]


def test_a_terminal_result_is_never_left_again() -> None:
    ledger = folded(intended("s1"), attempted("s1"), ended(Result.ACCEPTED, "s1"), attempted("s1", attempt=2))
    work = ledger.work(TOLD, "s1")
    assert work is not None
    assert work.result is Result.ACCEPTED


def test_a_late_proof_replaces_unknown_but_not_the_other_way_round() -> None:
    proved = folded(attempted("s1"), ended(Result.UNKNOWN, "s1", due=AT), ended(Result.ACCEPTED, "s1")).work(TOLD, "s1")
    kept = folded(attempted("s1"), ended(Result.ACCEPTED, "s1"), ended(Result.UNKNOWN, "s1", due=AT)).work(TOLD, "s1")
    assert proved is not None
    assert kept is not None
    assert proved.result is kept.result is Result.ACCEPTED


@pytest.mark.parametrize("meanwhile", [Result.RETRYABLE, Result.UNKNOWN])
def test_an_acceptance_counts_however_late_it_comes(meanwhile: Result) -> None:
    work = folded(
        attempted("s1"), ended(meanwhile, "s1", due=AT), attempted("s1", attempt=2), ended(Result.ACCEPTED, "s1")
    )
    found = work.work(TOLD, "s1")
    assert found is not None
    assert found.result is Result.ACCEPTED


def test_unknowns_are_counted_over_all_attempts() -> None:
    work = folded(
        attempted("s1"),
        ended(Result.UNKNOWN, "s1", due=AT),
        attempted("s1", attempt=2),
        ended(Result.UNKNOWN, "s1", attempt=2, due=AT),
    ).work(TOLD, "s1")
    assert work is not None
    assert work.unknowns == 2


def test_the_thread_in_a_mailbox_begins_with_what_may_have_arrived() -> None:
    ledger = folded(intended("s1", "s2"), attempted("s1", "s2"), ended(Result.UNKNOWN, "s1"))
    assert ledger.first_intent("INC-1", Channel.EMAIL, "s1") == intent_id("INC-1", 1, "s1", "email")
    assert ledger.first_intent("INC-1", Channel.EMAIL, "s2") is None


def test_work_past_its_time_is_found() -> None:
    ledger = folded(attempted("s1"), ended(Result.RETRYABLE, "s1", due=AT))
    assert ledger.waiting(AT) == []
    assert [(told, recipient) for told, recipient, _ in ledger.waiting(AT + timedelta(seconds=1))] == [(TOLD, "s1")]


RECORDS = st.lists(
    st.one_of(
        st.just(intended("s1")),
        st.integers(1, 3).map(lambda n: attempted("s1", attempt=n)),
        st.tuples(st.sampled_from(list(Result)), st.integers(1, 3)).map(lambda t: ended(t[0], "s1", attempt=t[1])),
    ),
    min_size=1,
    max_size=12,
)


@given(RECORDS, st.data())
def test_a_record_seen_twice_changes_nothing(records: list[object], data: st.DataObject) -> None:
    once = folded(*records)
    repeated: list[object] = []
    for record in records:
        repeated.append(record)
        if data.draw(st.booleans()):
            repeated.append(record)
    again = folded(*repeated).work(TOLD, "s1")
    work = once.work(TOLD, "s1")
    assert again is not None
    assert work is not None
    assert (work.attempt, work.step, work.result) == (again.attempt, again.step, again.result)


@pytest.mark.parametrize("result", [Result.ACCEPTED, Result.PERMANENT, Result.SUPPRESSED, Result.PARKED])
def test_every_terminal_result_ends_the_work(result: Result) -> None:
    work = folded(intended("s1"), attempted("s1"), ended(result, "s1", before_any=False)).work(TOLD, "s1")
    assert work is not None
    assert work.terminal
    assert work.step is Step.ENDED


@pytest.mark.parametrize("result", [Result.DEFERRED, Result.SUPPRESSED])
def test_what_is_decided_before_an_attempt_does_not_end_one_that_another_worker_has_begun(result: Result) -> None:
    ledger = folded(intended("s1"), attempted("s1"), ended(result, "s1", due=AT))
    assert [found.recipients for found in ledger.open_attempts()] == [("s1",)]
    work = folded(intended("s1"), attempted("s1"), ended(result, "s1"), ended(Result.UNKNOWN, "s1")).work(TOLD, "s1")
    assert work is not None
    assert work.uncertain


def test_what_was_put_off_by_one_worker_and_begun_by_another_is_open() -> None:
    ledger = folded(intended("s1"), ended(Result.DEFERRED, "s1", due=AT), attempted("s1"))
    assert [found.recipients for found in ledger.open_attempts()] == [("s1",)]


def test_turns_that_put_it_off_are_no_attempts_and_begin_its_deadline_anew() -> None:
    later = AT + timedelta(hours=14)
    ledger = folded(
        intended("s1"),
        ended(Result.DEFERRED, "s1", attempt=1, due=AT + timedelta(hours=1)),
        ended(Result.DEFERRED, "s1", attempt=2, due=later),
        attempted("s1", attempt=3),
    )
    assert ledger.so_far(TOLD, "s1", 3) == (1, 0, later)
    assert ledger.so_far(TOLD, "s2", 3) == (3, 0, AT)


def test_a_doubt_about_the_last_attempt_outlasts_being_put_off() -> None:
    unknown = (intended("s1"), attempted("s1"), ended(Result.UNKNOWN, "s1", due=AT))
    put_off = folded(*unknown, ended(Result.DEFERRED, "s1", attempt=2, due=AT)).work(TOLD, "s1")
    refused = folded(*unknown, attempted("s1", attempt=2), ended(Result.RETRYABLE, "s1", attempt=2, due=AT))
    assert put_off is not None
    assert (put_off.result, put_off.uncertain, put_off.heard) == (Result.DEFERRED, True, True)
    after = refused.work(TOLD, "s1")
    assert after is not None
    assert (after.uncertain, after.heard) == (False, True)


@pytest.mark.parametrize("corrects", [None, 3])
def test_an_intent_knows_its_notice(corrects: int | None) -> None:
    record = intended("s1", audience="technical").model_copy(update={"corrects": corrects})
    assert folded(record).notice(TOLD, "s1") == notice_id("INC-1", 1, "technical", corrects)


def test_those_of_one_record_who_stand_alike_share_their_work() -> None:
    many = tuple(f"s{n}" for n in range(50))
    ledger = folded(intended(*many), attempted(*many), ended(Result.ACCEPTED, *many[:40]))
    assert len({id(work) for work in ledger.works(TOLD).values()}) == 2
