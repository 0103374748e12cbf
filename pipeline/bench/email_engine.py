"""The email engine alone: mails of 4 KB, one recipient each, against Postfix's smtp-sink.

Ours is measured whole, from recipients to results: addresses checked, the template spliced for each with their own
link, return path and Message-ID, replies matched. aiosmtplib's loop and smtp-source are given what they send. All keep
their connections; smtp-source does not pipeline. smtp-sink knows no TLS: stunnel stands before it, and for smtp-source,
which knows none either, a second one on the client's side.
"""

import asyncio
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiosmtplib

from pipeline.bench.figures import Measured, medians
from pipeline.bench.sinks import HOST, delayed, smtp_sink, stunnel, tool, version_of
from pipeline.channels.base import Envelope, Recipient
from pipeline.channels.email import EmailSender, email_settings
from pipeline.channels.mime import wire_address
from pipeline.clock import now
from pipeline.errors import TocsinError
from pipeline.sandbox.wire import certificate_and_key
from pipeline.settings import Settings
from schemas.base import Level
from schemas.delivery import Result
from schemas.rendering import EmailContent, rendering_of

_WORDS: Final = "Logins fail for a part of the customers in Europe, and we are working on it. " * 20
_CONTENT: Final = EmailContent(
    subject="[Major] Logins fail in Europe",
    text=f"{_WORDS[:1500]}\n\nUnsubscribe: {{{{unsubscribe}}}}\n",
    html=f'<p>{_WORDS[:1400]}</p><p><a href="{{{{unsubscribe}}}}">Unsubscribe</a></p>\n',
)
_PAYLOAD_OCTETS: Final = 3_850
"""What smtp-source adds headers to, so that its mails are as long as ours."""
_SESSIONS: Final = 16


@dataclass(frozen=True)
class Course:
    """One of the four: how it is reached, and how many mails over how many connections each contender sends.

    `content`: what they say.
    """

    name: str
    tls: bool
    delay_ms: int
    connections: int
    sessions: int
    ours: int
    loop: int
    source: int
    content: EmailContent = _CONTENT


COURSES: Final = (
    Course("email_engine", False, 0, 8, _SESSIONS, ours=38_400, loop=6_400, source=30_000),
    Course("email_engine_tls", True, 0, 8, _SESSIONS, ours=12_800, loop=6_400, source=12_800),
    Course("email_engine_20ms", False, 20, 32, 32, ours=4_096, loop=1_024, source=1_024),
    Course("email_engine_tls_20ms", True, 20, 32, 32, ours=4_096, loop=1_024, source=1_024),
)


def measure(runs: int) -> Iterator[Measured]:
    """The four courses: plaintext and TLS, without delay and with replies 20 ms late."""
    source = tool("smtp-source", "postfix")
    for course in COURSES:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory()))
            track = Track.laid(course, directory, stack, source)
            found = medians([track.round() for _ in range(runs)])
        ours = found.pop("ours")
        yield Measured(course.name, "mails/s", ours, found, _versions(course))


def _versions(course: Course) -> dict[str, str]:
    used = {"aiosmtplib": version("aiosmtplib"), "postfix": version_of("postfix")}
    return {**used, "stunnel4": version_of("stunnel4")} if course.tls else used


@dataclass(frozen=True)
class Track:
    """What stands ready for a course."""

    course: Course
    port: int
    source: str
    source_port: int
    context: ssl.SSLContext | None

    @classmethod
    def laid(cls, course: Course, directory: Path, stack: ExitStack, source: str) -> "Track":
        """A track with everything on it started; `stack` ends it."""
        port = stack.enter_context(smtp_sink())
        if course.delay_ms:
            port = stack.enter_context(delayed(port, course.delay_ms))
        if not course.tls:
            return cls(course, port, source, port, None)
        certificate, key = certificate_and_key()
        both = directory / "server.pem"
        both.touch(mode=0o600)
        both.write_bytes(certificate + key)
        port = stack.enter_context(stunnel(port, certificate=both))
        inner = stack.enter_context(stunnel(port, certificate=None))
        return cls(course, port, source, inner, ssl.create_default_context(cadata=certificate.decode()))

    def round(self) -> dict[str, float]:
        """Mails a second of each contender, one after another."""
        course = self.course
        through = " through stunnel" if course.tls else ""
        return {
            "ours": asyncio.run(self.ours()),
            f"aiosmtplib sendmail, {course.connections} connections": asyncio.run(self.loop()),
            f"smtp-source, {course.sessions} sessions{through}": self._smtp_source(),
        }

    async def ours(self) -> float:
        """Our engine, mails a second."""
        sender = self._sender()
        windows = _windows(self.course.ours)
        envelope = self._envelope()
        queue = iter(windows)

        async def work() -> None:
            for window in queue:
                answers = await sender.send(envelope, window)
                if any(answer.result is not Result.ACCEPTED for answer in answers):
                    raise TocsinError(f"a mail was not taken: {answers[0]}")

        begun = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(self.course.connections)))
        taken_s = time.perf_counter() - begun
        await sender.close()
        return self.course.ours / taken_s

    async def loop(self) -> float:
        """The loop of aiosmtplib itself, given ready bytes, mails a second."""
        message, left = self._message(), iter(range(self.course.loop))

        async def work() -> None:
            client = aiosmtplib.SMTP(
                hostname=HOST,
                port=self.port,
                use_tls=self.course.tls,
                start_tls=False,
                tls_context=self.context,
                local_hostname="localhost",
            )
            async with client:
                for n in left:
                    await client.sendmail("status@example.com", [f"reader{n}@example.com"], message)

        begun = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(self.course.connections)))
        return self.course.loop / (time.perf_counter() - begun)

    def _smtp_source(self) -> float:
        course = self.course
        command = [self.source, "-d", "-s", str(course.sessions), "-m", str(course.source), "-l", str(_PAYLOAD_OCTETS)]
        command += ["-N", "-f", "status@example.com", "-t", "reader@example.com", f"inet:{HOST}:{self.source_port}"]
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return course.source / (time.perf_counter() - begun)

    def _sender(self) -> EmailSender:
        scheme = "smtps" if self.course.tls else "smtp"
        settings = Settings(
            _env_file=None,
            smtp_url=f"{scheme}://{HOST}:{self.port}",
            mail_from="status@example.com",
            mail_return_path="bounce@example.com",
        )
        made = email_settings(settings, tls_context=self.context)
        if made is None:
            raise TocsinError("the email channel is not set up")
        return EmailSender(replace(made, connections=self.course.connections))

    def _message(self) -> bytes:
        sender, reader = self._sender(), _windows(1)[0][0]
        return sender.prepared(self._envelope(), reader).octets(reader, wire_address(reader), now())

    def _envelope(self) -> Envelope:
        content = self.course.content
        rendering = rendering_of("en", Level.CUSTOMER, content)
        return Envelope("bench", "notice", 1, now(), content, rendering.sha256, rendering.language)


def _windows(count: int) -> list[list[Recipient]]:
    readers = [
        Recipient(
            subscriber=f"s{n}",
            intent_id=f"{n:032x}",
            partition=n % 12,
            address=f"reader{n}@example.com",
            name="Ada Lovelace",
            unsubscribe_url=f"https://status.example.com/u/{n:032x}?c=email",
        )
        for n in range(count)
    ]
    size = EmailSender.max_window
    return [readers[start : start + size] for start in range(0, count, size)]
