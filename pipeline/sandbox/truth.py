"""The ground truth: what the doubles accepted, in order, in memory and in `truth.jsonl`, for tests to compare with."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from pipeline.clock import Clock
from pipeline.sandbox.faults import Fault

TRUTH_FILE = "truth.jsonl"

STOP_WORDS = frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
"""Twilio's own keywords, as the whole message, in any case."""


class _Record(BaseModel):
    """`n` counts all records of one sandbox from 1; bytes are base64 (URL-safe alphabet) in JSON."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    n: int
    at: AwareDatetime


class Mail(_Record):
    """A mail that was taken. `answered` is False when it was kept, but the client never learnt so."""

    kind: Literal["mail"] = "mail"
    sender: str = Field(description="of the envelope")
    recipients: tuple[str, ...] = Field(description="of the envelope")
    raw: bytes
    headers: tuple[tuple[str, str], ...] = Field(description="as they came, unfolded, not decoded")
    message_id: str | None
    subject: str = Field(description="decoded")
    tls: bool
    answered: bool

    def header(self, name: str) -> str | None:
        """The first header of that name, as it came."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @cached_property
    def message(self) -> EmailMessage:
        """All of it, parsed."""
        return message_from_bytes(self.raw, policy=policy.default)

    @cached_property
    def text(self) -> str:
        """The plain-text part; empty when there is none."""
        return _part(self.message, "plain")

    @cached_property
    def html(self) -> str:
        """The HTML part; empty when there is none."""
        return _part(self.message, "html")


class Text(_Record):
    """An SMS that was taken. The record is as of acceptance; `Truth.texts` folds the later statuses in."""

    kind: Literal["text"] = "text"
    sid: str
    to: str
    sender: str | None
    messaging_service_sid: str | None
    body: str
    status_callback: str | None
    validity_period: int | None = Field(description="seconds")
    num_segments: int
    statuses: tuple[str, ...]
    error_code: int | None = None
    updated_at: AwareDatetime
    sent_at: AwareDatetime | None = None
    answered: bool


class TextStatus(_Record):
    """An SMS went on to another status."""

    kind: Literal["status"] = "status"
    sid: str
    status: str
    code: int | None = None


class Callback(_Record):
    """A request that the Twilio double made: a status callback or an inbound message. `http_status` None: no answer."""

    kind: Literal["callback"] = "callback"
    sid: str
    status: str
    url: str
    http_status: int | None
    error: str | None = None


class Inbound(_Record):
    """An SMS that somebody sent to us."""

    kind: Literal["inbound"] = "inbound"
    sid: str
    sender: str
    to: str
    body: str


class Post(_Record):
    """A post on X that was taken."""

    kind: Literal["post"] = "post"
    id: str
    text: str
    reply_to: str | None
    answered: bool


class Fired(_Record):
    """A fault that was shown, and on what."""

    kind: Literal["fault"] = "fault"
    fault: Fault
    subject: str


Record = Annotated[
    Mail | Text | TextStatus | Callback | Inbound | Post | Fired,
    Field(discriminator="kind"),
]
_RECORD: TypeAdapter[Record] = TypeAdapter(Record)

R = TypeVar("R", Mail, Text, TextStatus, Callback, Inbound, Post, Fired)
T = TypeVar("T")


class Truth:
    """All that was accepted. Continues the file of an earlier run, so that a restarted sandbox forgets nothing."""

    def __init__(self, clock: Clock, directory: Path | None = None) -> None:
        self._clock = clock
        self.records: list[Record] = []
        self.mails: list[Mail] = []
        self.texts: list[Text] = []
        self.posts: list[Post] = []
        self.inbound: list[Inbound] = []
        self.callbacks: list[Callback] = []
        self.fired: list[Fired] = []
        self.opted_out: set[str] = set()
        self._text_at: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._file = None
        if directory is not None:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # messages and addresses in clear
            path = directory / TRUTH_FILE
            for record in read_truth(path):
                self._fold(record)
            _cut_off_half_a_line(path)
            # Unbuffered: each record is one write, and stands for other processes to read once the client hears of it.
            self._file = path.open("ab", buffering=0)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def now(self) -> datetime:
        """By the clock that was passed in."""
        return self._clock()

    def keep(self, model: type[R], **fields: Any) -> R:
        """Numbers, dates, writes and announces a record."""
        record = model(n=len(self.records) + 1, at=self.now(), **fields)
        if self._file is not None:
            self._file.write(record.model_dump_json().encode() + b"\n")
        self._fold(record)
        self._changed.set()
        self._changed = asyncio.Event()
        return record

    def text(self, sid: str) -> Text | None:
        """The SMS of that sid with its latest status."""
        index = self._text_at.get(sid)
        return None if index is None else self.texts[index]

    async def wait_for(self, predicate: Callable[[], T], timeout: float) -> T:
        """The predicate's first true answer, asked again after every record. Raises TimeoutError after seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not (answer := predicate()):
                    await self._changed.wait()
                return answer
        except TimeoutError:
            raise TimeoutError(
                f"not true after {timeout} s, with {len(self.mails)} mails, {len(self.texts)} texts, "
                f"{len(self.posts)} posts, {len(self.callbacks)} callbacks, {len(self.fired)} faults fired"
            ) from None

    def _fold(self, record: Record) -> None:
        self.records.append(record)
        match record:
            case Mail():
                self.mails.append(record)
            case Text():
                self._text_at[record.sid] = len(self.texts)
                self.texts.append(record)
            case TextStatus():
                self._go_on(record)
            case Post():
                self.posts.append(record)
            case Inbound():
                self.inbound.append(record)
                word = record.body.strip().upper()
                if word in STOP_WORDS:
                    self.opted_out.add(record.sender)
                elif word in START_WORDS:
                    self.opted_out.discard(record.sender)
            case Callback():
                self.callbacks.append(record)
            case Fired():
                self.fired.append(record)

    def _go_on(self, change: TextStatus) -> None:
        index = self._text_at[change.sid]
        text = self.texts[index]
        update: dict[str, Any] = {
            "statuses": (*text.statuses, change.status),
            "error_code": change.code,
            "updated_at": change.at,
        }
        if change.status == "sent":
            update["sent_at"] = change.at
        self.texts[index] = text.model_copy(update=update)


def read_truth(path: Path) -> list[Record]:
    """The records of a `truth.jsonl`, or of the one in a directory; none when it is missing.

    A last line without its line feed was cut off by a kill: its message was never answered, so it does not count.
    """
    path = path / TRUTH_FILE if path.is_dir() else path
    if not path.exists():
        return []
    content = path.read_bytes()
    return [_RECORD.validate_json(line) for line in content[: content.rfind(b"\n") + 1].split(b"\n") if line]


def _cut_off_half_a_line(path: Path) -> None:
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def mail_fields(raw: bytes) -> dict[str, Any]:
    """What a mail's record says of its own content. Never fails: what is not decodable stays as it came."""
    parsed = BytesHeaderParser().parsebytes(raw)
    headers = tuple((name, " ".join(str(value).split())) for name, value in parsed.items())
    first = {name.lower(): value for name, value in reversed(headers)}
    return {
        "raw": raw,
        "headers": headers,
        "message_id": first.get("message-id"),
        "subject": _decoded(first.get("subject", "")),
    }


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError, MessageError):
        return value


def _part(message: EmailMessage, subtype: Literal["plain", "html"]) -> str:
    part = message.get_body((subtype,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        return bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")
