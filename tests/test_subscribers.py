"""Subscribers: the fold of their events, and what a file of them comes to."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline import subscribers
from pipeline.broker import connect
from pipeline.commands.subscribing.listing import COLUMNS, chosen, known, listing, state_of
from pipeline.commands.subscribing.writing import read_roster, write
from pipeline.enrolment import Planned, Terms, plan_events, plan_import
from pipeline.exports import as_csv, as_json_lines, rows
from pipeline.registrations import BadFile, Refused, Registration, read_csv, read_json, registration
from pipeline.settings import Settings
from pipeline.subscribers import Roster, fold
from pipeline.vault import ContactData, Unreadable, Vault
from schemas import codec, topics
from schemas.base import Channel, Level, Message
from schemas.codec import Record
from schemas.subscriber import (
    Bounced,
    Choices,
    ChoicesChanged,
    Complained,
    Confirmed,
    Erased,
    Frequency,
    Merged,
    Profile,
    Restarted,
    Stopped,
    Subscriber,
    SubscriberKind,
    Unsubscribed,
)
from tests.paths import REPOSITORY

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
VAULT = Vault.of(b"a secret of the test suite, long enough")
EMAIL, SMS, X = Channel.EMAIL, Channel.SMS, Channel.X
ANNA = Registration(
    SubscriberKind.PERSON,
    Choices(audiences=("customers",), channels=(EMAIL, SMS)),
    ContactData(name="Anna", email="anna@example.com", phone="+4915112345678"),
)
KEY, SUBSCRIBED = subscribers.subscribed(VAULT, ANNA, "anna")


URL, SIGNS = "https://hooks.example.com/tocsin", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = (
    "id,email,webhook_url,webhook_secret,apprise_url,audiences\n",
    f"hook,,{URL},{SIGNS},ntfys://somewhere,technical\n",
)


def after(*events: Message, start: Subscriber | None = None) -> Subscriber:
    folded = start
    for second, event in enumerate(events):
        folded = fold("anna", folded, event, AT + timedelta(seconds=second))
    assert folded is not None
    return folded


def reasons(subscriber: Subscriber) -> dict[Channel, str]:
    return {channel: opt_out.reason for channel, opt_out in subscriber.opted_out.items()}


opt_outs = st.sampled_from([EMAIL, SMS]).flatmap(
    lambda channel: st.sampled_from(
        [
            Unsubscribed(channel=channel, via="one-click"),
            Bounced(channel=channel, code="5.1.1"),
            Complained(channel=channel),
            Stopped(channel=channel, via="keyword"),
        ]
    )
)
other_choices = ChoicesChanged(choices=Choices(audiences=("technical",), channels=(EMAIL, SMS, X)))


@given(st.lists(opt_outs, max_size=6).flatmap(lambda events: st.tuples(st.just(events), st.permutations(events))))
def test_opt_outs_come_to_the_same_in_any_order(both: tuple[Sequence[Message], Sequence[Message]]) -> None:
    one, other = both
    assert reasons(after(SUBSCRIBED, *one)) == reasons(after(SUBSCRIBED, *other))


@given(st.lists(opt_outs, min_size=1, max_size=4))
def test_an_opt_out_holds_whether_it_comes_before_or_after_the_subscription(events: list[Message]) -> None:
    assert reasons(after(*events, SUBSCRIBED)) == reasons(after(SUBSCRIBED, *events))


@given(st.lists(opt_outs, max_size=4))
def test_no_change_of_choices_undoes_an_opt_out(events: list[Message]) -> None:
    before = after(SUBSCRIBED, *events)
    changed = after(other_choices, SUBSCRIBED, start=before)
    assert changed.opted_out == before.opted_out


@given(st.lists(opt_outs, max_size=5))
def test_start_lifts_a_stop_and_nothing_else(events: list[Message]) -> None:
    before = after(SUBSCRIBED, *events)
    restarted = after(Restarted(channel=SMS), start=before)
    expected = {c: r for c, r in reasons(before).items() if (c, r) != (SMS, "stopped")}
    assert reasons(restarted) == expected


@given(st.lists(opt_outs, max_size=5))
def test_the_same_event_twice_is_the_same_as_once(events: list[Message]) -> None:
    twice = [event for event in events for _ in range(2)]
    assert reasons(after(SUBSCRIBED, *events)) == reasons(after(SUBSCRIBED, *twice))


@given(st.lists(st.one_of(opt_outs, st.just(SUBSCRIBED), st.just(other_choices), st.just(Erased())), max_size=8))
def test_once_erased_nothing_but_tokens_and_opt_outs_is_left(events: list[Message]) -> None:
    erased = after(SUBSCRIBED, Erased(), *events)
    assert erased.erased
    assert erased.contact is None
    assert erased.choices.audiences == ()
    assert erased.address_tokens == SUBSCRIBED.address_tokens


def test_an_opt_out_keeps_its_first_moment() -> None:
    twice = after(SUBSCRIBED, Unsubscribed(channel=EMAIL, via="one-click"), Unsubscribed(channel=EMAIL, via="operator"))
    assert twice.opted_out[EMAIL].since == AT + timedelta(seconds=1)


def test_a_stop_does_not_hide_an_unsubscribe_from_start() -> None:
    unsubscribed = Unsubscribed(channel=SMS, via="preferences")
    back = after(SUBSCRIBED, unsubscribed, Stopped(channel=SMS, via="keyword"), Restarted(channel=SMS))
    assert reasons(back) == {SMS: "unsubscribed"}


def test_a_confirmed_address_lifts_an_unsubscribe_but_no_complaint() -> None:
    left = after(SUBSCRIBED, Unsubscribed(channel=EMAIL, via="one-click"), Complained(channel=SMS))
    assert reasons(after(Confirmed(channels=(EMAIL, SMS)), start=left)) == {SMS: "complained"}


def test_a_new_address_lifts_the_old_ones_bounce_but_no_unsubscribe() -> None:
    tokens = {EMAIL: VAULT.address_token(EMAIL, "new@example.com"), SMS: VAULT.address_token(SMS, "+15005550006")}
    moved = ChoicesChanged(choices=ANNA.choices, contact=SUBSCRIBED.contact, address_tokens=tokens)
    left = after(SUBSCRIBED, Bounced(channel=EMAIL, code="5.1.1"), Unsubscribed(channel=SMS, via="operator"))
    assert reasons(after(moved, start=left)) == {SMS: "unsubscribed"}


@pytest.mark.parametrize("event", [other_choices, Confirmed(channels=(EMAIL,)), Restarted(channel=SMS)])
def test_what_concerns_nobody_known_changes_nothing(event: Message) -> None:
    assert fold("anna", None, event, AT) is None


def test_an_id_that_nobody_can_have_breaks_no_fold() -> None:
    assert fold("", None, SUBSCRIBED, AT) is None
    assert fold("a b\n", None, Unsubscribed(channel=EMAIL, via="operator"), AT) is None


def test_a_subscription_is_a_key_and_an_event_without_plaintext() -> None:
    key, event = subscribers.subscribe(VAULT, ANNA, "anna", AT)
    assert (key.topic, event.topic) == ("subscriber.keys", "subscriber.events")
    assert key.key == event.key == b"anna"
    for secret in (b"Anna", b"anna@", b"15112345678"):
        assert secret not in (event.value or b"")
    roster = read([key, event])
    assert roster.contact(VAULT, "anna") == ANNA.contact
    assert roster.by_address[(EMAIL, VAULT.address_token(EMAIL, "ANNA@example.com"))] == "anna"


def test_after_the_keys_tombstone_nothing_opens() -> None:
    key, event = subscribers.subscribe(VAULT, ANNA, "anna", AT)
    stages = Planned(1, "anna", Erased()).records(AT)
    assert [len(stage) for stage in stages] == [0, 0, 1, 0, 1]
    roster = read([key, event, *(record for stage in stages for record in stage)])
    assert roster.contact(VAULT, "anna") is None
    assert roster.keys == {}
    assert state_of(roster.subscribers["anna"]) == "erased"


def read(records: Sequence[codec.Outgoing]) -> Roster:
    roster = Roster()
    for offset, o in enumerate(records):
        roster.read(Record(o.topic, 0, offset, AT + timedelta(seconds=offset), o.key, o.value, o.headers))
    return roster


CSV = """\
id,name,email,phone,x_handle,audiences,channels,components,language,time_zone
anna,Anna Lindqvist,anna@example.com,+49 151 12345678,,customers; executives,sms;email,Login,de,Europe/Berlin
,Bob,Bob@Example.com,,,customers,,,,
status,,,,@TocsinStatus,public,,,,
""".splitlines(keepends=True)


def imported(lines: Sequence[str], roster: Roster) -> list[Planned]:
    return list(plan_import(read_csv(lines), roster, VAULT, AT))


def test_a_csv_line_becomes_a_subscriber() -> None:
    roster = Roster()
    assert [p.refused for p in imported(CSV, roster)] == [None, None, None]
    anna, status = roster.subscribers["anna"], roster.subscribers["status"]
    assert anna.choices == Choices(
        audiences=("customers", "executives"),
        channels=(SMS, EMAIL),
        components=("Login",),
        language="de",
        time_zone="Europe/Berlin",
    )
    assert roster.contact(VAULT, "anna") == ContactData(
        name="Anna Lindqvist", email="anna@example.com", phone="+4915112345678"
    )
    assert (status.kind, status.choices.channels) == (SubscriberKind.ACCOUNT, (X,))
    random_id = (set(roster.subscribers) - {"anna", "status"}).pop()
    assert len(random_id) == 32
    assert roster.subscribers[random_id].choices.channels == (EMAIL,)


WISHES = """\
id,email,audiences,level,frequency,office_hours_only,roles,contract,regions,country
kim,kim@example.com,,technical,digest,yes,responder; lead,gold,EU;US,de
lee,lee@example.com,customers,,,,,,,
""".splitlines(keepends=True)


def test_a_csv_line_says_what_they_wish_and_what_is_known_of_them() -> None:
    roster = Roster()
    assert [p.refused for p in imported(WISHES, roster)] == [None, None]
    kim, lee = roster.subscribers["kim"], roster.subscribers["lee"]
    wishes = (kim.choices.level, kim.choices.frequency, kim.choices.office_hours_only, kim.choices.audiences)
    assert wishes == (Level.TECHNICAL, Frequency.DIGEST, True, ())
    assert kim.profile == Profile(roles=("responder", "lead"), contract="gold", regions=("EU", "US"), country="DE")
    assert (lee.choices.frequency, lee.choices.office_hours_only, lee.profile) == (Frequency.ALL, False, Profile())
    assert [p.event for p in imported(WISHES, roster)] == [None, None]
    assert chosen(kim.choices) == "technical detail, digest, in office hours"
    assert known(kim.profile) == "responder, lead, contract gold, EU, US, DE"
    assert (chosen(lee.choices), known(lee.profile)) == ("", "")


def test_what_is_known_of_someone_stays_when_only_their_choices_change() -> None:
    roster = Roster()
    imported(WISHES, roster)
    [planned] = imported(["id,audiences,frequency\n", "kim,technical,all\n"], roster)
    assert isinstance(planned.event, ChoicesChanged)
    assert planned.event.profile is None
    assert roster.subscribers["kim"].profile.roles == ("responder", "lead")
    [planned] = imported(["id,audiences,roles\n", "kim,technical,lead\n"], roster)
    assert roster.subscribers["kim"].profile == Profile(
        roles=("lead",), contract="gold", regions=("EU", "US"), country="DE"
    )


def test_an_erased_person_has_no_profile_left() -> None:
    roster = Roster()
    imported(WISHES, roster)
    roster.apply("kim", Erased(), AT)
    assert roster.subscribers["kim"].profile == Profile()


def test_the_demos_subscribers_can_be_imported() -> None:
    roster = Roster()
    lines = (REPOSITORY / "deploy" / "incidents" / "subscribers.csv").read_text("utf-8").splitlines(keepends=True)
    assert [p.refused for p in imported(lines, roster) if p.refused] == []
    responders = [s for s in roster.subscribers.values() if "responder" in s.profile.roles]
    assert len(responders) == 2
    assert {s.choices.frequency for s in roster.subscribers.values()} == set(Frequency)


def test_the_same_file_twice_changes_nothing() -> None:
    roster = Roster()
    imported(CSV, roster)
    again = imported(CSV, roster)
    assert [(p.event, p.key, p.refused) for p in again] == [(None, None, None)] * 3
    assert len(roster.subscribers) == 3


def test_a_changed_line_changes_the_subscriber_under_the_same_key() -> None:
    roster = Roster()
    imported(CSV, roster)
    changed = imported(["id,email,audiences\n", "anna,anna@new.example.com,technical\n"], roster)
    assert isinstance(changed[0].event, ChoicesChanged)
    assert changed[0].key is None
    assert roster.subscribers["anna"].choices.channels == (SMS, EMAIL)
    contact = roster.contact(VAULT, "anna")
    assert contact is not None
    assert (contact.email, contact.phone) == ("anna@new.example.com", "+4915112345678")


def test_an_import_never_undoes_an_opt_out() -> None:
    roster = Roster()
    imported(CSV, roster)
    roster.apply("anna", Unsubscribed(channel=EMAIL, via="one-click"), AT)
    imported(["id,email,audiences\n", "anna,anna@example.com,technical\n"], roster)
    assert reasons(roster.subscribers["anna"]) == {EMAIL: "unsubscribed"}


def test_an_erased_person_is_not_brought_back_by_a_file() -> None:
    roster = Roster()
    imported(CSV, roster)
    roster.apply("anna", Erased(), AT)
    by_id = imported(["id,email,audiences\n", "anna,other@example.com,customers\n"], roster)
    by_address = imported(["email,audiences\n", "anna@example.com,customers\n"], roster)
    by_both = imported(["id,email,audiences\n", "new,anna@example.com,customers\n"], roster)
    for refused in (by_id, by_address, by_both):
        assert refused[0].event is None
        assert refused[0].refused


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",no at sign,,,customers,,,,,", "email: "),
        (",,0151 1234,,customers,,,,,", "phone: "),
        (",,,not a handle,customers,,,,,", "x_handle: "),
        (",a@example.com,,,,,,,,", "audiences: name at least one"),
        (",a@example.com,,,no good,,,,,", "audiences: "),
        (",,,,customers,,,,,", "no way to reach them"),
        (",a@example.com,,,customers,fax,,,,", "channels: one or more of"),
        (",a@example.com,,,customers,sms,,,,", "sms is chosen, but there is no address"),
        (",a@example.com,,,customers,,,Deutsch!,,", "language: "),
        (",a@example.com,,,customers,,,,Mars/Base,", "time_zone: "),
        (",a@example.com,,,customers,,,,,robot", "kind: "),
        ("a b,a@example.com,,,customers,,,,,", "id: "),
        ("short,line", "2 fields instead of 10"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_the_others_go_on(line: str, reason: str) -> None:
    header = "id,email,phone,x_handle,audiences,channels,components,language,time_zone,kind\n"
    bad, good = imported([header, line + "\n", "g,good@example.com,,,customers,,,,,\n"], Roster())
    assert (bad.line, bad.event) == (2, None)
    assert reason in (bad.refused or "")
    assert "0151" not in (bad.refused or "")
    assert good.refused is None


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("level", "secret", "level: one of public, customer"),
        ("frequency", "hourly", "frequency: one of all, start_and_end, digest"),
        ("office_hours_only", "maybe", "office_hours_only: yes or no"),
        ("roles", "no good", "roles: "),
        ("contract", "no good", "contract: "),
        ("country", "Germany", "country: "),
    ],
)
def test_a_wish_that_is_none_is_refused_by_its_column(column: str, value: str, reason: str) -> None:
    lines = [f"email,audiences,{column}\n", f"a@example.com,customers,{value}\n"]
    assert reason in (imported(lines, Roster())[0].refused or "")


def test_the_same_address_twice_in_a_file_is_one_person_who_hears_both() -> None:
    lines = ["email,audiences,language\n", "a@example.com,customers,de\n", "\n", "A@example.com,executives,en\n"]
    roster = Roster()
    first, second = imported(lines, roster)
    assert (second.line, second.merged, second.event) == (4, 2, None)
    [one] = roster.subscribers.values()
    assert (one.choices.audiences, one.choices.language) == (("customers", "executives"), "en")
    assert [(p.event, p.carried) for p in imported(lines, roster)] == [(None, ())] * 2
    assert first.subscriber_id == one.id


def test_two_ids_with_one_address_in_a_file_are_refused() -> None:
    lines = ["id,email,audiences\n", "a,a@example.com,customers\n", "b,a@example.com,customers\n"]
    assert imported(lines, Roster())[1].refused == "id: line 2 has the same address under the id a"


MAIL_AND_PHONE = """\
id,email,phone,audiences
mail,a@example.com,,customers
phone,,+15005550006,technical
""".splitlines(keepends=True)


def test_two_who_turn_out_to_be_the_same_become_one_and_an_opt_out_of_either_holds() -> None:
    roster = Roster()
    imported(MAIL_AND_PHONE, roster)
    roster.apply("phone", Unsubscribed(channel=SMS, via="one-click"), AT)
    [planned] = imported(["email,phone,audiences\n", "a@example.com,+1 500 555 0006,executives\n"], roster)
    assert planned.subscriber_id == "mail"
    assert planned.absorbed == {"phone": Merged(into="mail", channels=(SMS,))}
    mail, phone = roster.subscribers["mail"], roster.subscribers["phone"]
    assert mail.choices.audiences == ("executives", "technical")
    assert mail.choices.channels == (EMAIL, SMS)
    assert reasons(mail) == {SMS: "unsubscribed"}
    assert (phone.merged_into, phone.contact, phone.choices.audiences) == ("mail", None, ())
    assert state_of(phone) == "told as mail"
    assert roster.by_address[SMS, VAULT.address_token(SMS, "+15005550006")] == "mail"
    # The records, read partition by partition, come to the same.
    stages = planned.records(AT)
    assert [len(stage) for stage in stages] == [0, 1, 1, 1, 1]
    assert "phone" not in roster.keys
    [again] = imported(["phone,audiences\n", "+15005550006,executives\n"], roster)
    assert (again.subscriber_id, again.absorbed) == ("mail", {})
    [gone] = imported(["id,email,audiences\n", "phone,b@example.com,customers\n"], roster)
    assert "is told as the subscriber mail" in (gone.refused or "")


def test_where_webhooks_and_notifications_go_is_kept_when_two_become_one() -> None:
    roster = Roster()
    imported([HOOK[0], "mail,a@example.com,,,,customers\n", HOOK[1]], roster)
    was = roster.contact(VAULT, "hook")
    [planned] = imported(
        ["id,email,webhook_url,webhook_secret,audiences\n", f"mail,a@example.com,{URL},{SIGNS},customers\n"], roster
    )
    assert list(planned.absorbed) == ["hook"]
    contact = roster.contact(VAULT, "mail")
    assert was is not None
    assert contact == was.model_copy(update={"email": "a@example.com"})


def test_addresses_are_found_whatever_order_the_partitions_are_read_in() -> None:
    roster = Roster()
    imported(MAIL_AND_PHONE, roster)
    records = [subscribers.subscribe(VAULT, ANNA, "anna", AT), subscribers.subscribe(VAULT, ANNA, "twin", AT)]
    gone = subscribers.event_record("twin", Merged(into="anna"), AT)
    late = read([*records[0], *records[1], gone])
    late.settle()
    assert set(late.by_address.values()) == {"anna"}


ASKED = Terms(confirm=True)


def asked(row: str, roster: Roster, terms: Terms = ASKED) -> Planned:
    header = "id,email,phone,audiences,channels" if row.count(",") == 4 else "id,email,phone,audiences"
    lines = [f"{header}\n", f"{row}\n"]
    [planned] = plan_import(read_csv(lines), roster, VAULT, AT, terms)
    return planned


def test_who_is_to_confirm_hears_nothing_until_then() -> None:
    roster = Roster()
    asked("anna,a@example.com,+15005550006,customers", roster)
    anna = roster.subscribers["anna"]
    assert (anna.unconfirmed, anna.standing.consent) == ((EMAIL, SMS), None)
    assert state_of(anna) == "email: unconfirmed, sms: unconfirmed"
    token = anna.address_tokens[EMAIL]
    roster.apply("anna", Confirmed(channels=(EMAIL,), address_tokens={EMAIL: token}), AT)
    assert roster.subscribers["anna"].unconfirmed == (SMS,)


def test_a_confirmation_is_about_the_address_it_was_sent_to() -> None:
    roster = Roster()
    asked("anna,a@example.com,,customers", roster)
    old = roster.subscribers["anna"].address_tokens[EMAIL]
    asked("anna,b@example.com,,customers", roster)
    roster.apply("anna", Confirmed(channels=(EMAIL,), address_tokens={EMAIL: old}), AT)
    assert roster.subscribers["anna"].unconfirmed == (EMAIL,)


def test_nobody_whose_address_is_known_and_open_is_silenced_by_asking_for_it_again() -> None:
    roster = Roster()
    asked("anna,a@example.com,,customers", roster, Terms(consent="contract"))
    assert roster.subscribers["anna"].standing.consent == "contract"
    asked(",a@example.com,,executives", roster)
    assert roster.subscribers["anna"].unconfirmed == ()
    planned = asked(",a@example.com,+15005550006,executives,email;sms", roster)
    assert isinstance(planned.event, ChoicesChanged)
    assert planned.event.unconfirmed == (SMS,)


def test_who_waits_to_confirm_is_asked_once_unless_they_are_to_be_asked_again() -> None:
    roster = Roster()
    asked("anna,a@example.com,,customers", roster)
    assert asked("anna,a@example.com,,customers", roster).event is None
    planned = asked("anna,a@example.com,,customers", roster, Terms(confirm=True, again=True))
    assert isinstance(planned.event, ChoicesChanged)
    assert planned.event.unconfirmed == (EMAIL,)


def test_who_left_and_comes_back_is_asked_and_who_complained_stays_away() -> None:
    roster = Roster()
    asked("anna,a@example.com,,customers", roster, Terms(consent="contract"))
    roster.apply("anna", Unsubscribed(channel=EMAIL, via="one-click"), AT)
    asked(",a@example.com,,customers", roster)
    anna = roster.subscribers["anna"]
    assert (anna.unconfirmed, reasons(anna)) == ((EMAIL,), {EMAIL: "unsubscribed"})
    roster.apply("anna", Confirmed(channels=(EMAIL,), address_tokens=anna.address_tokens), AT)
    assert state_of(roster.subscribers["anna"]) == "active"
    roster.apply("anna", Complained(channel=EMAIL), AT)
    roster.apply("anna", Confirmed(channels=(EMAIL,)), AT)
    assert reasons(roster.subscribers["anna"]) == {EMAIL: "complained"}


def test_an_operators_word_of_consent_stands_on_record_and_opens_what_waited() -> None:
    roster = Roster()
    asked("anna,a@example.com,,customers", roster)
    planned = asked("anna,a@example.com,,customers", roster, Terms(consent="contract of 1 March"))
    assert isinstance(planned.event, ChoicesChanged)
    assert planned.event.consent == "contract of 1 March"
    anna = roster.subscribers["anna"]
    assert (anna.unconfirmed, anna.standing.consent) == ((), "contract of 1 March")
    assert asked("anna,a@example.com,,customers", roster, Terms(consent="contract of 1 March")).event is None


def test_of_a_list_one_member_cannot_unsubscribe_all_but_an_operator_can() -> None:
    _, team = subscribers.subscribed(VAULT, replace(ANNA, kind=SubscriberKind.LIST), "anna")
    assert reasons(after(team, Unsubscribed(channel=EMAIL, via="one-click"))) == {}
    assert reasons(after(team, Unsubscribed(channel=EMAIL, via="operator"))) == {EMAIL: "unsubscribed"}


@pytest.mark.parametrize("form", ["csv", "json lines", "json array"])
def test_what_is_exported_comes_to_the_same_elsewhere(form: str) -> None:
    roster = Roster()
    imported(CSV, roster)
    imported(WISHES, roster)
    imported(HOOK, roster)
    asked("new,new@example.com,,customers", roster)
    asked("paid,paid@example.com,+15005550007,customers", roster, Terms(consent="contract"))
    roster.apply("anna", Complained(channel=EMAIL), AT)
    roster.apply("kim", Erased(), AT)
    found = list(rows(roster, VAULT))
    elsewhere = Roster()
    if form == "csv":
        lines = list(read_csv("".join(as_csv(found)).splitlines(keepends=True)))
    elif form == "json lines":
        lines = list(read_json("".join(as_json_lines(found)).encode()))
    else:
        lines = list(read_json(json.dumps(found).encode()))
    assert [p.refused for p in plan_import(lines, elsewhere, VAULT, AT, Terms(consent="moved")) if p.refused] == []
    for id_, one in elsewhere.subscribers.items():
        was = roster.subscribers[id_]
        assert (one.choices, one.profile, one.kind, reasons(one)) == (was.choices, was.profile, was.kind, reasons(was))
        assert one.unconfirmed == was.unconfirmed
        assert elsewhere.contact(VAULT, id_) == roster.contact(VAULT, id_)
    assert elsewhere.subscribers.keys() == roster.subscribers.keys() - {"kim"}
    assert elsewhere.subscribers["paid"].standing.consent == "contract"
    assert elsewhere.subscribers["anna"].standing.consent == "moved"
    again = list(plan_import(lines, elsewhere, VAULT, AT, Terms(consent="moved")))
    assert [(p.event, p.carried) for p in again] == [(None, ())] * len(lines)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"email": "a@example.com", "audience": ["customers"]}', "audience: no such field"),
        (b'{"email": 7, "audiences": ["customers"]}', "email: a text"),
        (b'{"email": "a@example.com", "audiences": "customers"}', "audiences: an array"),
        (b'["a@example.com"]', "not an object"),
        (b'{"email": "a@example.com", "audiences": ["customers"], "opted_out": ["fax:x"]}', "opted_out: "),
        (b"not json", "Expecting value"),
    ],
)
def test_a_bad_json_object_is_refused_with_its_number(line: bytes, reason: str) -> None:
    good = b'{"email": "good@example.com", "audiences": ["customers"]}'
    body = b"[%s, %s]" % (line, good) if line[:1] == b"[" else line + b"\n" + good
    bad, fine = plan_import(read_json(body), Roster(), VAULT, AT)
    assert (bad.line, bad.event) == (1, None)
    assert reason in (bad.refused or "")
    assert fine.refused is None


def test_a_quoted_field_may_span_lines_and_the_numbers_still_hold() -> None:
    lines = ["name,email,audiences\n", '"Anna\n', 'Lindqvist",a@example.com,customers\n', ",b,customers\n"]
    roster = Roster()
    planned = imported(lines, roster)
    assert planned[1].line == 4
    contact = roster.contact(VAULT, planned[0].subscriber_id)
    assert contact is not None
    assert contact.name == "Anna Lindqvist"


@pytest.mark.parametrize(
    "lines", [[], ["email;audiences\n"], ["email,audience\n"], ["email\n"], ["email,audiences\n", '"open\n']]
)
def test_a_file_that_is_no_such_csv_is_refused_as_a_whole(lines: list[str]) -> None:
    with pytest.raises(BadFile):
        imported(lines, Roster())


def test_null_takes_an_address_away() -> None:
    with pytest.raises(Refused, match="sms is chosen"):
        registration({"phone": None}, ANNA)
    assert registration({"phone": None, "channels": ["email"]}, ANNA).contact.phone is None


HISTORY = b"""\
{"event": "subscribed", "id": "anna", "email": "anna@example.com", "phone": "+15005550006", "audiences": ["customers"]}
{"event": "changed", "id": "anna", "phone": null, "channels": ["email"], "language": "de"}

