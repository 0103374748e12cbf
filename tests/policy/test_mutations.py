"""Whatever is done to a document, it loads, or it is refused with file and line: never anything else happens."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import policy
from pipeline.errors import PolicyError
from pipeline.policy.reading import DOCUMENTS
from schemas.policy import PolicyPublished, hash_of
from tests.policy.folders import NAMES

PUBLISHED = {name: policy.load(Path(name)) for name in NAMES}
WORD = re.compile(r"[\w.]+|[^\w\s]")
ODD = ["", "null", "0", "-1", "1e400", "nan", "true", "~", "{}", "[]", "'", '"', "*x", "&x", "!!int", "\t", ":", "- ",
       "#", "99999d", "24:00", "Ü", "\x00", "\u2028", "?", "|", ">", "%", "@", "[[[[", "{a: {b: [1]}}"]  # fmt: skip


FORM = r"[\w-]+\.yaml:[1-9]\d*: .+[;(].+"
"""File, line, what is wrong; what to do."""


def faults(name: str, changed: dict[str, str]) -> list[str]:
    """What is wrong with a policy that ships once documents of it are changed."""
    documents = PUBLISHED[name].documents | changed
    try:
        policy.compile(PolicyPublished(name=name, hash=hash_of(documents), documents=documents))
    except PolicyError as error:
        return str(error).splitlines()
    return []


def mutated(text: str, chance: random.Random) -> str:
    """`text` after one of the things that happen to a file in an editor."""
    lines = text.splitlines(keepends=True)
    place = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[place]
        case 1:
            other = chance.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        case 2:
            lines[place] = chance.choice((" ", "  ", "\t", "- ")) + lines[place]
        case 3:
            lines[place] = lines[place].lstrip(" ")
        case 4:
            start, end = chance.choice([word.span() for word in WORD.finditer(lines[place])] or [(0, 0)])
            lines[place] = lines[place][:start] + chance.choice(ODD) + lines[place][end:]
        case _:
            swapped = [word.group() for word in WORD.finditer(text)]
            one, other_word = chance.choice(swapped), chance.choice(swapped)
            return text.replace(one, other_word, 1)
    return "".join(lines)


@given(
    name=st.sampled_from(NAMES),
    document=st.sampled_from(sorted(DOCUMENTS)),
    seed=st.integers(0, 2**32),
    times=st.integers(1, 3),
)
@settings(max_examples=300)
def test_a_mutated_document_loads_or_is_refused_with_file_and_line(
    name: str, document: str, seed: int, times: int
) -> None:
    text, chance = PUBLISHED[name].documents[document], random.Random(seed)
    for _ in range(times):
        text = mutated(text, chance) if text else text
    for fault in faults(name, {document: text}):
        assert re.match(FORM, fault), fault


@pytest.mark.parametrize("document", DOCUMENTS)
def test_any_one_line_of_a_document_may_be_lost(document: str) -> None:
    lines = PUBLISHED["enterprise"].documents[document].splitlines(keepends=True)
    for place in range(len(lines)):
        for fault in faults("enterprise", {document: "".join(lines[:place] + lines[place + 1 :])}):
            assert re.match(FORM, fault), fault
