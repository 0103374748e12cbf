"""What a mail that came back says: real ones of a dozen mail systems, and ours."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.receipts.reading import read
from pipeline.receipts.status import Verdict, classified
from tests.paths import CORPUS, needs_corpus
from tests.receipts import mails
from tests.receipts.mails import RETURN_PATH, complaint, report

HARD, SOFT, BLOCKED = Verdict.HARD, Verdict.SOFT, Verdict.BLOCKED
COMPLAINT, NOTHING = Verdict.COMPLAINT, Verdict.NOTHING

REAL = {
    # Complaints; the last asks to be taken off the list.
    **dict.fromkeys(("arf-01", "arf-02", "arf-11", "arf-12"), COMPLAINT),
    # "Please use the smtp server of your ISP", "Header error": about the sender, and the message.
    **dict.fromkeys(("lhost-exim-01", "lhost-exim-03", "lhost-exim-04"), BLOCKED),
    **dict.fromkeys(("lhost-exim-02", "lhost-exim-05"), HARD),
    "lhost-exim-06": SOFT,  # "retry timeout exceeded", and nothing else
    "lhost-gmail-01": HARD,
    **dict.fromkeys(("lhost-gmail-03", "lhost-gmail-04", "lhost-gmail-05"), BLOCKED),  # header, block list, access
    "lhost-gmail-06": SOFT,  # mailbox full
    "lhost-gmail-07": SOFT,  # "500 Remote server does not support TLS"
    **dict.fromkeys(("lhost-office365-01", "lhost-office365-02", "lhost-office365-04"), HARD),
    **dict.fromkeys(("lhost-office365-03", "lhost-office365-05"), BLOCKED),  # SPF; bad outbound sender
    "lhost-office365-06": SOFT,  # "Message expired, DNS query failed"
    **dict.fromkeys((f"lhost-postfix-0{n}" for n in (1, 2, 3, 4, 6)), HARD),
    "lhost-postfix-05": SOFT,  # given up with a 4.1.1
    **dict.fromkeys((f"lhost-sendmail-0{n}" for n in (1, 2, 3)), HARD),
    **dict.fromkeys((f"lhost-sendmail-0{n}" for n in (4, 5, 6)), BLOCKED),  # our domain, too large, 8-bit header
    **dict.fromkeys(("rfc3464-01", "rfc3464-06", "rfc3464-10", "rfc3464-26"), HARD),
    **dict.fromkeys(("rfc3464-03", "rfc3464-08"), BLOCKED),  # policy, content
    "rfc3464-04": SOFT,  # procmail's pipe failed
    **dict.fromkeys(("rfc3464-07", "rfc3464-09", "rfc3464-34"), SOFT),  # delayed
    "rfc3464-28": NOTHING,  # "deliverable": the answer to a question whether it would be
    "rfc3464-29": SOFT,  # "503 Improper sequence of commands": two servers that misunderstood each other
}
"""What each says, as read by a person."""


@needs_corpus
def test_real_bounces_and_complaints_are_read_as_a_person_reads_them() -> None:
    found = {path.stem: read(path.read_bytes()) for path in sorted((CORPUS / "vectors" / "dsn").glob("*.eml"))}
    assert {name: reading.verdict for name, reading in found.items()} == REAL
    print(Counter(str(reading.verdict) for reading in found.values()))  # shown with -s
    assert found["arf-12"].feedback == "opt-out"


@pytest.mark.parametrize(
    ("action", "status", "diagnostic", "verdict"),
    [
        ("failed", "5.1.1", "smtp; 550 5.1.1 User unknown", HARD),
        ("failed", "5.0.0", "smtp; 550 No such user here", HARD),
        ("failed", "5.0.0", "smtp; 554 go away", SOFT),
        ("failed", "5.2.2", "smtp; 552 5.2.2 Over quota", SOFT),
        ("failed", "5.0.0", "smtp; 552 Mailbox is full, user unknown for now", SOFT),
        ("failed", "5.7.1", "smtp; 550 5.7.1 User unknown or spam", BLOCKED),
        ("failed", "5.0.0", "smtp; 550 5.7.26 Unauthenticated email is not accepted", BLOCKED),
        ("failed", "5.1.8", "smtp; 550 5.1.8 Sender domain not found", BLOCKED),
        ("failed", "4.4.7", "smtp; delivery time expired", SOFT),
        ("delayed", "4.4.1", "smtp; connect timed out", SOFT),
        ("delayed", "5.1.1", "smtp; 550 5.1.1 User unknown", SOFT),
        ("delivered", "2.1.5", "smtp; 250 2.1.5 OK", Verdict.DELIVERED),
        ("relayed", "2.0.0", "smtp; 250 OK", NOTHING),
        ("expanded", "2.0.0", "smtp; 250 OK", NOTHING),
        ("failed", "no code", "smtp; 550 5.1.1 User unknown", HARD),
    ],
)
def test_a_report_says_how_it_stands_with_the_address(
    action: str, status: str, diagnostic: str, verdict: Verdict
) -> None:
    assert read(report(action, status, diagnostic)).verdict is verdict


def test_an_address_that_several_stand_behind_is_as_dead_as_the_liveliest() -> None:
    both = report(recipients=("a@x.example", "b@x.example"))
    assert read(both).verdict is HARD
    one = both.replace(b"Status: 5.1.1", b"Status: 4.2.2", 1).replace(b"5.1.1 User unknown", b"4.2.2 full", 1)
    assert read(one).verdict is SOFT


def test_a_report_names_where_it_came_back_to_and_what_failed() -> None:
    reading = read(report())
    assert reading.candidates[0] == RETURN_PATH
    assert (reading.code, reading.failed) == ("5.1.1", "ada@customer.example")
    assert read(report()).name == reading.name != read(report(number=2)).name


@pytest.mark.parametrize("raw", [mails.HOLIDAY, mails.ANSWER], ids=["an answering machine", "a person"])
def test_who_answers_has_not_bounced(raw: bytes) -> None:
    assert read(raw).verdict is NOTHING


def test_a_report_in_words_alone_counts_from_a_mail_system() -> None:
    reading = read(mails.IN_WORDS)
    assert (reading.verdict, reading.code, reading.failed) == (HARD, "5.1.1", "ada@customer.example")


def test_a_bounce_that_somebody_forwards_is_not_ours() -> None:
    inner = report().decode().replace("\r\n", "\n")
    forwarded = mails.mail(
        f"From: Ada <ada@customer.example>\nTo: {RETURN_PATH}\nContent-Type: message/rfc822\n\n{inner}"
    )
    assert read(forwarded).verdict is NOTHING


@pytest.mark.parametrize(("kind", "verdict"), [("abuse", COMPLAINT), ("opt-out", COMPLAINT), ("not-spam", NOTHING)])
def test_a_complaint_is_found_by_the_mail_that_it_returns(kind: str, verdict: Verdict) -> None:
    for raw in (complaint(kind), complaint(kind, "elsewhere@x.example", mail_from=RETURN_PATH)):
        reading = read(raw)
        assert reading.verdict is verdict
        assert RETURN_PATH in reading.candidates


@given(st.binary(max_size=2000))
def test_nothing_that_is_sent_here_breaks_the_reading(raw: bytes) -> None:
    read(raw)
    read(b"From: MAILER-DAEMON@x\r\nContent-Type: multipart/report; report-type=delivery-status\r\n\r\n" + raw)
    read(report().replace(b"Final-Recipient: rfc822; ada@customer.example", raw))


@given(st.from_regex(r"[245]\.\d{1,3}\.\d{1,3}", fullmatch=True), st.text(max_size=100))
def test_what_was_not_given_up_is_soft_at_worst(code: str, words: str) -> None:
    assert classified(code, words, failed=False) is SOFT
