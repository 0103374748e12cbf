"""The spending cap: what is over it waits for a person, on record, and goes when the person says so."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.holdings import Holding, Holdings
from agents.spending import Spending
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.parked import EVERY_INCIDENT, heaps
from pipeline.deliver.spending import Cap, Spent, purposes, sums_in, units_of, why_not
from pipeline.deliver.work import Told
from pipeline.operators import Signer
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.codec import Outgoing
from schemas.deadletter import DeadLetter
from schemas.delivery import DeliveryAttempted, ParkedOrder, ParkedOrdered, Result, SpendingCounted
from schemas.ids import intent_id
from tests.deliver.given import AT, HOUR, SMS, X, attempted, ended, mail, post, text
from tests.deliver.test_crashes import FAULTS, OPENED, lived, populated
from tests.deliver.world import OPERATOR, Fault, World

CAP = Cap("SMS segments", incident=2, day=5)
SIGNED = "ce_signature"
FOUR = {f"sms-{n}": {"phone": f"+1415555267{n}"} for n in range(4)}


def tried(number: int = 1, units: int = 1, at: Any = AT, channel: Channel = SMS) -> DeliveryAttempted:
    record = attempted(f"s{number}", channel=channel, at=at)
    return record.model_copy(update={"attempt_id": f"a{number}", "units": units})


def spent(*records: Message) -> dict[str, int]:
    ledger = Ledger()
    for record in records:
        ledger.apply(record)
    return {str(what): units for (_, what), units in ledger.spent.sums.items()}


def test_a_text_costs_its_segments_a_post_one_and_a_mail_nothing() -> None:
    assert [units_of(rendering) for rendering in (text(), post(), mail())] == [1, 1, 0]


def test_an_attempt_counts_once_however_often_its_record_is_seen() -> None:
    assert spent(tried(), tried(), tried(2, units=3)) == {"INC-1": 4, "2026-03-03": 4}


def of(result: Result, number: int = 1) -> Message:
    return ended(result, f"s{number}", channel=SMS).model_copy(update={"attempt_id": f"a{number}"})


@pytest.mark.parametrize(
    ("result", "counted"),
    [(Result.ACCEPTED, 1), (Result.UNKNOWN, 1), (Result.PARKED, 1), (Result.RETRYABLE, 0), (Result.PERMANENT, 0)],
)
def test_what_the_provider_certainly_did_not_take_costs_nothing(result: Result, counted: int) -> None:
    """However often the records are seen, as a follower sees again what its own worker wrote."""
    assert spent(tried(), of(result), tried(), of(result)) == {"INC-1": counted, "2026-03-03": counted}


def test_days_are_counted_apart_and_incidents_through_them() -> None:
    found = spent(tried(), tried(2, at=AT + timedelta(days=1)))
    assert found == {"INC-1": 2, "2026-03-03": 1, "2026-03-04": 1}


def test_up_to_the_cap_it_may_be_spent_and_not_beyond() -> None:
    assert why_not(CAP, 1, [1], [1]) is None
    assert str(why_not(CAP, 2, [1], [1])) == "1 of 2 SMS segments of the incident are spent"
    assert str(why_not(CAP, 1, [0], [3, 2])) == "5 of 5 SMS segments of the day are spent"


def test_what_a_worker_tells_another_is_what_it_counted_lately() -> None:
    purse = Spent()
    purse.add(SMS, "INC-1", AT, 3)
    purse.add(SMS, "INC-OLD", AT - timedelta(days=8), 5)
    told = purse.counted(AT + HOUR)
    again = SpendingCounted.model_validate_json(told.model_dump_json())
    assert sums_in(again) == dict.fromkeys(purposes(SMS, "INC-1", AT), 3)


class _Held(Holdings):
    def __init__(self, *held: Holding) -> None:
        self._all = list(held)

    def all(self) -> list[Holding]:
        return self._all

    def turn(self, holding: Holding) -> int | None:
        return 0


def told_by(partition: int, *units: int) -> codec.Record:
    purse = Spent()
    for number in units:
        purse.add(SMS, "INC-1", AT, number)
    out = codec.encode(
        topics.DELIVERY_SPENDING, purse.counted(AT), id="c", source="/t", subject=str(partition), partition=partition
    )
    return codec.Record(out.topic, partition, 0, AT, out.key, out.value, out.headers)


def test_a_worker_adds_up_its_own_partitions_and_what_the_others_told() -> None:
    mine = Holding(0)
    mine.ledger.apply(tried())
    spending = Spending(None, _Held(mine), {SMS: CAP}, lambda: AT)  # type: ignore[arg-type]
    assert spending.why_not(SMS, "INC-1", AT, 1) is None
    spending.heard(told_by(0, 2))  # of a partition that is its own it knows better
    assert spending.why_not(SMS, "INC-1", AT, 1) is None
    spending.heard(told_by(1, 1))
    assert spending.why_not(SMS, "INC-1", AT, 1) is not None


class _Pen:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.told: list[SpendingCounted] = []

    async def write(self, topic: topics.Topic, data: SpendingCounted, **_: Any) -> None:
        assert topic is topics.DELIVERY_SPENDING
        self.told.append(data)


async def test_what_was_spent_is_told_at_once_and_then_once_a_second_at_most() -> None:
    mine, pen = Holding(0), _Pen()
    spending = Spending(pen, _Held(mine), {SMS: CAP}, lambda: AT)  # type: ignore[arg-type]
    await spending.tell(0.0)
    assert pen.told == []
    for now_s, number in ((10.0, 1), (10.2, 2), (10.4, 3), (11.1, 4)):
        mine.ledger.apply(tried(number))
        await spending.tell(now_s)
    await spending.tell(20.0)
    assert [sums_in(told)[SMS, "INC-1"] for told in pen.told] == [1, 4]


def test_what_is_about_to_be_put_on_record_counts_already() -> None:
    spending = Spending(None, _Held(Holding(0)), {SMS: CAP}, lambda: AT)  # type: ignore[arg-type]
    with spending.about_to(SMS, "INC-1", AT, 2):
        assert spending.why_not(SMS, "INC-1", AT, 1) is not None
    assert spending.why_not(SMS, "INC-1", AT, 1) is None


def test_a_person_is_asked_once_for_each_incident_and_cap(caplog: pytest.LogCaptureFixture) -> None:
    spending = Spending(None, _Held(Holding(0)), {SMS: Cap("SMS segments", 0, 9)}, lambda: AT)  # type: ignore[arg-type]
    for incident in ("INC-1", "INC-1", "INC-2"):
        assert spending.why_not(SMS, incident, AT, 1)
    assert [r.args[0] for r in caplog.records if isinstance(r.args, tuple)] == ["INC-1", "INC-2"]


# --- in the world, where processes die at any step


def capped(*, trouble: int = 0, people: dict[str, dict[str, str]] = FOUR, seed: int = 0) -> World:
    world = populated(seed, people, OPENED)
    world.trouble = trouble
    world.caps[SMS] = CAP
    return world


def order(what: str = "retry", *, signer: Signer = OPERATOR, id_: str = "order-1", **said: Any) -> Outgoing:
    given_ = {"order": what, "reason": "spending_cap", "incident": "INC-1", "parked_until": AT + HOUR, **said}
    made = ParkedOrder.model_validate(given_)
    subject = made.incident or EVERY_INCIDENT
    signed = signer.extensions(subject, id_, "/tests", made)
    return codec.encode(
        topics.DELIVERY_ORDERS, made, id=id_, source="/tests", subject=subject, partition=0, extensions=signed
    )


def taken(world: World) -> int:
    return sum(world.accepted[intent_id("INC-1", 1, who, SMS)] for who in FOUR)


def counts(world: World) -> dict[str, int]:
    return {heap.reason: heap.count for heap in heaps(world.ledger()[0].parked())}


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.lists(FAULTS, max_size=3))
def test_whenever_processes_die_no_more_is_spent_and_nobody_is_forgotten(seed: int, faults: list[Fault]) -> None:
    world = lived(capped(seed=seed), *faults)
    ledger = world.ledger()[0]
    assert taken(world) <= CAP.incident
    ends = [work.result for who in FOUR if (work := ledger.work(Told("INC-1", 1, SMS), who))]
    assert len(ends) == len(FOUR)
    assert set(ends) <= {Result.ACCEPTED, Result.PARKED}


@pytest.mark.parametrize(("releasers", "go"), [((), True), (("incident-manager", "legal"), True), (("legal",), False)])
@pytest.mark.parametrize("what", ["retry", "give_up"])
def test_only_who_has_a_role_that_the_policy_names_orders_anything(
    releasers: tuple[str, ...], go: bool, what: str
) -> None:
    world = capped()
    world.releasers = releasers
    world.to_come.append((AT + HOUR, order(what)))
    lived(world)
    assert counts(world) == ({} if go else {"spending_cap": 2})
    letters = [codec.decode(record, DeadLetter).data for record in world.log[topics.DEAD_LETTERS.name]]
    assert [letter.reason for letter in letters] == ([] if go else ["not_allowed"])


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.lists(FAULTS, max_size=3))
def test_a_person_lets_them_go_and_each_is_told_once_whenever_processes_die(seed: int, faults: list[Fault]) -> None:
    world = capped(seed=seed)
    world.to_come.append((AT + HOUR, order()))
    lived(world, *faults)
    assert "waiting_work_lost" not in world.ledger()[2]
    assert counts(world).keys() <= {"still_unknown_after_worker_ended_during_attempt"}
    assert all(world.accepted[intent_id("INC-1", 1, who, SMS)] <= 1 for who in FOUR)
    assert taken(world) + sum(counts(world).values()) == len(FOUR)


def test_who_ordered_it_is_on_record_and_what_was_given_up_is_told_to_nobody() -> None:
    world = capped()
    world.to_come.append((AT + HOUR, order("give_up", because="too late by now")))
    lived(world)
    assert (taken(world), counts(world)) == (2, {})
    records = [codec.decode(r, Message).data for r in world.log[topics.DELIVERY_RECORDS_TOPIC.name]]
    [ordered] = [r for r in records if isinstance(r, ParkedOrdered)]
    assert (ordered.signed.operator, ordered.order.because, len(ordered.recipients)) == ("ann", "too late by now", 2)
    ledger = world.ledger()[0]
    ends = [work.result for who in FOUR if (work := ledger.work(Told("INC-1", 1, SMS), who))]
    assert sorted(str(end) for end in ends) == ["accepted"] * 2 + ["suppressed"] * 2


@pytest.mark.parametrize(
    "said",
    [
        {"reason": "still_unknown_after_timeout"},
        {"incident": "INC-2"},
        {"channel": X},
        {"parked_until": AT - timedelta(days=1)},
    ],
)
def test_an_order_is_bound_to_its_reason_incident_channel_and_moment(said: dict[str, Any]) -> None:
    world = capped()
    world.to_come.append((AT + HOUR, order(**said)))
    lived(world)
    assert (taken(world), counts(world)) == (2, {"spending_cap": 2})


def test_an_order_that_names_no_incident_is_about_all_of_them() -> None:
    world = capped()
    world.to_come.append((AT + HOUR, order(incident=None)))
    lived(world)
    assert (taken(world), counts(world)) == (4, {})


def test_the_same_order_again_sends_nothing_twice() -> None:
    world = capped()
    world.to_come += [(AT + HOUR, order()), (AT + HOUR, order()), (AT + 2 * HOUR, order())]
    lived(world)
    assert (taken(world), counts(world)) == (4, {})


def test_an_order_that_nobody_signed_or_that_was_changed_is_a_dead_letter() -> None:
    world = capped()
    unsigned = order()
    headers = tuple((n, v) for n, v in unsigned.headers if n != SIGNED)
    changed = codec.encode(
        topics.DELIVERY_ORDERS,
        ParkedOrder(order="retry", reason="spending_cap", parked_until=AT + HOUR),
        id="order-1", source="/tests", subject="INC-1", partition=0,
        extensions={n.removeprefix("ce_"): v.decode() for n, v in unsigned.headers if n in {"ce_operator", SIGNED}},
    )  # fmt: skip
    world.to_come += [
        (AT + HOUR, Outgoing(unsigned.topic, unsigned.key, unsigned.value, headers, unsigned.partition)),
        (AT + HOUR, changed),
    ]
    lived(world)
    assert (taken(world), counts(world)) == (2, {"spending_cap": 2})
    assert len(world.log[topics.DEAD_LETTERS.name]) == 2


def test_what_nobody_has_the_words_of_any_more_stays_parked_and_can_be_given_up() -> None:
    world = capped()
    late = world.words_kept_until + HOUR
    world.to_come.append((late, order(parked_until=late)))
    lived(world)
    assert (taken(world), counts(world)) == (2, {"spending_cap": 2})
    world.to_come.append((late + HOUR, order("give_up", id_="order-2", parked_until=late)))
    lived(world)
    assert (taken(world), counts(world)) == (2, {})


def test_what_was_ordered_again_is_judged_anew_and_has_all_its_tries() -> None:
    ledger = Ledger()
    told = Told("INC-1", 1, SMS)
    ledger.apply(attempted("s1", attempt=9, channel=SMS))
    ledger.apply(ended(Result.PARKED, "s1", attempt=9, channel=SMS))
    made = ParkedOrder(order="retry", reason="test", parked_until=AT)
    signed = {"operator": "ann", "public_key": "a", "roles": (), "signature": "a"}
    named = {"batch_id": "b", "notice_id": "n1", "incident": "INC-1", "seq": 1, "channel": SMS, "at": AT}
    record = ParkedOrdered.model_validate(
        {**named, "order_id": "o", "order": made, "signed": signed, "attempt": 9, "recipients": ("s1",)}
    )
    ledger.apply(record)
    assert ledger.so_far(told, "s1", 10).tries == 1
    ledger.apply(attempted("s1", attempt=10, channel=SMS))
    ledger.apply(ended(Result.PARKED, "s1", attempt=10, channel=SMS))
    ledger.apply(record)  # seen late, it says nothing of the later parking
    assert [parked.attempt for parked in ledger.parked()] == [10]
