"""Whatever a text is, the rules answer, and soon."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.guard import RULES, examine, mend
from pipeline.decide.guard.lexicon import lowered, phrase, sentences
from pipeline.decide.guard.secrets import masked
from schemas.journal import NoticeKind
from tests.decide.guard.saying import ENDS, said
from tests.paths import CORPUS, needs_corpus

HOSTILE = CORPUS / "vectors" / "hostile-strings.json"
REPETITIONS = [
    *("a", " ", "\n", ".", "a.", "a. ", "-", "a-", "/", "1", "1.", "10.", "é", "İ", "…", "“"),
    *("will ", "will be fixed ", "due to ", "by ", "in 5 ", "we ", "our ", "provider ", "issue with ", "all ", "no "),
    *("a.internal", "a-db-", "0x", "password", "password is ", "token=", "eyJ", "eyJa.", "-----BEGIN PRIVATE KEY"),
    *("http://", "a://b:", "a:b@", "at a(", "a.b", 'File "', "/var/", "~/", "C:\\", "\\\\a", "A-", "PROD-1"),
    *("wir haben ", "wird ", "bis 5 ", "vermutlich ", "data ", "update ", "wieder "),
]
SECONDS_ALLOWED = 1.5
"""For 10,000 characters, all rules; a text that long takes some 20 ms. Quadratic time would be minutes."""


def survives(text, language="en"):
    for kind in (NoticeKind.UPDATED, NoticeKind.RESOLVED):
        message = said(
            texts={"summary": text, "title": text[:300]}, language=language, kind=kind, before={"summary": text}
        )
        found = examine(message)
        assert all(len(one.words) <= 120 for one in found)
        mend(message.texts, found, language)


@given(st.text(max_size=500), st.sampled_from(["en", "de", "xx", ""]))
def test_no_text_makes_a_rule_fail(text, language):
    survives(text, language)


@needs_corpus
@pytest.mark.parametrize("language", ["en", "de"])
def test_no_hostile_string_makes_a_rule_fail(language):
    for text in json.loads(HOSTILE.read_text(encoding="utf-8")):
        survives(text, language)


@pytest.mark.parametrize("piece", REPETITIONS)
def test_repetition_takes_no_longer_than_its_length(piece):
    text = (piece * (10_000 // len(piece) + 1))[:10_000]
    for language in ("en", "de"):
        began = time.process_time()
        survives(text, language)
        assert time.process_time() - began < SECONDS_ALLOWED * 2  # examined twice, as an update and as an end


@given(st.text(max_size=300))
def test_sentences_are_the_whole_text_in_order(text):
    spans = sentences(text, frozenset({"e.g."}))
    assert "".join(text[start:end] for start, end in spans) == text


@given(st.text(max_size=300))
def test_small_letters_stand_where_the_capitals_stood(text):
    assert len(lowered(text)) == len(text)
    assert len(masked(text)) == len(text)


def test_a_pattern_of_small_letters_refuses_an_escape_that_they_would_change():
    with pytest.raises(ValueError, match=r"\\S"):
        phrase(r"a\S")


def test_every_rule_can_stand_in_a_policy_as_a_commented_line():
    for id, rule in RULES.items():
        assert id == rule.id
        assert rule.default in {"mend", "hold", "refuse", "off"}
        assert rule.mends or rule.default != "mend"
        assert rule.source
        for line in (rule.guards, rule.mends):
            assert len(line.splitlines()) <= 1
            assert len(line) <= 100


def test_a_rule_that_is_off_is_not_asked():
    message = said("It should be fixed by 14:00.")
    assert "promised-end" not in {one.rule for one in examine(message, frozenset({"promised-end"}))}


def test_examining_is_the_same_each_time():
    message = said("Probably db-7; it should be fixed by 14:00.", has_contact=False, has_next_update=False)
    assert examine(message) == examine(message)
    assert [one.rule for one in examine(message)] == sorted(
        (one.rule for one in examine(message)), key=list(RULES).index
    )
    assert NoticeKind.RESOLVED in ENDS
