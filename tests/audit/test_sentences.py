"""Every decision has a sentence: for whom, when, and by which rule."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from pipeline.audit.sentences import Sort, sentence, sentences
from schemas.base import Channel, Lane, Level
from schemas.command import WakeReason
from schemas.journal import (
    AudienceHeld,
    AudiencePutOff,
    AudienceSilent,
    CommandRefused,
    Decision,
    DraftApproved,
    DraftVoided,
    FactAdded,
    FieldReleased,
    FieldWithheld,
    GuardFound,
    IncidentClosed,
    InputIgnored,
    NoticeDecided,
    NoticeHeld,
    NoticeKind,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    PromiseWarned,
    Reminded,
    ResolutionConfirmed,
    ResolutionHeld,
    ResolutionUndone,
    WakeScheduled,
)

DUE = datetime(2026, 3, 4, 3, tzinfo=UTC)
SHA = "0" * 64
CUSTOMERS = {
    "audience": "customers", "level": Level.CUSTOMER, "kind": NoticeKind.OPENED, "lane": Lane.FIRST,
    "reason": "a start is told at once", "renderings": {Channel.EMAIL: (SHA,), Channel.SMS: (SHA, SHA)},
}  # fmt: skip


def told(**more) -> NoticeDecided:
    return NoticeDecided(notice_id="n", **(CUSTOMERS | more))


def held(**more) -> NoticeHeld:
    return NoticeHeld(draft="d", content=SHA, **({"needs": ("legal",)} | CUSTOMERS | more))


def found(action: str, **more) -> GuardFound:
    said = {
        "rule": "blame",
        "audiences": ("customers", "public"),
        "field": "summary",
        "words": "our vendor",
        "why": "b",
    }
    return GuardFound(action=action, **(said | more))


SAID = [
    (told(), Sort.DECIDED, "tell customers by email and sms (opened): a start is told at once"),
    (
        told(safe=True, zones=("Asia/Tokyo", "Asia/Seoul"), corrects=3, approved_by=("alice", "bob"), renderings={}),
        Sort.DECIDED,
        "tell customers by no channel (opened, in templated words only, in Asia/Tokyo, Asia/Seoul, to those who got "
        "#3, approved by alice, bob): a start is told at once",
    ),
    (
        held(),
        Sort.HELD,
        "hold what customers are to be told (opened): the approval of legal is needed; a start is told at once",
    ),
    (
        held(needs=("legal", "press"), people=2),
        Sort.HELD,
        "hold what customers are to be told (opened): the approval of legal and press, by 2 persons, is needed; "
        "a start is told at once",
    ),
    (
        held(refused=True),
        Sort.HELD,
        "hold what customers are to be told (opened): it cannot go out as it is, and must be edited; "
        "a start is told at once",
    ),
    (
        held(by_operator=True, needs=()),
        Sort.HELD,
        "hold what customers are to be told (opened): until the operator's hold ends; a start is told at once",
    ),
    (
        DraftApproved(draft="d", audience="customers", by="alice", missing="one person more"),
        Sort.DECIDED,
        "alice approves what customers are to be told; still missing: one person more",
    ),
    (
        DraftVoided(draft="d", audience="customers", reason="overtaken"),
        Sort.NOT_SAID,
        "what was held for customers does not go out: overtaken",
    ),
    (
        AudienceSilent(audience="customers", reason="same text as before"),
        Sort.SILENT,
        "do not tell customers: same text as before",
    ),
    (
        AudiencePutOff(audience="customers", kind=NoticeKind.IMPACT_CHANGED, until=DUE, reason="minimum_gap"),
        Sort.SILENT,
        "tell customers at 2026-03-04 03:00 UTC (impact changed): minimum gap",
    ),
    (AudienceHeld(audience="customers", held=True, by="alice"), Sort.HELD, "alice holds everything to customers back"),
    (
        AudienceHeld(audience="customers", held=False, by="alice"),
        Sort.DECIDED,
        "alice lets what is for customers go out again",
    ),
    (
        ResolutionHeld(until=DUE, reason="it must hold for 15m"),
        Sort.HELD,
        "that it is over is not told before 2026-03-04 03:00 UTC: it must hold for 15m",
    ),
    (
        ResolutionUndone(reason="news of the failure"),
        Sort.DECIDED,
        "it was not over, and nobody had been told so: news of the failure",
    ),
    (ResolutionConfirmed(reason="it held"), Sort.DECIDED, "it is over: it held"),
    (InputIgnored(reason="seen_before"), Sort.SILENT, "nothing follows: seen before"),
    (
        IncidentClosed(reason="it ended long ago"),
        Sort.DECIDED,
        "it is closed, nothing more follows from it: it ended long ago",
    ),
    (
        CommandRefused(operator="mallory", reason="lacks the role legal"),
        Sort.BROKEN,
        "what mallory orders is not carried out: lacks the role legal",
    ),
    (
        CommandRefused(operator=None, reason="not signed"),
        Sort.BROKEN,
        "an order of nobody known is not carried out: not signed",
    ),
    (FieldWithheld(field="ownership", reason="needs legal"), Sort.SILENT, "do not tell `ownership`: needs legal"),
    (
        FieldReleased(field="ownership", draft="d", by="alice"),
        Sort.DECIDED,
        "`ownership` may be told from now on: alice approved it",
    ),
    (
        FactAdded(field="components", value=("API", "Search"), reason="from the catalogue"),
        Sort.DECIDED,
        "take `components` to be API, Search: from the catalogue",
    ),
    (
        found("mend"),
        Sort.DECIDED,
        "guard, blame in `summary` (“our vendor”), mended for customers, public: b",
    ),
    (
        found("hold", field="", words=""),
        Sort.HELD,
        "guard, blame, held for a person for customers, public: b",
    ),
    (
        PromiseMade(audience="customers", due=DUE, by="upstream"),
        Sort.DECIDED,
        "the next update is promised to customers for 2026-03-04 03:00 UTC",
    ),
    (
        PromiseMade(audience="customers", due=DUE, by="cadence"),
        Sort.DECIDED,
        "the next update is promised to customers for 2026-03-04 03:00 UTC, which the cadence keeps by itself",
    ),
    (
        PromiseWarned(due=DUE),
        Sort.DECIDED,
        "the update promised for 2026-03-04 03:00 UTC is near, and nothing was said: remind those who can",
    ),
    (
        Reminded(rule="review_due", due=DUE),
        Sort.DECIDED,
        "remind those who can do something: review due, due 2026-03-04 03:00 UTC",
    ),
    (
        PromiseKept(audience="customers", due=DUE),
        Sort.DECIDED,
        "the update promised to customers for 2026-03-04 03:00 UTC is given",
    ),
    (
        PromiseBroken(audience="customers", due=DUE),
        Sort.BROKEN,
        "the update promised to customers for 2026-03-04 03:00 UTC was not given in time",
    ),
    (
        WakeScheduled(due=DUE, reason=WakeReason.PROMISE_DUE),
        Sort.DECIDED,
        "the clock is to call at 2026-03-04 03:00 UTC (promise due)",
    ),
]


@pytest.mark.parametrize(("decision", "sort", "text"), SAID)
def test_every_decision_is_told_with_its_reason(decision, sort, text):
    assert sentence(decision, [decision]) == (sort, text)


def test_no_kind_of_decision_is_without_a_sentence():
    union = get_args(Decision)[0]
    assert {type(decision) for decision, _, _ in SAID} == set(get_args(union))


def test_what_is_said_of_several_audiences_is_said_once():
    public = told(audience="public", renderings={Channel.X: (SHA,)})
    both = [told(), told(audience="executives"), public, PromiseKept(audience="customers", due=DUE)]
    also = [PromiseKept(audience="public", due=DUE), DraftVoided(draft="a", audience="customers", reason="overtaken")]
    assert [
        text for _, text in sentences([*both, *also, DraftVoided(draft="b", audience="public", reason="overtaken")])
    ] == [
        "tell customers, executives by email and sms; public by x (opened): a start is told at once",
        "the update promised to customers, public for 2026-03-04 03:00 UTC is given",
        "what was held for customers, public does not go out: overtaken",
    ]


def test_all_calls_of_the_clock_are_one_sentence_and_those_for_promises_none():
    later = DUE.replace(hour=4)
    calls = [
        WakeScheduled(due=later, reason=WakeReason.SILENCE),
        WakeScheduled(due=DUE, reason=WakeReason.REMINDER),
        PromiseMade(audience="customers", due=later.replace(hour=5), by="cadence"),
        WakeScheduled(due=later.replace(hour=5), reason=WakeReason.PROMISE_DUE),
    ]
    assert next(text for _, text in sentences(calls)) == (
        "the clock is to call at 2026-03-04 03:00 UTC (reminder), 2026-03-04 04:00 UTC (silence)"
    )
    assert [sort for sort, _ in sentences(calls[2:])] == [Sort.DECIDED]


def test_a_long_fact_is_cut():
    _, text = sentence(FactAdded(field="contact", value="x" * 500, reason="r"), [])
    assert text == f"take `contact` to be {'x' * 99}…: r"
