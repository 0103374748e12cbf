from datetime import timedelta
from io import StringIO

from rich.console import Console

from pipeline.audit.history import history
from pipeline.audit.sentences import Sort
from pipeline.audit.timeline import Line, timeline
from pipeline.commands.timelines import show
from schemas import topics
from schemas.audit import AuditEntry
from schemas.base import Channel, Lane, Level
from schemas.command import Approve, Wake, WakeReason
from schemas.delivery import (
    DeliveriesEnded,
    DeliveriesIntended,
    DeliveryAttempted,
    NoticeSuperseded,
    Outcome,
    ParkedOrder,
    ParkedOrdered,
    ReceiptRecorded,
    Result,
)
from schemas.ids import derived, intent_id
from schemas.journal import (
    AudienceSilent,
    DraftApproved,
    InputIgnored,
    JournaledInput,
    JournalEntry,
    NoticeDecided,
    NoticeKind,
    PromiseMade,
    VirtualClock,
    WakeScheduled,
)
from schemas.operator import Signature
from tests.audit.logs import START, record, seal_all

INCIDENT = "inc-1"
DUE = START + timedelta(hours=1)
SHA = "0" * 64


def s(seconds: float):
    return START + timedelta(seconds=seconds)


def journal(seq: int, *decisions, data=None, type="io.tocsin.incident.opened.v1", virtual=None, at=None, signed=None):
    given = JournaledInput(
        id=f"e-{seq}", source="monitor", type=type, topic="incident.events", partition=0, offset=seq,
        appended_at=at or s(seq * 100), virtual=virtual, signed=signed,
        data=data or {"title": "Search is slow", "severity": "major"},
    )  # fmt: skip
    moment = virtual.time if virtual else given.appended_at
    entry = JournalEntry(incident=INCIDENT, seq=seq, at=moment, policy=SHA, input=given, decisions=decisions)
    return record(
        topics.INCIDENT_JOURNAL,
        entry,
        id=derived("journal", INCIDENT, seq),
        subject=INCIDENT,
        offset=seq,
        at=given.appended_at,
    )


def tell(audience: str, *channels: Channel, kind=NoticeKind.OPENED, reason="a start is told at once"):
    return NoticeDecided(
        notice_id=derived("n", audience), audience=audience, level=Level.CUSTOMER, kind=kind, lane=Lane.FIRST,
        reason=reason, renderings=dict.fromkeys(channels, (SHA,)),
    )  # fmt: skip


def common(seq: int, channel: Channel, at):
    return {"batch_id": "b", "notice_id": "n", "incident": INCIDENT, "seq": seq, "channel": channel, "at": at}


def delivered(data, id: str):
    return record(topics.DELIVERY_RECORDS_TOPIC, data, id=id, subject=INCIDENT, offset=0)


def intended(*recipients: str, seq=1, channel=Channel.EMAIL, audience="customers"):
    data = DeliveriesIntended(
        **common(seq, channel, s(101)), kind=NoticeKind.OPENED, audience=audience, rendering=SHA, recipients=recipients
    )
    return delivered(data, derived("intended", seq, channel, *recipients))


def attempted(*recipients: str, seq=1, channel=Channel.EMAIL, attempt=1):
    data = DeliveryAttempted(
        **common(seq, channel, s(101)), attempt_id="a", attempt=attempt, kind=NoticeKind.OPENED, rendering=SHA,
        recipients=recipients,
    )  # fmt: skip
    return delivered(data, derived("attempted", seq, channel, attempt, *recipients))


def ended(
    result: Result,
    *recipients: str,
    seq=1,
    channel=Channel.EMAIL,
    attempt=1,
    reason="because",
    code=None,
    due=None,
    after=1.5,
):
    outcomes = tuple(Outcome(recipient=r, result=result, reason=reason, code=code, due=due) for r in recipients)
    data = DeliveriesEnded(
        **common(seq, channel, s(seq * 100 + after)), attempt_id="a", attempt=attempt, outcomes=outcomes
    )
    return delivered(data, derived("ended", seq, channel, attempt, result, *recipients))


