"""What the guard is asked and what it answers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.journal import NoticeKind

Action = Literal["mend", "hold", "refuse", "off"]
"""What follows from a finding: the text is mended, a person looks at it first, it is not told, or nothing."""
Span = tuple[int, int]
"""Where something stands in a text: from the first character to the one after the last."""

MAX_WORDS = 120
"""Characters of a finding's words: enough to recognise the place, short enough for a record."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is about to be told to one level of detail."""

    kind: NoticeKind
    language: str
    """In which the event's texts are written: "en" or "de"."""
    outside: bool
    """Read by the public, customers or executives, not by technical and internal readers."""
    final: bool
    """A resolution, or completed maintenance."""
    texts: Mapping[str, str]
    """Path of the field to its text, only what this level may see: "title", "consequences.now", "root_cause"."""
    fresh: frozenset[str]
    """The paths that this very event said."""
    before: Mapping[str, str]
    """The texts that this audience was told last; empty or absent: never."""
    has_contact: bool
    has_next_update: bool
    """A time for the next update will be stated, by upstream or by the policy."""
    own_words: tuple[str, ...] = ()
    """Further internal names: words, and suffixes of host names, which begin with a dot."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a rule objects to."""

    rule: str
    field: str
    """The path of the field; empty: the message as a whole."""
    words: str
    """The words found, at most `MAX_WORDS` characters. A secret is never repeated: its kind stands for it."""
    why: str
    """One sentence that the operator can act on."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a text's wording depends on, apart from the text: the language, and the team's own internal names."""

    language: str
    own_words: tuple[str, ...] = ()


Applies = Callable[[Said], bool]
Spans = Callable[[str, Scope], tuple[Span, ...]]
"""Where the words that a rule objects to stand in one text."""
Fix = Callable[[str, Scope], str]
"""The text without what the rule objects to; may be empty."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the guard."""

    id: str
    default: Action
    guards: str
    """What it objects to, in one line that can stand as a comment in the policy."""
    mends: str
    """What mending does; empty: only a person can mend it."""
    source: str
    """Where communication.md asks for it."""
    check: Callable[[Said], Iterable[Found]]
    spans: Spans | None = None
    """None: the rule looks at the message as a whole."""
    fix: Fix | None = None
