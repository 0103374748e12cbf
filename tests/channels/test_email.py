"""The email channel: aiosmtplib against the SMTP double."""

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiosmtplib
import pytest
from aiosmtplib import errors as smtp_errors

from pipeline.channels.base import Sent
from pipeline.channels.email import OUTCOMES, EmailSender, EmailSettings, email_settings, mapped
from pipeline.channels.smtp_reply import Stage
from pipeline.errors import ConfigurationError
from pipeline.sandbox import Sandbox
from pipeline.sandbox.wire import self_signed
from schemas.delivery import Result
from schemas.rendering import EmailContent
from tests.channels.samples import EMAIL, POST, envelope, intent, reader
from tests.conftest import MakeSettings

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
READERS = [reader(n) for n in range(5)]


def told(answers: list[Sent]) -> list[tuple[str, str]]:
    return [(str(answer.result), answer.reason) for answer in answers]


def sender_for(make_settings: MakeSettings, url: str, *, command_s: float = 5.0, dot_s: float = 5.0) -> EmailSender:
    settings = email_settings(make_settings(smtp_url=url, mail_from="Status <status@example.com>"))
    assert settings is not None
    line = replace(settings.line, command_timeout_s=command_s, dot_timeout_s=dot_s)
    return EmailSender(replace(settings, line=line))


@pytest.fixture(params=["plain", "pipelining"])
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """Every relay that cannot pipeline, and every one that can, is told apart by nothing else."""
    async with Sandbox(pipelining=request.param == "pipelining") as running:
        yield running


@pytest.fixture
async def sender(sandbox: Sandbox, make_settings: MakeSettings) -> AsyncIterator[EmailSender]:
    made = sender_for(make_settings, sandbox.smtp_url)
    yield made
    await made.close()


@asynccontextmanager
async def serving(handler: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server of the test's own, for what no sane server does."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"smtp{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upto: bytes, extension: str = "HELP"
) -> None:
    """Greets and agrees to everything, until it has read `upto`."""
    writer.write(b"220 ready\r\n")
    while line := await reader.readline():
        if line.upper().startswith(upto):
            return
        writer.write(f"250-hello\r\n250 {extension}\r\n".encode() if line[:4] == b"EHLO" else b"250 OK\r\n")


BOTH_WAYS = pytest.mark.parametrize("extension", ["HELP", "PIPELINING"])


async def test_a_window_is_accepted_in_order_over_one_connection(sandbox: Sandbox, sender: EmailSender) -> None:
    answers = await sender.send(envelope(), READERS)
    assert told(answers) == [("accepted", "provider_accepted")] * 5
    assert [mail.recipients for mail in sandbox.mails] == [(r.address,) for r in READERS]
    assert sandbox.mails[0].message_id == f"<{intent(0)}@example.com>"
    assert answers[0].code == "250"
    assert answers[0].detail is not None


async def test_what_arrives_is_what_was_meant(sandbox: Sandbox, sender: EmailSender) -> None:
    dotted = EmailContent(subject="Dots – everywhere", text=".\n..\n.leading\nend", html=".<p>x</p>\n.")
    await sender.send(envelope(dotted), [reader()])
    (mail,) = sandbox.mails
    assert mail.text.replace("\r\n", "\n") == dotted.text
    assert mail.html.replace("\r\n", "\n") == dotted.html
    assert mail.subject == dotted.subject
    assert mail.sender == "status@example.com"


async def test_the_next_window_uses_the_same_connection(make_settings: MakeSettings) -> None:
    connections = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await converse(reader, writer, upto=b"DATA")
        while True:
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 2.0.0 OK queued as 4F00Z\r\n")
            while line := await reader.readline():
                if line.startswith(b"DATA"):
                    break
                writer.write(b"250 OK\r\n")
            if not line:
                return

    async with serving(counting) as url:
        sender = sender_for(make_settings, url)
        first, second = await sender.send(envelope(), READERS[:2]), await sender.send(envelope(), READERS[2:])
        assert {answer.provider_id for answer in first + second} == {"4F00Z"}
        assert connections == 1
        await sender.close()


