"""Weighted length of posts on X."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.post import LIMIT, Rules, is_valid, weighted_length
from tests.paths import CORPUS, needs_corpus

TWITTER_TEXT = CORPUS / "vectors" / "twitter-text"
ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)

# The conformance file speaks of all versions: `tweets` of v1 (140 characters, all alike), and the weighted cases of v2,
# which counted an emoji sequence piece by piece. The same algorithm runs under each version's rules.
V1 = Rules(limit=140, default_weight=1, light=(), emoji_sequences=False)
V2 = Rules(emoji_sequences=False)
SEQUENCES = {
    "Count a mix of single byte single word, and double word unicode characters": 7,
    "Count unicode emoji chars outside the basic multilingual plane with skin tone modifiers": 4,
}
"""What v3 says of the two cases with emoji sequences: 2 each, however many code points."""


def vectors(section: str) -> list[Any]:
    path = TWITTER_TEXT / "validate.json"
    cases = json.loads(path.read_text())[section] if path.exists() else []
    return [pytest.param(case, id=case["description"]) for case in cases]


@needs_corpus
@pytest.mark.parametrize("case", vectors("tweets"))
def test_the_vectors_of_version_1_come_out_as_there(case: dict[str, Any]) -> None:
    assert is_valid(case["text"], V1) is case["expected"]


@needs_corpus
@pytest.mark.parametrize("case", vectors("WeightedTweetsCounterTest"))
def test_the_weighted_vectors_come_out_as_there(case: dict[str, Any]) -> None:
    expected = case["expected"]
    assert (weighted_length(case["text"], V2), is_valid(case["text"], V2)) == (
        expected["weightedLength"],
        expected["valid"],
    )
    today = SEQUENCES.get(case["description"], expected["weightedLength"])
    assert (weighted_length(case["text"]), is_valid(case["text"])) == (today, expected["valid"])


@needs_corpus
def test_the_rules_are_those_of_the_published_configuration() -> None:
    config = json.loads((TWITTER_TEXT / "config-v3.json").read_text())
    assert Rules() == Rules(
        limit=config["maxWeightedTweetLength"],
        default_weight=config["defaultWeight"] // config["scale"],
        light=tuple((r["start"], r["end"]) for r in config["ranges"]),
        emoji_sequences=config["emojiParsingEnabled"],
        url_weight=config["transformedURLLength"],
    )


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("https://status.example.com/incidents/2024/11/23?lang=en#latest", 23),
        ("See https://status.example.com.", 4 + 23 + 1),
        ("(https://example.com/a_(b))", 1 + 23 + 1),
        ("status.example.com", 23),
        ("mail someone@example.com", 5 + 19),
        ("at 10.30, v1.2.3", 16),
        ("👨‍👩‍👧‍👦👍🏽🇩🇪", 6),
        ("障害", 4),
    ],
)
def test_links_weigh_23_and_emoji_2(text: str, weight: int) -> None:
    assert weighted_length(text) == weight


@pytest.mark.parametrize("text", ["node.js", "http://portal.internal/x", "http://10.0.0.1/health"])
def test_a_link_of_an_unknown_kind_weighs_no_less_than_either_way(text: str) -> None:
    assert weighted_length(text) >= len(text)


def test_what_cannot_be_posted_is_not_valid() -> None:
    assert not is_valid("")
    assert not is_valid("  \n")
    assert not is_valid("a\ufffe")
    assert not is_valid("a" * (LIMIT + 1))
    assert is_valid("a" * LIMIT)


@given(ANY)
def test_the_weight_does_not_depend_on_how_the_text_was_composed(text: str) -> None:
    assert weighted_length(unicodedata.normalize("NFD", text)) == weighted_length(text)


@given(st.text(st.sampled_from("ab é障😀 \u2019…")), st.text(st.sampled_from("ab é障😀 \u2019…")))
def test_without_links_weights_add_up(one: str, other: str) -> None:
    assert weighted_length(one + other) == weighted_length(one) + weighted_length(other)


@given(ANY)
def test_no_text_weighs_more_than_two_a_code_point_and_23_a_link(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    assert 0 <= weighted_length(text) <= 2 * len(composed) + 23 * composed.count(".")
