"""Why someone heard or did not hear: by decide, by fan-out, by admit, by the provider."""

from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from pipeline.audit.explain import FAN_OUT, Explanation, Point, explain
from pipeline.audit.history import History, history
from pipeline.audit.sentences import Sort
from pipeline.deliver import fanout
from pipeline.replay.past import Past
from pipeline.replay.rerun import rerun
from schemas import topics
from schemas.base import Channel, Message, Severity
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, DeliveryAttempted, Outcome, ReceiptRecorded, Result
from schemas.ids import derived, intent_id
from schemas.incident import IncidentOpened
from schemas.journal import JournalEntry, NoticeDecided
from schemas.subscriber import Choices, ChoicesChanged, SealedContact, Subscribed
from tests.audit.logs import record, seal_all
from tests.paths import REPOSITORY
from tests.replay.trials import at, conditions, news, opened, over, past, policy

ANNA = "anna"
SMALL = past((0, opened(Severity.MINOR)), (20, news("It is the index.")), (60, over()))
LARGE = past((0, opened()), (20, news("It is the index.")), (60, over()))
BEFORE = at(-60)


@cache
def journal(one: Past, name: str = "small-saas") -> tuple[JournalEntry, ...]:
    return tuple(turn.entry for turn in rerun(one, replace(conditions(name), channels=None)).turns)


def choices(*audiences: str, channels=(Channel.EMAIL,), **more) -> Choices:
    return Choices(audiences=audiences, channels=channels, **more)


def subscribed(*audiences: str, **more) -> tuple[object, Message]:
    contact = SealedContact(nonce="bm9uY2U=", ciphertext="c2VjcmV0")
    return BEFORE, Subscribed(choices=choices(*audiences, **more), contact=contact, address_tokens={})


def found(entries: tuple[JournalEntry, ...], *deliveries: Message) -> History:
    records = [
        record(topics.INCIDENT_JOURNAL, e, id=f"j{e.seq}", subject=e.incident, offset=e.seq, at=e.input.appended_at)
        for e in entries
    ]
    records += [
        record(topics.DELIVERY_RECORDS_TOPIC, one, id=derived("d", number), subject="search-1", offset=number)
        for number, one in enumerate(deliveries)
    ]
    return history([sealed.entry for sealed in seal_all(records)], "search-1")


def explained(entries, events, *deliveries: Message, name: str = "small-saas", until=None) -> Explanation:
    policies = {policy(name).hash: policy(name)}
    return explain(found(entries, *deliveries), events, ANNA, policies, until)


def at_entry(explanation: Explanation, seq: int) -> list[Point]:
    return [point for one in explanation.moments if one.seq == seq for point in one.points]


def rules(explanation: Explanation, seq: int) -> list[str]:
    return [point.rule for point in at_entry(explanation, seq)]


def common(seq: int, channel: Channel) -> dict:
    return {"batch_id": "b", "notice_id": "n", "incident": "search-1", "seq": seq, "channel": channel, "at": at(seq)}


def told(seq: int, result=Result.ACCEPTED, reason="taken", channel=Channel.EMAIL, audience="customers", due=None):
    entry = next(e for e in journal(LARGE) if e.seq == seq)
    kind = next(d.kind for d in entry.decisions if isinstance(d, NoticeDecided))
    head = common(seq, channel)
    outcome = Outcome(recipient=ANNA, result=result, reason=reason, due=due)
    return (
        DeliveriesIntended(**head, kind=kind, audience=audience, rendering="0" * 64, recipients=("bob", ANNA)),
        DeliveryAttempted(
            **head, attempt_id=f"a{seq}{channel}", attempt=1, kind=kind, rendering="0" * 64, recipients=("bob", ANNA)
        ),
        DeliveriesEnded(**head, attempt_id=f"a{seq}{channel}", attempt=1, outcomes=(outcome,)),
    )


def last(entries: tuple[JournalEntry, ...]) -> int:
    """The entry in which the end is told to customers."""
    return max(
        e.seq for e in entries for d in e.decisions if isinstance(d, NoticeDecided) and d.audience == "customers"
    )


def test_who_was_told_is_shown_every_rule_from_the_decision_to_the_provider() -> None:
    found = explained(journal(LARGE), [subscribed("customers")], *told(1))
    assert [(point.sort, point.rule) for point in at_entry(found, 1)][-3:] == [
        (Sort.DECIDED, "notice_decided"), (Sort.DECIDED, "for_them"), (Sort.SAID, "accepted"),
    ]  # fmt: skip
    texts = [point.text for point in at_entry(found, 1)]
    assert texts[-3] == "tell customers by email and sms (opened): a start is told at once"
    assert texts[-2] == "for them, by email: they belong to customers"
    assert texts[-1] == "email: taken by the provider"
    assert (found.messages, found.moments[0].audiences) == (1, ("customers",))


def test_a_decision_not_to_tell_their_audience_names_its_reason() -> None:
    found = explained(journal(SMALL), [subscribed("customers")])
    (point,) = [p for one in found.moments for p in one.points if p.rule == "audience_silent"]
    assert point.audience == "customers"
    assert point.text == "do not tell customers: small incidents are told at start and end only"


@pytest.mark.parametrize(
    ("events", "rule"),
    [
        ([subscribed("customers", components=("Pages",))], "other_components"),
        ([subscribed("customers", channels=(Channel.X,))], "no_channel_of_theirs"),
        ([subscribed("elsewhere")], "not_of_this_audience"),
        ([], "unknown_subscriber"),
    ],
)
def test_fan_outs_rule_is_asked_once_more(events, rule: str) -> None:
    assert rules(explained(journal(LARGE), events), 1)[-1] == rule


