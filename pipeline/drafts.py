"""What waits for approval, and what was told: a fold of journal entries, for whoever is to order something. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from pipeline.errors import NotFound
from schemas.incident import Facts
from schemas.journal import (
    Decision,
    DraftApproved,
    DraftVoided,
    FieldReleased,
    FieldWithheld,
    JournalEntry,
    NoticeDecided,
    NoticeHeld,
)

SHORTEST = 4
"""Characters by which a draft may be called, where no other begins with them."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice, or a field of an event, that was held back: by which entry, who approved it, and what became of it."""

    incident: str
    title: str | None
    seq: int
    at: datetime
    id: str
    what: NoticeHeld | FieldWithheld
    content: str
    """The hash of what is approved."""
    text: str | None = None
    """Of a field: what was said."""
    approved_by: tuple[str, ...] = ()
    missing: str = ""
    fate: str | None = None
    """None while it waits."""

    @property
    def whom(self) -> str:
        """The audience, or the field, that it is about."""
        return self.what.audience if isinstance(self.what, NoticeHeld) else self.what.field


@dataclass(slots=True)
class Board:
    """The fold. Mutable, since it is large; only `apply` changes it."""

    drafts: dict[str, Draft] = field(default_factory=dict)
    told: dict[str, dict[int, tuple[NoticeDecided, ...]]] = field(default_factory=dict)
    """By incident and entry: the notices that went out."""
    last: dict[str, JournalEntry] = field(default_factory=dict)
    """By incident."""
    _titles: dict[str, str] = field(default_factory=dict)

    def apply(self, entry: JournalEntry) -> bool:
        """Takes in an entry; False if it does not count, since another of the same number came before."""
        before = self.last.get(entry.incident)
        if entry.seq != (before.seq if before else 0) + 1:
            return False
        self.last[entry.incident] = entry
        if isinstance(title := entry.input.data.get("title"), str):
            self._titles[entry.incident] = title
        for decision in entry.decisions:
            self._decided(entry, decision)
        if notices := tuple(decision for decision in entry.decisions if isinstance(decision, NoticeDecided)):
            self.told.setdefault(entry.incident, {})[entry.seq] = notices
        return True

    def _decided(self, entry: JournalEntry, decision: Decision) -> None:
        match decision:
            case NoticeHeld():
                self._held(entry, decision, decision.draft, decision.content)
            case FieldWithheld(draft=str(id), content=str(content), field=name):
                for other in self.waiting(entry.incident):
                    if isinstance(other.what, FieldWithheld) and other.whom == name:
                        self._change(other.id, fate="it was said otherwise since")
                self._held(entry, decision, id, content, _said(entry.input.data, name))
            case DraftApproved(draft=id) if id in self.drafts:
                approved = dict.fromkeys((*self.drafts[id].approved_by, decision.by))
                self._change(id, approved_by=tuple(approved), missing=decision.missing)
            case DraftVoided(draft=id, reason=reason):
                self._change(id, fate=reason)
            case NoticeDecided(draft=str(id)):
                self._change(id, fate="it went out")
            case FieldReleased(draft=id):
                self._change(id, fate=f"{decision.by} approved it")

    def _held(
        self, entry: JournalEntry, what: NoticeHeld | FieldWithheld, id: str, content: str, text: str | None = None
    ) -> None:
        title = self._titles.get(entry.incident)
        self.drafts[id] = Draft(entry.incident, title, entry.seq, entry.at, id, what, content, text)

    def _change(self, id: str, **changes: Any) -> None:
        if id in self.drafts:
            self.drafts[id] = replace(self.drafts[id], **changes)

    def waiting(self, incident: str | None = None) -> list[Draft]:
        """The drafts that wait (of one incident), those that wait longest first."""
        found = (draft for draft in self.drafts.values() if draft.fate is None)
        return sorted((d for d in found if incident in {None, d.incident}), key=lambda d: (d.at, d.incident, d.seq))

    def find(self, name: str) -> Draft:
        """The draft that waits and is called `name`, or begins so. Raises NotFound, which lists those that wait."""
        named = [d for d in self.drafts.values() if d.id == name or (len(name) >= SHORTEST and d.id.startswith(name))]
        waiting = [draft for draft in named if draft.fate is None]
        if len(waiting) == 1:
            return waiting[0]
        if len(waiting) > 1:
            raise NotFound(f"{len(waiting)} drafts begin with {name}: {_listed(waiting)}")
        if len(named) == 1:
            raise NotFound(f"draft {named[0].id} waits no more: {named[0].fate}")
        raise NotFound(f"there is no draft {name}; waiting are: {_listed(self.waiting()) or 'none'}")

    def notices(self, incident: str, seq: int | None) -> tuple[int, tuple[NoticeDecided, ...]]:
        """The number of the entry that is meant, and what it told. Raises NotFound, which lists those that told."""
        told: Mapping[int, tuple[NoticeDecided, ...]] = self.told.get(incident, {})
        if seq is not None and seq in told:
            return seq, told[seq]
        listed = ", ".join(f"{number} ({_kinds(notices)})" for number, notices in told.items()) or "none"
        which = "which entry is it?" if seq is None else f"entry {seq} of {incident} told nobody anything;"
        raise NotFound(f"{which} those that told something are: {listed}")


def _said(data: Mapping[str, Any], name: str) -> str | None:
    """What an input said of a field, an order among its facts: as `authority.text_content` takes it."""
    facts = data.get("facts", data)
    try:
        value = getattr(Facts.model_validate({name: facts[name]}), name)
    except (KeyError, TypeError, AttributeError, ValidationError):
        return None
    return None if value is None else str(value)


def _listed(drafts: Iterable[Draft]) -> str:
    return ", ".join(f"{draft.id} ({draft.whom}, {draft.incident})" for draft in drafts)


def _kinds(notices: Iterable[NoticeDecided]) -> str:
    return ", ".join(dict.fromkeys(notice.kind.replace("_", " ") for notice in notices))