async def test_windows_side_by_side_use_connections_of_their_own(sandbox: Sandbox, sender: EmailSender) -> None:
    sandbox.fault("smtp", "slow", stage="mail", seconds=0.05, times=4)
    windows = [[reader(10 * w + n) for n in range(3)] for w in range(6)]
    answers = await asyncio.gather(*(sender.send(envelope(), window) for window in windows))
    assert all(answer.result is Result.ACCEPTED for window in answers for answer in window)
    assert len({mail.recipients for mail in sandbox.mails}) == 18


@pytest.mark.parametrize(
    ("stage", "code", "result", "reason"),
    [
        ("rcpt", 550, "permanent", "mailbox_unknown"),
        ("rcpt", 450, "retryable", "greylisted"),
        ("rcpt", 452, "retryable", "server_full"),
        ("rcpt", 552, "permanent", "mailbox_full"),
        ("data", 554, "permanent", "mail_refused"),
        ("data", 451, "retryable", "server_trouble"),
        ("mail", 553, "retryable", "sender_refused"),
        ("mail", 451, "retryable", "server_trouble"),
    ],
)
async def test_a_refused_mail_says_why_and_the_others_go_on(
    sandbox: Sandbox, sender: EmailSender, stage: str, code: int, result: str, reason: str
) -> None:
    sandbox.fault("smtp", "refuse", stage=stage, code=code, after=1)
    answers = await sender.send(envelope(), READERS[:3])
    assert told(answers) == [("accepted", "provider_accepted"), (result, reason), ("accepted", "provider_accepted")]
    assert answers[1].code is not None
    assert answers[1].code.startswith(str(code))
    assert len(sandbox.fired()) == 1
    assert len(sandbox.mails) == 2


@pytest.mark.parametrize("stage", ["rcpt", "data"])
async def test_a_421_leaves_the_rest_for_another_time(sandbox: Sandbox, sender: EmailSender, stage: str) -> None:
    sandbox.fault("smtp", "refuse", stage=stage, code=421, after=1)
    answers = await sender.send(envelope(), READERS[:4])
    assert told(answers) == [
        ("accepted", "provider_accepted"),
        ("retryable", "service_closing"),
        ("retryable", "not_reached"),
        ("retryable", "not_reached"),
    ]
    assert told(await sender.send(envelope(), READERS[1:4])) == [("accepted", "provider_accepted")] * 3


async def test_a_connection_that_has_carried_enough_is_replaced_at_once(sandbox: Sandbox, sender: EmailSender) -> None:
    sandbox.fault("smtp", "refuse", stage="mail", code=421, after=2)
    assert told(await sender.send(envelope(), READERS)) == [("accepted", "provider_accepted")] * 5
    assert len(sandbox.mails) == 5


async def test_a_server_that_only_says_421_is_not_asked_for_ever(sandbox: Sandbox, sender: EmailSender) -> None:
    sandbox.fault("smtp", "refuse", stage="mail", code=421, times=None)
    answers = await sender.send(envelope(), READERS[:2])
    assert told(answers) == [("retryable", "service_closing"), ("retryable", "not_reached")]
    assert len(sandbox.fired()) == 1


async def test_a_refused_connection_is_told_for_all(sandbox: Sandbox, sender: EmailSender) -> None:
    sandbox.fault("smtp", "refuse", stage="connect", code=554)
    assert told(await sender.send(envelope(), READERS[:2])) == [("retryable", "session_refused")] * 2


async def test_a_relay_that_is_down_is_told_for_all(make_settings: MakeSettings) -> None:
    async with serving(lambda reader, writer: asyncio.sleep(0)) as url:
        pass
    assert (
        told(await sender_for(make_settings, url).send(envelope(), READERS[:2]))
        == [("retryable", "relay_unreachable")] * 2
    )


async def test_lost_after_the_final_dot_is_unknown(sandbox: Sandbox, sender: EmailSender) -> None:
    sandbox.fault("smtp", "lose_after_dot", after=1)
    answers = await sender.send(envelope(), READERS[:3])
    assert told(answers) == [
        ("accepted", "provider_accepted"),
        ("unknown", "connection_lost_after_final_dot"),
        ("retryable", "not_reached"),
    ]
    assert len(sandbox.mails) == 2