def test_who_belongs_to_two_audiences_is_told_in_the_higher_one_and_the_lower_one_says_so() -> None:
    found = explained(journal(LARGE), [subscribed("customers", "executives")])
    by_audience = {point.audience: point.rule for point in at_entry(found, 1)}
    assert by_audience["executives"] == "for_them"
    assert by_audience["customers"] == "told_in_a_higher_audience"


def test_admits_rule_is_read_from_the_records() -> None:
    found = explained(journal(LARGE), [subscribed("customers")], *told(1, Result.SUPPRESSED, "unsubscribed"))
    point = at_entry(found, 1)[-1]
    assert (point.sort, point.rule, point.text) == (Sort.NOT_SAID, "unsubscribed", "email: not told: unsubscribed")
    assert found.messages == 0


def test_what_is_put_off_says_until_when() -> None:
    due = at(600)
    found = explained(journal(LARGE), [subscribed("customers")], *told(1, Result.DEFERRED, "quiet_hours", due=due))
    point = at_entry(found, 1)[-1]
    assert (point.sort, point.rule) == (Sort.WAITING, "quiet_hours")
    assert point.text == "email: put off: quiet hours, until 2026-03-04 19:00 UTC"


def test_what_the_provider_said_later_stands_beside_it() -> None:
    intent = intent_id("search-1", 1, ANNA, Channel.EMAIL)
    receipt = ReceiptRecorded(intent_id=intent, channel=Channel.EMAIL, status="undelivered", code="5.1.1", at=at(2))
    found = explained(journal(LARGE), [subscribed("customers")], *told(1), receipt)
    assert at_entry(found, 1)[-1].text == "email: the provider says undelivered (5.1.1)"


def test_they_are_asked_about_as_they_were_at_that_moment() -> None:
    end = last(journal(LARGE))
    moved = (at(30), ChoicesChanged(choices=choices("elsewhere")))
    found = explained(journal(LARGE), [subscribed("customers"), moved])
    assert "for_them" in rules(found, 1)
    assert rules(found, end)[-1] == "not_of_this_audience"


def test_whoever_was_told_of_the_start_is_told_of_the_end_whatever_they_chose_since() -> None:
    end = last(journal(LARGE))
    moved = (at(30), ChoicesChanged(choices=choices("elsewhere")))
    found = explained(journal(LARGE), [subscribed("customers"), moved], *told(1))
    points = [point for point in at_entry(found, end) if point.rule == "for_them"]
    assert [point.text for point in points] == ["for them, by email: they were told of it before"]


def test_what_is_held_for_their_audience_names_who_must_approve() -> None:
    found = explained(journal(LARGE, "enterprise"), [subscribed("customers")], name="enterprise")
    held = [point for point in at_entry(found, 1) if point.rule == "notice_held"]
    assert [point.audience for point in held] == ["customers"]
    assert "the approval of communications is needed" in held[0].text


def test_the_guards_findings_are_shown_to_the_audiences_they_concern() -> None:
    bare = past((0, IncidentOpened(title="Search is slow", severity=Severity.MAJOR, summary="Our vendor broke it.")))
    entries = journal(bare)[:1]
    theirs = explained(entries, [subscribed("customers")])
    assert "guard" in " ".join(point.text for point in at_entry(theirs, 1))
    nobodys = explained(entries, [subscribed("elsewhere")])
    assert "guard" not in " ".join(point.text for point in at_entry(nobodys, 1))


def test_it_ends_where_one_asks() -> None:
    found = explained(journal(LARGE), [subscribed("customers")], until=at(1))
    assert [one.seq for one in found.moments] == [1]


def test_a_call_of_the_clock_that_concerns_nobody_is_left_out_and_what_was_said_never() -> None:
    found = explained(journal(LARGE), [subscribed("elsewhere")])
    said = {e.seq for e in journal(LARGE) if e.input.topic == topics.INCIDENT_EVENTS.name}
    assert said <= {one.seq for one in found.moments}
    assert len(found.moments) < len(journal(LARGE))


def test_without_the_policy_of_the_time_it_says_that_fan_out_cannot_be_asked() -> None:
    here = explain(found(journal(LARGE)), [subscribed("customers")], ANNA, {})
    assert "fan_out_cannot_be_asked" in rules(here, 1)
    assert "this version of the policy is not at hand" in at_entry(here, 1)[-1].text


def test_a_journal_with_a_gap_is_explained_as_far_as_the_records_go() -> None:
    entries = tuple(entry for entry in journal(LARGE) if entry.seq != 2)
    found = explained(entries, [subscribed("customers")])
    assert "for_them" in rules(found, 1)
    assert "fan_out_cannot_be_asked" in rules(found, last(journal(LARGE)))


def test_every_rule_of_fan_out_has_words() -> None:
    source = (REPOSITORY / "pipeline" / "deliver" / "fanout.py").read_text()
    named = {rule for rule in FAN_OUT if f'"{rule}"' in source}
    assert named == set(FAN_OUT)
    returned = {line.split('"')[1] for line in source.splitlines() if line.strip().startswith('return "')}
    assert returned <= set(FAN_OUT)
    assert set(FAN_OUT) >= fanout.ON_RECORD


def test_messages_are_counted_over_all_channels() -> None:
    both = [subscribed("customers", channels=(Channel.EMAIL, Channel.SMS))]
    found = explained(journal(LARGE), both, *told(1), *told(1, channel=Channel.SMS))
    assert found.messages == 2
    assert timedelta(0) == found.moments[0].at - at(0)
