"""Renderings: a notice for one channel, language and level of detail. Bytes, named by their SHA-256, stored once."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.base import Channel, Level, Message, Sha256


class EmailContent(Message):
    """Subject and two bodies of equal content. `{{unsubscribe}}` in a body is the recipient's own link."""

    channel: Literal[Channel.EMAIL] = Channel.EMAIL
    subject: str
    text: str
    html: str
    calendar: str | None = Field(default=None, description="iCalendar (RFC 5545), for a planned maintenance")


class SmsContent(Message):
    """One text message, measured beforehand."""

    channel: Literal[Channel.SMS] = Channel.SMS
    text: str
    encoding: Literal["GSM-7", "UCS-2"]
    segments: int


class PostContent(Message):
    """One post on X, at most 280 weighted characters."""

    channel: Literal[Channel.X] = Channel.X
    text: str
    weighted_length: int


class WebhookContent(Message):
    """What a program is told: the body of a Standard Webhooks message, JSON as it is signed and sent."""

    channel: Literal[Channel.WEBHOOK] = Channel.WEBHOOK
    text: str = Field(description="JSON")


class PushContent(Message):
    """A notification by way of Apprise: a title, and a text of at most 1,000 characters."""

    channel: Literal[Channel.APPRISE] = Channel.APPRISE
    title: str
    text: str


AnyContent = EmailContent | SmsContent | PostContent | WebhookContent | PushContent
Content = Annotated[AnyContent, Field(discriminator="channel")]


UTC = "UTC"
"""The row of moments for whoever's time zone has no row of its own."""

Moments = dict[str, tuple[str, ...]]
"""For each time zone the words that stand for the moments of a rendering: `{{t0}}` is the first of them."""

_MOMENT = re.compile(r"\{\{t(\d{1,3})\}\}")


class Rendering(Message):
    """What will be said, word for word, in one language, at one level of detail, on one channel.

    A moment stands in it as `{{t0}}`, `{{t1}}` …, and `moments` says how each is written for readers in which zone:
    so one rendering serves all zones, and the bytes that one reader got follow from the rendering and their zone.
    """

    TYPE: ClassVar[str] = "io.tocsin.rendering.v1"
    sha256: Sha256
    language: str
    level: Level
    content: Content
    moments: Moments = Field(default_factory=dict)


def render_bytes(
    language: str,
    level: Level,
    content: AnyContent,
    moments: Mapping[str, tuple[str, ...]],
) -> bytes:
    """The exact bytes that a rendering's SHA-256 names."""
    head = f"{language}\n{level}\n{json.dumps(moments, ensure_ascii=False, sort_keys=True)}\n"
    return head.encode() + content.model_dump_json().encode()


def rendering_of(
    language: str,
    level: Level,
    content: AnyContent,
    moments: Mapping[str, tuple[str, ...]] | None = None,
) -> Rendering:
    """Names `content` by its hash."""
    rows = dict(moments or {})
    digest = hashlib.sha256(render_bytes(language, level, content, rows)).hexdigest()
    return Rendering(sha256=digest, language=language, level=level, content=content, moments=rows)


def zone_of(rendering: Rendering, time_zone: str) -> str:
    """The row of moments that a reader in this time zone gets; they share a batch with everyone of that row."""
    return time_zone if time_zone in rendering.moments else UTC


def content_in(rendering: Rendering, zone: str) -> AnyContent:
    """The content as readers in `zone` get it, every moment in their own words."""
    row = rendering.moments.get(zone) or rendering.moments.get(UTC) or ()
    if not row:
        return rendering.content

    def written(value: object) -> object:
        return filled(value, row) if isinstance(value, str) else value

    return rendering.content.model_copy(update={name: written(value) for name, value in rendering.content})


def filled(text: str, row: tuple[str, ...]) -> str:
    """`text` with every moment in the words of `row`; a number that the row does not have stays as it is."""

    def word(found: re.Match[str]) -> str:
        number = int(found[1])
        return row[number] if number < len(row) else found[0]

    return _MOMENT.sub(word, text)
