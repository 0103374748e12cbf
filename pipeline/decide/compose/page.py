"""A page: everything that one notice says to one level in one language, as plain texts; the channels lay it out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.decide.compose import facts
from pipeline.decide.compose.moments import Style, lasted, listed
from pipeline.decide.compose.slots import UNSUBSCRIBE, Slots
from pipeline.decide.compose.templates import evaluated, phrase, tongue_of
from pipeline.decide.occasion import Occasion, Telling
from pipeline.decide.view import Known, plain
from pipeline.policy import Policy
from pipeline.text.cut import cut_at_sentence
from schemas.base import Channel, Level, Severity
from schemas.journal import NoticeKind

T = TypeVar("T")
SUBJECT_CHARACTERS = 120
HEAD_CHARACTERS = 90
"""A title longer than this is shortened where every character counts."""

_SEVERITIES = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Page:
    """What a template of a channel sees (`said`), and the moments that stand in it."""

    language: str
    level: Level
    said: dict[str, Any]
    slots: Slots
    policy: Policy
    updated: frozenset[Channel]
    kept_up: frozenset[Channel]

    def on(self, channel: Channel, **more: Any) -> dict[str, Any]:
        """The page as this channel shows it; a promised next update stands only where updates are told."""
        return self.said | {"followed": channel in self.updated, "kept_up": channel in self.kept_up} | more

    def evaluated(self, template: str, said: Mapping[str, Any], read: Callable[[dict[str, Any]], T]) -> T:
        """What `read` makes of what the template sets. Raises `PolicyError`."""
        return evaluated(template, self.language, said, self.policy, read)


def page_of(
    telling: Telling, occasion: Occasion, level: Level, language: str, zones: tuple[str, ...], policy: Policy
) -> Page:
    """The page of `telling` for readers of `level` in `language`. Raises `PolicyError` where a template fails."""
    slots = Slots(tongue_of(language, policy), occasion.at, zones)
    context = _context(telling, occasion, slots, policy) | _facts(telling, occasion, level, language, policy)
    said = context | {"level": level.value}
    said |= evaluated("content.j2", language, said, policy, _content)
    said["subject"] = _subject(said["title"] if telling.safe else _first_title(occasion, language, policy), occasion)
    return Page(language, level, said, slots, policy, occasion.readers.updated, occasion.readers.kept_up)


def tidy(text: str) -> str:
    """Without the blank ends and doubled blank lines that template tags leave behind."""
    lines = "\n".join(line.rstrip() for line in text.strip().split("\n"))
    while "\n\n\n" in lines:
        lines = lines.replace("\n\n\n", "\n\n")
    return lines


def one_line(text: str) -> str:
    """`text` without line breaks and doubled blanks."""
    return " ".join(text.split())


def sentence(text: str) -> str:
    """`text` with a full stop where it has no end of its own."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _content(made: dict[str, Any]) -> dict[str, Any]:
    short = cut_at_sentence(made["title"], lambda text: len(text) <= HEAD_CHARACTERS, "")
    return made | {name: tidy(made[name]) for name in ("status", "lead", "news")} | {"short_title": short}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _joined(*parts: object) -> str:
    return " ".join(str(part) for part in parts if part)


def _context(telling: Telling, occasion: Occasion, slots: Slots, policy: Policy) -> dict[str, Any]:
    """What does not hang on what is known: words about the notice, and what templates call."""
    language = slots.speaks.language
    return {style.value: slots.mark(style) for style in Style} | {
        "lasted": lambda began, ended: lasted(began, ended, language),
        "capital": _capital,
        "sentence": sentence,
        "joined": _joined,
        "language": language,
        "incident": occasion.incident,
        "audience": telling.audience,
        "kind": telling.kind.value,
        "reason": telling.reason if telling.kind is NoticeKind.REMINDER else "",
        "safe": telling.safe,
        "over": occasion.over,
        "maintenance": occasion.maintenance,
        "revision": occasion.revision,
        "since": occasion.since,
        "reported_at": occasion.reported_at,
        "at": occasion.at,
        "seq": occasion.seq,
        "name": policy.languages.name,
        "link": policy.languages.link_on_x,
        "unsubscribe": UNSUBSCRIBE,
    }


def _facts(telling: Telling, occasion: Occasion, level: Level, language: str, policy: Policy) -> dict[str, Any]:
    """What is known and was told before, as far as this level may see it."""
    said = {"worst": _worse(occasion.worst, occasion.known.severity)}
    released = frozenset() if telling.safe else occasion.released
    sight = facts.Sight(level, language, released, telling.kind, policy.hash, policy)
    if telling.safe:
        return said | _safe_facts(occasion, sight)
    return said | {
        "it": facts.seen(occasion.known, sight),
        "was": facts.seen(occasion.before, sight),
        "components_ever": plain(facts.named(occasion.components_ever, level, language, policy), level),
        "regions_ever": plain(occasion.regions_ever, level),
    }


def _safe_facts(occasion: Occasion, sight: facts.Sight) -> dict[str, Any]:
    language, policy = sight.language, sight.policy
    parts = facts.safe_parts(occasion.known.components or (), language, policy)
    key = ("maintenance" if occasion.maintenance else "problem") + ("" if parts else "_somewhere")
    title = phrase(language, policy, lambda say: say.titles[key] % {"parts": listed(parts, language)})
    return {
        "it": {**facts.seen(facts.safe(occasion.known), sight), "title": title, "components": list(parts)},
        "was": facts.seen(Known(), sight),
        "components_ever": list(facts.safe_parts(occasion.components_ever, language, policy)),
        "regions_ever": [],
    }


def _first_title(occasion: Occasion, language: str, policy: Policy) -> str:
    """The title as it was first told, in this language where somebody translated that very title."""
    for known in (occasion.known, occasion.before):
        if known.title == occasion.subject:
            return facts.translated(known, language, policy).title or occasion.subject
    return occasion.subject


def _subject(title: str, occasion: Occasion) -> str:
    """The same for every mail about the incident: only then do mailboxes keep one thread.

    The first notice in safe words cannot have it, since the title is an event's own: its thread is kept together by
    References alone.
    """
    short = cut_at_sentence(one_line(title), lambda text: len(text) <= SUBJECT_CHARACTERS, "")
    return f"{short} [{occasion.incident}]"


def _worse(*severities: Severity | None) -> Severity | None:
    said: Iterable[Severity] = (severity for severity in severities if severity is not None)
    return max(said, key=_SEVERITIES.index, default=None)