def entries(*records) -> list[AuditEntry]:
    return [one.entry for one in seal_all(records)]


def texts(*records) -> list[tuple[Sort, str]]:
    return [(line.sort, line.text) for line in timeline(entries(*records), INCIDENT)]


def test_what_came_in_stands_first_with_what_it_said():
    (line,) = timeline(
        entries(journal(1, data={"title": "Search is slow", "severity": "major", "summary": "Sorry."})), INCIDENT
    )
    assert line == Line(
        s(100), None, 1, Sort.CAME_IN, "incident opened: Search is slow (severity major), from monitor. Sorry."
    )


def test_a_title_is_not_said_twice():
    lines = texts(journal(1), journal(2, data={"title": "Search is slow"}, type="io.tocsin.incident.updated.v1"))
    assert lines[1] == (Sort.CAME_IN, "incident updated, from monitor")


def test_decisions_that_say_the_same_of_several_audiences_say_it_once():
    found = texts(
        journal(
            1,
            tell("customers", Channel.EMAIL, Channel.SMS),
            tell("executives", Channel.EMAIL, Channel.SMS),
            tell("public", Channel.X),
            AudienceSilent(audience="technical", reason="same text as before"),
            AudienceSilent(audience="partners", reason="same text as before"),
        )
    )
    assert found[1:] == [
        (Sort.DECIDED, "tell customers, executives by email and sms; public by x (opened): a start is told at once"),
        (Sort.SILENT, "do not tell technical, partners: same text as before"),
    ]


def test_that_the_clock_watches_a_promise_goes_without_saying():
    lines = texts(
        journal(
            1,
            PromiseMade(audience="customers", due=DUE, by="upstream"),
            WakeScheduled(due=DUE, reason=WakeReason.PROMISE_DUE),
        )
    )
    assert [sort for sort, _ in lines] == [Sort.CAME_IN, Sort.DECIDED]


def test_a_wake_that_changes_nothing_is_one_line():
    data = {"due": "2026-03-04T03:00:00Z", "reason": "promise_due"}
    assert texts(journal(1, InputIgnored(reason="promise already kept"), type=Wake.TYPE, data=data)) == [
        (Sort.CAME_IN, "the clock: promise due, 2026-03-04 03:00 UTC; nothing follows: promise already kept")
    ]


def test_an_order_names_who_gave_it_and_what_it_is_about():
    signed = Signature(operator="alice", public_key="a", roles=("legal",), signature="b")
    data = {"draft": "d-1", "content": SHA, "because": "counsel has seen it"}
    approved = DraftApproved(draft="d-1", audience="customers", by="alice")
    lines = texts(journal(1, approved, type=Approve.TYPE, data=data, signed=signed))
    assert lines == [
        (Sort.CAME_IN, "alice orders: approve draft d-1: counsel has seen it"),
        (Sort.DECIDED, "alice approves what customers are to be told"),
    ]


def test_what_was_said_to_how_many_on_which_channel_and_how_fast():
    lines = timeline(
        entries(
            journal(1, tell("customers", Channel.EMAIL, Channel.SMS)),
            intended("s-1", "s-2", "s-3"),
            intended("s-4", audience="executives"),
            intended("s-1", channel=Channel.SMS),
            ended(Result.ACCEPTED, "s-1", "s-2", "s-4", after=0.5),
            ended(Result.ACCEPTED, "s-3", after=2.25),
            ended(Result.ACCEPTED, "s-1", channel=Channel.SMS, after=150),
        ),
        INCIDENT,
    )
    assert [(line.text, line.people, line.at) for line in lines if line.sort is Sort.SAID] == [
        ("email to 3 customers, 1 executives: taken by the provider, within 2.2 s", 4, s(102.25)),
        ("sms to 1 customers: taken by the provider, within 2 min", 1, s(250)),
    ]


