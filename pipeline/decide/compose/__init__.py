"""Compose: the words, once per channel, language and level, from templates that see only what that level may see.

`content.j2` says what every channel says, as plain text; `sections.j2` adds what a mail has room for, and the mail
templates lay it out as text and as HTML, so both parts say the same. A short template (SMS, X) sets `head`, `body` and
`tail`; the body is cut to what fits, head and tail stay. The structure is shared by all languages; what is a language's
own stands in its `phrases.j2`. A moment is a slot, filled in by the recipient's time zone when it is sent.
"""

from collections.abc import Collection, Iterator

from pipeline.decide.compose.mail import mail
from pipeline.decide.compose.moments import valid_zones
from pipeline.decide.compose.page import Page, page_of
from pipeline.decide.compose.payload import payload
from pipeline.decide.compose.short import post, push, sms
from pipeline.decide.occasion import Occasion, Readers, Telling
from pipeline.policy import Policy
from schemas.base import Channel, Level
from schemas.rendering import AnyContent, Moments, Rendering, rendering_of

__all__ = ["compose"]

_LEVELS = tuple(Level)
"""From the least detail to the most, as the wire lists them."""


def compose(
    telling: Telling, occasion: Occasion, policy: Policy, channels: Collection[Channel] | None = None
) -> tuple[Rendering, ...]:
    """One rendering for each channel of `telling`, language and level of its readers, in that order.

    `channels`: only these of them. Raises `PolicyError` where a template fails.
    """
    wanted = [channel for channel in telling.channels if channels is None or channel in channels]
    if not wanted:
        return ()
    zones = valid_zones(occasion.readers.zones)
    pages = [
        page_of(telling, occasion, level, language, zones, policy)
        for language in _languages(occasion.readers, policy)
        for level in _levels(telling.level, occasion.readers)
    ]
    return tuple(_renderings(wanted, pages, telling, occasion))


def _renderings(wanted: list[Channel], pages: list[Page], telling: Telling, occasion: Occasion) -> Iterator[Rendering]:
    for channel in wanted:
        for page in pages:
            content, moments = _content(channel, page, telling, occasion)
            yield rendering_of(page.language, page.level, content, moments)


def _content(channel: Channel, page: Page, telling: Telling, occasion: Occasion) -> tuple[AnyContent, Moments]:
    match channel:
        case Channel.EMAIL:
            return mail(page, telling, occasion)
        case Channel.SMS:
            return sms(page)
        case Channel.X:
            return post(page)
        case Channel.WEBHOOK:
            return payload(page)
        case Channel.APPRISE:
            return push(page)


def _languages(readers: Readers, policy: Policy) -> list[str]:
    """The policy's own first, then the others that anybody reads, in the policy's order."""
    ours = policy.languages
    return [ours.default, *(one for one in ours.languages if one in readers.languages and one != ours.default)]


def _levels(highest: Level, readers: Readers) -> list[Level]:
    """The telling's own level, then the lower ones that anybody chose; a higher one is never told."""
    lower = _LEVELS[: _LEVELS.index(highest)]
    return [highest, *(level for level in reversed(lower) if level in readers.levels)]
