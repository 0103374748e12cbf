"""Messages as the guard's tests say them."""

from collections.abc import Mapping
from typing import Any

from pipeline.decide.guard import Said, examine
from schemas.journal import NoticeKind

ENDS = {NoticeKind.RESOLVED, NoticeKind.MAINTENANCE_COMPLETED}


def said(summary: str | None = None, language: str = "en", **other: Any) -> Said:
    """An update to customers that says `summary` anew, and what else is asked for."""
    texts: Mapping[str, str] = other.pop("texts", {} if summary is None else {"summary": summary})
    kind = other.pop("kind", NoticeKind.UPDATED)
    usual = {
        "outside": True,
        "final": kind in ENDS,
        "fresh": frozenset(texts),
        "before": {},
        "has_contact": True,
        "has_next_update": True,
        "own_words": (),
    }
    return Said(kind=kind, language=language, texts=texts, **(usual | other))


def rules(message: Said) -> set[str]:
    """The ids of the rules that find something in `message`."""
    return {found.rule for found in examine(message)}
