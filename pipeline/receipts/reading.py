"""Reading one mail that came to the return path: a bounce, a complaint, or neither. Pure; nothing is looked up.

In this order: a complaint (ARF, RFC 5965), a delivery status report (RFC 3464), and, for the mail systems that write
neither, what `flufl.bounce` knows of their words. An answering machine (RFC 3834) is no bounce, though it, too, says
`Auto-Submitted: auto-replied`: what is told in words alone counts only from a mail system.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import compat32
from email.utils import getaddresses, parseaddr
from hashlib import sha256
from typing import Final, Literal

from flufl.bounce import all_failures

from pipeline.receipts.status import Verdict, classified, code_in

Feedback = Literal["abuse", "opt-out"]
FEEDBACK: Final[dict[str, Feedback]] = {"abuse": "abuse", "opt-out": "opt-out", "opt-out-list": "opt-out"}
"""Feedback types that ask for no more mail: RFC 5965, and of its drafts what is still sent. `not-spam` (RFC 6430),
`fraud`, `virus` and `auth-failure` ask for nothing of the kind."""

DELIVERED_TO: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To")
"""Where a mailbox keeps the envelope's recipient."""
WORDS_CHARS: Final = 20_000
"""Of a report in words so much is read; the reason stands at its beginning, the returned mail behind it."""

_MAIL_SYSTEM: Final = re.compile(r"mailer[-_]?daemon|post-?master|mail-?daemon|mmdf|double-bounce", re.I)
_RETURNED: Final = re.compile(
    r"^(?:[-_]{2,} ?(?:this is a copy of the message|original message|returned message|your message)"
    r"|original message headers:|(?:reporting-mta|return-path):)",
    re.I | re.M,
)
_LOOSE_BLOCK: Final = re.compile(rb"^(?:Original-|Final-)Recipient:.*?(?=^\s*$|\Z)", re.I | re.M | re.S)
_LOOSE_REPLY: Final = re.compile(r"(?<![\d.])[45]\d\d[ -][45]\.\d{1,3}\.\d{1,3}")
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mail says. `failed`: the address it is about, in clear: to be hashed at once, and kept nowhere.

    `candidates`: every address at which a token of ours may stand, the envelope's own first.
    """

    verdict: Verdict
    candidates: tuple[str, ...]
    name: str
    code: str | None = None
    failed: str | None = None
    feedback: Feedback | None = None


def read(raw: bytes, recipients: Iterable[str] = ()) -> Reading:
    """What the mail `raw` is, delivered to `recipients` (from the envelope; a mailbox keeps them in the headers).

    `name` is the same for the same mail, wherever it is found again.
    """
    mail = message_from_bytes(raw, policy=compat32)
    parts = list(_parts(mail))
    addresses = [*recipients, *_addresses(mail, DELIVERED_TO)]
    name = sha256((mail.get("Message-ID") or "").strip().encode("utf-8", "replace") or raw).hexdigest()[:32]
    if (report := _only(parts, "message/feedback-report")) is not None:
        return _complaint(report, parts, addresses, name)
    if blocks := list(_report(mail, parts)):
        found = _by_report(blocks, _words(parts))
    else:
        found = _by_words(mail, _words(parts))
    return Reading(found.verdict, tuple(dict.fromkeys(addresses)), name, found.code, found.failed)


@dataclass(frozen=True, slots=True)
class _Found:
    verdict: Verdict
    code: str | None = None
    failed: str | None = None


_NOTHING: Final = _Found(Verdict.NOTHING)
_MILDEST: Final = (Verdict.DELIVERED, Verdict.NOTHING, Verdict.BLOCKED, Verdict.SOFT, Verdict.HARD)


def _complaint(report: Mail, parts: list[Mail], addresses: list[str], name: str) -> Reading:
    """RFC 5965: the second part says of what kind, the third is the mail complained of, or its headers."""
    fields = next(_blocks(report), report)
    kind = FEEDBACK.get(str(fields.get("Feedback-Type", "")).strip().lower())
    addresses += _addresses(fields, ("Original-Mail-From",))
    for part in parts:
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers", "text/rfc822-header"):
            addresses += _addresses(_returned(part), ("Return-Path", "X-Original-Sender"))
    verdict = Verdict.COMPLAINT if kind else Verdict.NOTHING
    return Reading(verdict, tuple(dict.fromkeys(addresses)), name, feedback=kind)


def _returned(part: Mail) -> Mail:
    payload = part.get_payload()
    if isinstance(payload, list):
        return payload[0] if payload and isinstance(payload[0], Mail) else part
    return message_from_bytes(part.get_payload(decode=True) or b"", policy=compat32)  # type: ignore[arg-type]


def _by_report(blocks: list[Mail], words: str) -> _Found:
    """RFC 3464 section 2.3. An address that several stand behind is as dead as the liveliest of them."""
    found = [_of_recipient(block, words) for block in blocks if block.get("Action") or block.get("Status")]
    return min(found, key=lambda one: _MILDEST.index(one.verdict)) if found else _NOTHING


def _of_recipient(block: Mail, words: str) -> _Found:
    action = str(block.get("Action", "failed")).split()[:1]
    status = _STATUS.match(str(block.get("Status", "")).strip())
    code = status[0] if status else None
    said = " ".join(str(block.get("Diagnostic-Code", "")).split()) or words
    address = _of_type(block.get("Original-Recipient")) or _of_type(block.get("Final-Recipient"))
    match [word.lower().rstrip(";,") for word in action]:
        case ["failed"]:
            return _Found(classified(code, said), code, address)
        case ["delayed"]:
            return _Found(classified(code, said, failed=False), code, address)
        case ["delivered"]:
            return _Found(Verdict.DELIVERED, code, address)
        case _:  # relayed, expanded, and what no standard knows: nothing has come to an end
            return _NOTHING


def _by_words(mail: Mail, words: str) -> _Found:
    """A report without a part for machines."""
    listed = [address for _, address in getaddresses([str(mail.get("X-Failed-Recipients", ""))]) if "@" in address]
    declared = _is_declared(mail)
    if not (listed or declared or _is_from_a_mail_system(mail)):
        return _NOTHING
    later, never = _heuristics(mail)
    if not (listed or declared or later or never or _LOOSE_REPLY.search(words)):
        return _NOTHING
    given_up = bool(never) or not later
    found = listed or [one.decode(errors="replace") for one in sorted(never or later)]
    return _Found(classified(None, words, failed=given_up), code_in(words), found[0] if found else None)


def _report(mail: Mail, parts: list[Mail]) -> Iterator[Mail]:
    """The report's groups of fields; those of a report that lost its parts on the way stand in its text."""
    for part in parts:
        if part.get_content_type() == "message/delivery-status":
            yield from _blocks(part)
    body = mail.get_payload()
    if isinstance(body, str) and (_is_declared(mail) or _is_from_a_mail_system(mail)):
        for block in _LOOSE_BLOCK.findall(body.replace("\r\n", "\n").encode("utf-8", "replace")):
            yield message_from_bytes(block, policy=compat32)


