"""Segments and alphabets of text messages."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.sms import is_gsm7, measure, plainly, segments, to_gsm7
from tests.paths import CORPUS, needs_corpus

VECTORS = CORPUS / "vectors" / "sms_segments.json"
GSM7 = st.sampled_from("abc XYZ@£é\n|^€{}[]~\\")
ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=400)


def vectors() -> list[Any]:
    cases = json.loads(VECTORS.read_text())["cases"] if VECTORS.exists() else []
    return [pytest.param(case, id=case["testDescription"]) for case in cases]


@needs_corpus
def test_the_corpus_holds_all_46_vectors() -> None:
    assert len(vectors()) == 46


@needs_corpus
@pytest.mark.parametrize("case", vectors())
def test_twilios_own_vectors_come_out_as_there(case: dict[str, Any]) -> None:
    measured = measure(case["body"])
    assert (measured.encoding, measured.segments) == (case["encoding"], case["segments"])
    assert measured.characters == case.get("characters", measured.characters)
    if "messageSize" in case:
        bits = measured.units * (7 if measured.encoding == "GSM-7" else 16)
        # A user data header of six octets stands in each of several segments.
        header_bits = 48 * measured.segments if measured.segments > 1 else 0
        assert (bits, bits + header_bits) == (case["messageSize"], case["totalSize"])


def test_an_escape_pair_is_never_split_between_two_segments() -> None:
    assert measure("a" * 152 + "€" + "a" * 151).segments == 2
    assert measure("a" * 152 + "€" + "a" * 152).segments == 3


def test_a_surrogate_pair_is_never_split_between_two_segments() -> None:
    assert measure("я" * 66 + "😀" + "я" * 65).segments == 2
    assert measure("я" * 66 + "😀" + "я" * 66).segments == 3


@given(st.text(GSM7, max_size=700))
def test_gsm7_needs_as_many_segments_as_a_naive_packing(text: str) -> None:
    septets = [2 if c in "|^€{}[]~\\" else 1 for c in text]
    if sum(septets) <= 160:
        expected = 1
    else:
        rows: list[int] = [0]
        for width in septets:
            if rows[-1] + width > 153:
                rows.append(0)
            rows[-1] += width
        expected = len(rows)
    assert measure(text).segments == expected


@given(ANY, ANY)
def test_more_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert measure(text).segments <= measure(text + more).segments


@given(ANY)
def test_plain_writing_never_costs_more_and_happens_wholly_or_not_at_all(text: str) -> None:
    plain = to_gsm7(text)
    assert measure(plain).segments <= measure(unicodedata.normalize("NFC", text)).segments
    assert is_gsm7(plain) or plain == unicodedata.normalize("NFC", text)
    assert to_gsm7(plain) == plain


@given(st.text(GSM7, max_size=300))
def test_what_is_gsm7_already_is_not_touched(text: str) -> None:
    assert to_gsm7(text) == text


@pytest.mark.parametrize(
    ("typographic", "plain"),
    [
        ("“We’re on it” – soon…", '"We\'re on it" - soon...'),
        ("10\u00a0%\u202fof logins — see below", "10 % of logins - see below"),
        ("«München» • Zürich → Köln", '"München" - Zürich -> Köln'),
        ("soft\u00adhyphen\u200b", "softhyphen"),
        ("e\u0301te\u0301", "été"),
    ],
)
def test_typography_is_written_plainly(typographic: str, plain: str) -> None:
    assert to_gsm7(typographic) == plain
    assert measure(plain).encoding == "GSM-7"


@pytest.mark.parametrize("text", ["Ваш “сервер” недоступен…", "Façade “ça va”", "Łódź – offline", "✅ “done”"])
def test_nothing_is_replaced_where_it_would_spare_nothing_and_no_accent_is_dropped(text: str) -> None:
    assert to_gsm7(text) == text


@given(st.text(GSM7, max_size=400) | ANY)
def test_segments_are_counted_alike_with_and_without_the_rest(text: str) -> None:
    assert segments(text) == measure(text).segments


@pytest.mark.parametrize("filler", ["a", "€", "ü", "я", "🔥"])
@pytest.mark.parametrize("length", [69, 70, 71, 134, 135, 153, 159, 160, 161, 306, 307])
def test_the_quick_way_of_counting_agrees_with_counting_each_character(filler: str, length: int) -> None:
    text = filler * length
    gsm7 = is_gsm7(text)
    width = {"€": 2, "🔥": 2}.get(filler, 1)
    alone, each = (160, 153) if gsm7 else (70, 67)
    assert measure(text).units == width * length
    assert segments(text) == (1 if width * length <= alone else -(-length // (each // width)))


def test_plain_writing_takes_typography_away_whether_it_spares_anything_or_not() -> None:
    assert plainly("„Привет“ – …") == '"Привет" - ...'
