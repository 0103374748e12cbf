"""The orders of `tocsin incident`: shown, confirmed, signed, sent, and answered in words."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline import authority
from pipeline.commands import answering, terminal
from pipeline.operators import Signer, make_key
from pipeline.settings import Settings
from schemas.base import Channel
from schemas.command import Approve, Correct, Edit, Hold, PublishNow, Reject, Release, Retract
from schemas.incident import Consequences, Facts, IncidentUpdated
from schemas.journal import CommandRefused, DraftApproved, FieldWithheld, JournaledInput, VirtualClock
from tests.commands.desk import deciding, is_signed_by, journal, ordered
from tests.commands.running import tocsin
from tests.entries import AT, MAIL, TEXT, WORDS, decided, entry, held

APPROVED = DraftApproved(draft="d1aaaaaa", audience="customers", by="ann", missing="1 more person")
READ_TWICE = ("--because", "read twice")


@pytest.fixture
def ann(own_broker: Settings) -> Signer:
    return make_key(own_broker, "ann")


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "interactive", lambda: True)


# --- looking


async def test_what_waits_is_listed_with_whose_approval_it_needs(own_broker: Settings) -> None:
    draft = held(expected=36981, people=2, author="ben", needs=("legal", "pr"))
    await journal(own_broker, entry(draft, title="Search [red]is slow"), entry(APPROVED, seq=2))
    for arguments in ((), ("INC-1",)):
        result = await tocsin(own_broker, "incident", "drafts", *arguments)
        assert result.exit_code == 0, result.output
        for told in (
            "d1aaaaaa", "customers: opened, INC-1 “Search [red]is slow”", "legal and pr approval, 2 different persons",
            "approved by ann; still missing: 1 more person", "written by  ben", "36,981 expected", "by email and sms",
            "notices to customers need the approval of legal", "1 waiting",
        ):  # fmt: skip
            assert told in result.stdout, told
        assert "searches take long" not in result.stdout
    assert "0 waiting" in (await tocsin(own_broker, "incident", "drafts", "INC-2")).stdout


@pytest.mark.parametrize("arguments", [("drafts", "--show"), ("show", "d1aa")])
async def test_the_words_are_shown_as_they_would_go_out(own_broker: Settings, arguments: tuple[str, ...]) -> None:
    await journal(own_broker, entry(held()))
    result = await tocsin(own_broker, "incident", *arguments)
    assert result.exit_code == 0, result.output
    assert "Subject: Search is slow\n\nSince 12:00 UTC searches take long." in result.stdout
    assert "No more of these: <the reader's own link>" in result.stdout
    assert "Suche langsam seit 12:00 UTC [red]" in result.stdout
    assert (
        "customers, sms, de, level customer, 1 segment of GSM-7, times in UTC; written otherwise for Europe/Berlin"
        in (result.stdout)
    )


# --- approving


async def test_an_approval_shows_every_word_is_signed_and_its_answer_is_said(own_broker: Settings, ann: Signer) -> None:
    await journal(own_broker, entry(held()))
    async with deciding(own_broker, lambda _: (APPROVED,)) as orders:
        result = await tocsin(own_broker, "incident", "approve", "d1aa", *READ_TWICE, "--yes")
    assert result.exit_code == 0, result.output
    assert "searches take long" in result.stdout
    assert "ann approves what customers are to be told; still missing: 1 more person" in result.stdout
    [order] = orders
    assert order.data == Approve(draft="d1aaaaaa", content=held().content, because="read twice")
    assert order.subject == "INC-1"
    assert is_signed_by(ann, order)


async def test_on_a_terminal_nothing_is_ordered_unconfirmed(
    own_broker: Settings, ann: Signer, on_a_terminal: None
) -> None:
    await journal(own_broker, entry(held()))
    result = await tocsin(own_broker, "incident", "approve", "d1aa", typed="\n")
    assert result.exit_code == 1
    assert re.search(r"searches take long.*\(signed by ann\).*nothing was ordered", result.stdout, re.DOTALL)
    assert await ordered(own_broker) == []
    async with deciding(own_broker, lambda _: (APPROVED,)):
        assert (await tocsin(own_broker, "incident", "approve", "d1aa", typed="y\n")).exit_code == 0


async def test_without_a_terminal_it_must_be_said_that_it_is_meant(own_broker: Settings, ann: Signer) -> None:
    await journal(own_broker, entry(held()))
    result = await tocsin(own_broker, "incident", "approve", "d1aa")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert await ordered(own_broker) == []


FORGED = TEXT.model_copy(update={"content": TEXT.content.model_copy(update={"text": "Everything is fine."})})


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (held(), [MAIL]),
        (held(), [MAIL, FORGED]),
        (held(content="0" * 64), WORDS),
        (held(renderings={Channel.EMAIL: (MAIL.sha256,)}, content=held().content), WORDS),
    ],
    ids=["not there", "others than their hash names", "another content", "fewer than approved"],
)
async def test_nobody_signs_what_they_were_not_shown(
    own_broker: Settings, ann: Signer, draft: Any, words: list[Any]
) -> None:
    await journal(own_broker, entry(draft), words=words)
    result = await tocsin(own_broker, "incident", "approve", "d1aa", "--yes")
    assert result.exit_code == 1
    assert "the words that an approval would name are not all there" in result.stderr
    assert "Everything is fine" not in result.stdout
    assert await ordered(own_broker) == []


async def test_a_field_is_approved_by_its_text(own_broker: Settings, ann: Signer) -> None:
    content = authority.text_content("The mistake was ours.")
    withheld = FieldWithheld(field="ownership", reason="needs legal", draft="f1aaaaaa", content=content, needs="legal")
    await journal(own_broker, entry(withheld, ownership="The mistake was ours."))
    async with deciding(own_broker) as orders:
        result = await tocsin(own_broker, "incident", "approve", "f1aa", "--yes")
    assert result.exit_code == 0, result.output
    assert "--- ownership\nThe mistake was ours." in result.stdout
    assert orders[0].data == Approve(draft="f1aaaaaa", content=content)


async def test_a_refusal_is_said_with_its_reason(own_broker: Settings, ann: Signer) -> None:
    await journal(own_broker, entry(held(author="ann")))
    refused = CommandRefused(operator="ann", reason="nobody approves their own words")
    async with deciding(own_broker, lambda _: (refused,)):
        result = await tocsin(own_broker, "incident", "approve", "d1aa", "--yes")
    assert result.exit_code == 1
    assert "nobody approves their own words" in result.stdout


async def test_where_nobody_decides_it_is_said_and_the_order_stands(
    own_broker: Settings, ann: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "ANSWER_S", 0.5)
    await journal(own_broker, entry(held()))
    result = await tocsin(own_broker, "incident", "approve", "d1aa", "--yes")
    assert result.exit_code == 1
    assert "nothing was decided on it within 0.5 s" in result.stderr
    assert len(await ordered(own_broker)) == 1


async def test_an_answer_that_does_not_count_is_none(own_broker: Settings, ann: Signer) -> None:
    """Someone else's entry of the same number came first: the order is decided on anew, and that is its answer."""
    await journal(own_broker, entry(held()), entry(seq=2))
    async with deciding(own_broker, lambda _: (APPROVED,), seqs=(2, 3)):
        result = await tocsin(own_broker, "incident", "approve", "d1aa", "--yes")
    assert result.exit_code == 0, result.output
    assert "INC-1, entry 3:" in result.stdout


