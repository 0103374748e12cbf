"""Text messages and posts: head, body and tail in one line that fits; the body is cut first, then the head."""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

from pipeline.decide.compose.page import Page, one_line
from pipeline.decide.compose.slots import spaced_out
from pipeline.text.cut import cut_at_sentence
from pipeline.text.post import is_valid, weighted_length
from pipeline.text.sms import SmsMeasure, is_gsm7, measure, plainly, segments
from schemas.base import Channel
from schemas.rendering import UTC, Moments, PostContent, PushContent, SmsContent, filled

MAX_SEGMENTS = 2
_MAX_UNITS = MAX_SEGMENTS * 153
"""Septets; each of several segments has room for 153 (3GPP TS 23.040)."""

_PUSH = 1000
"""Characters: what every service that Apprise knows shows as one message, or nearly so."""

_LINK = re.compile(r"https?://\S*[^\s.,;:!?)\]]", re.IGNORECASE)
_NEVER_ON_X = {0xFFFE: None, 0xFFFF: None}

Fill = Callable[[str], str]
"""Puts words in the place of moments, as long as they get."""


def sms(page: Page) -> tuple[SmsContent, Moments]:
    """A text message of at most two segments, in whatever zone it is read."""

    @cache
    def widest(number: int) -> str:
        return max(page.slots.words(number, plain=True), key=lambda word: _weight(measure(word)))

    def fill(text: str) -> str:
        return page.slots.filled(text, widest)

    def fits(text: str) -> bool:
        words = fill(_spelled(text, fill))
        # A character takes one unit at least: a long text needs no measuring.
        return len(words) <= _MAX_UNITS and segments(words) <= MAX_SEGMENTS

    line = _fitted(page.evaluated("sms.txt.j2", page.on(Channel.SMS), _parts), fits)
    (text,), moments = page.slots.settled(_spelled(line, fill), plain=True)
    most = max((measure(filled(text, row)) for row in moments.values() or ((),)), key=_weight)
    return SmsContent(text=text, encoding=most.encoding, segments=most.segments), moments


def post(page: Page) -> tuple[PostContent, Moments]:
    """A post on X; an account has no zone, so it reads UTC."""

    def fill(text: str) -> str:
        return page.slots.filled(text, lambda number: page.slots.words(number, plain=False, zones=(UTC,))[0])

    def spelled(text: str) -> str:
        return spaced_out(text.translate(_NEVER_ON_X))

    # A link makes a post cost 13 times as much: one from an event's text must not decide that.
    unlinked = {name: _LINK.sub("[link]", page.said[name]) for name in ("news", "short_title", "status")}
    parts = page.evaluated("x.txt.j2", page.on(Channel.X, **unlinked), _parts)
    line = _fitted(parts, lambda text: is_valid(fill(spelled(text))))
    (text,), moments = page.slots.settled(spelled(line), zones=(UTC,))
    return PostContent(text=text, weighted_length=weighted_length(fill(spelled(line)))), moments


def push(page: Page) -> tuple[PushContent, Moments]:
    """A notification for a chat or a telephone, in the words of a text message with more room."""

    def fits(text: str) -> bool:
        return (
            len(page.slots.filled(spaced_out(text), lambda number: max(page.slots.words(number, plain=False)))) <= _PUSH
        )

    line = _fitted(page.evaluated("sms.txt.j2", page.on(Channel.APPRISE), _parts), fits)
    (text,), moments = page.slots.settled(line)
    return PushContent(title=one_line(page.said["short_title"]), text=text), moments


def _parts(made: dict[str, Any]) -> tuple[str, ...]:
    return tuple(one_line(made[name]) for name in ("head", "body", "tail", "pointer"))


def _fitted(parts: tuple[str, ...], fits: Callable[[str], bool]) -> str:
    head, body, tail, pointer = parts

    def joined(first: str, second: str) -> str:
        return " ".join(part for part in (first, second, tail) if part)

    if fits(joined(head, body)):
        return joined(head, body)
    if body and fits(joined(head, pointer)):
        return joined(head, cut_at_sentence(body, lambda text: fits(joined(head, text)), pointer))
    return joined(cut_at_sentence(head, lambda text: fits(joined(text, "")), ""), "")


def _spelled(text: str, fill: Fill) -> str:
    """`text` with typographic characters written plainly, where that makes the message GSM-7 and no longer."""
    as_it_is = spaced_out(unicodedata.normalize("NFC", text))
    if is_gsm7(fill(as_it_is)):
        return as_it_is
    plain = spaced_out(plainly(as_it_is))
    spares = is_gsm7(fill(plain)) and segments(fill(plain)) <= segments(fill(as_it_is))
    return plain if spares else as_it_is


def _weight(measured: SmsMeasure) -> tuple[int, bool, int]:
    return measured.segments, measured.encoding == "UCS-2", measured.units
