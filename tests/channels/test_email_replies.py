"""Every reply belongs to its own mail: the email channel against servers that do anything a server can do.

The scripted server keeps the truth of what it took. Whatever it answers, however its replies are cut and delayed, at
whichever octet it closes: what was accepted is never said to have failed, what it never took is never said to be
accepted, and only a mail whose final dot may have reached it is unknown.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.channels.base import Recipient, Sent
from pipeline.channels.email import EmailSender, email_settings, payload
from pipeline.channels.mime import plain
from pipeline.sandbox.wire import self_signed
from pipeline.settings import Settings
from schemas.delivery import Result
from schemas.rendering import EmailContent
from tests.channels.samples import envelope, reader
from tests.channels.smtp_script import ASK, MARKS, OK, Manner, Mood, Script, playing

Case = tuple[Script, list[list[Recipient]], float]
"""The server's script, the windows, and the seconds that each may take."""

DOTTED = EmailContent(subject="s", text=".\n..\n.x\n{{unsubscribe}}.\n.", html="<p>.</p>\n.\n")
SETTINGS = Settings(
    _env_file=None,
    smtp_url="smtp://127.0.0.1:1",
    mail_from="status@example.com",
    mail_return_path="bounce@example.com",
)


def codes(good: int, *bad: int) -> st.SearchStrategy[int]:
    """Mostly good: a script in which everything fails shows little."""
    return st.sampled_from((good,) * 12 + bad)


MOODS = st.builds(
    Mood,
    mail=codes(OK, 451, 553, 421),
    rcpt=codes(OK, 450, 550, 421),
    data=codes(ASK, 451, 554, 421, OK),
    dot=codes(OK, 251, 451, 554, 421, ASK),
    asks_anyway=st.booleans(),
    mad=st.booleans(),
    hangs=st.sampled_from(("",) * 200 + ("mail", "rcpt", "data", "dot")),
    lines=st.sampled_from((1, 1, 3)),
)
MANNERS = st.builds(
    Manner,
    after_in=st.none() | st.integers(0, 6_000),
    after_out=st.none() | st.integers(0, 800),
    resets=st.booleans(),
    pieces=st.lists(st.integers(1, 40), max_size=12).map(tuple),
    pauses=st.lists(st.integers(0, 3), max_size=12).map(tuple),
)


def a_sender(
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    wait_s: float = 0.15,
    within_s: float = 60.0,
    login: tuple[str | None, str | None] = (None, None),
) -> EmailSender:
    made = email_settings(SETTINGS, tls_context=tls)
    assert made is not None
    line = replace(
        made.line,
        port=port,
        implicit_tls=tls is not None,
        username=login[0],
        password=login[1],
        command_timeout_s=wait_s,
        dot_timeout_s=wait_s,
    )
    return EmailSender(replace(made, line=line, connections=2, window_timeout_s=within_s))


async def told_by(
    script: Script,
    windows: Sequence[Sequence[Recipient]],
    within_s: float = 60.0,
    *,
    tls: bool = False,
    wait_s: float = 0.15,
) -> list[list[Sent]]:
    """What the sender says of each, windows side by side; the script then holds what was true."""
    context, pem = self_signed() if tls else (None, "")
    async with playing(script, context) as port:
        sender = a_sender(
            port, tls=ssl.create_default_context(cadata=pem) if tls else None, wait_s=wait_s, within_s=within_s
        )
        answers = await asyncio.gather(*(sender.send(envelope(DOTTED), window) for window in windows))
        await sender.close()
    return list(answers)


def expected(recipient: Recipient) -> bytes:
    """The message that the recipient is to get."""
    made = email_settings(SETTINGS)
    assert made is not None
    prepared = EmailSender(made).prepared(envelope(DOTTED), recipient)
    return plain(payload(envelope(DOTTED).at, recipient, recipient.address, prepared).octets)