async def test_no_reply_to_the_final_dot_is_unknown(sandbox: Sandbox, make_settings: MakeSettings) -> None:
    sandbox.fault("smtp", "hang_after_dot")
    sender = sender_for(make_settings, sandbox.smtp_url, dot_s=0.2)
    async with asyncio.timeout(3):
        answers = await sender.send(envelope(), READERS[:2])
    assert told(answers) == [("unknown", "timeout_after_final_dot"), ("retryable", "not_reached")]
    assert told(await sender.send(envelope(), READERS[1:2])) == [("accepted", "provider_accepted")]
    await sender.close()


@BOTH_WAYS
async def test_a_loss_within_the_message_is_seen_before_the_final_dot(
    make_settings: MakeSettings, extension: str
) -> None:
    # Larger than what the kernel takes for a server that does not read: the dot cannot have left.
    large = EmailContent(subject="s", text="x" * 20_000_000, html="h")

    async def losing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, upto=b"DATA", extension=extension)
        writer.write(b"354 go on\r\n")
        await reader.read(1000)

    async with serving(losing) as url:
        sender = sender_for(make_settings, url)
        assert told(await sender.send(envelope(large), READERS[:2])) == [
            ("retryable", "connection_lost_in_data"),
            ("retryable", "not_reached"),
        ]


async def test_a_short_message_that_is_lost_halfway_is_never_said_to_be_accepted(
    sandbox: Sandbox, sender: EmailSender
) -> None:
    sandbox.fault("smtp", "lose_in_data")
    (answer,) = await sender.send(envelope(), [reader()])
    # All of it was in the kernel's hands at once, so this side may not be able to tell.
    assert answer.result in {Result.RETRYABLE, Result.UNKNOWN}
    assert sandbox.mails == []
    assert told(await sender.send(envelope(), [reader()])) == [("accepted", "provider_accepted")]


async def test_a_loss_within_a_large_message_over_tls_is_seen_before_the_final_dot(make_settings: MakeSettings) -> None:
    context, pem = self_signed()

    async def losing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, upto=b"DATA", extension="PIPELINING")
        writer.write(b"354 go on\r\n")
        await reader.read(1000)

    large = EmailContent(subject="s", text="x" * 20_000_000, html="h")
    async with serving(losing, context) as url:
        settings = email_settings(make_settings(smtp_url=url), tls_context=ssl.create_default_context(cadata=pem))
        assert settings is not None
        assert told(await EmailSender(settings).send(envelope(large), READERS[:2])) == [
            ("retryable", "connection_lost_in_data"),
            ("retryable", "not_reached"),
        ]


@BOTH_WAYS
async def test_a_refusal_within_the_message_is_heard(make_settings: MakeSettings, extension: str) -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, upto=b"DATA", extension=extension)
        writer.write(b"354 go on\r\n")
        await reader.read(1000)
        writer.write(b"552 5.3.4 Message too big\r\n")
        while await reader.read(1 << 20):
            pass

    large = EmailContent(subject="s", text="x" * 20_000_000, html="h")
    async with serving(refusing) as url:
        answer, next_one = await sender_for(make_settings, url).send(envelope(large), READERS[:2])
    assert (answer.result, answer.reason, answer.code) == (Result.PERMANENT, "mail_too_big", "552 5.3.4")
    assert next_one.reason == "not_reached"


@pytest.mark.parametrize("behind", [b"", b"250 OK\r\n250 OK\r\n354 go on\r\n"])
@BOTH_WAYS
async def test_a_message_is_not_taken_by_a_server_that_says_so_before_it_has_it(
    make_settings: MakeSettings, extension: str, behind: bytes
) -> None:
    async def boasting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, upto=b"DATA", extension=extension)
        writer.write(b"354 go on\r\n")
        await reader.read(1000)
        writer.write(b"250 2.0.0 it is mine\r\n" + behind)
        while await reader.read(1 << 20):
            pass

    large = EmailContent(subject="s", text="x" * 20_000_000, html="h")
    async with serving(boasting) as url:
        answers = await sender_for(make_settings, url).send(envelope(large), READERS[:2])
    assert told(answers) == [("retryable", "service_closing"), ("retryable", "not_reached")]


