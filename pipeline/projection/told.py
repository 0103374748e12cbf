"""The rows of one incident: what follows from its journal, all of it, each time anew. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Table

from pipeline.decide.incident import evolve
from pipeline.decide.state import IncidentState
from pipeline.projection.tables import APPROVALS, DRAFTS, FINDINGS, INCIDENTS, NOTICES, PROMISES, STORIES
from pipeline.replay.measure import Taken, promises_in, story_of
from pipeline.replay.past import Past, recorded_in
from schemas.journal import (
    DraftApproved,
    DraftVoided,
    FieldReleased,
    FieldWithheld,
    GuardFound,
    JournalEntry,
    NoticeDecided,
    NoticeHeld,
)

Row = dict[str, Any]


def rows_of(incident: str, journal: Sequence[JournalEntry]) -> dict[Table, list[Row]]:
    """The rows by table. What lies behind a gap in the journal (an entry sealed by its hash) is not told of."""
    taken = list(_folded(incident, journal))
    entries = [entry for entry, _ in taken]
    if not taken:
        return {}
    return {
        INCIDENTS: [_incident(*taken[-1], played=any(entry.input.virtual for entry in entries))],
        STORIES: _story(incident, taken),
        NOTICES: [row for entry in entries for row in _notices(entry)],
        PROMISES: [
            {
                "incident": incident,
                "number": number,
                "audience": one.audience,
                "made_at": one.made_at,
                "due": one.due,
                "by": one.by,
                "kept": one.kept,
            }
            for number, one in enumerate(promises_in(entries))
        ],
        DRAFTS: _drafts(entries),
        APPROVALS: list(_approvals(entries)),
        FINDINGS: list(_findings(entries)),
    }


def _folded(incident: str, journal: Iterable[JournalEntry]) -> Iterator[Taken]:
    state = IncidentState(incident)
    for entry in journal:
        if entry.seq != state.seq + 1:
            return
        state = evolve(state, entry)
        yield entry, state


def _incident(last: JournalEntry, state: IncidentState, played: bool) -> Row:
    return {
        "incident": state.incident,
        "title": state.known.title,
        "severity": state.worst,
        "phase": state.phase.value,
        "maintenance": state.maintenance,
        "played": played,
        "components": list(state.components),
        "reported_at": state.reported_at,
        "opened_at": state.opened_at,
        "over_at": state.over_at,
        "last_at": last.at,
        "entries": last.seq,
        "policy": last.policy,
    }


def _story(incident: str, taken: Sequence[Taken]) -> list[Row]:
    """None where upstream never said anything of it: an order about an incident that nobody knows."""
    events = sorted(recorded_in({incident: [entry for entry, _ in taken]}), key=lambda event: event.at)
    if not events:
        return []
    told = story_of(Past(incident, tuple(events)), taken)
    heard_at = taken[0][0].input.appended_at
    return [{"incident": incident, "heard_at": heard_at, "story": orjson.dumps(told).decode()}]


def _notices(entry: JournalEntry) -> Iterator[Row]:
    for one in entry.decisions:
        if isinstance(one, NoticeDecided):
            yield {
                "notice": one.notice_id,
                "incident": entry.incident,
                "seq": entry.seq,
                "audience": one.audience,
                "kind": one.kind,
                "level": one.level,
                "lane": one.lane,
                "reason": one.reason,
                "at": entry.at,
                "decided_at": entry.input.appended_at,
                "channels": {channel.value: list(made) for channel, made in one.renderings.items()},
                "zones": list(one.zones),
                "safe": one.safe,
                "corrects": one.corrects,
                "expected": one.expected,
                "draft": one.draft,
                "approved_by": list(one.approved_by),
            }


def _drafts(entries: Iterable[JournalEntry]) -> list[Row]:
    found: dict[str, Row] = {}
    for entry in entries:
        for one in entry.decisions:
            if isinstance(one, NoticeHeld):
                found.setdefault(one.draft, _held(entry, one))
            elif isinstance(one, FieldWithheld) and one.draft is not None:
                found.setdefault(one.draft, _withheld(entry, one, one.draft))
            elif isinstance(one, NoticeDecided | DraftVoided | FieldReleased) and one.draft in found:
                became, why = _became(one)
                found[one.draft] |= {"became": became, "became_at": entry.at, "why": why}
    return list(found.values())


def _became(one: NoticeDecided | DraftVoided | FieldReleased) -> tuple[str, str | None]:
    if isinstance(one, DraftVoided):
        return "voided", one.reason
    return ("told", one.reason) if isinstance(one, NoticeDecided) else ("released", None)


def _held(entry: JournalEntry, one: NoticeHeld) -> Row:
    return {
        "incident": entry.incident,
        "draft": one.draft,
        "seq": entry.seq,
        "held_at": entry.at,
        "audience": one.audience,
        "about": one.kind.value,
        "content": one.content,
        "needs": list(one.needs),
        "people": one.people,
        "by_operator": one.by_operator,
        "author": one.author,
        "reason": one.reason,
        "became": None,
        "became_at": None,
        "why": None,
    }


def _withheld(entry: JournalEntry, one: FieldWithheld, draft: str) -> Row:
    return {
        "incident": entry.incident,
        "draft": draft,
        "seq": entry.seq,
        "held_at": entry.at,
        "audience": None,
        "about": one.field,
        "content": one.content,
        "needs": [one.needs] if one.needs else [],
        "people": 1,
        "by_operator": False,
        "author": one.author,
        "reason": one.reason,
        "became": None,
        "became_at": None,
        "why": None,
    }


def _approvals(entries: Iterable[JournalEntry]) -> Iterator[Row]:
    found: dict[tuple[str, str], Row] = {}
    for entry in entries:
        signed = entry.input.signed
        for one in entry.decisions:
            if isinstance(one, DraftApproved | FieldReleased):
                found[one.draft, one.by] = {
                    "incident": entry.incident,
                    "draft": one.draft,
                    "by": one.by,
                    "seq": entry.seq,
                    "at": entry.at,
                    "roles": list(signed.roles) if signed else [],
                    "missing": one.missing if isinstance(one, DraftApproved) else "",
                }
    yield from found.values()


def _findings(entries: Iterable[JournalEntry]) -> Iterator[Row]:
    found = ((entry, one) for entry in entries for one in entry.decisions if isinstance(one, GuardFound))
    for number, (entry, one) in enumerate(found):
        yield {
            "incident": entry.incident,
            "number": number,
            "seq": entry.seq,
            "at": entry.at,
            "rule": one.rule,
            "action": one.action,
            "audiences": list(one.audiences),
            "field": one.field,
            "why": one.why,
        }