def check(script: Script, recipient: Recipient, sent: Sent) -> None:
    """What must hold between what was said of a mail and what was true of it."""
    number = int(recipient.intent_id, 16)
    taken = script.taken[number]
    if sent.result is Result.ACCEPTED:
        assert taken == 1, f"{number} was never taken: {sent}"
    elif sent.result is Result.UNKNOWN:
        assert number in script.asked, f"{number} was never asked for: {sent}"
    else:
        assert taken == 0, f"{number} was taken: {sent}"
    assert taken <= 1, f"{number} was taken {taken} times"
    if taken:
        assert script.contents[number] == expected(recipient)
    for about, _ in MARKS.findall(sent.detail or ""):
        assert int(about) == number, f"{number} was given the reply of {about}"


def verified(case: Case, answers: list[list[Sent]]) -> None:
    script, windows, _ = case
    assert script.mistakes == []
    for window, said in zip(windows, answers, strict=True):
        assert len(said) == len(window)
        for recipient, sent in zip(window, said, strict=True):
            check(script, recipient, sent)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """What the server does, up to three windows for it, side by side, and how many seconds they may take."""
    script = Script(
        deque(draw(st.lists(MOODS, max_size=9))),
        deque(draw(st.lists(MANNERS, max_size=3))),
        pipelining=draw(st.sampled_from((True, True, True, False))),
    )
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    windows = [[reader(10 * w + n) for n in range(size)] for w, size in enumerate(sizes)]
    return script, windows, draw(st.sampled_from((60.0,) * 8 + (0.01, 0.03, 0.06)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_what_is_said_of_a_mail_is_true_of_it(case: Case) -> None:
    verified(case, asyncio.run(told_by(*case)))


@pytest.mark.slow
@settings(max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_what_is_said_of_a_mail_is_true_of_it_at_length(case: Case) -> None:
    verified(case, asyncio.run(told_by(*case)))


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_what_is_said_of_a_mail_is_true_of_it_over_tls(case: Case) -> None:
    verified(case, asyncio.run(told_by(*case, tls=True)))


@pytest.mark.parametrize("pipelining", [True, False])
def test_wherever_in_the_input_the_server_closes_what_is_said_is_true(pipelining: bool) -> None:
    """At every fortieth octet of three mails."""

    async def all_of_them() -> None:
        windows = [[reader(n) for n in range(3)]]
        for octet in range(0, 5_000, 40):
            script = Script(manners=deque([Manner(after_in=octet, resets=octet % 80 == 0)]), pipelining=pipelining)
            verified((script, windows, 60.0), await told_by(script, windows))

    asyncio.run(all_of_them())


@pytest.mark.parametrize("pipelining", [True, False])
def test_at_whichever_octet_of_its_replies_the_server_closes_what_is_said_is_true(pipelining: bool) -> None:
    async def all_of_them() -> None:
        windows = [[reader(n) for n in range(3)]]
        for octet in range(0, 420, 3):
            script = Script(manners=deque([Manner(after_out=octet)]), pipelining=pipelining)
            verified((script, windows, 60.0), await told_by(script, windows))

    asyncio.run(all_of_them())


def told(script: Script, count: int = 3, wait_s: float = 5.0) -> list[tuple[str, str]]:
    windows = [[reader(n) for n in range(count)]]
    answers = asyncio.run(told_by(script, windows, wait_s=wait_s))
    verified((script, windows, 60.0), answers)
    return [(str(sent.result), sent.reason) for sent in answers[0]]


TAKEN = ("accepted", "provider_accepted")


@pytest.mark.parametrize("pieces", [(), (7,) * 200])
def test_a_window_ends_with_its_last_reply(pieces: tuple[int, ...]) -> None:
    async def one_window() -> list[list[Sent]]:
        script = Script(manners=deque([Manner(pieces=pieces)]))
        async with asyncio.timeout(15):
            return await told_by(script, [[reader(n) for n in range(64)]], wait_s=60.0)

    (answers,) = asyncio.run(one_window())
    assert {sent.reason for sent in answers} == {"provider_accepted"}


def test_content_that_is_asked_for_though_nobody_takes_it_is_a_lone_dot() -> None:
    script = Script(deque([Mood(), Mood(rcpt=550, asks_anyway=True), Mood()]))
    assert told(script) == [TAKEN, ("permanent", "mailbox_unknown"), TAKEN]
    assert script.connections == 1
    silent = Script(deque([Mood(), Mood(rcpt=550, asks_anyway=True, hangs="dot"), Mood()]))
    assert told(silent, wait_s=0.2) == [TAKEN, ("permanent", "mailbox_unknown"), ("retryable", "not_reached")]


def test_a_sender_that_is_refused_and_a_recipient_that_is_taken_bring_nobody_an_empty_mail() -> None:
    script = Script(deque([Mood(), Mood(mail=451, mad=True), Mood()]))
    assert told(script) == [TAKEN, ("retryable", "server_trouble"), ("retryable", "not_reached")]


def test_a_refused_recipient_and_a_refused_data_leave_the_next_mail_a_fresh_transaction() -> None:
    script = Script(deque([Mood(rcpt=450), Mood(data=451), Mood()]))
    assert told(script) == [("retryable", "greylisted"), ("retryable", "server_trouble"), TAKEN]
    assert script.connections == 1


def test_a_mail_behind_a_reset_that_is_refused_goes_over_a_connection_of_its_own() -> None:
    script = Script(deque([Mood(), Mood(rcpt=550)]), reset=500)
    assert told(script) == [TAKEN, ("permanent", "mailbox_unknown"), TAKEN]
    assert script.connections == 2


def test_a_transaction_that_a_window_left_behind_is_reset_by_the_next() -> None:
    async def both() -> list[list[Sent]]:
        script = Script(deque([Mood(), Mood(rcpt=550)]))
        async with playing(script) as port:
            sender = a_sender(port, wait_s=5.0)
            done = [await sender.send(envelope(DOTTED), [reader(2 * w), reader(2 * w + 1)]) for w in range(2)]
            await sender.close()
        assert script.mistakes == []
        assert script.connections == 1
        return done

    first, second = asyncio.run(both())
    assert [sent.result for sent in first + second] == ["accepted", "permanent", "accepted", "accepted"]


def test_a_421_instead_of_the_reply_to_a_final_dot_is_a_refusal_and_the_envelope_behind_it_is_not_reached() -> None:
    assert told(Script(deque([Mood(), Mood(dot=421)])), 4) == [
        TAKEN,
        ("retryable", "service_closing"),
        ("retryable", "not_reached"),
        ("retryable", "not_reached"),
    ]


def test_a_reply_to_the_final_dot_that_is_none_leaves_the_mail_unknown() -> None:
    assert told(Script(deque([Mood(), Mood(dot=ASK)]))) == [
        TAKEN,
        ("unknown", "reply_not_understood_after_final_dot"),
        ("retryable", "not_reached"),
    ]


def test_silence_after_the_final_dot_is_unknown_and_silence_before_it_is_not() -> None:
    assert told(Script(deque([Mood(hangs="dot")])), wait_s=0.2) == [
        ("unknown", "timeout_after_final_dot"),
        ("retryable", "not_reached"),
        ("retryable", "not_reached"),
    ]
    assert told(Script(deque([Mood(), Mood(hangs="rcpt")])), wait_s=0.2) == [
        TAKEN,
        ("retryable", "timeout_before_data"),
        ("retryable", "not_reached"),
    ]


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(("password", "reason"), [("p@ss", "provider_accepted"), ("wrong", "authentication_failed")])
def test_who_logs_in_sends_and_who_cannot_sends_nothing(pipelining: bool, password: str, reason: str) -> None:
    async def logged_in() -> list[Sent]:
        script = Script(pipelining=pipelining, login=b"\0status\0p@ss")
        async with playing(script) as port:
            sender = a_sender(port, wait_s=5.0, login=("status", password))
            answers = await sender.send(envelope(DOTTED), [reader(n) for n in range(3)])
            await sender.close()
        verified((script, [[reader(n) for n in range(3)]], 60.0), [answers])
        return answers

    assert {sent.reason for sent in asyncio.run(logged_in())} == {reason}
