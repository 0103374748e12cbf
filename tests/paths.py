"""Where the outside data lies that some tests read in place."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
CORPUS = SHARED / "corpus"
SPECS = SHARED / "specs"

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the outside corpus is not at ../shared/corpus")
needs_specs = pytest.mark.skipif(
    not SPECS.is_dir(), reason="the providers' API descriptions are not at ../shared/specs"
)
