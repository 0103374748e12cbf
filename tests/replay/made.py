"""Runs made by hand: entries with just the decisions that a test is about, so that figures can be counted by eye."""

from collections.abc import Iterable
from datetime import datetime
from itertools import count

from pipeline.decide.incident import Decided
from pipeline.decide.state import IncidentState, Phase
from pipeline.replay.rerun import Rerun
from pipeline.replay.results import Sent
from schemas.base import Channel, Lane, Level
from schemas.census import Group
from schemas.journal import Decision, JournaledInput, JournalEntry, NoticeDecided, NoticeHeld, NoticeKind
from schemas.notice import Notice
from schemas.rendering import PostContent, Rendering, SmsContent, rendering_of
from tests.replay.trials import QUIET_PAST, at

SHA = "0" * 64
_numbers = count()


def sms(text: str = "Slow.", segments: int = 1, language: str = "en", level: Level = Level.CUSTOMER) -> Rendering:
    return rendering_of(language, level, SmsContent(text=text, encoding="GSM-7", segments=segments))


def post(text: str = "Slow.") -> Rendering:
    return rendering_of("en", Level.PUBLIC, PostContent(text=text, weighted_length=len(text)))


def notice(audience: str, kind: NoticeKind, *renderings: Rendering, zones: tuple[str, ...] = ()) -> Notice:
    return Notice(
        notice_id=f"n{next(_numbers)}", incident="search-1", seq=1, at=at(0), kind=kind, group=Group(audience=audience),
        level=Level.CUSTOMER, lane=Lane.FIRST, closing=False, components=(), zones=zones, renderings=renderings,
    )  # fmt: skip


def told(audience: str, kind: NoticeKind = NoticeKind.UPDATED, *renderings: Rendering, zones: tuple[str, ...] = ()):
    """A decision to tell, with its notice; without renderings it is a mail."""
    one = notice(audience, kind, *renderings, zones=zones)
    by = {r.content.channel: (r.sha256,) for r in renderings} or {Channel.EMAIL: ()}
    decision = NoticeDecided(
        notice_id=one.notice_id, audience=audience, level=Level.CUSTOMER, kind=kind, lane=Lane.FIRST, reason="because",
        renderings=by, zones=zones,
    )  # fmt: skip
    return decision, one


def held(audience: str, kind: NoticeKind, draft: str = "d") -> NoticeHeld:
    return NoticeHeld(
        draft=draft, content=SHA, needs=("legal",), audience=audience, level=Level.CUSTOMER, kind=kind, lane=Lane.FIRST,
        reason="because", renderings={},
    )  # fmt: skip


def turn(minutes: float, *decided: object, phase: Phase = Phase.OPEN) -> Decided:
    """One entry with decisions, or with pairs of `told`."""
    decisions: list[Decision] = []
    notices: list[Notice] = []
    for one in decided:
        if isinstance(one, tuple):
            decisions.append(one[0])
            notices.append(one[1])
        else:
            decisions.append(one)  # type: ignore[arg-type]
    number = next(_numbers) + 1
    given = JournaledInput(
        id=f"e{number}", source="s", type="t", topic="incident.events", partition=0, offset=number,
        appended_at=at(minutes), data={},
    )  # fmt: skip
    entry = JournalEntry(
        incident="search-1", seq=number, at=at(minutes), policy=SHA, input=given, decisions=tuple(decisions)
    )
    return Decided(entry, IncidentState("search-1", phase=phase), tuple(notices))


def rerun_of(*turns: Decided) -> Rerun:
    return Rerun(QUIET_PAST, tuple(turns), cut_off=False)


def sent(
    minutes: float,
    audience: str = "customers",
    kind: NoticeKind = NoticeKind.UPDATED,
    channels: Iterable[Channel] = (Channel.EMAIL,),
    event: str | None = None,
    words: str = "same",
    zones: tuple[str, ...] = (),
) -> Sent:
    moment: datetime = at(minutes)
    return Sent(
        at=moment, seq=1, audience=audience, kind=kind, channels=tuple(channels), lane=Lane.UPDATE, reason="because",
        event=event, safe=False, zones=zones, while_open=True, segments=0.0, texts=0.0, posts=0, link=False, cost=0.0,
        words=words, text="",
    )  # fmt: skip
