"""The demonstration: what it may touch, when it is over, and, slowly, the whole of it."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.audit.seal import Chain, seal, source_of
from pipeline.commands.completion import Completion
from pipeline.commands.demo import SUBSCRIBERS, fresh_settings
from pipeline.errors import ConfigurationError
from pipeline.registrations import read_csv, registration
from schemas import codec, topics
from schemas.base import Channel, Lane, Level
from schemas.census import Group
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, Outcome, Result
from schemas.journal import JournaledInput, JournalEntry, NoticeDecided, NoticeKind
from schemas.notice import Notice, Notices
from schemas.rendering import SmsContent, rendering_of
from schemas.subscriber import Choices, Subscriber, SubscriberKind
from tests.paths import REPOSITORY

AT = datetime(2026, 3, 4, tzinfo=UTC)


def test_it_knows_nothing_of_its_user_s_broker_and_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_BROKER", "kafka://production:9092")
    monkeypatch.setenv("TOCSIN_SMTP_URL", "smtp://mail.example.com:25")
    monkeypatch.setenv("TOCSIN_MAIL_FROM", "real@example.com")
    settings = fresh_settings(tmp_path / "demo")
    assert (settings.broker, settings.smtp_url, settings.sandbox) == (None, None, True)
    assert "real@" not in settings.mail_from


def test_it_wipes_what_it_left_and_nothing_else(tmp_path: Path) -> None:
    settings = fresh_settings(tmp_path / "demo")
    (settings.data_dir / "old").touch()
    assert not (fresh_settings(tmp_path / "demo").data_dir / "old").exists()
    (tmp_path / "mine").touch()
    with pytest.raises(ConfigurationError, match="no demo has left there"):
        fresh_settings(tmp_path)
    assert (tmp_path / "mine").exists()


def test_its_subscribers_cover_every_audience_two_time_zones_and_all_channels() -> None:
    rows = [registration(line.fields or {}) for line in read_csv(SUBSCRIBERS.read_text().splitlines(keepends=True))]
    choices = [row.choices for row in rows]
    assert {audience for one in choices for audience in one.audiences} == {
        "executives", "customers", "technical", "public",
    }  # fmt: skip
    assert {one.time_zone for one in choices} >= {"Europe/Berlin", "America/New_York"}
    assert any(len(one.audiences) == 2 for one in choices)
    assert any(one.channels == (Channel.SMS,) for one in choices)
    assert any(
        row.kind is SubscriberKind.ACCOUNT and one.channels == (Channel.X,)
        for row, one in zip(rows, choices, strict=True)
    )


def stood(topic: topics.Topic, data: object, offset: int) -> codec.Record:
    outgoing = codec.encode(topic, data, id=f"{topic.name}{offset}", source="/t", subject="i1")  # type: ignore[arg-type]
    return codec.Record(topic.name, 0, offset, AT, outgoing.key, outgoing.value, outgoing.headers)


def one_journaled_notice(audience: str) -> tuple[JournalEntry, Notice]:
    rendering = rendering_of("en", Level.CUSTOMER, SmsContent(text="x", encoding="GSM-7", segments=1))
    common: dict[str, Any] = {
        "notice_id": "n1", "level": Level.CUSTOMER, "kind": NoticeKind.OPENED, "lane": Lane.FIRST,
    }  # fmt: skip
    decided = NoticeDecided(**common, audience=audience, reason="x", renderings={Channel.SMS: (rendering.sha256,)})
    given = JournaledInput(
        id="e1", source="/t", type="io.tocsin.incident.opened.v1", topic="incident.events", partition=0, offset=0,
        appended_at=AT, data={"title": "x", "severity": "minor"},
    )  # fmt: skip
    entry = JournalEntry(incident="i1", seq=1, at=AT, policy="0" * 64, decisions=(decided,), input=given)
    notice = Notice(
        **common, group=Group(audience=audience), incident="i1", seq=1, at=AT, closing=False, components=(),
        renderings=(rendering,),
    )  # fmt: skip
    return entry, notice


def customer(name: str) -> Subscriber:
    choices = Choices(audiences=("customers",), channels=(Channel.SMS,))
    return Subscriber(id=name, kind=SubscriberKind.PERSON, at=AT, choices=choices)


def test_it_is_over_when_everyone_has_an_outcome_and_the_log_holds_it_all() -> None:
    entry, notice = one_journaled_notice("customers")
    common: dict[str, Any] = {
        "batch_id": "b", "notice_id": "n1", "incident": "i1", "seq": 1, "channel": Channel.SMS, "at": AT,
    }  # fmt: skip

    def ended(recipient: str, attempt: int, result: Result) -> DeliveriesEnded:
        outcome = Outcome(recipient=recipient, result=result, reason="x")
        return DeliveriesEnded(**common, attempt=attempt, outcomes=(outcome,))

    intended = DeliveriesIntended(
        **common, kind=notice.kind, audience="customers", rendering="0" * 64, recipients=("ann", "bob")
    )
    said = (
        intended,
        ended("ann", 1, Result.ACCEPTED),
        ended("bob", 1, Result.RETRYABLE),
        ended("bob", 2, Result.PERMANENT),
    )
    records = [
        stood(topics.INCIDENT_JOURNAL, entry, 0),
        *(stood(topics.DELIVERY_RECORDS_TOPIC, record, offset) for offset, record in enumerate(said)),
    ]
    completion = Completion([customer("ann"), customer("bob")], [("i1", "e1")])
    assert completion.missing() == "1 events are not decided on"
    completion.apply(records[0])
    assert completion.missing() == "1 notices are not sent out"
    completion.apply(stood(topics.notices(Lane.FIRST), Notices(notices=(notice,)), 0))
    assert completion.missing() == "2 messages have not come to an end"
    for record in records[1:4]:
        completion.apply(record)
    assert completion.missing() == "1 messages have not come to an end"
    completion.apply(records[4])
    completion.apply(records[4])  # a record that stands there twice after a crash is sealed once
    assert completion.missing() == "5 records are not sealed"
    chain = Chain()
    for record in records:
        sealed = seal(chain, record, source_of(record))
        chain, out = sealed.chain, sealed.outgoing
        completion.apply(codec.Record(out.topic, 0, sealed.entry.index, AT, out.key, out.value, out.headers))
    assert completion.missing() is None
    assert completion.told() == {
        ("customers", Channel.SMS, "accepted"): 1,
        ("customers", Channel.SMS, "permanent"): 1,
    }


@pytest.mark.slow
def test_the_whole_of_it_ends_with_a_verified_log(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "demo", "--speed", "max", "--data-dir", str(tmp_path / "demo")],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"log verified: [1-9]\d+ entries", done.stdout.splitlines()[-1])
    for shown in (
        "Message-ID: <",
        "List-Unsubscribe-Post: ",
        "one SMS",
        "one post on X",
        "accepted",
        "of the promises kept",
    ):
        assert shown in done.stdout
