import json

from pipeline.sandbox.counting import post_weight, sms_segments
from tests.paths import CORPUS, needs_corpus


@needs_corpus
def test_segments_agree_with_twilios_calculator() -> None:
    cases = json.loads((CORPUS / "vectors" / "sms_segments.json").read_text())["cases"]
    assert {case["testDescription"]: sms_segments(case["body"]) for case in cases} == {
        case["testDescription"]: case["segments"] for case in cases
    }


EMOJI_BY_THE_CHARACTER = {
    "Count a mix of single byte single word, and double word unicode characters",
    "Count unicode emoji chars outside the basic multilingual plane with skin tone modifiers",
}
"""Vectors of twitter-text's configuration 2, in which an emoji sequence was not yet one thing of weight 2."""


@needs_corpus
def test_weights_agree_with_twitter_text() -> None:
    vectors = json.loads((CORPUS / "vectors" / "twitter-text" / "validate.json").read_text())
    cases = [case for case in vectors["WeightedTweetsCounterTest"] if case["description"] not in EMOJI_BY_THE_CHARACTER]
    assert len(cases) == 18
    assert {case["description"]: post_weight(case["text"]) for case in cases} == {
        case["description"]: case["expected"]["weightedLength"] for case in cases
    }


def test_an_emoji_sequence_weighs_two() -> None:
    assert post_weight("👨‍👩‍👧‍👦") == post_weight("🙋🏽") == 2
