"""How a text is mended: a sentence is left out, or plain words stand in place of what insiders alone may read."""

from collections.abc import Iterable

from pipeline.decide.guard.languages import lexicon
from pipeline.decide.guard.lexicon import sentences
from pipeline.decide.guard.model import Fix, Scope, Span, Spans


def without_sentences(spans: Spans) -> Fix:
    """Leaves out each sentence in which such words stand."""

    def fix(text: str, scope: Scope) -> str:
        starts = [start for start, _ in spans(text, scope)]
        kept = [
            text[begin:end]
            for begin, end in sentences(text, lexicon(scope.language).abbreviations)
            if not any(begin <= start < end for start in starts)
        ]
        return "".join(kept).strip()

    return fix


def replaced(id: str, spans: Spans) -> Fix:
    """Puts the language's words in place of what is found."""

    def fix(text: str, scope: Scope) -> str:
        word = lexicon(scope.language).replacements[id]
        parts, position = [], 0
        for start, end in _joined(spans(text, scope)):
            parts += [text[position:start], word]
            position = end
        return "".join([*parts, text[position:]]).strip()

    return fix


def _joined(spans: Iterable[Span]) -> list[Span]:
    """`spans` in order, those that overlap as one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