async def test_a_large_message_that_the_server_reads_slowly_arrives_whole(make_settings: MakeSettings) -> None:
    received = bytearray()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, upto=b"DATA", extension="PIPELINING")
        writer.write(b"354 go on\r\n")
        await asyncio.sleep(0.05)
        while not received.endswith(b"DATA\r\n"):
            received.extend(await reader.read(1 << 20))
        writer.write(b"250 OK\r\n250 OK\r\n250 OK\r\n354 go on\r\n")
        last = b""
        while not last.endswith(b"\r\n.\r\n"):
            last = last[-10:] + await reader.read(1 << 20)

    large = EmailContent(subject="s", text="x" * 20_000_000, html="h")
    async with serving(slow) as url:
        answers = await sender_for(make_settings, url).send(envelope(large), READERS[:2])
    assert told(answers) == [("accepted", "provider_accepted"), ("unknown", "connection_lost_after_final_dot")]
    assert received.count(b"x") >= 20_000_000
    assert received.endswith(
        f"\r\n.\r\nMAIL FROM:<status@example.com>\r\nRCPT TO:<{READERS[1].address}>\r\nDATA\r\n".encode()
    )


async def test_a_reply_to_a_message_that_was_not_sent_yet_is_never_taken_for_its_own(
    make_settings: MakeSettings,
) -> None:
    after = b""

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal after
        await converse(reader, writer, upto=b"DATA", extension="PIPELINING")
        writer.write(b"354 go on\r\n250 2.0.0 it is mine\r\n")
        after = await reader.read()

    async with serving(hasty) as url:
        answers = await sender_for(make_settings, url).send(envelope(), READERS[:2])
    assert told(answers) == [("retryable", "reply_not_understood"), ("retryable", "not_reached")]
    assert after == b""