{"event": "unsubscribed", "id": "anna", "channel": "email"}
{"event": "confirmed", "id": "anna", "channels": ["email"]}
{"event": "bounced", "id": "anna", "channel": "email", "code": "5.1.1"}
{"event": "complained", "id": "anna", "channel": "email"}
{"event": "stopped", "id": "anna", "channel": "sms"}
{"event": "restarted", "id": "anna", "channel": "sms"}
{"event": "erased", "id": "anna"}
"""


def test_a_json_line_may_take_away_what_was_known() -> None:
    roster = Roster()
    lines = (
        b'{"event": "subscribed", "id": "kim", "email": "k@example.com", "audiences": ["customers"],'
        b' "roles": ["responder"], "country": "DE", "level": "public", "office_hours_only": true}',
        b'{"event": "changed", "id": "kim", "roles": null, "country": null, "level": null}',
    )
    assert [p.refused for p in plan_events(lines, roster, VAULT, AT)] == [None, None]
    kim = roster.subscribers["kim"]
    assert (kim.profile, kim.choices.level, kim.choices.office_hours_only) == (Profile(), None, True)


def test_json_lines_are_a_history() -> None:
    roster = Roster()
    planned = list(plan_events(HISTORY.splitlines(), roster, VAULT, AT))
    assert [p.refused for p in planned] == [None] * 9
    assert planned[1].line == 2
    assert planned[2].line == 4
    assert reasons(roster.subscribers["anna"]) == {EMAIL: "complained"}
    assert roster.subscribers["anna"].erased


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"event": "changed", "id": "nobody", "language": "de"}', "nobody known"),
        (b'{"event": "unsubscribed", "id": "nobody", "channel": "email"}', "nobody known"),
        (b'{"event": "unsubscribed", "id": "anna"}', "channel: "),
        (b'{"event": "erased", "id": "anna", "channel": "sms"}', "channel: "),
        (b'{"event": "subscribed", "email": "b@example.com", "audience": ["customers"]}', "audience: "),
        (b'{"event": "subscribed", "phone": 15005550006}', "phone: "),
        (b'{"event": "vanished", "id": "anna"}', "vanished"),
        (b'{"event": "erased", "id": "anna", "id": "anna"}', "stands twice"),
        (b'["erased"]', "dictionary"),
        (b"not json", "Expecting value"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_bad_json_line_is_refused_with_the_reason(line: bytes, reason: str) -> None:
    roster = read(subscribers.subscribe(VAULT, ANNA, "anna", AT))
    [planned] = plan_events([line], roster, VAULT, AT)
    assert planned.event is None
    assert reason in (planned.refused or "")


def test_sealed_data_says_so_under_another_secret() -> None:
    roster = read(subscribers.subscribe(VAULT, ANNA, "anna", AT))
    with pytest.raises(Unreadable):
        roster.contact(Vault.of(b"another secret, just as long as that"), "anna")


async def test_what_was_imported_stands_on_the_broker_and_can_be_erased(own_broker: Settings, tmp_path: Path) -> None:
    planned = imported(CSV, Roster())
    async with connect.open_producer(own_broker) as producer:
        await write(producer, planned)
        roster = await read_roster(own_broker)
        assert {s.choices.audiences for s in roster.subscribers.values()} == {
            ("customers", "executives"),
            ("customers",),
            ("public",),
        }
        assert all(roster.contact(VAULT, subscriber_id) for subscriber_id in roster.subscribers)
        await write(producer, [Planned(1, "anna", Erased())])
    roster = await read_roster(own_broker)
    assert roster.subscribers["anna"].erased
    assert "anna" not in roster.keys
    async for record in connect.read_all(own_broker, topics.SUBSCRIBER_EVENTS_TOPIC.name):
        assert b"anna@" not in (record.value or b"")


async def command(settings: Settings, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    environment = {**os.environ, "TOCSIN_DATA_DIR": str(settings.data_dir), "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pipeline.cli", "subscribers", *arguments),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    shown, _ = await process.communicate(stdin)
    return process.returncode or 0, shown.decode()


@pytest.mark.slow  # nine processes, one after the other
async def test_the_command_imports_lists_unsubscribes_and_erases(own_broker: Settings, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("".join(CSV), "utf-8-sig")
    assert await command(own_broker, "import", str(file), "--consent", "contract") == (0, "3 subscribed\n")
    assert await command(own_broker, "import", str(file), "--consent", "contract") == (0, "3 unchanged\n")
    status, listed = await command(own_broker, "list")
    assert status == 0
    assert "customers executives" in listed
    assert "anna@" not in listed
    assert "anna@example.com" in (await command(own_broker, "list", "--reveal"))[1]
    assert await command(own_broker, "unsubscribe", "anna", "email") == (0, "anna: unsubscribed\n")
    assert (await command(own_broker, "unsubscribe", "nobody", "email"))[0] == 1
    lines = b'{"event": "stopped", "id": "anna", "channel": "sms"}\n{"event": "erased", "id": "zoe"}\n'
    status, shown = await command(own_broker, "publish", "-", stdin=lines)
    assert (status, shown) == (1, "line 2: id: nobody known is called that\n1 refused, 1 stopped\n")
    roster = await read_roster(own_broker)
    assert reasons(roster.subscribers["anna"]) == {EMAIL: "unsubscribed", SMS: "stopped"}
    status, shown = await command(own_broker, "erase", "anna@example.com", "--yes")
    assert (status, shown.splitlines()[0]) == (0, "anna: erased")
    status, shown = await command(own_broker, "erasure", "anna")
    assert status == 1, "no later record has closed the segment yet"
    assert "their key is still in the broker's files (subscriber.keys/" in shown
    assert "erased" in (await command(own_broker, "list", "--reveal"))[1]


@pytest.mark.parametrize("width", [60, 200])
def test_a_list_shows_the_whole_id_however_narrow_the_terminal_is(width: int) -> None:
    ids = [f"{number:032x}" for number in range(3)]
    rest = ("person", "customers", "email sms", "en", "Europe/Berlin", "", "", "contract", "active")
    out = StringIO()
    console = Console(width=width, file=out)
    console.print(listing(console, [(one, *rest) for one in ids], COLUMNS))
    shown = out.getvalue()
    assert all(one in shown for one in ids)
    assert ("known as" in shown, "time zone" in shown) == (False, width == 200)
    assert "…" not in shown
