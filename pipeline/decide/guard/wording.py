"""Rules about how something is said: blame, promised ends, guesses, admissions, jargon, readability."""

from functools import lru_cache
from typing import Final

from pipeline.decide.guard.languages import lexicon
from pipeline.decide.guard.lexicon import Pattern, lowered, sentences
from pipeline.decide.guard.model import Scope, Span

WORDS_TO_JUDGE: Final = 40
"""Words: readability figures say nothing of a shorter text."""
LONG_SENTENCE: Final = 32
"""Words per sentence, on average, above which a text is hard to follow in any language."""


def blame(text: str, scope: Scope) -> tuple[Span, ...]:
    """Where a cause is laid at someone's door."""
    return _found("blame", text, scope.language)


def promised_end(text: str, scope: Scope) -> tuple[Span, ...]:
    """Where an end is promised or estimated; neither a next update nor what is past."""
    return _found("promised_end", text, scope.language)


def guess(text: str, scope: Scope) -> tuple[Span, ...]:
    """Where a cause is guessed at."""
    return _found("guess", text, scope.language)


def admission(text: str, scope: Scope) -> tuple[Span, ...]:
    """Where a fault is admitted or redress offered; regret for an inconvenience is plain courtesy."""
    return _found("admission", text, scope.language)


def jargon(text: str, scope: Scope) -> tuple[Span, ...]:
    """Words that only those who run systems know."""
    return _jargon(text, scope.language)


@lru_cache(maxsize=4096)
def _jargon(text: str, language: str) -> tuple[Span, ...]:
    return tuple(found.span() for found in lexicon(language).jargon.finditer(lowered(text)))


@lru_cache(maxsize=4096)
def _found(rule: str, text: str, language: str) -> tuple[Span, ...]:
    words = lexicon(language)
    patterns: tuple[Pattern, ...] = getattr(words, rule)
    # Most texts hold none of it, which one look at the whole tells; only then is it sought sentence by sentence.
    small = lowered(text)
    likely = [pattern for pattern in patterns if pattern.search(small)]
    if not likely:
        return ()
    spans = (_first(likely, small, span) for span in sentences(text, words.abbreviations))
    return tuple(span for span in spans if span is not None)


def _first(patterns: list[Pattern], text: str, sentence: Span) -> Span | None:
    """Where the first of `patterns` that occurs in this sentence stands."""
    for pattern in patterns:
        if found := pattern.search(text, *sentence):
            return found.span()
    return None


@lru_cache(maxsize=4096)
def unreadable(text: str, language: str) -> str:
    """Why a summary is hard to read, in figures; empty: it is not, or is too short to tell."""
    if len(text.split(None, WORDS_TO_JUDGE)) <= WORDS_TO_JUDGE:
        return ""
    # Imported here: it takes a quarter of a second, and most texts are too short to need it. LIX and the length of
    # sentences are pure arithmetic; Flesch's formulas would fetch a dictionary from the network.
    from textstat import textstat  # type: ignore[import-untyped]  # the library ships no types

    hardness, length = textstat.lix(text), textstat.words_per_sentence(text)
    if length > LONG_SENTENCE:
        return f"{length:.0f} words per sentence"
    if hardness > lexicon(language).hard_lix:
        return f"LIX {hardness:.0f}"
    return ""