async def test_a_connection_on_which_something_was_said_unasked_serves_nobody_any_more(
    make_settings: MakeSettings,
) -> None:
    connections = 0

    async def talkative(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await converse(reader, writer, upto=b"DATA", extension="PIPELINING")
        writer.write(b"354 go on\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 OK\r\n4")
        await reader.read()

    async with serving(talkative) as url:
        sender = sender_for(make_settings, url)
        for who in READERS[:2]:
            assert told(await sender.send(envelope(), [who])) == [("accepted", "provider_accepted")]
            await asyncio.sleep(0.01)
        await sender.close()
    assert connections == 2


async def test_a_server_that_dribbles_is_given_up_by_the_wall_clock(
    sandbox: Sandbox, make_settings: MakeSettings
) -> None:
    # One byte every 20 ms keeps every read alive, and 5 s would be allowed for each reply.
    sandbox.fault("smtp", "dribble", seconds=0.02, times=None)
    settings = email_settings(make_settings(smtp_url=sandbox.smtp_url))
    assert settings is not None
    sender = EmailSender(replace(settings, window_timeout_s=0.3))
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = await sender.send(envelope(), READERS[:3])
    assert loop.time() - began < 3
    assert {answer.result for answer in answers} == {Result.RETRYABLE}
    assert answers[-1].reason == "not_reached"
    assert sandbox.mails == []


async def test_a_mail_at_whose_final_dot_the_wall_clock_runs_out_is_unknown(
    sandbox: Sandbox, make_settings: MakeSettings
) -> None:
    sandbox.fault("smtp", "hang_after_dot", after=1)
    settings = email_settings(make_settings(smtp_url=sandbox.smtp_url))
    assert settings is not None
    sender = EmailSender(replace(settings, window_timeout_s=0.5))
    assert told(await sender.send(envelope(), READERS[:3])) == [
        ("accepted", "provider_accepted"),
        ("unknown", "timeout_after_final_dot"),
        ("retryable", "not_reached"),
    ]
    assert told(await sender.send(envelope(), READERS[2:3])) == [("accepted", "provider_accepted")]
    await sender.close()


async def test_after_a_cancelled_send_nobody_reads_its_reply(sandbox: Sandbox, sender: EmailSender) -> None:
    await sender.send(envelope(), [reader(1)])
    sandbox.fault("smtp", "slow", stage="data", seconds=0.2)
    sending = asyncio.create_task(sender.send(envelope(), [reader(2)]))
    await sandbox.wait_for(lambda: sandbox.fired("slow"))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    sandbox.fault("smtp", "refuse", stage="rcpt", code=550)
    assert told(await sender.send(envelope(), [reader(3), reader(4)])) == [
        ("permanent", "mailbox_unknown"),
        ("accepted", "provider_accepted"),
    ]


async def test_an_idle_connection_that_the_server_closed_is_replaced(sandbox: Sandbox, sender: EmailSender) -> None:
    await sender.send(envelope(), [reader(1)])
    sandbox.fault("smtp", "refuse", stage="mail", code=421)
    assert told(await sender.send(envelope(), [reader(2)])) == [("accepted", "provider_accepted")]
    assert len(sandbox.fired()) == 1


async def test_hostile_recipients_are_refused_and_the_others_are_told(sandbox: Sandbox, sender: EmailSender) -> None:
    readers = [
        reader(1, address="a@example.com\r\nRCPT TO:<evil@example.com>"),
        reader(2, name="x\r\nBcc: evil@example.com"),
        reader(3),
    ]
    assert told(await sender.send(envelope(), readers)) == [
        ("permanent", "address_refused"),
        ("permanent", "address_refused"),
        ("accepted", "provider_accepted"),
    ]
    assert [mail.recipients for mail in sandbox.mails] == [("reader3@example.com",)]


async def test_a_subject_with_a_line_break_is_refused(sandbox: Sandbox, sender: EmailSender) -> None:
    broken = EMAIL.model_copy(update={"subject": "x\r\nBcc: evil@example.com"})
    assert told(await sender.send(envelope(broken), READERS[:2])) == [("permanent", "subject_refused")] * 2
    assert sandbox.mails == []


async def test_a_foreign_mailbox_needs_a_server_that_offers_smtputf8(sandbox: Sandbox, sender: EmailSender) -> None:
    readers = [reader(1, address="jürgen@example.com"), reader(2)]
    assert told(await sender.send(envelope(), readers)) == [
        ("permanent", "smtputf8_not_offered"),
        ("accepted", "provider_accepted"),
    ]


async def test_a_foreign_mailbox_is_told_where_smtputf8_is_offered(make_settings: MakeSettings) -> None:
    async with Sandbox(smtputf8=True) as sandbox:
        sender = sender_for(make_settings, sandbox.smtp_url)
        assert told(await sender.send(envelope(), [reader(1, address="jürgen@example.com")])) == [
            ("accepted", "provider_accepted")
        ]
        assert sandbox.mails[0].recipients == ("jürgen@example.com",)
        await sender.close()


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(make_settings: MakeSettings, tls: str) -> None:
    async with Sandbox(tls=tls) as sandbox:  # type: ignore[arg-type]
        sender = sender_for(make_settings, sandbox.smtp_url)
        assert told(await sender.send(envelope(), READERS[:2])) == [("retryable", "tls_not_verified")] * 2
        assert sandbox.mails == []


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
async def test_a_trusted_certificate_is_taken_and_the_mail_goes_encrypted(
    make_settings: MakeSettings, tls: str
) -> None:
    async with Sandbox(tls=tls) as sandbox:  # type: ignore[arg-type]
        context = ssl.create_default_context(cadata=sandbox.certificate_pem)
        settings = email_settings(make_settings(smtp_url=sandbox.smtp_url), tls_context=context)
        assert settings is not None
        sender = EmailSender(settings)
        assert told(await sender.send(envelope(), READERS[:2])) == [("accepted", "provider_accepted")] * 2
        assert all(mail.tls for mail in sandbox.mails)
        await sender.close()


async def test_starttls_that_is_not_offered_sends_nothing_in_clear(
    sandbox: Sandbox, make_settings: MakeSettings
) -> None:
    sender = sender_for(make_settings, sandbox.smtp_url.replace("smtp://", "smtp+starttls://"))
    assert told(await sender.send(envelope(), [reader()])) == [("retryable", "session_refused")]
    assert sandbox.mails == []


async def test_an_unknown_mail_may_go_once_more_under_its_message_id(sandbox: Sandbox, sender: EmailSender) -> None:
    sandbox.fault("smtp", "lose_after_dot")
    (lost,) = await sender.send(envelope(), [reader()])
    found = await sender.reconcile(envelope(attempt=2), reader())
    await sender.send(envelope(attempt=2), [reader()])
    assert (lost.result, found.result) == (Result.UNKNOWN, Result.RETRYABLE)
    assert len({mail.message_id for mail in sandbox.mails}) == 1


async def test_content_of_another_channel_is_a_mistake_of_ours(sender: EmailSender) -> None:
    with pytest.raises(TypeError, match="email channel was given content for x"):
        await sender.send(envelope(POST), [reader()])


async def test_details_hold_no_address(make_settings: MakeSettings) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, upto=b"RCPT")
        writer.write(b"550 5.1.1 <reader1@example.com>: Ada Lovelace moved to ada@elsewhere.example\r\n")
        await reader.read()

    async with serving(rude) as url:
        (answer,) = await sender_for(make_settings, url, command_s=0.2).send(envelope(), [reader(1)])
    assert answer.reason == "mailbox_unknown"
    assert answer.detail is not None
    assert "@" not in answer.detail
    assert "Ada" not in answer.detail


