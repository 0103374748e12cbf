"""The form in which a language's words are given to the rules, and how a text falls into sentences."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pipeline.decide.guard.model import Span

Pattern = re.Pattern[str]

W = r"\w{1,20}"
"""Any one word."""

_END = re.compile(r"[.!?…]+[\"'”’“»)\]]*\s+|\n\s*\n\s*|\n(?=[ \t]{0,8}[-*•])|[。！？]")
_BLANK = re.compile(r" \??|\[[^\]]*\]")
_LAST_WORD = re.compile(r"\S{1,12}\Z")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What the rules look for in one language."""

    blame: tuple[Pattern, ...]
    promised_end: tuple[Pattern, ...]
    guess: tuple[Pattern, ...]
    admission: tuple[Pattern, ...]
    jargon: Pattern
    effect: Pattern
    """Says what it means for those who use the service, or that it means nothing."""
    recovered: Pattern
    """Says that it works again."""
    lasting: Pattern
    """Says what is lost for good, or that nothing is."""
    lingering: Pattern
    """Says what is still felt after the end, or that nothing is."""
    next_update: Pattern
    """Says when the next update comes."""
    abbreviations: frozenset[str]
    """What ends with a full stop without ending a sentence; lower case, with the full stop."""
    hard_lix: float
    """LIX from which on a text counts as hard to read: long words are more usual in German than in English."""
    replacements: Mapping[str, str]
    """By rule id: what stands in place of what is taken out."""
    additions: Mapping[str, tuple[str, str]]
    """By rule id: the field, and the words that say that it is not known yet."""


def phrase(*alternatives: str) -> Pattern:
    r"""A pattern for `lowered` texts: each line of `alternatives` is one, a blank is any white space; whole words only.

    Raises ValueError for an escape like \S, which means something else in small letters.
    """
    lines = [line.strip() for part in alternatives for line in part.splitlines() if line.strip()]
    joined = _BLANK.sub(_white, "|".join(lines))
    if wrong := re.search(r"\\[A-Z]", joined):
        raise ValueError(f"{wrong[0]} cannot stand in a pattern of small letters")
    return re.compile(rf"(?<!\w)(?:{joined.lower()})", re.DOTALL)


@lru_cache(maxsize=4096)
def lowered(text: str) -> str:
    """`text` in small letters, each where it stood: some capitals would become two characters."""
    # Patterns of small letters are several times as fast as ones that disregard case.
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _white(found: re.Match[str]) -> str:
    # Bounded everywhere: a text of white space or of repeated words must not take more than linear time.
    match found[0]:
        case " ":
            return r"\s{1,4}"
        case " ?":
            return r"\s{0,4}"
        case characters:
            return characters.replace(" ", r"\s")


def gap(characters: int, without: str = "") -> str:
    """Up to so many characters in between, in which none of the words `without` begins."""
    return rf"(?:(?!\b(?:{without})).){{0,{characters}}}?" if without else rf".{{0,{characters}}}?"


@lru_cache(maxsize=4096)
def sentences(text: str, abbreviations: frozenset[str]) -> tuple[Span, ...]:
    """Where the sentences of `text` stand, each with the white space that follows it; together they are the text."""
    spans, start = [], 0
    for found in _END.finditer(text):
        if found[0][0] == "." and _goes_on(text, start, found, abbreviations):
            continue
        spans.append((start, found.end()))
        start = found.end()
    if start < len(text):
        spans.append((start, len(text)))
    return tuple(spans)


def _goes_on(text: str, start: int, found: re.Match[str], abbreviations: frozenset[str]) -> bool:
    """Whether the full stop belongs to an abbreviation, or a small letter follows."""
    if text[found.end() : found.end() + 1].islower() and not found[0].count("\n"):
        return True
    last = _LAST_WORD.search(text, max(start, found.start() - 12), found.start() + 1)
    return last is not None and last[0].lower().lstrip("(") in abbreviations
