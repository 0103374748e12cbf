"""Mending: the texts without what was found."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.decide.guard.languages import lexicon
from pipeline.decide.guard.model import Found, Scope
from pipeline.decide.guard.rules import RULES

_ROUNDS: Final = 4
"""Leaving a sentence out brings two others together, which may read as something new; once is the rule."""


def mend(texts: Mapping[str, str], found: Iterable[Found], language: str) -> dict[str, str]:
    """`texts` with everything mended that `found` names and that can be mended; the order of the fields stays.

    A text of which nothing would be left is left out, and so is one that cannot be mended. What a resolution does not
    say is added: that it is not known yet. Whatever else is missing is mended by the templates, which say so.
    """
    found, lexical = tuple(found), lexicon(language)
    by_field: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        by_field[one.field].append(one)
    mended = {path: _mended(text, by_field.get(path, ()), language) for path, text in texts.items()}
    for path, words in (lexical.additions[one.rule] for one in found if one.rule in lexical.additions):
        mended[path] = mended.get(path) or words
    return {path: text for path, text in mended.items() if text}


def _mended(text: str, found: Sequence[Found], language: str) -> str:
    """`text` after each rule's fix, again until none of them objects; empty where nothing is left to tell."""
    rules = [rule for id in dict.fromkeys(one.rule for one in found) if (rule := RULES[id]).fix and rule.spans]
    # The words that the policy adds are known from the findings, which name each of them.
    scope = Scope(language, tuple(one.words for one in found if one.rule == "internal-name"))
    for _ in range(_ROUNDS):
        objecting = [rule for rule in rules if rule.spans and rule.spans(text, scope)]
        if not objecting:
            return text if any(c.isalnum() for c in text) or not rules else ""
        for rule in objecting:
            text = rule.fix(text, scope) if rule.fix else text
    return ""
