"""What follows from what comes back: for one person at once or after so many, for a list never from one member."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver.bounces import (
    SETTLED,
    Came,
    came_back,
    complaint,
    consequence,
    soft_in_a_row,
    stopped_at_provider,
    text_came_back,
)
from pipeline.deliver.ledger import Ledger
from schemas.base import Channel
from schemas.delivery import ReceiptRecorded, Result
from schemas.ids import intent_id
from schemas.receipt import BounceReceived
from schemas.subscriber import Bounced, Complained, Stopped, Subscriber, SubscriberKind
from tests.deliver.given import AT, EMAIL, HOUR, SMS, attempted, ended, intended, subscriber

TOKEN, OTHER = "A" * 22, "B" * 22
PERSON = subscriber(address_tokens={EMAIL: TOKEN})
LIST = subscriber(address_tokens={EMAIL: TOKEN}, kind=SubscriberKind.LIST)


def bounce(kind: str = "hard", token: str | None = TOKEN) -> BounceReceived:
    return BounceReceived.model_validate(
        {"channel": EMAIL, "intent_id": "i", "kind": kind, "address_token": token, "provider_id": "p", "at": AT}
    )


def follows(who: Subscriber | None, came: Came, in_a_row: int = 0) -> object:
    return consequence(who, EMAIL, came, "5.1.1", in_a_row, 5)


@pytest.mark.parametrize(
    ("who", "heard", "came"),
    [
        (PERSON, bounce(), Came.HARD),
        (PERSON, bounce(token=None), Came.HARD),
        (PERSON, bounce(token=OTHER), Came.SOFT),
        (PERSON, bounce("soft", OTHER), Came.SOFT),
        (PERSON, bounce("blocked"), Came.BLOCKED),
        (LIST, bounce(), Came.HARD),
        (LIST, bounce(token=OTHER), Came.OF_A_MEMBER),
        (LIST, bounce(token=None), Came.OF_A_MEMBER),
        (LIST, bounce("soft", OTHER), Came.OF_A_MEMBER),
        (None, bounce(), Came.HARD),
    ],
)
def test_what_came_back_depends_on_whose_address_failed(
    who: Subscriber | None, heard: BounceReceived, came: Came
) -> None:
    assert came_back(who, heard) is came


def test_a_hard_bounce_suppresses_at_once_and_soft_ones_by_their_count() -> None:
    assert follows(PERSON, Came.HARD) == Bounced(channel=EMAIL, code="5.1.1")
    assert follows(PERSON, Came.SOFT, 4) is None
    assert isinstance(follows(PERSON, Came.SOFT, 5), Bounced)
    assert follows(PERSON, Came.BLOCKED, 99) is None


def test_one_member_of_a_list_neither_bounces_nor_complains_for_all() -> None:
    assert follows(LIST, Came.OF_A_MEMBER, 99) is None
    assert complaint(LIST, EMAIL) is None
    assert complaint(PERSON, EMAIL) == Complained(channel=EMAIL)


def test_nothing_follows_for_whoever_is_not_there() -> None:
    for nobody in (None, subscriber(erased=True)):
        assert follows(nobody, Came.HARD) is None
        assert complaint(nobody, EMAIL) is None


@pytest.mark.parametrize(
    ("status", "code", "came"),
    [
        ("undelivered", "30005", Came.HARD),
        ("failed", "30006", Came.HARD),
        ("undelivered", "30003", Came.SOFT),
        ("undelivered", "30007", None),
        ("delivered", "30005", None),
        ("undelivered", None, None),
    ],
)
def test_a_text_message_comes_back_by_its_status(status: str, code: str | None, came: Came | None) -> None:
    assert text_came_back(status, code) is came


def test_who_left_at_the_provider_is_stopped_here_too() -> None:
    assert stopped_at_provider("failed", "21610") == Stopped(channel=SMS, via="provider")
    assert stopped_at_provider("delivered", "21610") is None


def told(ledger: Ledger, seq: int, fate: str) -> None:
    """One mail to s1, an hour after the one before, and what came of it."""
    at = AT + seq * HOUR
    for record in (
        intended("s1", seq=seq, at=at),
        attempted("s1", seq=seq, at=at),
        ended(Result.ACCEPTED, "s1", seq=seq),
    ):
        ledger.apply(record)
    status = {"soft": "bounced_soft", "proved": "delivered", "blocked": "bounced_blocked"}.get(fate)
    if status:
        intent = intent_id("INC-1", seq, "s1", EMAIL)
        ledger.apply(ReceiptRecorded(intent_id=intent, channel=EMAIL, status=status, at=at))


def in_a_row(fates: str, later: timedelta = HOUR) -> int:
    """After these, oldest first: s(oft), t(aken, and nothing since), p(roved to have arrived), b(locked)."""
    ledger = Ledger()
    names = {"s": "soft", "t": "taken", "p": "proved", "b": "blocked"}
    for seq, fate in enumerate(fates, start=1):
        told(ledger, seq, names[fate])
    return soft_in_a_row(ledger, EMAIL, "s1", AT + len(fates) * HOUR + later)


@pytest.mark.parametrize(
    ("fates", "count"), [("", 0), ("t", 0), ("s", 1), ("sss", 3), ("sstss", 4), ("ssbs", 3), ("sspss", 2), ("ssp", 0)]
)
def test_soft_bounces_are_counted_since_the_last_that_is_known_to_have_arrived(fates: str, count: int) -> None:
    assert in_a_row(fates) == count


def test_what_was_taken_and_has_not_come_back_for_two_days_has_arrived() -> None:
    assert in_a_row("sst", SETTLED) == 0
    assert in_a_row("sstss", SETTLED) == 2
    assert in_a_row("sstss", SETTLED - 3 * HOUR) == 4


def test_the_same_message_counts_once_however_often_it_is_said_to_be_late() -> None:
    ledger = Ledger()
    for _ in range(3):
        told(ledger, 1, "soft")
    assert soft_in_a_row(ledger, EMAIL, "s1", AT + 2 * HOUR) == 1


def test_one_persons_bounces_count_for_nobody_else_and_no_other_channel() -> None:
    ledger = Ledger()
    told(ledger, 1, "soft")
    assert soft_in_a_row(ledger, EMAIL, "s2", AT + 2 * HOUR) == 0
    assert soft_in_a_row(ledger, Channel.SMS, "s1", AT + 2 * HOUR) == 0


@given(st.text("stpb", max_size=12))
def test_there_are_never_more_in_a_row_than_came_back_softly(fates: str) -> None:
    assert 0 <= in_a_row(fates) <= fates.count("s")
