"""How drafts, and the words that would go out, look on a terminal: exactly what somebody signs."""

import asyncio
from collections.abc import Iterable, Iterator

import typer

from pipeline.audit.sentences import words
from pipeline.authority import content_of, text_content
from pipeline.commands import answering
from pipeline.commands.status import counted
from pipeline.commands.terminal import local
from pipeline.decide.view import UNSUBSCRIBE
from pipeline.drafts import Draft
from pipeline.settings import Settings
from schemas.journal import FieldWithheld, NoticeDecided, NoticeHeld
from schemas.rendering import UTC, EmailContent, PushContent, Rendering, SmsContent, content_in

SHORT = 12
"""Characters of an id or a hash that are shown; `Board.find` takes fewer."""
OWN_LINK = "<the reader's own link>"


def show_draft(settings: Settings, draft: Draft, *, words: bool) -> bool:
    """Prints what waits, and, if wanted, in which words; whether these are exactly what an approval would name."""
    for line in of_draft(draft):
        typer.echo(line)
    if not words:
        return True
    typer.echo("")
    what = draft.what
    if isinstance(what, FieldWithheld):
        typer.echo(f"--- {what.field}\n{draft.text or 'what was said of it cannot be found'}\n")
        return draft.text is not None and text_content(draft.text) == draft.content
    there = show_words(settings, what)
    content = content_of(what.audience, what.level, what.kind, what.renderings, what.zones, what.corrects)
    return there and content == draft.content


def show_words(settings: Settings, *notices: NoticeHeld | NoticeDecided) -> bool:
    """Prints every word of these notices; whether none of them is missing."""
    digests = {digest for notice in notices for hashes in notice.renderings.values() for digest in hashes}
    found = asyncio.run(answering.renderings(settings, digests))
    for notice in notices:
        for line in of_renderings(notice, found):
            typer.echo(line)
    return found.keys() == digests


def of_draft(draft: Draft) -> Iterator[str]:
    """What waits, for whom, whose approval it needs and has."""
    what = draft.what
    kind = words(what.kind) if isinstance(what, NoticeHeld) else "a field that waits"
    title = f" “{draft.title}”" if draft.title else ""
    yield f"{draft.id[:SHORT]}  {draft.whom}: {kind}, {draft.incident}{title}"
    yield f"    why held    {words(what.reason)}"
    yield f"    needs       {needs(what)}"
    if draft.approved_by:
        missing = f"; still missing: {words(draft.missing)}" if draft.missing else ""
        yield f"    approved by {', '.join(draft.approved_by)}{missing}"
    yield f"    written by  {what.author or 'upstream, unsigned'}"
    yield f"    waits since {local(draft.at)}"
    if isinstance(what, NoticeHeld):
        yield f"    goes to     {recipients(what)} by {' and '.join(what.renderings) or 'no channel'}"
    yield f"    content     {draft.content[:SHORT]}"


def needs(what: NoticeHeld | FieldWithheld) -> str:
    """Whose approval a draft needs."""
    if isinstance(what, FieldWithheld):
        return f"{what.needs} approval"
    if what.refused:
        return "to be edited: it cannot be approved as it is"
    if what.by_operator:
        return "to be released: an operator holds what goes to them"
    whose = " and ".join(what.needs) or "anyone's"
    return f"{whose} approval" + (f", {what.people} different persons" if what.people > 1 else "")


def recipients(notice: NoticeHeld | NoticeDecided) -> str:
    """Whom a notice goes to, and how many they are by the census."""
    count = "nobody has counted how many" if notice.expected is None else f"{notice.expected:,} expected"
    narrowed = [f"in {', '.join(notice.zones)}"] if notice.zones else []
    narrowed += [f"who got entry {notice.corrects}"] if notice.corrects is not None else []
    return " ".join([notice.audience, *narrowed, f"({count})"])


def of_renderings(notice: NoticeHeld | NoticeDecided, found: dict[str, Rendering]) -> Iterator[str]:
    """Every rendering word for word, moments as a reader in UTC gets them."""
    for channel, digests in notice.renderings.items():
        for digest in digests:
            if (rendering := found.get(digest)) is None:
                yield f"--- {notice.audience}, {channel}: the words named {digest[:SHORT]} cannot be found"
            else:
                yield from _of_rendering(notice.audience, rendering)


def _of_rendering(audience: str, rendering: Rendering) -> Iterable[str]:
    content = content_in(rendering, UTC)
    head = [audience, content.channel, rendering.language, f"level {rendering.level}"]
    if isinstance(content, SmsContent):
        head.append(f"{counted(content.segments, 'segment')} of {content.encoding}")
    if zones := sorted(rendering.moments.keys() - {UTC}):
        head.append(f"times in UTC; written otherwise for {', '.join(zones)}")
    yield f"--- {', '.join(head)}"
    if isinstance(content, EmailContent):
        yield f"Subject: {content.subject}"
        yield ""
    if isinstance(content, PushContent):
        yield f"Title: {content.title}"
        yield ""
    yield content.text.replace(UNSUBSCRIBE, OWN_LINK).rstrip()
    if isinstance(content, EmailContent) and content.calendar:
        yield "(with an entry for the reader's calendar)"
    yield ""