# --- the other orders


NEWS = ("--summary", "It is slow.", "--lasting", "none", "--data-loss", "none", "--translation", "de.summary=Langsam.")
FACTS = Facts.model_validate(
    {
        "summary": "It is slow.",
        "consequences": Consequences(lasting="none", data_loss="none"),
        "translations": {"de": {"summary": "Langsam."}},
    }
)


@pytest.mark.parametrize(
    ("arguments", "order", "shown"),
    [
        (("reject", "d1aa", *READ_TWICE), Reject(draft="d1aaaaaa", because="read twice"), "searches take long"),
        (("edit", "d1aa", *NEWS), Edit(draft="d1aaaaaa", facts=FACTS), "Langsam."),
        (("publish-now", "INC-1"), PublishNow(), ""),
        (("hold", "INC-1", "--audience", "customers", "--audience", "public"),
         Hold(audiences=("customers", "public")), ""),
        (("hold", "INC-1"), Hold(), ""),
        (("release", "INC-1", "--audience", "public"), Release(audiences=("public",)), ""),
        (("correct", "INC-1", "--seq", "1", "--explanation", "It was wrong.", *NEWS),
         Correct(seq=1, facts=FACTS, explanation="It was wrong."), "searches take long"),
        (("retract", "INC-1", "--seq", "1", "--explanation", "It was wrong."),
         Retract(seq=1, explanation="It was wrong."), "searches take long"),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else "",
)  # fmt: skip
async def test_every_order_is_shown_signed_and_sent(
    own_broker: Settings, ann: Signer, arguments: tuple[str, ...], order: Any, shown: str
) -> None:
    await journal(own_broker, entry(held(), decided("executives")))
    async with deciding(own_broker) as orders:
        result = await tocsin(own_broker, "incident", *arguments, "--yes")
    assert result.exit_code == 0, result.output
    assert shown in result.stdout
    assert "INC-1, entry 2: nothing follows" in result.stdout
    assert [one.data for one in orders] == [order]
    assert is_signed_by(ann, orders[0])


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("approve", "d9"), 1, "there is no draft d9; waiting are: d1aaaaaa (customers, INC-1)"),
        (("retract", "INC-1", "--explanation", "x"), 1, "which entry is it? those that told something are: 1 (opened)"),
        (("retract", "INC-1", "--explanation", "x", "--seq", "7"), 1, "entry 7 of INC-1 told nobody anything"),
        (("correct", "INC-1", "--seq", "1", "--explanation", "x"), 2, "nothing is said"),
        (("edit", "d1aa"), 2, "nothing is said"),
        (("edit", "d1aa", "--translation", "de.severity=x"), 2, "LANGUAGE.WHAT=TEXT"),
        (("edit", "d1aa", "--translation", "deu.summary=x"), 2, "--translation"),
        (("hold", "INC-1", "--audience", "two words"), 2, "--audience"),
        (("hold", "INC-9"), 1, "there is no incident INC-9"),
        (("reject", "d1aa", "--because", "x" * 301), 2, "--because"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    own_broker: Settings, ann: Signer, arguments: tuple[str, ...], code: int, told: str
) -> None:
    await journal(own_broker, entry(held(), decided("executives")))
    result = await tocsin(own_broker, "incident", *arguments, "--yes")
    assert result.exit_code == code, result.output
    assert told in " ".join(re.sub("[│\n]", " ", result.stderr).split())
    assert await ordered(own_broker) == []


async def test_an_order_in_a_played_incident_goes_by_its_clock(own_broker: Settings, ann: Signer) -> None:
    played = JournaledInput(
        id="e", source="/s", type=IncidentUpdated.TYPE, topic="incident.events", partition=0, offset=0,
        appended_at=AT, virtual=VirtualClock(time=AT - timedelta(days=365), speed=2.0), data={},
    )  # fmt: skip
    await journal(own_broker, entry(held(), given=played))
    async with deciding(own_broker) as orders:
        await tocsin(own_broker, "incident", "hold", "INC-1", "--yes")
    [order] = orders
    assert order.time is not None
    assert order.extensions["virtualspeed"] == "2.0"
    expected = AT - timedelta(days=365) + (order.time - AT) * 2
    said = datetime.fromisoformat(order.extensions["virtualtime"])
    assert abs((expected - said).total_seconds()) < 60
