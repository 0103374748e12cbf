"""Checks of single texts: where a rule's words stand in them, and what the finding says."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from pipeline.decide.guard import internals, wording
from pipeline.decide.guard.model import MAX_WORDS, Applies, Found, Said, Scope, Span, Spans
from pipeline.decide.guard.secrets import masked, secrets
from schemas.journal import NoticeKind

_DOTS = re.compile("…{2,}")
MAINTENANCE: Final = frozenset(
    {
        NoticeKind.MAINTENANCE_SCHEDULED,
        NoticeKind.MAINTENANCE_SOON,
        NoticeKind.MAINTENANCE_STARTED,
        NoticeKind.MAINTENANCE_COMPLETED,
    }
)
INSIDERS: Final = frozenset({"internal_notes"})
"""Fields that never leave the house: how they are worded is nobody's business but their authors'."""
REVIEWS: Final = INSIDERS | {"review"}
"""With the review's own text, in whatever message it stands."""
PLANS: Final = REVIEWS | {"planned"}
"""With what is planned afterwards: a date for that is a plan, no estimate of the end."""
OWNED: Final = INSIDERS | {"ownership"}
"""With the field that is for admissions: it is told only with the approval that it needs."""


def always(said: Said) -> bool:
    """In every message."""
    return True


def outside(said: Said) -> bool:
    """To readers outside."""
    return said.outside


def of_an_incident_before_its_review(said: Said) -> bool:
    """Who did it belongs into a message of its own, after a cool-down; planned work has nobody to blame."""
    return said.kind is not NoticeKind.REVIEW and said.kind not in MAINTENANCE


def to_outsiders_before_the_review(said: Said) -> bool:
    """What technicians may weigh among themselves is no news for others."""
    return said.outside and said.kind is not NoticeKind.REVIEW


def while_it_lasts(said: Said) -> bool:
    """In an incident that is not over; planned work states its end as a plan, in a field of its own."""
    return not said.final and said.kind is not NoticeKind.REVIEW and said.kind not in MAINTENANCE


def in_each_text(
    id: str, why: str, spans: Spans, applies: Applies, spared: frozenset[str] = INSIDERS
) -> Callable[[Said], Iterable[Found]]:
    """A check that looks at every text but those `spared`: one finding for each field that holds such words."""

    def check(said: Said) -> Iterable[Found]:
        if not applies(said):
            return
        scope = Scope(said.language, said.own_words)
        for path, text in said.texts.items():
            if path not in spared and (where := spans(text, scope)):
                yield Found(id, path, quoted(text, where), why)

    return check


def internal_name(said: Said) -> Iterable[Found]:
    """Host names and internal addresses; a word that the policy adds is a finding of its own, by which it is mended."""
    if not said.outside:
        return
    for path, text in said.texts.items():
        if path in INSIDERS:
            continue
        if where := internals.names(text):
            yield Found("internal-name", path, quoted(text, where), "Name the component as customers know it.")
        for word in said.own_words:
            if internals.names_of(text, word):
                yield Found("internal-name", path, word[:MAX_WORDS], "The policy never tells this word outside.")


def quoted(text: str, spans: Iterable[Span]) -> str:
    """The words at `spans`, each once, as far as `MAX_WORDS` characters go; a secret among them is not repeated."""
    readable = masked(text)
    words = "; ".join(dict.fromkeys(" ".join(readable[start:end].split()) for start, end in spans))
    words = _DOTS.sub("…", words)
    return words if len(words) <= MAX_WORDS else f"{words[: MAX_WORDS - 1]}…"


def names(text: str, scope: Scope) -> tuple[Span, ...]:
    """Host names and internal addresses, the team's own among them."""
    own = (span for word in scope.own_words for span in internals.names_of(text, word))
    return (*internals.names(text), *own)


def tickets(text: str, scope: Scope) -> tuple[Span, ...]:
    """Ids of tickets."""
    return internals.tickets(text)


def paths(text: str, scope: Scope) -> tuple[Span, ...]:
    """Paths of files."""
    return internals.paths(text)


def traces(text: str, scope: Scope) -> tuple[Span, ...]:
    """Stack traces and the like."""
    return internals.traces(text)


def secret_spans(text: str, scope: Scope) -> tuple[Span, ...]:
    """Secrets of any kind."""
    return tuple(span for _, span in secrets(text))


def secret(said: Said) -> Iterable[Found]:
    """Secrets, in every field and for every reader; named by their kind, never repeated."""
    for path, text in said.texts.items():
        if kinds := dict.fromkeys(kind for kind, _ in secrets(text)):
            words = "; ".join(f"{kind} …" for kind in kinds)[:MAX_WORDS]
            yield Found("secret", path, words, "Take it out, and replace it wherever it is used: it was written down.")


def unreadable(said: Said) -> Iterable[Found]:
    """The summary alone: it is what everybody reads and forwards."""
    if figures := wording.unreadable(said.texts.get("summary", ""), said.language):
        yield Found("unreadable", "summary", figures, "Write two or three shorter sentences in plainer words.")