def test_what_was_not_said_names_the_reason_and_the_providers_code():
    assert texts(
        journal(1),
        intended("s-1", "s-2", "s-3", "s-4"),
        ended(Result.SUPPRESSED, "s-1", reason="unsubscribed"),
        ended(Result.PERMANENT, "s-2", reason="mailbox_unknown", code="5.1.1"),
        attempted("s-3", attempt=10),
        ended(Result.PARKED, "s-3", attempt=10, reason="attempts_exhausted_after_timeout"),
    )[1:] == [
        (Sort.NOT_SAID, "email to 1 customers: refused for good: mailbox unknown (5.1.1)"),
        (Sort.NOT_SAID, "email to 1 customers: not told: unsubscribed"),
        (
            Sort.NOT_SAID,
            "email to 1 customers: given up: attempts exhausted after timeout (1 at a later attempt)",
        ),
        (Sort.WAITING, "email to 1 customers: not yet tried"),
    ]


def test_what_waits_says_for_what_and_until_when():
    again = "again from 2026-03-04 03:00 UTC"
    assert texts(
        journal(1),
        intended("s-1", "s-2", "s-3"),
        attempted("s-1", "s-2", "s-3"),
        ended(Result.RETRYABLE, "s-1", reason="greylisted", code="451", due=DUE),
        ended(Result.UNKNOWN, "s-2", reason="connection_lost", due=DUE),
    )[1:] == [
        (Sort.WAITING, f"email to 1 customers: did not get through: greylisted (451), {again}"),
        (Sort.WAITING, f"email to 1 customers: nobody knows yet whether it arrived: connection lost, {again}"),
        (Sort.WAITING, "email to 1 customers: with the provider"),
    ]


def test_an_unknown_that_was_cleared_up_stays_on_record():
    (line,) = texts(
        journal(1),
        intended("s-1"),
        attempted("s-1"),
        ended(Result.UNKNOWN, "s-1"),
        attempted("s-1", attempt=2),
        ended(Result.ACCEPTED, "s-1", attempt=2),
    )[1:]
    assert "(1 at a later attempt, 1 after an attempt whose end was unknown)" in line[1]


def test_what_is_final_stays_final():
    lines = texts(journal(1), intended("s-1"), ended(Result.ACCEPTED, "s-1"), ended(Result.UNKNOWN, "s-1", attempt=2))
    assert lines[1][0] is Sort.SAID


def test_receipts_are_counted_under_the_notice_that_they_are_about():
    def receipt(recipient: str, status: str, at: float, code: str | None = None, incident: str = INCIDENT):
        intent = intent_id(incident, 1, recipient, Channel.SMS)
        data = ReceiptRecorded(intent_id=intent, channel=Channel.SMS, status=status, code=code, at=s(at))
        return record(
            topics.DELIVERY_RECORDS_TOPIC, data, id=derived(recipient, status, incident), subject=intent, offset=0
        )

    records = (
        journal(1),
        intended("s-1", "s-2", channel=Channel.SMS),
        ended(Result.ACCEPTED, "s-1", "s-2", channel=Channel.SMS),
        receipt("s-1", "sent", 103),
        receipt("s-1", "delivered", 104),
        receipt("s-2", "undelivered", 105, "30003"),
        receipt("s-1", "failed", 106, incident="another"),
    )
    assert texts(*records)[-1] == (Sort.RECEIPT, "sms: the provider says 1 delivered, 1 undelivered (30003)")
    assert len(history(entries(*records), INCIDENT).entries) == 6


def test_what_a_notice_makes_old_is_said_once_for_all_partitions():
    superseded = [
        delivered(
            NoticeSuperseded(
                incident=INCIDENT, seq=1, audience="customers", and_earlier=True, by_notice="n", by_seq=2, at=s(200)
            ),
            derived("superseded", partition),
        )
        for partition in range(3)
    ]
    lines = texts(journal(1), journal(2, data={"summary": "Over."}, type="io.tocsin.incident.resolved.v1"), *superseded)
    assert lines[2:] == [
        (Sort.NOT_SAID, "what #1 and earlier ones said to customers is told no more where it still waits")
    ]