def _is_declared(mail: Mail) -> bool:
    return str(mail.get_param("report-type", "")).lower() == "delivery-status"


def _is_from_a_mail_system(mail: Mail) -> bool:
    return _MAIL_SYSTEM.search(str(mail.get("From", ""))) is not None


def _heuristics(mail: Mail) -> tuple[set[bytes], set[bytes]]:
    """Who failed for now, and who for good. What trips a detector is told by no word of it that we could use."""
    try:
        later, never = all_failures(mail)
    except Exception:
        return set(), set()
    return set(later), set(never)


def _parts(mail: Mail) -> Iterator[Mail]:
    """The parts of the mail itself: what stands within a mail that was returned is not about us."""
    yield mail
    if mail.get_content_maintype() == "multipart":
        payload = mail.get_payload()
        for part in payload if isinstance(payload, list) else ():
            if isinstance(part, Mail):
                yield from _parts(part)


def _blocks(part: Mail) -> Iterator[Mail]:
    """The groups of fields in a part for machines; also where its text was encoded."""
    payload = part.get_payload()
    if isinstance(payload, list) and payload:
        yield from (block for block in payload if isinstance(block, Mail))
        return
    text = part.get_payload(decode=True)
    for block in re.split(rb"\r?\n\r?\n", text if isinstance(text, bytes) else b""):
        yield message_from_bytes(block + b"\r\n", policy=compat32)


def _words(parts: list[Mail]) -> str:
    """What the report says to people, before the mail that it returns."""
    text = ""
    for part in parts:
        if part.get_content_type() in ("text/plain", "text/html") or isinstance(part.get_payload(), str):
            raw = part.get_payload(decode=True)
            text += (raw if isinstance(raw, bytes) else b"").decode("utf-8", "replace")[:WORDS_CHARS] + "\n"
    returned = _RETURNED.search(text)
    return " ".join(text[: returned.start() if returned and returned.start() > 0 else None].split())


def _only(parts: list[Mail], content_type: str) -> Mail | None:
    return next((part for part in parts if part.get_content_type() == content_type), None)


def _addresses(mail: Mail, headers: Iterable[str]) -> list[str]:
    found = getaddresses([str(value) for header in headers for value in mail.get_all(header, ())])
    return [address for _, address in found if "@" in address]


def _of_type(field: object) -> str | None:
    """The address of `rfc822; a@example.com` (RFC 3464 section 2.3.1), utf-8 as well (RFC 6533)."""
    _, _, address = str(field or "").partition(";")
    return parseaddr(address.strip())[1] or None if "@" in address else None