def test_every_error_of_the_client_is_mapped_at_every_stage() -> None:
    made = {
        "SMTPException": aiosmtplib.SMTPException("x"),
        "SMTPSenderRefused": aiosmtplib.SMTPSenderRefused(550, "x", "a@example.com"),
        "SMTPRecipientRefused": aiosmtplib.SMTPRecipientRefused(550, "x", "a@example.com"),
        "SMTPRecipientsRefused": aiosmtplib.SMTPRecipientsRefused(
            [aiosmtplib.SMTPRecipientRefused(550, "x", "a@example.com")]
        ),
    }
    kinds = [kind for _, kind in inspect.getmembers(smtp_errors, inspect.isclass) if issubclass(kind, Exception)]
    assert len(kinds) > 15
    for kind in kinds:
        if issubclass(kind, aiosmtplib.SMTPResponseException) and kind.__name__ not in made:
            made[kind.__name__] = kind(451, "x")
        error = made.get(kind.__name__) or kind("x")
        for stage in Stage:
            sent = mapped(error, stage)
            assert (sent.result, sent.reason) in OUTCOMES.values()
            # Only behind the final dot is a broken line ambiguous; a reply never is.
            broken = isinstance(error, OSError) and not isinstance(error, aiosmtplib.SMTPResponseException)
            assert (sent.result is Result.UNKNOWN) is (broken and stage is Stage.DOT)


@pytest.mark.parametrize("stage", list(Stage))
def test_every_reply_is_mapped(stage: Stage) -> None:
    for code in (*range(400, 460), *range(500, 560), 0, 250, 999, -1):
        sent = mapped(aiosmtplib.SMTPDataError(code, "5.1.1 no" if code >= 500 else "no"), stage)
        assert (sent.result, sent.reason) in OUTCOMES.values()
        if stage in (Stage.CONNECT, Stage.MAIL):
            assert sent.result is Result.RETRYABLE, f"{code} before RCPT is not the recipient's fault"


def test_without_a_url_there_is_no_email_channel(make_settings: MakeSettings) -> None:
    assert email_settings(make_settings()) is None


@pytest.mark.parametrize(
    ("url", "implicit", "starttls", "port"),
    [
        ("smtp://relay.example", False, False, 25),
        ("smtps://u:p%40ss@relay.example", True, False, 465),
        ("smtp+starttls://u:p%40ss@relay.example:2525", False, True, 2525),
    ],
)
def test_the_scheme_says_how_it_is_encrypted(
    make_settings: MakeSettings, url: str, implicit: bool, starttls: bool, port: int
) -> None:
    made = email_settings(make_settings(smtp_url=url))
    assert isinstance(made, EmailSettings)
    assert (made.line.implicit_tls, made.line.starttls, made.line.port) == (implicit, starttls, port)
    assert made.line.password == ("p@ss" if "p%40ss" in url else None)


@pytest.mark.parametrize("url", ["http://relay", "relay:25", "smtp://", "smtp://user:secret@relay.example"])
def test_a_wrong_url_is_named_and_its_password_is_not(make_settings: MakeSettings, url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="TOCSIN_SMTP_URL") as raised:
        email_settings(make_settings(smtp_url=url))
    assert "secret" not in str(raised.value)
