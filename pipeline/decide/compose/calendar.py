"""The calendar entry of a planned maintenance (RFC 5545; how entries are published and cancelled: RFC 5546)."""

import re
from datetime import UTC, datetime
from typing import Any

from icalendar import Calendar, Event, vText

from pipeline.decide.compose.page import Page, one_line, tidy
from pipeline.decide.compose.slots import spaced_out
from pipeline.decide.occasion import Occasion, Telling
from schemas.journal import NoticeKind

_PLANNED = frozenset({NoticeKind.MAINTENANCE_SCHEDULED, NoticeKind.MAINTENANCE_SOON, NoticeKind.CORRECTION})
_MARKS = re.compile("\x02\\w*\x03")


def calendar(page: Page, telling: Telling, occasion: Occasion) -> str | None:
    """The entry as text with CRLF line ends, where a plan with both times is told, changed or taken back."""
    known = occasion.known if occasion.known.starts_at else occasion.before
    withdrawn = telling.kind is NoticeKind.RETRACTION
    told = withdrawn or (telling.kind in _PLANNED and not occasion.over)
    if not (told and occasion.maintenance and known.starts_at and known.ends_at):
        return None
    summary, description = page.evaluated("calendar.j2", page.said, _words)
    entry = Event()
    entry.add("UID", _uid(occasion.incident, page.policy.languages.name))
    entry.add("SEQUENCE", occasion.revision)
    entry.add("DTSTAMP", _utc(occasion.at))
    entry.add("DTSTART", _utc(known.starts_at))
    entry.add("DTEND", _utc(known.ends_at))
    for name, text in (("SUMMARY", summary), ("DESCRIPTION", description)):
        entry.add(name, vText(spaced_out(_MARKS.sub("", text))), parameters={"LANGUAGE": page.language})
    entry.add("STATUS", "CANCELLED" if withdrawn else "CONFIRMED")
    entry.add("TRANSP", "TRANSPARENT")  # it is nobody's appointment: their time stays free
    whole = Calendar()
    whole.add("PRODID", "-//Tocsin//Maintenance//EN")
    whole.add("VERSION", "2.0")
    whole.add("METHOD", "CANCEL" if withdrawn else "PUBLISH")
    whole.add_component(entry)
    octets: bytes = whole.to_ical()
    return octets.decode()


def _words(made: dict[str, Any]) -> tuple[str, str]:
    return one_line(made["summary"]), tidy(made["description"])


def _uid(incident: str, sender: str) -> str:
    """The same for every message about this maintenance, and another than anybody else's maintenance of that id."""
    return f"{incident}@{re.sub('[^a-z0-9]+', '-', sender.lower()).strip('-') or 'tocsin'}"


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
