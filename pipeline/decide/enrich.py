"""Enrich: an event says only what is new; this adds what was said before, and takes away what no longer holds.

What nobody said and the catalogue knows is added as a decision of its own, so that the entry alone tells the state.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.turn import ENDS, Turn
from pipeline.decide.view import Known
from pipeline.policy import Policy
from schemas.base import State
from schemas.incident import Consequences, IncidentEvent, MonitoringStarted, Translation
from schemas.journal import Earlier, FactAdded, NoticeKind

MOMENTARY = ("next_update_at", "good_news", "milestone", "review", "explanation")
"""Said of one moment: repeated later they would no longer be true, or no longer be news."""


def known_after(state: IncidentState, event: IncidentEvent, turn: Turn) -> Known:
    """Everything known once `event` has been taken in."""
    changes: dict[str, Any] = dict.fromkeys(MOMENTARY)
    changes |= {name: value for name, value in event if value is not None}
    before = _said(state)
    if turn.kind in ENDS or turn.kind is NoticeKind.REOPENED:
        # What was felt while it lasted is no longer so, and what was felt before says nothing of now.
        changes["summary"] = event.summary
        before = Consequences(lasting=before.lasting, data_loss=before.data_loss) if before else None
    changes["consequences"] = _merged(before, event.consequences)
    changes["state"] = _state(state, event, turn)
    changes["translations"] = _translations(state, event, turn)
    if turn.phase is Phase.OVER and state.phase is Phase.OVER:
        changes["severity"] = state.known.severity
    if turn.kind is NoticeKind.REOPENED and event.ended_at is None:
        changes |= {"ended_at": None, "held_since": None}
    return state.known.model_copy(update=changes)


def components_after(state: IncidentState, known: Known) -> tuple[str, ...]:
    """Every component ever named, once, in the order of their first mention."""
    return tuple(dict.fromkeys((*state.components, *(known.components or ()))))


def regions_after(state: IncidentState, known: Known) -> tuple[str, ...]:
    """Every region ever named, likewise."""
    return tuple(dict.fromkeys((*state.regions, *(known.regions or ()))))


def added(state: IncidentState, known: Known, turn: Turn, policy: Policy) -> Iterator[FactAdded]:
    """What the catalogue and other incidents add to what was said; each with its reason."""
    components, regions = known.components or (), known.regions or ()
    named = tuple(dict.fromkeys(policy.catalogue.component(word) for word in components))
    if named != components:
        yield FactAdded(field="components", value=list(named), reason="the catalogue knows them by these names")
    placed = tuple(dict.fromkeys(policy.catalogue.region(word) for word in regions))
    if placed != regions:
        yield FactAdded(field="regions", value=list(placed), reason="the catalogue knows them by these names")
    if turn.phase is Phase.OPEN and not turn.maintenance:
        yield from _meaning(known, named, policy)
    if known.contact is None and (contact := _on_duty(named, policy)) is not None:
        yield FactAdded(field="contact", value=contact, reason="on duty for the component by the catalogue")
    if state.earlier and known.earlier is None:
        yield FactAdded(
            field="earlier",
            value=[_earlier(one) for one in state.earlier],
            reason="incidents on the same components within 24 hours",
        )


def _meaning(known: Known, components: tuple[str, ...], policy: Policy) -> Iterator[FactAdded]:
    """What the failing of these components means to those who use them, where the event leaves it unsaid."""
    if known.consequences is not None and known.consequences.now is not None:
        return
    meant = [policy.catalogue.components[name].meaning for name in components if name in policy.catalogue.components]
    original, reason = policy.languages.original, "what the failing of the component means, by the catalogue"
    if not (texts := [meaning[original] for meaning in meant if original in meaning]):
        return
    consequences = (known.consequences or Consequences()).model_copy(update={"now": " ".join(texts)})
    yield FactAdded(field="consequences", value=consequences.model_dump(mode="json", exclude_none=True), reason=reason)
    translations = dict(known.translations or {})
    for language in policy.languages.languages:
        words = [meaning[language] for meaning in meant if language in meaning]
        if language != original and len(words) == len(texts):
            before = translations.get(language, Translation())
            told = (before.consequences or Consequences()).model_copy(update={"now": " ".join(words)})
            translations[language] = before.model_copy(update={"consequences": told})
    if translations != (known.translations or {}):
        value = {name: one.model_dump(mode="json", exclude_none=True) for name, one in sorted(translations.items())}
        yield FactAdded(field="translations", value=value, reason=reason)


def _on_duty(components: tuple[str, ...], policy: Policy) -> dict[str, str] | None:
    for name in components:
        component = policy.catalogue.components.get(name)
        if component is not None and component.contact is not None:
            return component.contact.model_dump(mode="json")
    return None


def _earlier(one: Earlier) -> str:
    severity = f", {one.severity}" if one.severity else ""
    return f"{one.incident} ({one.title or 'untitled'}{severity}), first told {one.opened_at:%Y-%m-%d %H:%M} UTC"


def _said(state: IncidentState) -> Consequences | None:
    """The consequences as somebody said them: what the catalogue added is added anew, for the components of now."""
    known = state.known.consequences
    was_added = state.added.get("consequences")
    if known is not None and was_added is not None and known.now == was_added.get("now"):
        return known.model_copy(update={"now": None})
    return known


def _merged(before: Consequences | None, said: Consequences | None) -> Consequences | None:
    if before is None or said is None:
        return said or before
    return before.model_copy(update={name: value for name, value in said if value is not None})


def _translations(state: IncidentState, event: IncidentEvent, turn: Turn) -> dict[str, Translation] | None:
    """A translation stays as long as the text that it translates, and goes with it."""
    if not (state.known.translations or event.translations):
        return None
    gone = {name for name in Translation.model_fields if getattr(event, name, None) is not None}
    gone |= set(MOMENTARY) & set(Translation.model_fields)
    if turn.kind in ENDS or turn.kind is NoticeKind.REOPENED:
        gone |= {"summary", "consequences"}
    if "consequences" in state.added:
        gone.add("consequences")
    kept: dict[str, dict[str, Any]] = {}
    for language, texts in _languages(state.known.translations):
        kept[language] = {name: value for name, value in texts if value is not None and name not in gone}
    for language, texts in _languages(event.translations):
        kept.setdefault(language, {}).update({name: value for name, value in texts if value is not None})
    return {language: Translation(**texts) for language, texts in sorted(kept.items()) if texts} or None


def _languages(translations: Mapping[str, Translation] | None) -> list[tuple[str, Translation]]:
    return list((translations or {}).items())


def _state(state: IncidentState, event: IncidentEvent, turn: Turn) -> State | None:
    if turn.phase is Phase.OVER:
        return State.RESOLVED
    if event.state is State.RESOLVED:
        return None  # said by an event that opens it again: where the work stands is not yet known
    if event.state is None and isinstance(event, MonitoringStarted):
        return State.MONITORING
    if event.state is None and turn.kind is NoticeKind.REOPENED:
        return None
    return event.state or state.known.state