def ordered(what: str, partition: int, *recipients: str, because=None):
    made = ParkedOrder(order=what, reason="spending_cap", parked_until=s(200), because=because)
    signed = Signature(operator="ann", public_key="A" * 43, roles=(), signature="B" * 86)
    record_ = ParkedOrdered(
        batch_id="b", notice_id="n", incident=INCIDENT, seq=1, channel=Channel.SMS, at=s(300),
        order_id="o-1", order=made, signed=signed, attempt=1, recipients=recipients,
    )  # fmt: skip
    return delivered(record_, derived("ordered", partition))


def test_who_ordered_what_was_parked_tried_again_is_said_once_for_all_partitions():
    records = [
        journal(1),
        intended("s-1", "s-2", channel=Channel.SMS),
        ended(Result.PARKED, "s-1", "s-2", channel=Channel.SMS),
        ordered("retry", 0, "s-1", because="worth it"),
        ordered("retry", 1, "s-2", because="worth it"),
    ]
    ordered_line, waiting = texts(*records)[-2:]
    assert ordered_line == (Sort.CAME_IN, 'sms: ann ordered 2 tried again, parked for spending cap: "worth it"')
    assert waiting == (Sort.WAITING, "sms to 2 customers: put off: ordered again")


def test_what_was_given_up_ends_as_not_told():
    records = [
        journal(1),
        intended("s-1", channel=Channel.SMS),
        ended(Result.PARKED, "s-1", channel=Channel.SMS),
        ordered("give_up", 0, "s-1"),
    ]
    assert texts(*records)[-1] == (Sort.NOT_SAID, "sms to 1 customers: not told: given up by operator")


def test_other_incidents_and_subscribers_stay_out():
    other = intended("s-9")
    changed = AuditEntry.model_validate(
        entries(other)[0].model_dump() | {"subject": "inc-2", "body": {"incident": "inc-2"}}
    )
    assert history([changed], INCIDENT).entries == []


def test_the_first_journal_entry_of_a_number_counts():
    first, second = entries(journal(1), journal(1, data={"title": "Another"}))
    assert timeline([first, second], INCIDENT)[0].text.startswith("incident opened: Search is slow")


def test_a_record_sealed_by_its_hash_is_not_passed_over_in_silence():
    (entry,) = entries(journal(1))
    short = entry.model_copy(update={"body": {"reason": "too_large", "size": 1, "sha256": SHA}})
    (line,) = timeline([short], INCIDENT)
    assert line.sort is Sort.BROKEN
    assert "sealed by its hash only" in line.text


def shown(lines, width=100) -> str:
    out = StringIO()
    show(Console(file=out, width=width, highlight=False), INCIDENT, lines)
    return out.getvalue()


def test_it_is_shown_with_a_block_for_each_input_and_a_sum_at_the_end():
    told = entries(
        journal(1, tell("customers", Channel.EMAIL)),
        intended("s-1", "s-2", "s-3"),
        ended(Result.ACCEPTED, "s-1", "s-2"),
        ended(Result.SUPPRESSED, "s-3", reason="unsubscribed"),
    )
    text = shown(timeline(told, INCIDENT))
    assert "02:01:40  #1 in" in text
    assert text.splitlines()[2] == "2026-03-04"
    assert text.splitlines()[-1] == "2 messages taken by providers, 1 not said, 0 waiting"
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_played_incident_shows_its_own_time_first():
    virtual = VirtualClock(time=START.replace(year=2020), speed=600)
    told = entries(journal(1, tell("customers", Channel.EMAIL), virtual=virtual))
    assert timeline(told, INCIDENT)[0].virtual == virtual.time
    assert "02:00:00  02:01:40  #1 in" in shown(timeline(told, INCIDENT))


def test_what_came_from_outside_is_shown_and_never_obeyed_by_the_terminal():
    line = Line(START, None, 1, Sort.CAME_IN, "\x1b[2J[red]\x07[/red] ok", 0)
    text = shown([line])
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red] [/red] ok" in text
