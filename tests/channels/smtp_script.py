"""An SMTP server that does what a script says, and keeps its own truth of what it took.

It is as strict as a server can be: a command that the state of the session does not allow, content that nobody asked
for, anything behind DATA before its reply (RFC 2920 section 3.1) and a mail for nobody are mistakes of the client.
"""

import asyncio
import base64
import re
import ssl
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipeline.channels.mime import plain, token_in
from pipeline.sandbox.wire import reset
from tests.channels.samples import VAULT

OK, ASK = 250, 354


@dataclass(frozen=True)
class Mood:
    """How one mail fares. `asks_anyway`: DATA is answered 354 though no recipient was taken. `mad`: what follows a
    refused sender is agreed to. `hangs`: at which command nothing is said any more. `lines`: of every reply."""

    mail: int = OK
    rcpt: int = OK
    data: int = ASK
    dot: int = OK
    asks_anyway: bool = False
    mad: bool = False
    hangs: str = ""
    lines: int = 1


@dataclass(frozen=True)
class Manner:
    """How one connection fares: closed once so many octets came in, or went out; how replies are cut and delayed."""

    after_in: int | None = None
    after_out: int | None = None
    resets: bool = False
    pieces: tuple[int, ...] = ()
    pauses: tuple[int, ...] = ()


@dataclass
class Script:
    """What is to happen, and the truth of what did. Mails are known by the number of their intent."""

    moods: deque[Mood] = field(default_factory=deque)
    manners: deque[Manner] = field(default_factory=deque)
    pipelining: bool = True
    login: bytes | None = None
    """What AUTH PLAIN must bring (RFC 4616) before any mail."""
    reset: int = OK
    """The answer to RSET; with another one everything stays as it was."""
    asked: set[int] = field(default_factory=set)
    """For their content the server asked, in full."""
    taken: Counter[int] = field(default_factory=Counter)
    contents: dict[int, bytes] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    connections: int = 0
    farewells: int = 0


class _Closed(Exception):
    """The script ends the connection."""


class _Hung(Exception):
    """The script says nothing any more."""


@dataclass
class _Transaction:
    number: int
    mood: Mood
    recipient: str | None = None


