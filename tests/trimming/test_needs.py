"""What is still needed of a partition: what is young, open, or waits stays, and all that came after it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pipeline.deliver.bounces import LOOKED_BACK
from pipeline.trimming.needs import Deliveries, Front, Journals, horizon, judged
from schemas.codec import Outgoing, Record
from schemas.delivery import Result
from tests.audit.logs import receipt
from tests.trimming.given import ended, going_on, journal, told

NOW = datetime(2026, 9, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=200)
BEFORE = horizon(NOW, 7)


def stand(outgoing: Iterable[Outgoing], at: datetime = LONG_AGO) -> list[Record]:
    return [Record(o.topic, 0, offset, at, o.key, o.value, o.headers) for offset, o in enumerate(outgoing)]


def journals(records: Iterable[Record], *closed: str) -> Journals:
    fold = Journals(closed, BEFORE)
    for record in records:
        fold.apply(record)
    for front in fold.fronts.values():
        front.end()
    return fold


def deliveries(records: Iterable[Record], *opened: str) -> Deliveries:
    fold = Deliveries(opened, BEFORE)
    for record in records:
        fold.apply(record)
    for front in fold.fronts.values():
        front.end()
    return fold


def test_nothing_goes_that_deliver_may_look_back_on_however_short_the_retention() -> None:
    assert NOW - BEFORE == LOOKED_BACK
    assert NOW - horizon(NOW, 365) == timedelta(days=365)


def test_the_journal_of_closed_incidents_goes_up_to_the_first_entry_of_one_that_is_not() -> None:
    first, goes_on, second = ended("a"), going_on("b"), ended("c")
    records = stand([*journal(first), *journal(goes_on), *journal(second)])
    front = journals(records, "a", "c").fronts[0]
    assert front.stays == len(first.decided)
    assert [old.offset for old in front.old] == list(range(len(first.decided)))


def test_what_ended_and_was_not_closed_stays() -> None:
    front = journals(stand(journal(ended("a")))).fronts[0]
    assert (front.old, front.stays) == ([], 0)


def test_what_is_young_stays_though_it_is_closed() -> None:
    story = ended("a")
    old, young = stand(journal(story))[:2], stand(journal(story), BEFORE)[2:]
    assert journals([*old, *young], "a").fronts[0].stays == 2


def test_the_last_record_of_a_partition_stays() -> None:
    records = stand(journal(ended("a")))
    assert journals(records, "a").fronts[0].stays == len(records) - 1


def test_a_message_that_waits_keeps_the_records_of_its_incident_and_what_came_after() -> None:
    for result in (None, Result.RETRYABLE, Result.UNKNOWN, Result.PARKED):
        fold = deliveries(stand([*told("a"), *told("b", result), *told("c")]))
        assert fold.unsettled() == {"b"}, result
        fold.fronts[0].but(fold.unsettled(), ())
        assert fold.fronts[0].stays == 2


def test_records_of_an_open_incident_stay_and_receipts_only_by_their_age() -> None:
    records = stand([*told("a"), receipt_of(1), *told("b")])
    assert deliveries(records, "b").fronts[0].stays == 3
    assert deliveries(records, "a").fronts[0].stays == 0


def receipt_of(number: int) -> Outgoing:
    record = receipt(number)
    return Outgoing(record.topic, record.key, record.value, record.headers, 0)


def test_what_the_archive_lacks_stays() -> None:
    front = journals(stand(journal(ended("a"))), "a").fronts[0]
    front.but((), {front.old[1].who})
    assert (front.stays, [old.offset for old in front.old]) == (1, [0])
    empty = Front()
    empty.end()
    assert empty.stays is None


def test_what_nobody_can_read_goes_by_its_age_and_the_log_has_its_hash() -> None:
    records = stand([Outgoing("incident.journal", b"x", b"{", (), 0), *journal(ended("a"))])
    front = journals(records, "a").fronts[0]
    assert [old.readable for old in front.old][:2] == [False, True]


def test_an_incident_is_closed_only_when_nothing_came_for_long_and_nothing_waits() -> None:
    stories = [ended(name, close=False) for name in ("done", "parked", "told-lately")]
    fold = journals(stand([one for story in [*stories, going_on("open")] for one in journal(story)]))
    sent = [*stand([*told("done"), *told("parked", Result.PARKED)]), *stand(told("told-lately"), BEFORE)]
    found = judged(fold, deliveries(sent))
    assert found.closing == (("done", stories[0].state.seq),)
    assert dict(found.kept) == {"open": "not over", "parked": "a message that waits for its time, or for a person"}
    lately = journals(stand(journal(stories[0]), BEFORE))
    assert judged(lately, deliveries([])).closing == ()
