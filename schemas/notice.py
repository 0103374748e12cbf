"""Notices: the decision to tell one audience one thing about an incident at one revision, with its renderings."""

from typing import ClassVar

from schemas.base import Id, Instant, Lane, Level, Line, Message
from schemas.journal import NoticeKind
from schemas.rendering import Rendering


class Notice(Message):
    """Copied to every partition; each worker walks the subscribers it owns.

    `outranked_by` names the audiences that are told of the same revision at a higher level: who belongs to one of
    them is told there and not here, whatever order the notices come in. A `closing` notice also goes to everyone
    who was told before, however their choices changed since.
    """

    TYPE: ClassVar[str] = "io.tocsin.notice.v1"
    notice_id: Id
    incident: Id
    seq: int
    at: Instant
    kind: NoticeKind
    audience: Id
    level: Level
    lane: Lane
    closing: bool
    components: tuple[Line, ...]
    outranked_by: tuple[Id, ...]
    renderings: tuple[Rendering, ...]
