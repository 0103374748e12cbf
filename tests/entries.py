"""Journal entries for whoever reads journals without deciding anything."""

from datetime import UTC, datetime
from typing import Any

from pipeline import authority
from schemas.base import Channel, Lane, Level
from schemas.incident import IncidentUpdated
from schemas.journal import Decision, JournaledInput, JournalEntry, NoticeDecided, NoticeHeld, NoticeKind
from schemas.rendering import EmailContent, Rendering, SmsContent, rendering_of

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
MOMENTS = {"UTC": ("12:00 UTC",), "Europe/Berlin": ("13:00 CET",)}
MAIL = rendering_of(
    "en",
    Level.CUSTOMER,
    EmailContent(
        subject="Search is slow",
        text="Since {{t0}} searches take long.\n\nNo more of these: {{unsubscribe}}\n",
        html="<p>x</p>",
    ),
    MOMENTS,
)
TEXT = rendering_of(
    "de", Level.CUSTOMER, SmsContent(text="Suche langsam seit {{t0}} [red]", encoding="GSM-7", segments=1), MOMENTS
)
WORDS: tuple[Rendering, ...] = (MAIL, TEXT)
RENDERINGS = {Channel.EMAIL: (MAIL.sha256,), Channel.SMS: (TEXT.sha256,)}


def entry(
    *decisions: Decision,
    incident: str = "INC-1",
    seq: int = 1,
    given: JournaledInput | None = None,
    **data: Any,
) -> JournalEntry:
    """An entry with these decisions, on an update that says `data` or on the input given."""
    given = given or JournaledInput(
        id=f"{incident}-{seq}", source="/test", type=IncidentUpdated.TYPE, topic="incident.events", partition=0,
        offset=seq, appended_at=AT, data=data,
    )  # fmt: skip
    return JournalEntry(incident=incident, seq=seq, at=AT, policy="0" * 64, input=given, decisions=decisions)


def held(draft: str = "d1aaaaaa", audience: str = "customers", **changes: Any) -> NoticeHeld:
    """A notice that waits for approval; its content is that of its renderings."""
    said: dict[str, Any] = {
        "audience": audience, "level": Level.CUSTOMER, "kind": NoticeKind.OPENED, "lane": Lane.FIRST,
        "reason": "notices to customers need the approval of legal", "renderings": RENDERINGS, "draft": draft,
        "needs": ("legal",), **changes,
    }  # fmt: skip
    content = authority.content_of(said["audience"], said["level"], said["kind"], said["renderings"])
    return NoticeHeld(**{"content": content, **said})


def decided(audience: str = "customers", draft: str | None = None, **changes: Any) -> NoticeDecided:
    """A notice that goes out."""
    said: dict[str, Any] = {
        "audience": audience, "level": Level.CUSTOMER, "kind": NoticeKind.OPENED, "lane": Lane.FIRST,
        "reason": "it was approved", "renderings": RENDERINGS, "notice_id": f"n-{audience}", "draft": draft, **changes,
    }  # fmt: skip
    return NoticeDecided(**said)
