"""Where a text that is too long may end: after a sentence; else after a word, marked as cut."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

import emoji

_CUT_MARK: Final = "..."
"""Three full stops rather than an ellipsis, which would make a text message UCS-2."""

_SENTENCE_END: Final = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s|\Z)|[。！？]|(?=\n))")
_WORD_END: Final = re.compile(r"(?<=\S)(?=\s)")
# A number of one or two digits is most often a German day of the month ("am 13. März").
_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(])(?:\w|\d\d|[A-Za-z]\.\s?[A-Za-z]|e\.g|i\.e|z\.\s?B|d\.\s?h|u\.\s?a|approx|vs|ca|etc|incl|no|nr|mr|mrs|ms|dr|st|bzw|ggf|inkl|usw)\.$",
    re.IGNORECASE,
)


def cut_at_sentence(text: str, fits: Callable[[str], bool], pointer: str) -> str:
    """`text` if it fits; else the longest beginning of it that fits with `pointer` appended after a space.

    A beginning ends with a sentence. Where not even the first one fits it ends with a word, else anywhere between two
    visible characters, and then three dots show that something is missing. Where nothing fits, the pointer alone.
    `fits` must be such that what fits still fits when less of `text` is in it.
    """
    if fits(text):
        return text
    for ends, mark in ((_sentence_ends(text), ""), (_word_ends(text), _CUT_MARK), (_character_ends(text), _CUT_MARK)):
        best = _longest(text, ends, mark, fits, pointer)
        if best is not None:
            return best
    return pointer.strip()


def _longest(text: str, ends: Iterable[int], mark: str, fits: Callable[[str], bool], pointer: str) -> str | None:
    best = None
    # Growing from the shortest stops soon: far fewer candidates fit in a message than a long text has words.
    for end in ends:
        beginning = text[:end].rstrip()
        if not beginning:
            continue
        candidate = f"{beginning}{mark} {pointer}" if pointer else f"{beginning}{mark}"
        if not fits(candidate):
            break
        best = candidate
    return best


def _sentence_ends(text: str) -> Iterable[int]:
    for found in _SENTENCE_END.finditer(text):
        following = text[found.end() :].lstrip()[:1]
        # "approx. 5 minutes", "at 3 p.m. today": no sentence begins with a small letter, and few end in these.
        if found[0] == "." and (following.islower() or _ABBREVIATION.search(text[: found.end()][-12:])):
            continue
        yield found.end()


def _word_ends(text: str) -> Iterable[int]:
    for found in _WORD_END.finditer(text):
        yield found.end()


def _character_ends(text: str) -> Iterable[int]:
    within = {
        index for found in emoji.emoji_list(text) for index in range(found["match_start"] + 1, found["match_end"])
    }
    for index in range(1, len(text)):
        if index not in within and not unicodedata.combining(text[index]):
            yield index
