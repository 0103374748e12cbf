"""The languages that the guard knows."""

from functools import cache
from importlib import import_module
from typing import Final

from pipeline.decide.guard.lexicon import Lexicon

MODULES: Final = {"en": "pipeline.decide.guard.english", "de": "pipeline.decide.guard.german"}


@cache
def lexicon(language: str) -> Lexicon:
    """The words of a language; English where it is not known, for that is what most operators write."""
    # Imported when first asked for: who writes one language need not compile the patterns of the others.
    words: Lexicon = import_module(MODULES.get(language, MODULES["en"])).LEXICON
    return words
