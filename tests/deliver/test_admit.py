"""Admit: who is told now, by which rule not, and what is left to another record."""

from datetime import UTC, datetime

import pytest

from pipeline.deliver.admit import Send, Skip, Suppress, admit
from pipeline.deliver.ledger import Step, Work
from schemas.base import Channel, Lane
from schemas.delivery import DeliveryBatch, Result
from schemas.journal import NoticeKind
from schemas.rendering import SmsContent, rendering_of
from schemas.subscriber import Choices, OptOut, SealedContact, Subscriber, SubscriberKind

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
RENDERING = rendering_of("en", SmsContent(text="down", encoding="GSM-7", segments=1))


def batch(attempt: int = 1) -> DeliveryBatch:
    return DeliveryBatch(
        batch_id="b1",
        notice_id="n1",
        incident="INC-1",
        seq=1,
        kind=NoticeKind.OPENED,
        audience="customers",
        channel=Channel.SMS,
        lane=Lane.FIRST,
        closing=False,
        at=AT,
        rendering=RENDERING,
        recipients=("s1",),
        attempt=attempt,
    )


def subscriber(**change: object) -> Subscriber:
    given: dict[str, object] = {
        "id": "s1",
        "kind": SubscriberKind.PERSON,
        "choices": Choices(audiences=("customers",), channels=(Channel.SMS,)),
        "contact": SealedContact(nonce="AAAA", ciphertext="AAAA"),
        "at": AT,
    }
    return Subscriber.model_validate(given | change)


def test_whoever_wants_to_be_told_is_told() -> None:
    assert admit(subscriber(), batch(), None) == Send(1)


@pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "complained", "stopped"])
def test_an_opt_out_suppresses_and_names_itself(reason: str) -> None:
    opted_out = {Channel.SMS: OptOut.model_validate({"reason": reason, "since": AT})}
    assert admit(subscriber(opted_out=opted_out), batch(), None) == Suppress(reason)


def test_an_opt_out_from_another_channel_does_not_suppress() -> None:
    opted_out = {Channel.EMAIL: OptOut(reason="unsubscribed", since=AT)}
    assert admit(subscriber(opted_out=opted_out), batch(), None) == Send(1)


def test_an_erased_person_is_not_told() -> None:
    assert admit(subscriber(erased=True), batch(), None) == Suppress("erased")
    assert admit(None, batch(), None) == Suppress("unknown_subscriber")


def test_what_is_done_or_under_way_is_left_alone() -> None:
    assert admit(subscriber(), batch(), Work(1, Step.ENDED, Result.ACCEPTED)) == Skip("done")
    assert admit(subscriber(), batch(), Work(1, Step.ATTEMPTED)) == Skip("under_way")


def test_a_redelivered_batch_does_not_overtake_the_waiting_work() -> None:
    waiting = Work(1, Step.ENDED, Result.RETRYABLE, AT)
    assert admit(subscriber(), batch(1), waiting) == Skip("waits_for_its_time")
    assert admit(subscriber(), batch(2), waiting) == Send(2)


def test_an_unknown_end_is_looked_into_before_anything_is_said_again() -> None:
    assert admit(subscriber(), batch(2), Work(1, Step.ENDED, Result.UNKNOWN, AT, 1)) == Send(2, reconcile=True)


def test_waiting_work_of_nobody_is_not_begun() -> None:
    assert admit(subscriber(), batch(2), None) == Skip("never_intended")
