"""What an SMTP server says: whole replies out of whatever pieces arrive (RFC 5321 section 4.2), and what of a mail."""

from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

CLOSING: Final = 421
START_INPUT: Final = 354
NO_REPLY: Final = -1
"""The code of what is none."""

_MAX_OCTETS: Final = 32_768
"""Of one reply; RFC 5321 section 4.5.3.1.5 has 512 a line, and an EHLO takes a few thousand in all."""


class Reply(NamedTuple):
    """A code and its text; a reply of several lines is one."""

    code: int
    message: str


class Stage(StrEnum):
    """How far a mail has come when something happens. In DOT, and only there, the server may have all of it."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"


class Mail(NamedTuple):
    """A mail as it goes over the line: `octets` with CRLF line ends, the last line ended, dots doubled."""

    sender: str
    recipient: str
    octets: bytes
    utf8: bool


class Answer(NamedTuple):
    """How a mail ended: at which stage, and the reply, or the trouble that came in its place."""

    stage: Stage
    said: Reply | BaseException

    @property
    def accepted(self) -> bool:
        """Whether the server took the mail upon itself (RFC 5321 section 4.2.1: any 2yz after the final dot)."""
        return self.stage is Stage.DOT and isinstance(self.said, Reply) and 200 <= self.said.code < 300


Answered = Callable[[Answer], None]


class Carrier(Protocol):
    """One way of bringing mails over an open connection."""

    @property
    def alive(self) -> bool:
        """Whether it is connected, as far as this side knows."""
        ...

    async def carry(self, mails: Iterator[Mail], answered: Answered) -> Mail | None:
        """Sends mails for as long as the connection lasts; calls `answered` in their order, once each.

        Nothing was said about a mail that was taken from `mails` and not answered, and its content was not sent.
        Returns the mail that found a connection which had served others ended, so that it may go over a new one.
        """
        ...

    def abort(self) -> None:
        """Closes at once, unsent bytes dropped: another mail must never read this one's reply."""
        ...

    async def quit(self) -> None:
        """Says goodbye, waits a second for the answer, and closes."""
        ...


class NotUnderstood(Exception):
    """The server said what is no reply."""


class Replies:
    """Cuts a stream of octets into replies."""

    def __init__(self) -> None:
        self._rest = b""
        """Of a line that has not ended."""
        self._whole: deque[bytes] = deque()
        self._begun: list[bytes] = []
        """The texts of a reply whose last line is still to come."""
        self._code = b""

    @property
    def pending(self) -> bool:
        """Whether something arrived that was not taken yet, be it half a line."""
        return bool(self._rest or self._whole or self._begun)

    def feed(self, data: bytes) -> None:
        """Adds what arrived."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._whole.extend(whole)

    def take(self) -> Reply | None:
        """The next whole reply, or None. Raises NotUnderstood."""
        while self._whole:
            line = self._whole.popleft()
            code, mark = line[:3], line[3:4]
            if len(line) < 3 or not code.isdigit() or not b"2" <= code < b"6" or mark not in b" -\r":
                raise NotUnderstood("not a reply")
            if self._begun and code != self._code:
                raise NotUnderstood("a reply of two codes")
            self._code = code
            self._begun.append(line[4:].strip())
            if mark != b"-":
                text, self._begun = b"\n".join(self._begun), []
                return Reply(int(code), text.decode("utf-8", "surrogateescape"))
        if len(self._rest) + sum(map(len, self._begun)) > _MAX_OCTETS:
            raise NotUnderstood("a reply without an end")
        return None


def is_worn(stage: Stage, said: Reply | BaseException, served: int) -> bool:
    """Whether a connection ended as servers end those that were idle, or have carried enough: at the next MAIL.

    A new one costs nothing and nobody waits for a retry. It has served nobody yet, so this comes to an end.
    """
    if isinstance(said, Reply):
        ended = said.code == CLOSING
    else:
        ended = isinstance(said, OSError) and not isinstance(said, TimeoutError)
    return ended and stage is Stage.MAIL and served > 0
