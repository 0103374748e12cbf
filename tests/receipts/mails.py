"""Mails as they come back to a return path; all made up."""

from pipeline.vault import Vault

VAULT = Vault.of(b"the secret of the tests of receipts, long")
INTENT = "5c1f0e1b8a7d4c2e9b3f6a7081d2c3e4"
PARTITION = 2
RETURN_PATH = f"bounce+{VAULT.return_token(INTENT, PARTITION)}@bounces.example.com"
FORGED = f"bounce+{INTENT}.{PARTITION}.aaaaaaaaaaaaa@bounces.example.com"

ORIGINAL = """\
Return-Path: <{return_path}>
From: Status <status@example.com>
To: ada@customer.example
Subject: Logins fail
Message-ID: <5c1f0e1b8a7d4c2e9b3f6a7081d2c3e4@example.com>

Logins fail.
"""


def mail(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def report(
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 User unknown",
    to: str = RETURN_PATH,
    number: int = 1,
    recipients: tuple[str, ...] = ("ada@customer.example",),
) -> bytes:
    """A delivery status report (RFC 3464)."""
    groups = "\n".join(
        f"Final-Recipient: rfc822; {one}\nAction: {action}\nStatus: {status}\nDiagnostic-Code: {diagnostic}\n"
        for one in recipients
    )
    return mail(f"""\
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.customer.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <report-{number}@mx.customer.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.customer.example

{groups}
--b1
Content-Type: message/rfc822

{ORIGINAL.format(return_path=to)}
--b1--
""")


def complaint(kind: str = "abuse", return_path: str = RETURN_PATH, mail_from: str | None = None) -> bytes:
    """A feedback report (ARF, RFC 5965), as a mailbox provider sends it to the address it knows."""
    named = f"Original-Mail-From: <{mail_from}>\n" if mail_from else ""
    return mail(f"""\
From: <feedback@mailbox.example>
To: <bounce@bounces.example.com>
Subject: FW: Logins fail
Message-ID: <complaint-1@mailbox.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

This is an email abuse report.

--b1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
{named}
--b1
Content-Type: message/rfc822

{ORIGINAL.format(return_path=return_path)}
--b1--
""")


HOLIDAY = mail(f"""\
Return-Path: <>
From: Ada <ada@customer.example>
To: {RETURN_PATH}
Subject: Out of office: Logins fail
Message-ID: <away-1@customer.example>
Auto-Submitted: auto-replied

I am away until Monday. Mail to me is not read; my mailbox is full, and delivery may have failed.
""")

ANSWER = mail(f"""\
From: Ada <ada@customer.example>
To: {RETURN_PATH}
Subject: Re: Logins fail
Message-ID: <answer-1@customer.example>

550 5.1.1 User unknown, says my own server. Thanks for the mail anyway!
""")

IN_WORDS = mail(f"""\
Return-Path: <>
From: MAILER-DAEMON@mx.customer.example
To: {RETURN_PATH}
Subject: failure notice
Message-ID: <words-1@mx.customer.example>

Hi. This is the qmail-send program at mx.customer.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ada@customer.example>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <{RETURN_PATH}>
""")
