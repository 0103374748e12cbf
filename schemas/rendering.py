"""Renderings: a notice for one channel, language and level of detail. Bytes, named by their SHA-256, stored once."""

import hashlib
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.base import Channel, Message, Sha256


class EmailContent(Message):
    """Subject and two bodies of equal content. `{{unsubscribe}}` in a body is the recipient's own link."""

    channel: Literal[Channel.EMAIL] = Channel.EMAIL
    subject: str
    text: str
    html: str


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


Content = Annotated[EmailContent | SmsContent | PostContent, Field(discriminator="channel")]


class Rendering(Message):
    """What will be said, word for word, in one language on one channel."""

    TYPE: ClassVar[str] = "io.tocsin.rendering.v1"
    sha256: Sha256
    language: str
    content: Content


def render_bytes(language: str, content: EmailContent | SmsContent | PostContent) -> bytes:
    """The exact bytes that a rendering's SHA-256 names."""
    return language.encode() + b"\n" + content.model_dump_json().encode()


def rendering_of(language: str, content: EmailContent | SmsContent | PostContent) -> Rendering:
    """Names `content` by its hash."""
    digest = hashlib.sha256(render_bytes(language, content)).hexdigest()
    return Rendering(sha256=digest, language=language, content=content)
