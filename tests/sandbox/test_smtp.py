import asyncio
import ssl
from email.message import EmailMessage

import aiosmtplib
import pytest

from pipeline.sandbox import Fault, Sandbox


def letter(to: str = "ada@example.com", subject: str = "Störung: checkout") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "status@example.net"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{to}>"
    message["List-Unsubscribe"] = "<https://example.net/u/token>"
    message.set_content("Checkout is down.\n.\nA line with a dot above.")
    message.add_alternative("<p>Checkout is <b>down</b>.</p>", subtype="html")
    return message


async def send(sandbox: Sandbox, to: str = "ada@example.com", timeout: float = 5) -> object:
    return await aiosmtplib.send(
        letter(to), sender="bounce+1@example.net", recipients=[to], port=sandbox.smtp_port, hostname="127.0.0.1",
        start_tls=False, timeout=timeout,
    )  # fmt: skip


async def test_a_mail_is_kept_with_envelope_bytes_and_headers(sandbox: Sandbox) -> None:
    await send(sandbox)
    (mail,) = sandbox.mails
    assert mail.sender == "bounce+1@example.net"
    assert mail.recipients == ("ada@example.com",)
    assert mail.message_id == "<ada@example.com>"
    assert mail.subject == "Störung: checkout"
    assert mail.header("list-unsubscribe") == "<https://example.net/u/token>"
    assert "\n.\n" in mail.text.replace("\r\n", "\n")
    assert "<b>down</b>" in mail.html
    assert mail.raw.startswith(b"From: status@example.net\r\n")
    assert mail.answered
    assert not mail.tls


async def test_many_connections_at_once_lose_nothing(sandbox: Sandbox) -> None:
    names = [f"person{number}@example.com" for number in range(40)]
    await asyncio.gather(*(send(sandbox, name) for name in names))
    assert sorted(mail.recipients[0] for mail in sandbox.mails) == sorted(names)


@pytest.mark.parametrize("code", [450, 451, 550, 552])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
async def test_a_refusal_keeps_nothing_and_the_next_mail_goes_through(sandbox: Sandbox, stage: str, code: int) -> None:
    sandbox.fault("smtp", "refuse", stage=stage, code=code)
    with pytest.raises(aiosmtplib.SMTPException) as caught:
        await send(sandbox)
    error = caught.value
    refused = error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error
    assert refused.code == code
    assert sandbox.mails == []
    assert len(sandbox.fired("refuse")) == 1
    await send(sandbox)
    assert len(sandbox.mails) == 1


@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data"])
async def test_421_also_closes_the_connection(sandbox: Sandbox, stage: str) -> None:
    sandbox.fault("smtp", "refuse", stage=stage, code=421)
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.smtp_port)
    replies = [await reader.readline()]
    for command in (b"HELO me", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.com>", b"DATA", b"\r\nx\r\n."):
        if replies[-1].startswith(b"421"):
            break
        writer.write(command + b"\r\n")
        replies.append(await asyncio.wait_for(reader.readline(), 5))
    assert replies[-1].startswith(b"421 4.3.2 ")
    assert len(replies) == {"connect": 1, "mail": 3, "rcpt": 4, "data": 6}[stage]
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert sandbox.mails == []
    writer.close()


async def test_a_connection_lost_in_the_message_keeps_nothing(sandbox: Sandbox) -> None:
    sandbox.fault("smtp", "lose_in_data")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(sandbox)
    assert sandbox.mails == []
    assert sandbox.fired("lose_in_data")


async def test_a_connection_lost_after_the_final_dot_keeps_the_mail(sandbox: Sandbox) -> None:
    sandbox.fault("smtp", "lose_after_dot")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(sandbox)
    (mail,) = sandbox.mails
    assert not mail.answered


async def test_a_reply_that_never_comes_keeps_the_mail(sandbox: Sandbox) -> None:
    sandbox.fault("smtp", "hang_after_dot")
    sending = asyncio.create_task(send(sandbox, timeout=30))
    await sandbox.wait_for(lambda: sandbox.mails)
    assert not sandbox.mails[0].answered
    assert not sending.done()
    sending.cancel()


async def test_a_slow_reply_runs_into_the_clients_own_timeout(sandbox: Sandbox) -> None:
    sandbox.fault("smtp", "slow", stage="rcpt", seconds=30)
    with pytest.raises(aiosmtplib.SMTPTimeoutError):
        await send(sandbox, timeout=0.1)
    assert sandbox.mails == []


async def test_a_dribbled_reply_outlives_every_timeout_per_read(sandbox: Sandbox) -> None:
    sandbox.fault("smtp", "dribble", stage="mail", seconds=0.001)
    await send(sandbox)
    assert sandbox.fired("dribble")
    assert len(sandbox.mails) == 1


async def test_a_fault_waits_for_its_turn_and_its_recipient(sandbox: Sandbox) -> None:
    sandbox.expect([Fault(service="smtp", kind="refuse", stage="rcpt", code=550, match="bob@", after=1, times=1)])
    for to in ("ada@example.com", "bob@example.com"):
        await send(sandbox, to)
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await send(sandbox, "bob@example.com")
    await send(sandbox, "bob@example.com")
    assert len(sandbox.mails) == 3


async def test_pipelining_is_offered_unless_it_is_not_wanted(sandbox: Sandbox) -> None:
    async with (
        Sandbox(pipelining=False) as other,
        aiosmtplib.SMTP(hostname="127.0.0.1", port=other.smtp_port, start_tls=False) as client,
    ):
        await client.ehlo()
        assert not client.supports_extension("pipelining")
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.smtp_port)
    mail = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
    writer.write(b"EHLO me\r\n" + (mail + b"Subject: x\r\n\r\nx\r\n.\r\n") * 3 + b"QUIT\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    assert b"250-PIPELINING" in answer
    assert answer.count(b"250 2.0.0 OK") == len(sandbox.mails) == 3
    writer.close()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_tls_is_trusted_with_its_certificate_only(tls: str) -> None:
    async with Sandbox(tls=tls) as sandbox:  # type: ignore[arg-type]
        options = {"port": sandbox.smtp_port, "use_tls": tls == "implicit", "start_tls": tls == "starttls"}
        trusting = ssl.create_default_context(cadata=sandbox.certificate_pem)
        await aiosmtplib.send(letter(), hostname="127.0.0.1", tls_context=trusting, **options)
        assert sandbox.mails[0].tls
        with pytest.raises((ssl.SSLCertVerificationError, aiosmtplib.SMTPException)):
            await aiosmtplib.send(letter(), hostname="127.0.0.1", **options)
        assert len(sandbox.mails) == 1


async def test_a_hostile_subject_and_broken_encodings_are_kept_as_they_came(sandbox: Sandbox) -> None:
    raw = (
        b"Subject: =?utf-8?q?=FF?= =?nope?b?!?=\r\nContent-Type: text/html; charset=nope\r\n\r\n<script>x</script>\r\n"
    )
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=sandbox.smtp_port, start_tls=False) as client:
        await client.sendmail("a@example.com", ["b@example.com"], raw)
    (mail,) = sandbox.mails
    assert mail.raw == raw
    assert "<script>" in mail.html