class _Session:
    def __init__(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._script, self._reader, self._writer = script, reader, writer
        self._manner = script.manners.popleft() if script.manners else Manner()
        self._pieces, self._pauses = deque(self._manner.pieces), deque(self._manner.pauses)
        self._in, self._out, self._input, self._output = 0, 0, b"", b""
        self._transaction: _Transaction | None = None
        self._known = script.login is None

    async def run(self) -> None:
        try:
            self._say(220, "ready")
            while True:
                command = await self._line()
                verb = command[:4].upper()
                if verb == b"EHLO":
                    self._output += b"250-script\r\n250-SIZE\r\n250-SMTPUTF8\r\n"
                    self._output += b"250-PIPELINING\r\n" if self._script.pipelining else b""
                    self._output += b"250-AUTH PLAIN\r\n" if self._script.login else b""
                    self._say(OK, "HELP")
                elif verb == b"AUTH":
                    self._known = base64.b64decode(command.split()[-1]) == self._script.login
                    self._say(235 if self._known else 535, "so you say")
                elif verb == b"QUIT":
                    self._script.farewells += 1
                    self._say(221, "bye")
                    await self._flush()
                    return
                elif verb == b"RSET":
                    self._transaction = None if self._script.reset == OK else self._transaction
                    self._say(self._script.reset, "reset")
                elif verb == b"MAIL":
                    self._mail(command.decode())
                elif verb == b"RCPT":
                    self._rcpt(command.decode())
                elif command == b"DATA":
                    await self._data()
                else:
                    self._wrong(f"{command!r} is no command")
        except _Closed:
            pass
        except _Hung:
            await self._flush()
            await asyncio.Event().wait()
        finally:
            if self._manner.resets:
                reset(self._writer.transport)
            self._writer.close()

    def _mail(self, command: str) -> None:
        token = VAULT.read_return_token(token_in(command) or "")
        open_already = self._transaction is not None and self._transaction.mood.mail == OK
        if open_already and self._script.reset != OK:
            self._say(503, "nested")
        elif open_already or token is None or not self._known:
            self._wrong(f"out of place: {command}")
        else:
            mood = self._script.moods.popleft() if self._script.moods else Mood()
            self._transaction = _Transaction(int(token[0], 16), mood)
            self._answer("mail", mood.mail)

    def _rcpt(self, command: str) -> None:
        transaction = self._transaction
        if transaction is None:
            self._wrong(f"out of place: {command}")
        elif transaction.mood.mail != OK and not transaction.mood.mad:
            self._say(503, "no sender")
        else:
            if transaction.mood.rcpt == OK:
                transaction.recipient = command
            self._answer("rcpt", transaction.mood.rcpt)

    async def _data(self) -> None:
        transaction = self._transaction
        if self._input:
            self._wrong(f"behind DATA, unasked: {self._input[:80]!r}")
        elif transaction is None:
            self._wrong("DATA out of place")
        elif transaction.recipient is None and not transaction.mood.asks_anyway:
            self._say(554, "nobody to send it to")
        elif transaction.recipient is None:
            self._say(ASK, "go on")
            if await self._content() != b"":
                self._script.mistakes.append("content for nobody")
            self._transaction = None
            self._answer("dot", 554, transaction)
        else:
            self._answer("data", transaction.mood.data)
            if transaction.mood.data == ASK:
                await self._take(transaction)

    async def _take(self, transaction: _Transaction) -> None:
        try:
            await self._flush()
        finally:
            if not self._output:
                self._script.asked.add(transaction.number)
        content, self._transaction = await self._content(), None
        if f"<reader{transaction.number}@" not in (transaction.recipient or ""):
            self._script.mistakes.append(f"{transaction.number} went to {transaction.recipient}")
        if transaction.mood.dot // 100 == 2:
            self._script.taken[transaction.number] += 1
            self._script.contents[transaction.number] = content
        if not content:
            self._script.mistakes.append(f"an empty mail for {transaction.recipient}")
        self._answer("dot", transaction.mood.dot, transaction)

    async def _content(self) -> bytes:
        """Up to the final dot, transparency undone."""
        content = b""
        while (line := await self._line()) != b".":
            content += line + b"\r\n"
        return plain(b"\r\n" + content)[2:]

    def _answer(self, stage: str, code: int, transaction: _Transaction | None = None) -> None:
        """A reply that names its mail, so that a test sees to whom it was attributed."""
        of = transaction or self._transaction
        assert of is not None
        if of.mood.hangs == stage:
            raise _Hung
        self._say(code, f"about m{of.number}m at {stage}", of.mood.lines)
        if code == 421:
            self._manner = Manner(after_out=self._out + len(self._output))

    def _say(self, code: int, text: str, lines: int = 1) -> None:
        self._output += f"{code}-more\r\n".encode() * (lines - 1) + f"{code} {text}\r\n".encode()

    def _wrong(self, what: str) -> None:
        self._script.mistakes.append(what)
        self._say(503, "out of order")

    async def _line(self) -> bytes:
        while b"\r\n" not in self._input:
            await self._flush()
            left = 65536 if self._manner.after_in is None else self._manner.after_in - self._in
            data = await self._reader.read(left) if left else b""
            if not data:
                raise _Closed
            self._in += len(data)
            self._input += data
        line, _, self._input = self._input.partition(b"\r\n")
        return line

    async def _flush(self) -> None:
        """Sends what was said, in the script's pieces; a pause lets the client see each by itself."""
        while self._output:
            size = self._pieces.popleft() if self._pieces else len(self._output)
            if self._manner.after_out is not None:
                size = min(size, self._manner.after_out - self._out)
            piece, self._output = self._output[:size], self._output[size:]
            self._writer.write(piece)
            self._out += len(piece)
            if self._manner.after_out is not None and self._out >= self._manner.after_out:
                await self._writer.drain()
                raise _Closed
            for _ in range(self._pauses.popleft() if self._pauses else 0):
                await asyncio.sleep(0.0005)


@asynccontextmanager
async def playing(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port on which the script is played."""
    sessions: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sessions.add(task)
        script.connections += 1
        try:
            await _Session(script, reader, writer).run()
        except (ConnectionError, _Closed, asyncio.CancelledError):
            pass

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await _ended(sessions)


async def _ended(sessions: Iterable[asyncio.Task[None]]) -> None:
    """Lets those that read to the client's end get there: what they still take is part of the truth."""
    if waiting := [session for session in sessions if not session.done()]:
        await asyncio.wait(waiting, timeout=0.01)
    for session in waiting:
        session.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


MARKS = re.compile(r"about m(\d+)m at (\w+)")
"""How a reply names its mail."""
