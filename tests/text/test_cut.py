"""Cutting long texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.cut import cut_at_sentence
from pipeline.text.post import is_valid
from pipeline.text.sms import measure

POINTER = "Details: https://status.example.com"


def at_most(length: int):  # type: ignore[no-untyped-def]
    return lambda text: len(text) <= length


def test_a_text_that_fits_stays_whole_and_gets_no_pointer() -> None:
    assert cut_at_sentence("All is well.", at_most(12), POINTER) == "All is well."


def test_a_long_text_ends_with_its_last_sentence_that_fits() -> None:
    text = "Logins fail. Nothing is lost. We are working on it through the night."
    assert cut_at_sentence(text, at_most(66), POINTER) == f"Logins fail. Nothing is lost. {POINTER}"


def test_a_first_sentence_that_is_too_long_ends_with_a_word_and_shows_it() -> None:
    text = "Logins fail for all customers in the whole of Europe and beyond that."
    assert cut_at_sentence(text, at_most(60), POINTER) == f"Logins fail for all... {POINTER}"


def test_a_word_that_is_too_long_is_cut_between_visible_characters() -> None:
    assert cut_at_sentence("e\u0301" * 10, at_most(8), "") == "e\u0301e\u0301..."
    assert cut_at_sentence("👩‍🚒👍🏽🇩🇪🇫🇷" * 3, at_most(10), "") == "👩‍🚒👍🏽🇩🇪..."


def test_where_nothing_fits_the_pointer_stands_alone() -> None:
    assert cut_at_sentence("Logins fail.", at_most(3), POINTER) == POINTER


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("It takes approx. 5 minutes. Then more follows here.", "It takes approx. 5 minutes."),
        ("Since 3 p.m. the API fails. Then more follows here.", "Since 3 p.m. the API fails."),
        ("E.g. Berlin is affected! Then more follows here, much more.", "E.g. Berlin is affected!"),
        ("Version 2.5.1 is affected. Then more follows here.", "Version 2.5.1 is affected."),
        ("“We are sorry.” Then more follows here, much more.", "“We are sorry.”"),
        ("Outage\nLogins fail and more follows here, much more.", "Outage"),
        ("障害発生。復旧中。しばらくお待ちください。ご不便をおかけします。", "障害発生。復旧中。"),
    ],
)  # fmt: skip
def test_sentences_are_told_from_abbreviations_and_numbers(text: str, beginning: str) -> None:
    assert cut_at_sentence(text, at_most(len(beginning) + 6), "More") == f"{beginning} More"


WORDS = st.lists(
    st.sampled_from(["Logins", "fail.", "We", "know!", "e.g.", "more", "障害。", "x" * 30, "\n"]), max_size=60
)


@given(WORDS, st.integers(0, 200), st.sampled_from(["", "More: t.co/x"]))
def test_the_cut_text_fits_and_begins_the_whole_one(words: list[str], room: int, pointer: str) -> None:
    text = " ".join(words)
    cut = cut_at_sentence(text, at_most(room), pointer)
    if len(text) <= room:
        assert cut == text
    elif cut != pointer.strip():
        assert len(cut) <= room
        assert cut.endswith(pointer)
        beginning = cut.removesuffix(pointer).removesuffix(" ").removesuffix("...")
        assert text.startswith(beginning)


@given(WORDS)
def test_a_post_and_a_text_message_made_by_cutting_can_be_sent(words: list[str]) -> None:
    text = " ".join(words).strip() or "x"
    assert is_valid(cut_at_sentence(text, is_valid, POINTER))
    assert measure(cut_at_sentence(text, lambda t: measure(t).segments <= 2, POINTER)).segments <= 2


def test_the_day_of_a_german_date_ends_no_sentence() -> None:
    text = "Es begann am 13. März um 9 Uhr. Mehr wissen wir noch nicht."
    assert cut_at_sentence(text, at_most(40), "") == "Es begann am 13. März um 9 Uhr."
    assert cut_at_sentence(text, at_most(25), "") == "Es begann am 13. März..."
