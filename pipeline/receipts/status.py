"""What a refusal means for the address: is it dead, is it only in trouble, or was it not about the address at all?

Enhanced status codes: RFC 3463 and its IANA registry. A false `hard` silences somebody in an outage, a missed one
costs one more mail: where a code does not say, the refusal is `soft`, and only so many in a row suppress.
"""

import re
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What a mail to the return path is."""

    HARD = "hard"
    SOFT = "soft"
    BLOCKED = "blocked"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    NOTHING = "not a receipt"


_DEAD: Final = frozenset(
    {"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1", "5.4.4", "5.7.13", "5.7.17", "5.7.18"}
)
"""No such mailbox, no such domain (5.4.4: it resolves to no host), no valid address, moved, null MX (RFC 7505),
disabled; 5.7.13 a disabled account (RFC 5248), 5.7.17/18 it has another owner now (RFC 7293)."""

_ABOUT_US: Final = frozenset({"5.1.7", "5.1.8", "5.2.3", "5.3.4", "5.4.6"})
"""The sender's address, the message's size, a loop: nothing that another mail to another address would not meet."""

_VAGUE: Final = re.compile(r"5\.(?:(?!7\.)\d{1,3}\.(?:0|\d{3})|5\.\d{1,3}|0\.\d{1,3})")
"""Codes that say "other or undefined", speak of the protocol (5.5.x), or stand in no registry (Microsoft's 5.1.351):
the words beside them know more. Not of 5.7: whatever it is, it is a policy."""

_CODE: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY: Final = re.compile(r"(?<![\d.])([45])\d\d[ -]")

_SAYS_FULL: Final = re.compile(r"quota|mailbox (?:is )?full|over ?quota|storage|too many messages|insufficient", re.I)
_SAYS_BLOCKED: Final = re.compile(
    r"polic|spam|block|blacklist|reputation|\bRBL\b|denied|not (?:permitted|allowed|authori[sz]ed)|sender|mail from|"
    r"virus|content|header|relay",
    re.I,
)
_WHO: Final = "(?:user|recipient|mailbox|address|account|domain|host)"
_SAYS_DEAD: Final = re.compile(
    rf"(?:unknown|no such|invalid|non-?existent) (?:local )?{_WHO}"
    rf"|{_WHO}(?: name)?(?: \S+)? (?:is )?(?:unknown|not found|invalid|disabled)"
    r"|(?:does not|doesn't|didn't|no longer) exist|not (?:a )?(?:known|valid) (?:user|mailbox|recipient)"
    r"|recipientnotfound|unrouteable address|no mailbox|not our customer",
    re.I,
)


def classified(status: str | None, words: str = "", failed: bool = True) -> Verdict:
    """What a refusal by this status code means; `words` are the server's own, asked where the code is vague.

    `failed` False: nothing was given up (`Action: delayed`), so that it is `soft` at worst.
    """
    code = _precise(status, words)
    if not failed or (code or "").startswith("4"):
        return Verdict.SOFT
    if code in _DEAD:
        return Verdict.HARD
    if code in _ABOUT_US or (code or "").startswith(("5.6.", "5.7.")):
        return Verdict.BLOCKED
    if code is None or _VAGUE.fullmatch(code):
        return _by_words(words)
    return Verdict.SOFT


def code_in(words: str) -> str | None:
    """The enhanced status code in a server's words; of several the first that says something precise."""
    found: list[str] = _CODE.findall(words)
    precise = (code for code in found if not _VAGUE.fullmatch(code) and not code.startswith("2"))
    return next(precise, found[0] if found else None)


def _precise(status: str | None, words: str) -> str | None:
    if status is not None and not _VAGUE.fullmatch(status):
        return status
    said = code_in(words)
    if said is not None and said.startswith("2"):
        said = None
    if said is None and status is None and (reply := _REPLY.search(words)) is not None and reply[1] == "4":
        return "4.0.0"
    return said or status


def _by_words(words: str) -> Verdict:
    """The order is that of the harm: what sounds like two things is taken for the milder."""
    if _SAYS_FULL.search(words):
        return Verdict.SOFT
    if _SAYS_DEAD.search(words):
        return Verdict.HARD
    if _SAYS_BLOCKED.search(words):
        return Verdict.BLOCKED
    return Verdict.SOFT
