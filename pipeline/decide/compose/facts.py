"""What is known, as one reader may be told it: in their language, mended, and by the names that they know parts by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pipeline.decide.guarding import mended
from pipeline.decide.view import Known, approval_needed, plain, view
from pipeline.policy import Policy
from pipeline.policy.catalogue import Catalogue
from schemas.base import Level
from schemas.incident import Consequences
from schemas.journal import NoticeKind

_BY_PLAIN_WORDS = frozenset({Level.PUBLIC, Level.CUSTOMER, Level.EXECUTIVE})
"""Those who are told what a component is in plain words beside its name."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Who looks at what kind of notice: level, language, what was released for them, under which policy."""

    level: Level
    language: str
    released: frozenset[str]
    kind: NoticeKind
    hash: str
    policy: Policy = field(compare=False, repr=False)


def seen(known: Known, sight: Sight) -> Mapping[str, Any]:
    """The part of `known` that may be seen, in the language of who looks, as plain data for a template."""
    return _seen(translated(known, sight.language, sight.policy), sight)


@lru_cache(maxsize=4096)  # what is told now is looked at again as what was told before
def _seen(known: Known, sight: Sight) -> Mapping[str, Any]:
    level, language, policy = sight.level, sight.language, sight.policy
    told = mended(known, level, sight.kind, language, policy)
    it = view(told, level, policy.approvals, sight.released)
    if it["components"]:
        it["components"] = plain(named(told.components or (), level, language, policy), level)
    if it.get("contact", it) is None and policy.languages.contact is not None:
        it["contact"] = plain(policy.languages.contact, level)
    return it


def translated(known: Known, language: str, policy: Policy) -> Known:
    """`known` in `language` as far as somebody translated it; what nobody did stays as it was written.

    So does a text that needed an approval: what was approved is the original, and nobody vouched for its translation.
    """
    texts = (known.translations or {}).get(language) if language != policy.languages.original else None
    changes: dict[str, Any] = {"translations": None}
    for name, text in texts or ():
        if approval_needed(name, policy.approvals) is not None:
            continue
        if isinstance(text, Consequences):
            before = known.consequences or Consequences()
            changes[name] = before.model_copy(update={part: said for part, said in text if said is not None})
        elif text is not None:
            changes[name] = text
    return known.model_copy(update=changes) if known.translations is not None else known


def safe(known: Known) -> Known:
    """What is told while nobody has approved anybody's words: no text of an event, no name that the catalogue lacks."""
    return Known(
        severity=known.severity,
        state=known.state,
        next_update_at=known.next_update_at,
        began_at=known.began_at,
        ended_at=known.ended_at,
        held_since=known.held_since,
        starts_at=known.starts_at,
        ends_at=known.ends_at,
    )


def safe_parts(components: Iterable[str], language: str, policy: Policy) -> tuple[str, ...]:
    """The plain words that the catalogue has for these components; of what it does not know, none."""
    known = policy.catalogue.components
    found = (known.get(policy.catalogue.component(name)) for name in components)
    words = (component.plain.get(language) for component in found if component is not None)
    return tuple(dict.fromkeys(word for word in words if word is not None))


def named(components: Iterable[str], level: Level, language: str, policy: Policy) -> tuple[str, ...]:
    """The components as these readers know them: "our programming interface (API)", or the name alone."""
    if level not in _BY_PLAIN_WORDS:
        return tuple(components)
    return tuple(_in_plain_words(name, language, policy.catalogue) for name in components)


def _in_plain_words(name: str, language: str, catalogue: Catalogue) -> str:
    component = catalogue.components.get(catalogue.component(name))
    words = component.plain.get(language) if component is not None else None
    return name if words is None or words.casefold() == name.casefold() else f"{words} ({name})"
